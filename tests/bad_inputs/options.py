"""Bad command lines: an experiment, its arguments, and the message without `error: `."""

ACTIVATIONS = (
    "celu, elu, gelu, gelu_tanh, hard_sigmoid, hard_swish, leaky_relu, linear, mish, "
    "piecewise_linear, relu, relu6, selu, "
    "sigmoid, sign, silu, softplus, softsign, step, swish, tanh, thresholded_relu"
)
OPTIMIZERS = (
    "adadelta, adagrad, adam, adamw, lion, momentum, muon, nadam, "
    "nesterov, rmsprop, schedule_free, sgd"
)
SCHEDULES = "constant, cosine, exponential, one_cycle, polynomial, step, warmup_cosine"
OPTIONS = "the options that --help lists"
SHARE = "a number in [0, 1)"
RATE = "a finite number above 0"
SEED = "an integer in [0, 2**32 - 1]"
DATA = (
    "digits, photos, moons, spirals, an image classification set of TFDS, a .npz or .csv file, "
    "or a folder of images"
)

IMAGES = "data: got 'moons [400, 2]', allowed: grey or RGB images, at least 20 in the test set"

#: Experiment, arguments and the error message.
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
    ("mlp", "--shift 8", "shift: got 8, allowed: less than the smaller side of the images, 8"),
    ("mlp", "--out=", "out: got '', allowed: a directory"),
    ("mlp", "--cache-dir=", "cache_dir: got '', allowed: a directory"),
    (
        "mlp",
        "--data moons --shift 1",
        "shift: got 1, allowed: 0 for inputs of shape [2], which are not images",
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
    ("gan", "--latent 0", "latent: got 0, allowed: at least 1"),
    ("gan", "--shift -1", "shift: got -1, allowed: at least 0"),
    ("gan", "--shift 8", "shift: got 8, allowed: less than the smaller side of the images, 8"),
    ("gan", "--critic-steps 0", "critic_steps: got 0, allowed: at least 1"),
    (
        "gan",
        "--discriminator-learning-rate 0",
        "discriminator_learning_rate: got 0.0, allowed: a finite number above 0",
    ),
    ("dcgan", "--dense 0", "dense: got 0, allowed: at least 1"),
    (
        "gan",
        "--patience 3 --validation 0.1",
        "patience: got 3, allowed: 0 (a GAN's losses do not measure progress)",
    ),
    (
        "gan",
        "--label-smoothing 0.1 --loss hinge",
        "label_smoothing: got 0.1, allowed: 0, with the loss hinge",
    ),
    ("gan", "--data moons", IMAGES),
    (
        "dcgan",
        "--feature-classifier nowhere",
        "feature_classifier: got 'nowhere', "
        "allowed: the directory of a finished run of "
        "python experiments/feature_classifier.py --data digits",
    ),
    ("vae", "--latent 0", "latent: got 0, allowed: at least 1"),
    (
        "vae",
        "--likelihood gaussian",
        "binarize: got 'dynamic', allowed: none, with the likelihood gaussian",
    ),
    (
        "autoencoder",
        "--images 1439",
        "images: got 1439, allowed: at most the size of the training set, 1438",
    ),
    ("autoencoder", "--hidden 0", "hidden: got 0, allowed: at least 1"),
    ("denoising", "--sigma -1", "sigma: got -1.0, allowed: a finite number above 0"),
    (
        "vae_vs_autoencoder",
        "--networks vae vae",
        "networks: got ('vae', 'vae'), allowed: autoencoder, vae, each once",
    ),
    (
        "text_generation",
        "--test-fraction 1",
        "test_fraction: got 1.0, allowed: a number in (0, 1)",
    ),
    ("video", "--clips 0", "clips: got 0, allowed: at least 5"),
    ("dcgan", "--features 0", "features: got 0, allowed: at least 1"),
    (
        "gan",
        "--batch-size 5000",
        "batch_size: got 5000, allowed: an integer from 1 to 1438, the size of digits",
    ),
    (
        "gan",
        "--optimizer schedule_free",
        "optimizer: got 'schedule_free', allowed: one that can update a part of the parameters",
    ),
    (
        "cnn",
        "--network lenet",
        "invalid choice 'lenet' for argument '--network'. "
        "Expected one of ('best', 'lecture-5x5', 'lecture-3x3', 'resnet20', 'plain20').",
    ),
]
