"""Tests of kernels by name against SciPy's filters and closed forms."""

import numpy as np
import pytest
from scipy import ndimage

from jaxdl.filters import KERNELS, box_blur, filter_image, gaussian_blur, named_kernel
from tests.plots.pictures import raises_input_error

IMAGE = np.random.default_rng(0).random((11, 14, 2)).astype(np.float32)
ZEROS = {"mode": "constant", "cval": 0.0}

#: Kernels with SciPy's function for one channel.
SCIPY = {
    "identity": lambda x: x,
    "box_blur": lambda x: ndimage.uniform_filter(x, 3, **ZEROS),
    "gaussian_blur": lambda x: ndimage.gaussian_filter(x, 1.0, radius=2, **ZEROS),
    "sobel_x": lambda x: ndimage.sobel(x, 1, **ZEROS),
    "sobel_y": lambda x: ndimage.sobel(x, 0, **ZEROS),
    "prewitt_x": lambda x: ndimage.prewitt(x, 1, **ZEROS),
    "prewitt_y": lambda x: ndimage.prewitt(x, 0, **ZEROS),
    "laplacian": lambda x: ndimage.laplace(x, **ZEROS),
    "second_derivative_x": lambda x: ndimage.correlate1d(x, [1, -2, 1], 1, **ZEROS),
    "second_derivative_y": lambda x: ndimage.correlate1d(x, [1, -2, 1], 0, **ZEROS),
    "sharpen": lambda x: x - ndimage.laplace(x, **ZEROS),
}


@pytest.mark.parametrize("name", SCIPY)
def test_a_kernel_equals_scipys_filter(name):
    found = filter_image(IMAGE, named_kernel(name))
    for channel in range(2):
        expected = SCIPY[name](IMAGE[..., channel].astype(np.float64))
        np.testing.assert_allclose(found[..., channel], expected, atol=2e-6)


def test_the_laplacian_is_the_sum_of_the_second_derivatives():
    names = ("second_derivative_x", "second_derivative_y")
    total = sum(filter_image(IMAGE, named_kernel(name)) for name in names)
    np.testing.assert_allclose(filter_image(IMAGE, named_kernel("laplacian")), total, atol=1e-5)


def test_emboss_is_one_on_constant_areas_and_antisymmetric_up_to_its_center():
    kernel = named_kernel("emboss")
    assert kernel.sum() == 1
    center = named_kernel("identity")
    np.testing.assert_array_equal(kernel - center, -(kernel - center)[::-1, ::-1])


def test_blurs_keep_the_mean_and_edges_ignore_it():
    for name, kernel in KERNELS.items():
        is_edge = any(word in name for word in ("sobel", "prewitt", "laplacian", "derivative"))
        np.testing.assert_allclose(kernel.sum(), 0 if is_edge else 1, atol=1e-6)


def test_second_derivatives_of_a_parabola():
    x = np.arange(7.0, dtype=np.float32)
    image = np.broadcast_to(3 * x**2, (7, 7))[..., None]
    inside = {"padding": "VALID"}
    assert (filter_image(image, named_kernel("second_derivative_x"), **inside) == 6).all()
    assert (filter_image(image, named_kernel("second_derivative_y"), **inside) == 0).all()


@pytest.mark.parametrize(("size", "sigma"), [(1, 0.3), (3, 0.85), (9, 1.7)])
def test_a_gaussian_is_symmetric_and_falls_as_the_closed_form(size, sigma):
    kernel = gaussian_blur(size, sigma).astype(np.float64)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    middle = size // 2
    distance = np.arange(size) - middle
    expected = np.exp(-(distance**2) / (2 * sigma**2))
    np.testing.assert_allclose(kernel[middle] / kernel[middle, middle], expected, rtol=1e-6)
    np.testing.assert_allclose(kernel.sum(), 1, rtol=1e-6)


def test_the_kernels_cannot_be_changed():
    with pytest.raises(ValueError):
        KERNELS["identity"][0, 0] = 1
    with pytest.raises(TypeError):
        KERNELS["mine"] = box_blur()


def test_bad_arguments():
    with raises_input_error("size: got 0, allowed: at least 1"):
        box_blur(0)
    with raises_input_error("size: got 4, allowed: an odd number, such as 5"):
        gaussian_blur(4)
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with raises_input_error(f"sigma: got {sigma}, allowed: a finite number above 0"):
            gaussian_blur(3, sigma)
