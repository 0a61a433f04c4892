"""Transposed convolution over time against PyTorch, Linen, and the one for images."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import ConvTranspose1D, conv_transpose1d
from jaxdl.xla import convolutions


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# (sequences, kernel, strides, padding as in PyTorch, output padding, dilation, groups)
CASES = [
    ((3, 7, 6), (3, 2, 6), 2, 1, 1, 1, 3),
    ((2, 5, 4), (4, 1, 8), 3, 2, 2, 1, 4),
    ((2, 6, 3), (3, 3, 2), 1, 0, 1, 2, 1),
    ((1, 4, 12), (2, 6, 2), 2, 1, 0, 3, 2),
]


@pytest.mark.parametrize(("shape", "window", "strides", "pad", "more", "dilation", "groups"), CASES)
def test_agrees_with_pytorch(shape, window, strides, pad, more, dilation, groups):
    torch = pytest.importorskip("torch")
    x = normal(0, *shape)
    kernel = normal(1, *window)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    weight = tk.flip(0).unflatten(2, (groups, -1)).permute(2, 1, 3, 0).flatten(0, 1)
    ty = torch.nn.functional.conv_transpose1d(
        tx.permute(0, 2, 1),
        weight,
        stride=strides,
        padding=pad,
        output_padding=more,
        dilation=dilation,
        groups=groups,
    ).permute(0, 2, 1)
    g = normal(2, *ty.shape)
    ty.backward(torch.tensor(np.array(g)))
    up = partial(
        conv_transpose1d,
        strides=strides,
        padding=(window[0] - 1) * dilation - pad,
        dilation=dilation,
        groups=groups,
        output_padding=more,
    )

    @jax.jit
    def results(x, kernel, g):
        y, back = jax.vjp(up, x, kernel)
        return (y, *back(g)), up(x[0], kernel)

    found, single = results(x, kernel, g)
    for actual, expected in zip(found, (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(single, found[0][0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((2, 1),)])
def test_layer_has_the_parameters_and_outputs_of_linens(key, padding):
    x = normal(3, 4, 5, 6)
    layer = ConvTranspose1D(7, 4, 2, padding, 2)
    linen = nn.ConvTranspose(7, (4,), (2,), padding, (2,))
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    shifted = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    for inputs in (x, x[0]):
        np.testing.assert_allclose(
            layer.apply(shifted, inputs), linen.apply(shifted, inputs), rtol=1e-5, atol=1e-5
        )


def test_a_cpu_gets_the_form_that_is_fast_in_loops():
    def loss(kernel, x):
        return jnp.sin(conv_transpose1d(x, kernel, 2)).sum()

    traced = jax.jit(jax.grad(loss, (0, 1))).trace(normal(4, 5, 8, 8), normal(5, 4, 20, 8))
    assert convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) == "fast"


X = jnp.zeros((2, 8, 4))
KERNEL = jnp.zeros((3, 4, 6))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: conv_transpose1d(X[0, 0], KERNEL),
            "x: got (4,), allowed: sequences [B, T, C] or [T, C]",
        ),
        (lambda: conv_transpose1d(X, KERNEL[0]), "kernel: got (4, 6), allowed: [K, 4, D]"),
        (
            lambda: conv_transpose1d(X, KERNEL[:, :1], groups=4),
            "groups: got 4, allowed: a divisor of the 6 features: 1, 2, 3, 6",
        ),
        (
            lambda: conv_transpose1d(X, KERNEL, padding="CAUSAL"),
            "padding: got 'CAUSAL', allowed: SAME, VALID",
        ),
        (
            lambda: conv_transpose1d(X, KERNEL, 2, output_padding=3),
            "output_padding: got 3, allowed: less than strides or dilation, 2; padding adds more "
            "zeros",
        ),
        (
            lambda: conv_transpose1d(X[:, :1], KERNEL, padding=0),
            "padding: got (0, 0), allowed: larger; the output would be empty",
        ),
        (
            lambda: ConvTranspose1D(4, 3, output_padding=(1, 1)),
            "output_padding: got (1, 1), allowed: one integer",
        ),
    ],
)
def test_errors_name_the_argument_in_one_line(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
