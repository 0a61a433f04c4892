"""Errors of models and layers: one line with the field, the value and what is allowed."""

import jax
import jax.numpy as jnp
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage, lecture_cnn_3x3, resnet20
from jaxdl.nn import activation, avg_pool, conv2d, initializer, max_pool

X = jnp.zeros((2, 8, 8, 1))
KERNEL = jnp.zeros((3, 3, 1, 4))
ACTIVATIONS = (
    "celu, elu, gelu, gelu_tanh, hard_sigmoid, hard_swish, leaky_relu, linear, mish, "
    "piecewise_linear, relu, relu6, selu, "
    "sigmoid, sign, silu, softplus, softsign, step, swish, tanh, thresholded_relu"
)
INITIALIZERS = (
    "glorot_normal, glorot_uniform, he_normal, he_uniform, "
    "lecun_normal, lecun_uniform, truncated_normal"
)
NOTHING = "larger; the output of stage 1 would be empty: (W - F + 2P)/S + 1 < 1"


def init(model, x):
    """Traces the initialization of a model."""
    return jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))


CASES = [
    (
        lambda: activation("rleu"),
        f"activation: got 'rleu', allowed: {ACTIVATIONS} (did you mean 'relu'?)",
    ),
    (lambda: initializer("he"), f"kernel_init: got 'he', allowed: {INITIALIZERS}"),
    (lambda: MLP((8,), dropout=1.0), "dropout: got 1.0, allowed: a number in [0, 1)"),
    (lambda: MLP((8,), dropout=-0.1), "dropout: got -0.1, allowed: a number in [0, 1)"),
    (lambda: MLP((8,), dropout=float("nan")), "dropout: got nan, allowed: a number in [0, 1)"),
    (lambda: MLP((8, 0)), "hidden: got 0, allowed: at least 1"),
    (lambda: MLP(8), "hidden: got 8, allowed: a sequence of widths, () for none"),
    (lambda: MLP(outputs=0), "outputs: got 0, allowed: at least 1"),
    (lambda: MLP(activation="x"), f"activation: got 'x', allowed: {ACTIVATIONS}"),
    (
        lambda: MLP(norm="bacth"),
        "norm: got 'bacth', allowed: batch, group, instance, layer, rms, weight "
        "(did you mean 'batch'?)",
    ),
    (
        lambda: MLP(kernel_init="normal"),
        f"kernel_init: got 'normal', allowed: {INITIALIZERS} (did you mean 'he_normal'?)",
    ),
    (lambda: init(MLP(), jnp.zeros(3)), "x: got 'float32[3]', allowed: floats [B, ...]"),
    (
        lambda: init(MLP(), jnp.zeros((2, 3), jnp.uint8)),
        "x: got 'uint8[2, 3]', allowed: floats [B, ...]",
    ),
    (
        lambda: MLP((4,), norm="instance"),
        "norm: got 'instance', allowed: another norm, such as 'layer', for hidden dense layers",
    ),
    (lambda: Stage(0), "features: got 0, allowed: at least 1"),
    (lambda: Stage(8, kernel=0), "kernel: got 0, allowed: at least 1"),
    (lambda: Stage(8, strides=-1), "strides: got -1, allowed: at least 1"),
    (lambda: Stage(8, window=0), "window: got 0, allowed: at least 1"),
    (lambda: Stage(8, padding="same"), "padding: got 'same', allowed: SAME, VALID"),
    (
        lambda: Stage(8, pool="avg"),
        "pool: got 'avg', allowed: average, max (did you mean 'average'?)",
    ),
    (lambda: Stage(8, dropout=2), "dropout: got 2, allowed: a number in [0, 1)"),
    (lambda: Stage(8, use_norm="batch"), "use_norm: got 'batch', allowed: True or False"),
    (lambda: Stage(8, residual=1), "residual: got 1, allowed: True or False"),
    (lambda: Stage(8, convs=0), "convs: got 0, allowed: at least 1"),
    (lambda: Stage(8, convs=27), "convs: got 27, allowed: at most 26"),
    (
        lambda: Stage(8, padding=(1, 2, 3)),
        "padding: got (1, 2, 3), allowed: SAME, VALID, one integer, or an integer or pair for each "
        "of 2 axes",
    ),
    (lambda: Stage(8, padding=-1), "padding: got -1, allowed: at least 0"),
    (lambda: Stage(8, dilation=0), "dilation: got 0, allowed: at least 1"),
    (lambda: Stage(8, groups=3), "groups: got 3, allowed: a divisor of the 8 features"),
    (lambda: Stage(8, pool_strides=0), "pool_strides: got 0, allowed: at least 1"),
    (lambda: Stage(8, pool_padding="FULL"), "pool_padding: got 'FULL', allowed: SAME, VALID"),
    (lambda: Stage(8, pool_padding=2), "pool_padding: got 2, allowed: less than the window, 2"),
    (
        lambda: Stage(8, padding="VALID", residual=True),
        "padding: got 'VALID', allowed: 'SAME', or numbers of zeros that add up to 2 along each "
        "axis, with residual=True",
    ),
    (lambda: resnet20(features=0), "features: got 0, allowed: at least 1"),
    (lambda: CNN(((8, 3),)), "stages: got ((8, 3),), allowed: a sequence of Stage"),
    (lambda: CNN((Stage(8),), (-4,)), "dense: got -4, allowed: at least 1"),
    (lambda: CNN((Stage(8),), dropout=1), "dropout: got 1, allowed: a number in [0, 1)"),
    (
        lambda: CNN((Stage(8),), norm="weight"),
        "norm: got 'weight', allowed: batch, group, instance, layer, rms",
    ),
    (
        lambda: CNN((Stage(8),), activation="rel"),
        f"activation: got 'rel', allowed: {ACTIVATIONS} (did you mean 'relu'?)",
    ),
    (
        lambda: init(lecture_cnn_3x3(), X[..., 0]),
        "x: got 'float32[2, 8, 8]', allowed: float images [B, H, W, C]; an MLP reads points and "
        "tables",
    ),
    (lambda: init(lecture_cnn_3x3(), X[:, :5, :5]), f"image: got (5, 5), allowed: {NOTHING}"),
    (
        lambda: conv2d(X[0, 0], KERNEL),
        "x: got (8, 1), allowed: images [B, H, W, C] or [H, W, C]",
    ),
    (lambda: conv2d(X, KERNEL[:, :, 0]), "kernel: got (3, 3, 4), allowed: [F, G, 1, D]"),
    (
        lambda: conv2d(X.reshape(2, 4, 8, 2), KERNEL),
        "kernel: got (3, 3, 1, 4), allowed: [F, G, 2, D]",
    ),
    (lambda: conv2d(X, KERNEL, (1, 1), "FULL"), "padding: got 'FULL', allowed: SAME, VALID"),
    (lambda: conv2d(X, KERNEL, (0, 1)), "strides: got 0, allowed: at least 1"),
    (
        lambda: conv2d(X[:, :2], KERNEL, (1, 1), "VALID"),
        "kernel: got (3, 3), allowed: at most the padded size, 2x8",
    ),
    (
        lambda: max_pool(X[0, 0], 2),
        "x: got (8, 1), allowed: images [B, H, W, C] or [H, W, C]",
    ),
    (lambda: avg_pool(X, (9, 2)), "window: got (9, 2), allowed: at most the padded size, 8x8"),
    (lambda: max_pool(X, 0), "window: got 0, allowed: at least 1"),
    (lambda: max_pool(X, 2, 0), "strides: got 0, allowed: at least 1"),
]


@pytest.mark.parametrize(("call", "line"), CASES, ids=[line.split(",")[0] for _, line in CASES])
def test_the_error_is_one_line_with_what_is_allowed(call, line):
    with pytest.raises(InputError) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert text == line
