"""Bad command lines of experiments about learning itself."""

from tests.bad_inputs.allowed import CLASSES, INSIDE, KERNELS, OPTIMIZERS, RATE, SHARE

BAD = [
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
    ("fine_tune", "--augment shift=8", f"augment: got 'shift=8', allowed: {INSIDE}"),
    (
        "self_supervised",
        "--ways scratch scratch",
        "ways: got ('scratch', 'scratch'), allowed: some of rotation, patch, scratch, "
        "scratch_changed, random_probe, rotation_probe, rotation_fine_tuned, patch_probe, "
        "patch_fine_tuned, each once",
    ),
    (
        "self_supervised",
        "--labels-per-class 200",
        "per_class: got 200, allowed: at most 142 of class 0 in the training set",
    ),
    (
        "self_supervised",
        "--validation 0.1",
        "validation: got 0.1, allowed: 0 in this experiment, whose labels are all trained on",
    ),
    ("self_supervised", "--pretext-steps 0", "pretext_steps: got 0, allowed: at least 1"),
    ("self_supervised", "--pretext-batch-size 0", "pretext_batch_size: got 0, allowed: at least 1"),
    ("self_supervised", "--features 0", "features: got 0, allowed: at least 1"),
    ("self_supervised", "--patch 1", "patch: got 1.0, allowed: a number above 0 and below 1"),
    (
        "self_supervised",
        "--fine-tuned-rate 0",
        "fine_tuned_rate: got 0.0, allowed: a finite number above 0",
    ),
    (
        "self_supervised",
        "--freeze conv_0",
        "freeze: got ('conv_0',), allowed: none; --ways names the starts to compare",
    ),
    (
        "self_supervised",
        "--augment mixup=1",
        "augment: got 'mixup=1', allowed: neither mixup nor cutmix in this experiment",
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
]
