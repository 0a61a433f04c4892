"""Bad command lines of experiments that classify images."""

from tests.bad_inputs.allowed import (
    ACTIVATIONS,
    AUGMENTATIONS,
    DATA,
    INSIDE,
    OPTIMIZERS,
    OPTIONS,
    RATE,
    SCHEDULES,
    SEED,
    SHARE,
)

BAD = [
    (
        "mlp",
        "--optimizer adm",
        f"optimizer: got 'adm', allowed: {OPTIMIZERS} (did you mean 'adam'?)",
    ),
    (
        "mlp",
        "--schedule cosin",
        f"schedule: got 'cosin', allowed: {SCHEDULES} (did you mean 'cosine'?)",
    ),
    (
        "mlp",
        "--activation rellu",
        f"activation: got 'rellu', allowed: {ACTIVATIONS} (did you mean 'relu'?)",
    ),
    (
        "mlp",
        "--norm bach",
        "norm: got 'bach', allowed: batch, group, instance, layer, rms, weight "
        "(did you mean 'batch'?)",
    ),
    ("mlp", "--dropout 1.5", f"dropout: got 1.5, allowed: {SHARE}"),
    ("mlp", "--dropout -0.1", f"dropout: got -0.1, allowed: {SHARE}"),
    ("mlp", "--hidden 8 0", "hidden: got 0, allowed: at least 1"),
    (
        "mlp",
        "--hidden x",
        "--hidden: Could not find valid parse for arguments: ['x'], "
        "allowed: --hidden [INT [INT ...]]",
    ),
    ("mlp", "--folds 1", "folds: got 1, allowed: 0 for no cross-validation, or at least 2"),
    (
        "mlp",
        "--folds 3 --patience 2",
        "patience: got 2, allowed: 0 with folds; a held-out fold is not for choosing a step",
    ),
    (
        "mlp",
        "--folds 144",
        "folds: got 144, allowed: at most 139, the training examples of class 8",
    ),
    ("row_by_row", "--augment rotate=9,shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("mlp", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("mlp", "--augment rotate=9,shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    ("cnn", "--augment cutout=8", f"augment: got 'cutout=8', allowed: {INSIDE}"),
    (
        "cnn",
        "--augment scale=0",
        "augment: got 'scale=0', allowed: at least 1; 1.1 means factors of the size between 1/1.1 "
        "and 1.1",
    ),
    (
        "cnn",
        "--augment rotat=5",
        f"augment: got 'rotat', allowed: {AUGMENTATIONS} (did you mean 'rotate'?)",
    ),
    (
        "cnn",
        "--augment rotate",
        "augment: got 'rotate', allowed: a name and a number, such as rotate=1",
    ),
    ("cnn", "--augment shear=90", "augment: got 'shear=90', allowed: a number in [0, 90)"),
    (
        "cnn",
        "--augment mixup=1,cutmix=1",
        "augment: got 'mixup=1,cutmix=1', allowed: one of mixup and cutmix",
    ),
    ("mlp", "--out=", "out: got '', allowed: a directory"),
    ("mlp", "--cache-dir=", "cache_dir: got '', allowed: a directory"),
    (
        "mlp",
        "--data moons --augment shift=1",
        "augment: got 'shift=1', allowed: none for inputs of shape [2], which are not images",
    ),
    ("cnn", "--steps 0", "steps: got 0, allowed: at least 1"),
    (
        "cnn",
        "--steps 1.5",
        "--steps: no type matching {None}|INT could be instantiated from ['1.5'].",
    ),
    ("cnn", "--epochs 0", "epochs: got 0.0, allowed: a number above 0"),
    (
        "cnn",
        "--epochs 3 --steps 5",
        "epochs: got 3.0, allowed: the default, 20, because the run has 5 steps (--steps)",
    ),
    ("cnn", "--epochs nan", "epochs: got nan, allowed: a number above 0"),
    ("cnn", "--batch-size 0", "batch_size: got 0, allowed: at least 1"),
    (
        "cnn",
        "--batch-size 1295",
        "batch_size: got 1295, allowed: an integer from 1 to 1294, the size of digits",
    ),
    ("cnn", "--batch-size 30", "batch_size: got 30, allowed: a multiple of the 4 devices"),
    ("cnn", "--seed 4294967296", f"seed: got 4294967296, allowed: {SEED}"),
    ("cnn", "--seed -1", f"seed: got -1, allowed: {SEED}"),
    (
        "cnn",
        "--seed 1.5",
        "--seed: invalid literal for int() with base 10: '1.5', allowed: --seed INT",
    ),
    ("cnn", "--seeds 0", "seeds: got 0, allowed: at least 1"),
    ("cnn", "--validation 1.5", f"validation: got 1.5, allowed: {SHARE}"),
    ("cnn", "--learning-rate 0", f"learning_rate: got 0.0, allowed: {RATE}"),
    ("cnn", "--learning-rate -1", f"learning_rate: got -1.0, allowed: {RATE}"),
    ("cnn", "--learning-rate nan", f"learning_rate: got nan, allowed: {RATE}"),
    ("cnn", "--warmup 1", f"warmup: got 1.0, allowed: {SHARE}"),
    ("cnn", "--weight-decay -1", "weight_decay: got -1.0, allowed: a number in [0, inf)"),
    ("cnn", "--label-smoothing 1", f"label_smoothing: got 1.0, allowed: {SHARE}"),
    ("cnn", "--ema 2", f"ema: got 2.0, allowed: {SHARE}"),
    ("cnn", "--debug --seeds 2", "debug: got True, allowed: False with --seeds 2; use one seed"),
    (
        "cnn",
        "--debug --strategy pmap",
        "debug: got True, allowed: False with --strategy pmap; steps are checked on one device",
    ),
    (
        "cnn",
        "--debug --cpu-devices 2",
        "cpu_devices: got 2, allowed: 1 with several seeds, --debug or the strategy single",
    ),
    ("cnn", "--accumulate 7", "accumulate: got 7, allowed: a divisor of the batch size 128"),
    (
        "cnn",
        "--patience 3 --validation 0",
        "patience: got 3, allowed: 0, when there is no validation set",
    ),
    (
        "cnn",
        "--data moons",
        "x: got 'float32[1, 2]', allowed: float images [B, H, W, C]; an MLP reads points and "
        "tables",
    ),
    ("cnn", "--data a/b/secrets", f"data: got 'a/b/secrets', allowed: {DATA}"),
    (
        "cnn",
        "--data ../secrets",
        "data: got '../secrets', allowed: a folder, or a .npz or .csv file, that exists",
    ),
    ("cnn", "--data missing.npz", "data: got 'missing.npz', allowed: an .npz file that exists"),
    (
        "cnn",
        "--learn 3",
        f"option: got '--learn', allowed: {OPTIONS} (did you mean '--learning-rate'?)",
    ),
    (
        "cnn",
        "--batchsize=3",
        f"option: got '--batchsize=3', allowed: {OPTIONS} (did you mean '--batch-size'?)",
    ),
    ("cnn", "--xyzzy", f"option: got '--xyzzy', allowed: {OPTIONS}"),
    ("cnn", "100", f"option: got '100', allowed: {OPTIONS}"),
    ("cnn", "--optimizer", "Missing value for argument '--optimizer'. Expected 1 values."),
    (
        "cnn",
        "--network lenet",
        "invalid choice 'lenet' for argument '--network'. "
        "Expected one of ('best', 'lecture-5x5', 'lecture-3x3', 'resnet20', 'plain20').",
    ),
]
