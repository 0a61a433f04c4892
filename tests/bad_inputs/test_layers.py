"""Refused arguments of layers: axes, sizes, ranks, dtypes and lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import nn
from jaxdl.errors import InputError
from jaxdl.models import CNN, OneHot, Stage, dcgan, encoder_decoder

IMAGES = jnp.zeros((2, 8, 8, 3))
STEPS = jnp.zeros((2, 5, 3))
PAIR = "one integer, or a pair for height and width"
WINDOW = "one integer, or a pair for height and width, or (F,) for sequences"
PADS = "SAME, VALID, one integer, or an integer or pair for each of 2 axes"
FLAG = "True or False"
NONE = "<class 'NoneType'>"
VALUES = "at least 1 value along each axis of the windows"
FLOATS = "floats, such as x.astype(jnp.float32)"
SHAPE = "height, width and channels"


def call(layer, *args):
    """Traces a layer with initial parameters."""
    key = jax.random.key(0)
    jax.eval_shape(lambda: layer.init_with_output({"params": key, "dropout": key}, *args)[0])


CASES = [
    (lambda: nn.Conv(0), "features: got 0, allowed: at least 1"),
    (lambda: nn.Conv(4, (3, 3, 3)), f"kernel_size: got (3, 3, 3), allowed: {PAIR}"),
    (lambda: nn.Conv(4, (3,)), f"kernel_size: got (3,), allowed: {PAIR}"),
    (lambda: nn.Conv(4, 2.0), f"kernel_size: got 2.0, allowed: {PAIR}"),
    (lambda: nn.Conv(4, 3, True), "strides: got True, allowed: an integer, at least 1"),
    (lambda: nn.Conv(4, 3, None), f"strides: got None, allowed: {PAIR}"),
    (lambda: nn.Conv(4, padding=-1), "padding: got -1, allowed: at least 0"),
    (lambda: nn.Conv(4, padding=1.5), f"padding: got 1.5, allowed: {PADS}"),
    (lambda: nn.ConvTranspose(4, padding=(1,)), f"padding: got (1,), allowed: {PADS}"),
    (lambda: nn.ConvTranspose(4, strides=0), "strides: got 0, allowed: at least 1"),
    (lambda: nn.Conv1D(4, (3, 3)), "kernel_size: got (3, 3), allowed: one integer"),
    (lambda: nn.Conv1D(4, 3, 0), "dilation: got 0, allowed: at least 1"),
    (
        lambda: call(nn.Conv(6, groups=2), IMAGES),
        "groups: got 2, allowed: a divisor of the 3 channels: 1, 3",
    ),
    (
        lambda: nn.Conv(4, groups=3),
        "groups: got 3, allowed: a divisor of the 4 features: 1, 2, 4",
    ),
    (lambda: nn.Conv(4, groups=0), "groups: got 0, allowed: at least 1"),
    (lambda: nn.Conv(4, dilation=1.5), f"dilation: got 1.5, allowed: {PAIR}"),
    (
        lambda: nn.conv2d(IMAGES, jnp.zeros((3, 3, 3, 6)), groups=3),
        "kernel: got (3, 3, 3, 6), allowed: [F, G, 1, D]",
    ),
    (
        lambda: nn.conv2d(IMAGES, jnp.zeros((3, 3, 3, 6)), 1, "VALID", 4),
        "kernel: got (3, 3), allowed: at most the padded size, 8x8; with its dilation it is 9x9",
    ),
    (lambda: nn.ConvTranspose1D(4, (3, 3)), "kernel_size: got (3, 3), allowed: one integer"),
    (lambda: call(nn.Conv(4), IMAGES[..., :0]), "x: got (2, 8, 8, 0), allowed: at least 1 channel"),
    (
        lambda: nn.conv2d(IMAGES.astype(complex), jnp.zeros((3, 3, 3, 1), complex)),
        f"x dtype: got 'complex64', allowed: {FLOATS}",
    ),
    (
        lambda: nn.conv2d(IMAGES.astype(jnp.uint8), jnp.zeros((3, 3, 3, 1), jnp.uint8)),
        f"x dtype: got 'uint8', allowed: {FLOATS}",
    ),
    (
        lambda: nn.conv2d(IMAGES, jnp.zeros((3, 3, 3, 1), jnp.bfloat16)),
        "kernel dtype: got 'bfloat16', allowed: that of x, float32",
    ),
    (
        lambda: nn.conv_transpose2d(IMAGES[:, :1, :1], jnp.zeros((4, 4, 3, 1)), padding=1),
        "padding: got (1, 1), allowed: larger; the output would be empty",
    ),
    (lambda: nn.max_pool(IMAGES, (2, 2, 2)), f"window: got (2, 2, 2), allowed: {WINDOW}"),
    (lambda: nn.max_pool(IMAGES, 2, padding=-1), "padding: got -1, allowed: at least 0"),
    (lambda: nn.max_pool(IMAGES, 2, padding="same"), "padding: got 'same', allowed: SAME, VALID"),
    (lambda: nn.max_pool(IMAGES, 2, dilation=0), "dilation: got 0, allowed: at least 1"),
    (
        lambda: nn.avg_pool(IMAGES, 2, padding=2),
        "padding: got 2, allowed: less; a window would hold no value of the image",
    ),
    (
        lambda: nn.max_pool(IMAGES, 4, dilation=3),
        "window: got (4, 4), allowed: at most the padded size, 8x8; with its dilation it is 10x10",
    ),
    (lambda: nn.max_pool(IMAGES, 2, ceil=1), f"ceil: got 1, allowed: {FLAG}"),
    (
        lambda: nn.avg_pool(IMAGES, 2, count_padding=None),
        f"count_padding: got {NONE}, allowed: {FLAG}",
    ),
    (lambda: nn.adaptive_avg_pool(IMAGES[:, :0], 2), f"x: got (2, 0, 8, 3), allowed: {VALUES}"),
    (
        lambda: jax.jit(lambda p: nn.lp_pool(IMAGES, 2, p=p))(2.0),
        "p: got 'a traced value', allowed: a number that is known before the compilation",
    ),
    (lambda: nn.max_pool(IMAGES, 2**31), "window: got 2147483648, allowed: at most 2147483647"),
    (lambda: nn.Conv(4, strides=10**30), f"strides: got {10**30}, allowed: at most 2147483647"),
    (lambda: nn.Conv(4, use_bias=1), f"use_bias: got 1, allowed: {FLAG}"),
    (lambda: nn.Conv1D(4, 3, weight_norm="no"), f"weight_norm: got 'no', allowed: {FLAG}"),
    (
        lambda: nn.activation("celu(0)"),
        "activation: got 'celu(0)', allowed: celu with another number than 0",
    ),
    (
        lambda: jax.jit(lambda e: nn.Norm("batch", e) and e)(1e-5),
        "epsilon: got 'a traced value', allowed: a number",
    ),
    (lambda: nn.PReLU(shared=2), f"shared: got 2, allowed: {FLAG}"),
    (lambda: nn.GRU(4, reset_after=0), f"reset_after: got 0, allowed: {FLAG}"),
    (lambda: nn.RNN("gru", 4, reset_after="no"), f"reset_after: got 'no', allowed: {FLAG}"),
    (
        lambda: nn.RNN("lstm", 4, reset_after=False),
        'reset_after: got False, allowed: True; only the cell "gru" has a reset gate',
    ),
    (lambda: nn.lp_pool(IMAGES, 2, p=0.5), "p: got 0.5, allowed: a number in [1, inf)"),
    (lambda: nn.adaptive_avg_pool(IMAGES, 0), "sizes: got 0, allowed: at least 1"),
    (
        lambda: nn.adaptive_avg_pool(IMAGES, (2,)),
        "x: got (2, 8, 8, 3), allowed: sequences [B, T, C] or [T, C]",
    ),
    (lambda: nn.avg_pool(IMAGES, 2, (1, 1, 1)), f"strides: got (1, 1, 1), allowed: {PAIR}"),
    (lambda: nn.avg_pool(IMAGES, "2"), f"window: got '2', allowed: {WINDOW}"),
    (
        lambda: nn.max_pool(IMAGES.astype(bool), 2),
        "x dtype: got 'bool', allowed: floats or integers",
    ),
    (
        lambda: call(nn.Dropout(0.5, (9,)), STEPS, True),
        "shared: got 9, allowed: an axis of the input [2, 5, 3]",
    ),
    (
        lambda: call(nn.Dropout(0.5, -4), STEPS, False),
        "shared: got -4, allowed: an axis of the input [2, 5, 3]",
    ),
    (lambda: nn.Dropout(0.5, 1.0), "shared: got 1.0, allowed: axes, such as (1,)"),
    (lambda: nn.Dropout("0.5"), "rate: got '0.5', allowed: a number in [0, 1)"),
    (
        lambda: call(nn.Dropout(0.5), STEPS.astype(jnp.int32), True),
        f"x dtype: got 'int32', allowed: {FLOATS}",
    ),
    (lambda: call(nn.GRU(4), STEPS.astype(jnp.int32)), f"x dtype: got 'int32', allowed: {FLOATS}"),
    (
        lambda: call(nn.GRU(4), STEPS[..., :0]),
        "x: got (2, 5, 0), allowed: sequences [B, T, D]",
    ),
    (lambda: call(nn.GRU(4), STEPS, (STEPS[:, 0],)), "carry: got 'tuple', allowed: one array, h"),
    (lambda: call(nn.GRU(4), STEPS, 1), "carry: got (), allowed: [B, H], (2, 4)"),
    (
        lambda: call(nn.RNN("gru", 3), STEPS, False, [0, 5]),
        "length[0]: got 0, allowed: an integer in [1, 5]",
    ),
    (lambda: call(nn.RNN("gru", 3), STEPS, False, 5), "length: got (), allowed: [B], (2,)"),
    (
        lambda: nn.pool_steps(STEPS[:, :0], "last"),
        "ys: got 'float32[2, 0, 3]', allowed: sequences of floats [B, T, D]",
    ),
    (lambda: nn.pool_steps(STEPS, "max", [5]), "length: got (1,), allowed: [B], (2,)"),
    (lambda: call(nn.WeightNormDense(0), STEPS), "features: got 0, allowed: at least 1"),
    (lambda: nn.out_size(8, 3, 0, "SAME"), "stride: got 0, allowed: at least 1"),
    (lambda: nn.out_size("8", 3, 1, "SAME"), "size: got '8', allowed: an integer, at least 0"),
    (lambda: nn.out_size(8, 3, 1, "same"), "padding: got 'same', allowed: SAME, VALID"),
    (lambda: CNN((Stage(4),), 64), "dense: got 64, allowed: a sequence of widths, () for none"),
    (lambda: OneHot(-1), "vocabulary: got -1, allowed: at least 1"),
    (lambda: dcgan((8, 8)), f"shape: got (8, 8), allowed: {SHAPE}"),
    (lambda: encoder_decoder(8, 3), f"shape: got 8, allowed: {SHAPE}"),
]


@pytest.mark.parametrize(("make", "line"), CASES, ids=[str(i) for i in range(len(CASES))])
def test_the_error_is_one_line_with_what_is_allowed(make, line):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == line


def test_a_rate_of_another_dtype_is_a_number():
    for rate in (np.float32(0.5), jnp.asarray(0.5), jnp.asarray(0.5, jnp.bfloat16)):
        call(nn.Dropout(rate), STEPS, True)
