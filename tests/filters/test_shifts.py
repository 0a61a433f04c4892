"""Tests of repeated pooling against loops, and of shifts against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.filters import named_kernel, pool_repeatedly, pooled_response, shifted_responses
from tests.plots.pictures import raises_input_error

RNG = np.random.default_rng(2)
ONE = np.ones((1, 1), np.float32)


@pytest.mark.parametrize(("kind", "reduce"), [("max", np.max), ("average", np.mean)])
@pytest.mark.parametrize("window", [2, 3])
def test_repeated_pooling_equals_blocks_of_the_image(kind, reduce, window):
    """Windows without overlap are blocks, also after several times."""
    image = RNG.normal(size=(window**3, 2 * window**3, 3)).astype(np.float32)
    images = pool_repeatedly(image, 3, kind, window)
    for t, each in enumerate(images):
        side = window**t
        shape = (image.shape[0] // side, side, image.shape[1] // side, side, 3)
        expected = reduce(image.astype(np.float64).reshape(shape), axis=(1, 3))
        np.testing.assert_allclose(each, expected, atol=1e-6)


def test_an_odd_side_is_rounded_down():
    sizes = [each.shape[:2] for each in pool_repeatedly(jnp.ones((427, 640, 3)), 5)]
    assert sizes == [(427, 640), (213, 320), (106, 160), (53, 80), (26, 40), (13, 20)]


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_dot_stays_in_its_window_for_less_than_a_stride(kind, depth):
    """Beyond it another position responds: two positions differ, the distance is sqrt(2)."""
    dot = jnp.zeros((8, 8, 1)).at[3, 0].set(1.0)
    stride = 2**depth
    shifts = range(2 * stride + 1)
    found = shifted_responses(dot, ONE, depth, shifts, kind)
    assert found.stride == stride
    expected = [0.0 if shift < stride else np.sqrt(2) for shift in shifts]
    np.testing.assert_allclose(found.change, expected, atol=1e-6)
    np.testing.assert_allclose(found.change_after_moving, 0, atol=1e-6)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_shift_by_whole_strides_moves_the_response_of_any_image_exactly(kind, depth):
    image = RNG.random((19, 22, 2)).astype(np.float32)
    stride = 2**depth
    shifts = range(3 * stride + 1)
    found = shifted_responses(image, named_kernel("sobel_x"), depth, shifts, kind)
    whole = found.shift % stride == 0
    assert (found.change_after_moving[whole] == 0).all()
    assert (found.change_after_moving[~whole] > 0).all()
    assert found.change[0] == 0
    assert (found.change[1:] > 0).all()


def test_the_response_is_a_relu_of_the_convolution():
    image = RNG.random((6, 6, 1)).astype(np.float32)
    kernel = named_kernel("sobel_x")
    plain = pooled_response(image, kernel, 0)
    assert plain.min() == 0
    np.testing.assert_array_equal(pooled_response(image, kernel, 1), pool_repeatedly(plain, 1)[-1])


def test_bad_arguments():
    image = jnp.ones((8, 12, 1))
    with raises_input_error("times: got 4, allowed: at most 3 for an image of 8x12 pixels"):
        pool_repeatedly(image, 4)
    with raises_input_error("times: got 0, allowed: at least 1"):
        pool_repeatedly(image, 0)
    with raises_input_error("kind: got 'mean', allowed: average, max (did you mean 'max'?)"):
        pool_repeatedly(image, 1, "mean")
    with raises_input_error("image: got (8, 12), allowed: [H, W, C]"):
        pool_repeatedly(image[..., 0])
    with raises_input_error("depth: got -1, allowed: at least 0"):
        pooled_response(image, ONE, -1)
    with raises_input_error("shifts: got -1, allowed: at least 0"):
        shifted_responses(image, ONE, 1, [-1])
    with raises_input_error("shifts: got [], allowed: at least one number of pixels"):
        shifted_responses(image, ONE, 1, [])
    allowed = "an image to which the kernel responds"
    with raises_input_error(f"image: got 'a response of zeros', allowed: {allowed}"):
        shifted_responses(0 * image, ONE, 1, [0])
