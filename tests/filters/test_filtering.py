"""Tests of one kernel over one image against SciPy and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxdl.filters import filter_image, grey, products_at
from jaxdl.nn import out_size
from tests.plots.pictures import raises_input_error

RNG = np.random.default_rng(1)


def loop(x, k, stride, pads):
    """Returns the sums for [H, W] by a loop over all positions."""
    x = np.pad(x, pads)
    rows = range(0, x.shape[0] - k.shape[0] + 1, stride)
    columns = range(0, x.shape[1] - k.shape[1] + 1, stride)
    return np.array(
        [[(x[i : i + k.shape[0], j : j + k.shape[1]] * k).sum() for j in columns] for i in rows]
    )


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (2, 3), (4, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 2])
def test_all_sums_equal_a_loop(size, stride, padding):
    image = RNG.normal(size=(9, 8, 3)).astype(np.float32)
    kernel = RNG.normal(size=size)
    found = filter_image(image, kernel, stride, padding)
    for channel in range(3):
        expected = loop(image[..., channel].astype(float), kernel, stride, padding)
        np.testing.assert_allclose(found[..., channel], expected, atol=1e-5)
    positions = [
        out_size(n, f, stride, padding) for n, f in zip(image.shape[:2], size, strict=True)
    ]
    assert list(found.shape) == [*positions, 3]


def test_it_is_scipys_correlation_and_the_flipped_kernel_its_convolution():
    image = RNG.normal(size=(12, 10, 1)).astype(np.float32)
    kernel = RNG.normal(size=(5, 3)).astype(np.float32)
    pairs = (
        (filter_image(image, kernel), signal.correlate2d(image[..., 0], kernel, "same")),
        (
            filter_image(image, kernel[::-1, ::-1]),
            signal.convolve2d(image[..., 0], kernel, "same"),
        ),
        (
            filter_image(image, kernel, padding="VALID"),
            signal.correlate2d(image[..., 0], kernel, "valid"),
        ),
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found[..., 0], expected, atol=1e-5)


def test_float64_equals_scipy_to_rounding():
    with jax.enable_x64(True):
        image = RNG.normal(size=(12, 10, 2))
        kernel = RNG.normal(size=(3, 3))
        found = filter_image(image, kernel)
        assert found.dtype == jnp.float64
        for channel in range(2):
            expected = signal.correlate2d(image[..., channel], kernel, "same")
            np.testing.assert_allclose(found[..., channel], expected, atol=1e-13)


def test_the_gradient_of_the_kernel_is_the_correlation_with_the_gradient():
    image = RNG.normal(size=(6, 7, 1)).astype(np.float32)
    weight = RNG.normal(size=(4, 5, 1)).astype(np.float32)

    def f(kernel):
        return (filter_image(image, kernel, padding="VALID") * weight).sum()

    found = jax.grad(f)(np.ones((3, 3), np.float32))
    expected = signal.correlate2d(image[..., 0], weight[..., 0], "valid")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID", 1, [(0, 2), 1]])
def test_the_products_of_every_position_add_up_to_the_result(size, stride, padding):
    image = RNG.normal(size=(7, 8, 1)).astype(np.float32)
    kernel = RNG.normal(size=(size, size)).astype(np.float32)
    result = np.asarray(filter_image(image, kernel, stride, padding))[..., 0]
    large = np.pad(image[..., 0], size)
    for i, j in np.ndindex(result.shape):
        found = products_at(image, kernel, i, j, stride, padding)
        np.testing.assert_allclose(found.total, result[i, j], atol=1e-5)
        np.testing.assert_allclose(found.products, found.window * kernel)
        np.testing.assert_allclose(found.products.sum(), found.total, rtol=1e-6)
        top = found.top + size
        left = found.left + size
        np.testing.assert_array_equal(found.window, large[top : top + size, left : left + size])


def test_grey_is_a_weighted_mean_of_the_channels():
    image = RNG.random((4, 5, 3))
    expected = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    np.testing.assert_allclose(grey(image)[..., 0], expected, rtol=1e-6)
    np.testing.assert_allclose(grey(np.full((2, 2, 3), 0.4)), 0.4, rtol=1e-6)


def test_bad_images_kernels_and_positions():
    image = np.ones((4, 6, 1), np.float32)
    with raises_input_error(
        "image: got (4, 6), allowed: [H, W, C]; a grey image needs its last axis, image[:, :, None]"
    ):
        filter_image(image[..., 0], np.ones((3, 3)))
    with raises_input_error("image dtype: got 'uint8', allowed: floats, such as image / 255"):
        filter_image(image.astype(np.uint8), np.ones((3, 3)))
    with raises_input_error(
        "kernel: got (3, 3, 1), allowed: [F, G], at least 1 value along each axis"
    ):
        filter_image(image, np.ones((3, 3, 1)))
    with raises_input_error("strides: got 0, allowed: at least 1"):
        filter_image(image, np.ones((3, 3)), 0)
    with raises_input_error("kernel: got (7, 3), allowed: at most the padded size, 6x8"):
        filter_image(image, np.ones((7, 3)), padding=1)
    with raises_input_error("kernel: got (5, 5), allowed: at most the padded size, 4x6"):
        products_at(image, np.ones((5, 5)), 0, 0)
    with raises_input_error("column: got 4, allowed: an integer in [0, 3]"):
        products_at(image, np.ones((3, 3)), 0, 4)
    with raises_input_error("row: got -1, allowed: an integer in [0, 1]"):
        products_at(image, np.ones((3, 3)), -1, 0)
    with raises_input_error(
        "image: got (4, 6, 3), allowed: one channel, [H, W, 1], such as grey(image)"
    ):
        products_at(np.ones((4, 6, 3)), np.ones((3, 3)), 0, 0)
    with raises_input_error("image: got (4, 6, 1), allowed: [H, W, 3], red, green and blue"):
        grey(image)
