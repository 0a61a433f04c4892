"""Short runs of every experiment: their arguments and the pictures that they write."""

#: Pictures of every classifier.
CLASSIFIER_PICTURES = {"curves", "confusion", "calibration", "roc"}
PICTURES = {*CLASSIFIER_PICTURES, "mistakes", "filters", "overview"}

#: Option of the experiments that generate images; `CLASSIFIER` is replaced by a directory.
CLASSIFIED = ["--feature-classifier", "CLASSIFIER"]
GAN_PICTURES = {"curves", "samples", "interpolation", "nearest", "training"}
VAE_PICTURES = {
    "curves",
    "samples",
    "interpolation",
    "training",
    "posterior_samples",
    "reconstructions",
}
PIXEL_PICTURES = {"curves", "samples", "completions", "drawing", "reach", "training"}
SOUND_PICTURES = {"curves", "waves", "spectrum"}
DREAM_PICTURES = {"curves", "depths", "octaves", "dream", "own"}
BY_HAND_PICTURES = {
    *("curves", "learned", "blurs", "edges", "second_derivatives", "sums_3x3", "sums_5x5"),
    *("padding_and_stride", "pooling", "shifts"),
    *("face_filters", "face_verdicts", "face_tolerance"),
}
WITHOUT_PICTURES = {
    *("curves", "eigen_images", "reconstructions", "centers", "kmeans", "neighbours", "fits"),
    "accuracies",
}
AUTOENCODER_PICTURES = {"curves", "interpolation", "latent_map", "reconstructions"}

#: Experiment, arguments and the pictures that it writes.
SMOKE = [
    (
        "mlp",
        ["--hidden", "--norm", "weight", "--standardize", "--track", "tensorboard", "csv"],
        PICTURES,
    ),
    ("mlp", ["--data", "moons", "--hidden", "8"], {*CLASSIFIER_PICTURES, "decisions"}),
    ("text_generation", ["--validation", "0.1"], {"curves", "units"}),
    (
        "row_by_row",
        ["--features", "8", "--augment", "shift=1,rotate=5"],
        {*CLASSIFIER_PICTURES, "mistakes"},
    ),
    ("autoencoder", ["--hidden", "16", "--augment", "rotate=15,shift=2"], AUTOENCODER_PICTURES),
    ("what_it_sees", ["--units", "0", "2", "--layers", "conv_1"], {"maps", "filters", "conv_1"}),
    ("dream", ["--layers", "activation_1"], DREAM_PICTURES),
    ("wavenet", [], SOUND_PICTURES),
]

#: More such cases, which take long to compile.
SLOW = [
    ("wavenet", ["--data", "plucked", "--seeds", "2"], SOUND_PICTURES),
    ("pixelcnn", [*CLASSIFIED], PIXEL_PICTURES),
    (
        "pixelcnn",
        [
            *(*CLASSIFIED, "--seeds", "2", "--no-gated", "--no-conditional", "--bits", "1"),
            *("--binarize", "fixed", "--draws", "2"),
        ],
        PIXEL_PICTURES,
    ),
    ("pixelrnn", [*CLASSIFIED], PIXEL_PICTURES),
    (
        "pixelrnn",
        [*CLASSIFIED, "--kind", "diagonal", "--bits", "1", "--binarize", "dynamic"],
        PIXEL_PICTURES,
    ),
    (
        "backpropagation",
        ["--batch-size", "4"],
        {"curves", "neuron", "network", "convolution"},
    ),
    ("convolution_by_hand", [], BY_HAND_PICTURES),
    (
        "convolution_by_hand",
        ["--seeds", "2", "--data", "digits", "--kernels", "sobel_x", "laplacian"],
        BY_HAND_PICTURES,
    ),
    ("without_networks", ["--augment", "elastic=0.4"], WITHOUT_PICTURES),
    ("dqn", [], {"returns", "episode", "values"}),
    ("cyclegan", ["--seeds", "2"], {"curves", "training", "translations"}),
    ("word2vec", ["--seeds", "2"], {"curves", "nearest", "plane", "similarity"}),
    (
        "word2vec",
        ["--data", "english", "--method", "cbow", "--validation", "0.1"],
        {"curves", "nearest", "plane"},
    ),
    ("word2vec", ["--method", "glove"], {"curves", "nearest", "plane", "similarity"}),
    ("tic_tac_toe", ["--seeds", "2"], {"losses", "game", "play"}),
    (
        "dqn",
        ["--environment", "catch", "--method", "reinforce", "--seeds", "2"],
        {"returns", "episode"},
    ),
    ("without_networks", ["--seeds", "2", "--data", "photos", "--clusters", "2"], WITHOUT_PICTURES),
    ("gan", [*CLASSIFIED, "--hidden", "32", "--validation", "0.1"], GAN_PICTURES),
    ("sentiment", [], {*CLASSIFIER_PICTURES, "text-best", "text-worst"}),
    ("cnn", ["--augment", "shift=1", "--ema", "0.9"], PICTURES),
    (
        "vae",
        [
            *CLASSIFIED,
            "--latent",
            "2",
            "--binarize",
            "none",
            "--kl-warmup",
            "0.5",
            "--importance",
            "2",
            "--track",
            "tensorboard",
            "--augment",
            "rotate=15,noise=0.1",
        ],
        {*VAE_PICTURES, "latent_map", "grid"},
    ),
    ("denoising", ["--features", "4", "--augment", "shift=1"], {"curves", "comparison"}),
    ("feature_classifier", [], PICTURES),
    (
        "vae",
        [
            *CLASSIFIED,
            "--seeds",
            "2",
            "--likelihood",
            "gaussian",
            "--binarize",
            "none",
            "--network",
            "conv",
            "--conditional",
        ],
        VAE_PICTURES,
    ),
    (
        "gan",
        [
            *CLASSIFIED,
            "--hidden",
            "32",
            "--loss",
            "wasserstein",
            "--penalty",
            "10",
            "--critic-steps",
            "2",
        ],
        GAN_PICTURES,
    ),
    (
        "dcgan",
        [*CLASSIFIED, "--features", "4", "--spectral-norm", "--loss", "hinge", "--seeds", "2"],
        GAN_PICTURES,
    ),
    (
        "conditional_dcgan",
        [*CLASSIFIED, "--features", "4", "--r1", "1", "--ema", "0.9", "--track", "tensorboard"],
        GAN_PICTURES,
    ),
    (
        "autoencoder",
        ["--network", "conv", "--data", "photos", "--seeds", "2"],
        AUTOENCODER_PICTURES,
    ),
    (
        "denoising",
        ["--features", "4", "--noise", "salt_and_pepper", "--seeds", "2"],
        {"curves", "comparison"},
    ),
    ("mlp", ["--hidden", "16", "--bfloat16"], PICTURES),
    (
        "cnn",
        ["--network", "lecture-3x3", "--accumulate", "2", "--label-smoothing", "0.1", "--remat"],
        PICTURES,
    ),
    ("cnn", ["--network", "lecture-5x5", "--bfloat16"], PICTURES),
    ("cnn", ["--network", "resnet20", "--freeze", "conv_0", "norm_0", "skip_4"], PICTURES),
    (
        "what_it_sees",
        ["--seeds", "2", "--units", "1", "--score", "mean", "--no-warps", "--augment", "mixup=1"],
        {"maps", "filters", "conv_0", "conv_1", "conv_2"},
    ),
    (
        "style",
        ["--table"],
        {"curves", "style", "evaluations", "random_weights", "textures", "table"},
    ),
    (
        "style",
        [
            *("--seeds", "2", "--no-textures", "--no-compare-random", "--keep-colors"),
            *("--augment", "flip=0.5"),
        ],
        {"curves", "style", "evaluations"},
    ),
    (
        "dream",
        [
            *("--seeds", "2", "--data", "photos", "--photograph", "flower", "--scales", "0"),
            *("--augment", "crop=2"),
        ],
        {*DREAM_PICTURES, "seeds"},
    ),
    (
        "mlp",
        ["--data", "spirals", "--hidden", "8", "8", "--norm", "layer"],
        {*CLASSIFIER_PICTURES, "decisions"},
    ),
    (
        "text_generation",
        ["--by", "word", "--embedding", "8", "--stride", "50", "--cell", "gru"],
        {"curves", "units"},
    ),
    (
        "sentiment",
        ["--cell", "conv", "--no-baseline"],
        {*CLASSIFIER_PICTURES, "text-best", "text-worst"},
    ),
    (
        "row_by_row",
        ["--cell", "tcn", "--features", "4", "--permuted"],
        {*CLASSIFIER_PICTURES, "mistakes"},
    ),
]

#: Experiments that compare several runs: arguments, runs and common pictures.
COMPARED = [
    ("forecast", [], {"rnn", "conv"}, {"errors.png", "week.png"}),
    (
        "why",
        ["--networks", "marked", "--methods", "gradient", "sobel", "--augment", "cutmix=1"],
        {"marked"},
        {"planted_mark.png", "shares.png"},
    ),
    ("perceptron", ["--sets", "line", "xor"], {"line", "xor"}, {"lines.png"}),
    (
        "activations",
        ["--parts", "linear", "rates", "--rates", "1", "--random-networks", "0"],
        {"linear", "rate_1"},
        {"functions.png", "decisions.png", "dead_units.png"},
    ),
    (
        "landscape",
        ["--networks", "small_batch", "large_batch", "--hidden", "8"],
        {"small_batch", "large_batch"},
        {"batch_sizes.png"},
    ),
    (
        "overfitting",
        ["--parts", "methods", "--methods", "none", "batch_norm"],
        {"none", "batch_norm"},
        {"methods.png", "time.png"},
    ),
]
SLOW_COMPARED = [
    (
        "flippers",
        ["--parts", "q_learning", "flips", "--seeds", "2", "--batch-size", "16"],
        {"q_learning", "flips"},
        {"learning.png", "determinism.png"},
    ),
    (
        "downhill",
        ["--hidden", "8", "--seeds", "1"],
        {"batch-32", "batch-128"},
        {
            *("batch_sizes.png", "optimizers.png", "optimizers.gif", "rates.png", "hills.png"),
            *("hills.gif", "learning_rate.png", "plateau.png", "schedules.png"),
        },
    ),
    (
        "activations",
        ["--seeds", "2"],
        {"linear", "nonlinear", "curve", "deep", "rate_0.01", "rate_1"},
        {
            *("functions.png", "decisions.png", "fits.png", "dead_units.png"),
            *("histograms.png", "variances.png"),
        },
    ),
    ("perceptron", ["--seeds", "3", "--sets", "curve", "xor"], {"curve", "xor"}, {"lines.png"}),
    (
        "overfitting",
        ["--methods", "none", "dropout", "early_stopping", "more_data"],
        {"true_labels", "random_labels", "none", "dropout", "early_stopping", "more_data"},
        {
            *("sine.png", "tempo.png", "capacity.png", "bias_variance.png", "double_descent.png"),
            *("labels.png", "methods.png", "time.png", "polynomials.npz", "double_descent.npz"),
        },
    ),
    (
        "augmentation",
        ["--variants", "none", "rotate=10,cutmix=1", "label_smoothing=0.1", "--labels", "50"],
        {"none", "rotate=10,cutmix=1", "label_smoothing=0.1"},
        {"accuracy.png", "augmentations.png"},
    ),
    (
        "fine_tune",
        ["--labels", "5", "10", "--methods", "scratch", "fine_tuned", "--augment", "shift=1"],
        {"source", "scratch-5", "scratch-10", "fine_tuned-5", "fine_tuned-10"},
        {"labels.png"},
    ),
    (
        "self_supervised",
        ["--seeds", "2", "--ways", "scratch_changed", "rotation_probe", "patch_fine_tuned"],
        {
            *("rotation-0", "patch-0", "scratch_changed-0", "rotation_probe-0"),
            *("patch_fine_tuned-0", "rotation-1", "patch-1", "scratch_changed-1"),
            *("rotation_probe-1", "patch_fine_tuned-1"),
        },
        {"accuracy.png"},
    ),
    (
        "landscape",
        ["--networks", "residual", "plain", "two_seeds", "--seeds", "2", "--ema", "0.9"],
        {"residual", "plain", "two_seeds"},
        {"skip_connections.png"},
    ),
    (
        "why",
        ["--seeds", "2", "--data", "photos", "--mark-color", "1", "0", "0"],
        {"marked", "twin", "everywhere"},
        {"planted_mark.png", "shares.png"},
    ),
    (
        "memory",
        ["--task", "copy", "--cells", "gru", "tcn", "--lengths", "8"],
        {"gru-8", "tcn-8"},
        {"errors.png"},
    ),
    ("video", [], {"frames", "recurrent"}, {"clips.png", "clips.gif"}),
    (
        "adversarial",
        ["--defences", "none", "trades", "--seeds", "2", "--augment", "rotate=10,shift=1"],
        {"none", "trades"},
        {"defences.png", "gradients.png"},
    ),
    (
        "vae_vs_autoencoder",
        [*CLASSIFIED, "--hidden", "16", "--augment", "scale=1.1"],
        {"autoencoder", "vae"},
        {"latent_maps.png"},
    ),
    ("pix2pix", [], {"l1", "adversarial"}, {"comparison.png"}),
    (
        "memory",
        ["--cells", "lstm", "--lengths", "8", "12", "--seeds", "2"],
        {"lstm-8", "lstm-12"},
        {"errors.png"},
    ),
    (
        "autoencoder",
        ["--mode", "memorization", "--hidden", "16"],
        {"one_image", "many_images"},
        {"memorization.png"},
    ),
]
