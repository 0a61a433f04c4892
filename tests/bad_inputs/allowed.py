"""Values that several messages list as allowed."""

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
