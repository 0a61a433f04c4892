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
METHODS = (
    "grad_cam, gradient, gradient_times_input, integrated_gradients, lime, occlusion, rise, "
    "smooth_gradient, sobel"
)
KERNELS = "box_blur, emboss, identity, laplacian, sharpen, sobel_x, sobel_y"
OPTIONS = "the options that --help lists"
AUGMENTATIONS = (
    "brightness, contrast, crop, cutmix, cutout, elastic, flip, mixup, noise, rotate, "
    "salt_and_pepper, scale, shear, shift"
)
INSIDE = "less than the smaller side of the images, 8"
SHARE = "a number in [0, 1)"
RATE = "a finite number above 0"
SEED = "an integer in [0, 2**32 - 1]"
DATA = (
    "digits, photos, moons, spirals, fruits, curved_fruits, an image classification set of TFDS, "
    "a .npz or .csv file, or a folder of images"
)

IMAGES = "data: got 'moons [400, 2]', allowed: grey or RGB images, at least 20 in the test set"

CLASSES = IMAGES.replace("images,", "images with classes,")

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
    ("mlp", "--folds 1", "folds: got 1, allowed: 0 for no cross-validation, or at least 2"),
    (
        "mlp",
        "--folds 3 --seeds 2",
        "seeds: got 2, allowed: 1 with --folds, whose members are the folds",
    ),
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
    (
        "gan",
        "--find-lr",
        "find_lr: got True, allowed: False in this experiment, whose losses do not measure "
        "progress",
    ),
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
    ("perceptron", "--data digits", "data: got 'digits', allowed: generated"),
    (
        "perceptron",
        "--sets line line",
        "sets: got ('line', 'line'), allowed: line, curve, xor, each once",
    ),
    ("perceptron", "--passes 0", "passes: got 0, allowed: at least 1"),
    ("perceptron", "--max-mistakes 0", "max_mistakes: got 0, allowed: at least 1"),
    (
        "activations",
        "--parts curve curve",
        "parts: got ('curve', 'curve'), allowed: linear, nonlinear, curve, deep, rates, each once",
    ),
    ("activations", "--hidden 0", "hidden: got 0, allowed: at least 1"),
    ("activations", "--layers 8 0", "layers: got 0, allowed: at least 1"),
    ("activations", "--layers", "layers: got (), allowed: at least one hidden layer"),
    ("activations", "--units 0", "units: got 0, allowed: at least 1"),
    ("activations", "--random-networks -1", "random_networks: got -1, allowed: at least 0"),
    (
        "activations",
        "--rates 1 0",
        "rates: got (1.0, 0.0), allowed: finite numbers above 0, each once",
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
        "augmentation",
        "--variants none shift=8",
        f"augment: got 'shift=8', allowed: {INSIDE}",
    ),
    (
        "augmentation",
        "--variants shift=1 shift=1",
        "variants: got ('shift=1', 'shift=1'), allowed: each variant once",
    ),
    (
        "augmentation",
        "--variants label_smoothing=much",
        "variants: got 'label_smoothing=much', allowed: a number, such as label_smoothing=0.1",
    ),
    (
        "augmentation",
        "--labels 1430 --validation 0",
        "labels: got 1430, allowed: at most 142 of class 0 in the training set",
    ),
    ("augmentation", "--data moons", CLASSES),
    ("fine_tune", "--labels 3", "labels: got 3, allowed: at least 5"),
    (
        "fine_tune",
        "--labels 10 800",
        "labels: got 800, allowed: at most 146 of class 0 in the training set",
    ),
    (
        "fine_tune",
        "--methods scratch scratch",
        "methods: got ('scratch', 'scratch'), allowed: scratch, frozen, fine_tuned, each once",
    ),
    (
        "fine_tune",
        "--labels 50 10",
        "labels: got (50, 10), allowed: at least one number, ascending",
    ),
    (
        "fine_tune",
        "--fine-tuned-rate 0",
        "fine_tuned_rate: got 0.0, allowed: a finite number above 0",
    ),
    ("fine_tune", "--source-steps 0", "source_steps: got 0, allowed: at least 1"),
    (
        "fine_tune",
        "--initial runs/mine",
        "initial: got 'runs/mine', allowed: none; write --load runs/mine",
    ),
    (
        "fine_tune",
        "--freeze conv_0",
        "freeze: got ('conv_0',), allowed: none; --methods frozen freezes all below the head",
    ),
    ("fine_tune", "--data moons", CLASSES),
    ("gan", "--latent 0", "latent: got 0, allowed: at least 1"),
    ("gan", "--augment shift=-1", "augment: got 'shift=-1', allowed: at least 0"),
    ("gan", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    (
        "gan",
        "--augment mixup=1",
        "augment: got 'mixup=1', allowed: neither mixup nor cutmix, without labels",
    ),
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
        "why",
        "--methods gradient lim",
        f"methods: got 'lim', allowed: {METHODS} (did you mean 'lime'?)",
    ),
    ("why", "--samples 10", "samples: got 10, allowed: at least 200"),
    ("why", "--gradients 0", "gradients: got 0, allowed: at least 1"),
    ("why", "--count 0", "count: got 0, allowed: at least 1"),
    ("why", "--strays 1", "strays: got 1.0, allowed: a number in [0, 1)"),
    ("why", "--mark-strength 0", "mark_strength: got 0.0, allowed: a number in (0, 1]"),
    (
        "why",
        "--marked-class 10",
        "marked_class: got 10, allowed: a class in [0, 10)",
    ),
    (
        "why",
        "--mark-size 9",
        "mark: got 9, allowed: a mark whose size and margin add up to at most 8",
    ),
    (
        "why",
        "--mark-color 1 0 0",
        "mark_color: got (1.0, 0.0, 0.0), allowed: one number, or 1, one for each channel",
    ),
    (
        "why",
        "--networks twin twin",
        "networks: got ('twin', 'twin'), allowed: marked, twin, everywhere, each once",
    ),
    ("why", "--images folder", "images: got 'folder', allowed: none without --load; use --data"),
    (
        "why",
        "--load nowhere",
        "network: got 'nowhere', allowed: a directory with model.json and weights.safetensors, "
        "such as that of a finished run",
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
    ("adversarial", "--epsilon -0.1", "epsilon: got -0.1, allowed: a number in [0, inf)"),
    (
        "adversarial",
        "--epsilon 0",
        "epsilon: got 0.0, allowed: above 0; --defences none trains as usual",
    ),
    ("adversarial", "--attack-steps 0", "attack_steps: got 0, allowed: at least 1"),
    ("adversarial", "--starts 0", "starts: got 0, allowed: at least 1"),
    ("adversarial", "--training-steps 0", "training_steps: got 0, allowed: at least 1"),
    ("adversarial", "--attack-warmup 1", "attack_warmup: got 1.0, allowed: a number in [0, 1)"),
    ("adversarial", "--trades -1", "trades: got -1.0, allowed: a number in [0, inf)"),
    (
        "adversarial",
        "--defences pgd pgd",
        "defences: got ('pgd', 'pgd'), allowed: none, fgsm, pgd, trades, each once",
    ),
    (
        "adversarial",
        "--training-epsilon -1",
        "training_epsilon: got -1.0, allowed: a number in [0, inf)",
    ),
    ("style", "--size 0", "size: got 0, allowed: at least 1"),
    ("style", "--evaluations 0", "evaluations: got 0, allowed: at least 1"),
    ("style", "--style-weight -1", "style_weight: got -1.0, allowed: a number in [0, inf)"),
    (
        "style",
        "--content=",
        "content: got '', allowed: temple, flower, painting, or the path of an image",
    ),
    ("dream", "--octaves 0", "octaves: got 0, allowed: at least 1"),
    ("dream", "--ratio 1", "ratio: got 1.0, allowed: a number above 1, such as 1.4"),
    ("dream", "--dream-steps -1", "dream_steps: got -1, allowed: at least 0"),
    ("dream", "--step-size -1", "step_size: got -1.0, allowed: a number in [0, inf)"),
    ("dream", "--size 0", "size: got 0, allowed: at least 1"),
    (
        "dream",
        "--size 8",
        "octaves: got 4, allowed: at most 2; the smallest octave would have 2 × 3 pixels, too few "
        "for the network",
    ),
    (
        "dream",
        "--photograph templ",
        "photograph: got 'templ', allowed: flower, temple, the path of a PNG or JPEG file "
        "(did you mean 'temple'?)",
    ),
    (
        "dream",
        "--layers conv_7",
        "layers: got 'conv_7', allowed: Dropout_0, Dropout_1, Dropout_2, activation_0, "
        "activation_1, activation_2, conv_0, conv_1, conv_2, head, head/Dropout_0, "
        "head/activation_0, head/dense_0, head/out, pool_0, pool_1 (did you mean 'conv_2'?)",
    ),
    (
        "dream",
        "--load nowhere",
        "network: got 'nowhere', allowed: a directory with model.json and weights.safetensors, "
        "such as that of a finished run",
    ),
    (
        "landscape",
        "--networks plain plain",
        "networks: got ('plain', 'plain'), allowed: small_batch, large_batch, two_seeds, residual, "
        "plain, each once",
    ),
    (
        "overfitting",
        "--parts methods methods",
        "parts: got ('methods', 'methods'), allowed: polynomials, double_descent, labels, methods, "
        "each once",
    ),
    (
        "overfitting",
        "--methods none none",
        "methods: got ('none', 'none'), allowed: none, l1, l2, dropout, batch_norm, "
        "early_stopping, augmentation, more_data, each once",
    ),
    ("overfitting", "--hidden 0", "hidden: got 0, allowed: at least 1"),
    ("overfitting", "--dropout 1", f"dropout: got 1.0, allowed: {SHARE}"),
    ("overfitting", "--shift -1", "shift: got -1, allowed: at least 0"),
    ("overfitting", "--few 0", "few: got 0, allowed: at least 1"),
    ("overfitting", "--more 0", "more: got 0, allowed: at least 1"),
    ("overfitting", "--wrong 1.5", "wrong: got 1.5, allowed: a number in [0, 1]"),
    ("overfitting", "--label-steps 0", "label_steps: got 0, allowed: at least 1"),
    ("overfitting", "--label-rate 0", f"label_rate: got 0.0, allowed: {RATE}"),
    ("overfitting", "--curve-sets 1", "curve_sets: got 1, allowed: at least 2"),
    ("overfitting", "--draws 0", "draws: got 0, allowed: at least 1"),
    ("landscape", "--hidden 8 0", "hidden: got 0, allowed: at least 1"),
    ("landscape", "--points 1", "points: got 1, allowed: at least 2"),
    ("landscape", "--span 0", "span: got 0.0, allowed: above 0"),
    ("landscape", "--examples 0", "examples: got 0, allowed: at least 1"),
    ("convolution_by_hand", "--images 0", "images: got 0, allowed: at least 1"),
    (
        "convolution_by_hand",
        "--photograph-width 16",
        "photograph_width: got 16, allowed: at least 32",
    ),
    (
        "convolution_by_hand",
        "--photograph-width 640",
        "photograph_width: got 640, allowed: at most 320",
    ),
    (
        "convolution_by_hand",
        "--kernels sobel_z",
        f"kernels: got 'sobel_z', allowed: {KERNELS} (did you mean 'sobel_y'?)",
    ),
    (
        "convolution_by_hand",
        "--kernels emboss emboss",
        "kernels: got ('emboss', 'emboss'), allowed: some of identity, box_blur, sharpen, emboss, "
        "sobel_x, sobel_y, laplacian, each once",
    ),
    ("without_networks", "--clusters 1", "clusters: got 1, allowed: an integer from 2 to 10"),
    ("without_networks", "--clusters 11", "clusters: got 11, allowed: an integer from 2 to 10"),
    ("without_networks", "--examples 99", "examples: got 99, allowed: at least 100"),
    ("without_networks", "--hidden 0", "hidden: got 0, allowed: at least 1"),
    (
        "landscape",
        "--load nowhere",
        "network: got 'nowhere', allowed: a directory with model.json and weights.safetensors, "
        "such as that of a finished run",
    ),
    ("backpropagation", "--data digits", "data: got 'digits', allowed: xor"),
    (
        "downhill",
        "--optimizers sdg",
        f"optimizers: got 'sdg', allowed: {OPTIMIZERS} (did you mean 'sgd'?)",
    ),
    (
        "downhill",
        "--optimizers sgd sgd",
        "optimizers: got ('sgd', 'sgd'), allowed: at least one, each once",
    ),
    ("downhill", "--multiples 2 2", "multiples: got (2, 2), allowed: at least one, each once"),
    ("downhill", "--multiples 0", "multiples: got 0, allowed: at least 1"),
    ("downhill", "--descent-steps 0", "descent_steps: got 0, allowed: at least 1"),
    ("downhill", "--hidden 8 0", "hidden: got 0, allowed: at least 1"),
    (
        "cnn",
        "--network lenet",
        "invalid choice 'lenet' for argument '--network'. "
        "Expected one of ('best', 'lecture-5x5', 'lecture-3x3', 'resnet20', 'plain20').",
    ),
]
