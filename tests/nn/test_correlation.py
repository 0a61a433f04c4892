"""The three maps of a convolution against a loop over all products, for any geometry."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.convolution import conv_forward, conv_input_grad, conv_kernel_grad
from jaxdl.nn.correlation import few_taps, transposed_kernel
from jaxdl.nn.sizes import Geometry


def loop(x, kernel, y, geometry):
    """Returns the three maps in float64, by one product for each position and tap."""
    x, kernel, y = (np.asarray(a, np.float64) for a in (x, kernel, y))
    channels = kernel.shape[2]
    features = kernel.shape[3] // geometry.groups
    results = [np.zeros_like(y), np.zeros_like(x), np.zeros_like(kernel)]
    places = itertools.product(*map(range, (*geometry.positions, *kernel.shape[:2])))
    for (i, j, f, g), k in itertools.product(places, range(geometry.groups)):
        row, column = (
            n * s + t * gap - pad[0]
            for n, t, s, gap, pad in zip(
                (i, j), (f, g), geometry.strides, geometry.dilation, geometry.pads, strict=True
            )
        )
        if not (0 <= row < x.shape[1] and 0 <= column < x.shape[2]):
            continue
        c = slice(k * channels, (k + 1) * channels)
        d = slice(k * features, (k + 1) * features)
        results[0][:, i, j, d] += x[:, row, column, c] @ kernel[f, g, :, d]
        results[1][:, row, column, c] += y[:, i, j, d] @ kernel[f, g, :, d].T
        results[2][f, g, :, d] += x[:, row, column, c].T @ y[:, i, j, d]
    return results


def random_geometry(rng):
    """Returns a geometry in which the kernel fits, with padding that may crop."""
    while True:
        size, window, strides, dilation = (
            tuple(map(int, rng.integers(1, high, 2))) for high in (8, 4, 4, 4)
        )
        pads = tuple(tuple(map(int, rng.integers(-1, 4, 2))) for _ in range(2))
        groups = int(rng.choice([1, 2, 3]))
        geometry = Geometry(size, window, strides, pads, dilation, groups)
        kept = [n + min(low, 0) + min(high, 0) for n, (low, high) in zip(size, pads, strict=True)]
        if min(kept) > 0 and min(geometry.positions) > 0:
            return geometry


# Geometries that caused errors: taps that read no value of a phase, and rows that no tap reads.
FIXED = [
    Geometry((7, 2), (4, 1), (2, 3), ((0, 0), (1, 4)), (1, 4), 4),
    Geometry((4, 7), (1, 2), (1, 2), ((1, 4), (1, 1)), (4, 4), 4),
    Geometry((3, 3), (2, 1), (3, 2), ((2, 2), (4, 2)), (3, 2), 2),
]


@pytest.mark.parametrize("seed", range(9))
def test_three_maps_are_sums_over_taps(seed):
    rng = np.random.default_rng(seed)
    geometry = random_geometry(rng) if seed >= len(FIXED) else FIXED[seed]
    batch = int(rng.choice([1, 3, 11]))
    channels, features = (int(rng.choice([1, 2, 6])) for _ in range(2))
    groups = geometry.groups
    shapes = (
        (batch, *geometry.size, groups * channels),
        (*geometry.window, channels, groups * features),
        (batch, *geometry.positions, groups * features),
    )
    x, kernel, y = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)

    @jax.jit
    def maps(x, kernel, y):
        return (
            conv_forward(x, kernel, geometry),
            conv_input_grad(y, kernel, geometry),
            conv_kernel_grad(x, y, geometry),
        )

    for actual, expected in zip(maps(x, kernel, y), loop(x, kernel, y, geometry), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4, err_msg=str(geometry))


@pytest.mark.parametrize("batch", [0, 1, 8, 19])
def test_kernel_gradients_of_depthwise_convolutions_for_any_batch(batch):
    geometry = Geometry((5, 4), (3, 2), (2, 1), ((1, 1), (1, 0)), groups=3)
    rng = np.random.default_rng(batch)
    x = jnp.asarray(rng.normal(size=(batch, 5, 4, 3)), jnp.float32)
    y = jnp.asarray(rng.normal(size=(batch, *geometry.positions, 6)), jnp.float32)
    kernel = jnp.zeros((3, 2, 1, 6))
    found = jax.jit(conv_kernel_grad, static_argnums=2)(x, y, geometry)
    np.testing.assert_allclose(found, loop(x, kernel, y, geometry)[2], rtol=1e-4, atol=1e-4)


def test_a_transposed_kernel_exchanges_inputs_and_outputs_of_each_group():
    kernel = np.random.default_rng(0).normal(size=(2, 3, 4, 15))
    found = transposed_kernel(jnp.asarray(kernel), 5)
    assert found.shape == (2, 3, 3, 20)
    for k in range(5):
        group = kernel[..., 3 * k : 3 * k + 3].swapaxes(2, 3)
        np.testing.assert_allclose(found[..., 4 * k : 4 * k + 4], group, rtol=1e-6)
    np.testing.assert_array_equal(transposed_kernel(found, 5), np.float32(kernel))


def test_large_windows_are_no_sums_of_taps():
    assert few_taps((7, 7), 1)
    assert not few_taps((31, 31), 1)
    assert not few_taps((1, 1), 8)
