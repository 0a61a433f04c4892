"""Tests of octaves: sizes, the identity of splitting and joining, smooth resizing, and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl import art
from jaxdl.art.octaves import check_image, resize
from jaxdl.errors import InputError
from tests.art.networks import image


def test_sizes_are_rounded_and_the_last_is_the_image():
    sizes = art.octave_sizes((97, 41, 3), 4, 1.4)
    for k, (height, width) in enumerate(sizes):
        factor = 1.4 ** (3 - k)
        assert (height, width) == (round(97 / factor), round(41 / factor))
    assert sizes[-1] == (97, 41)
    assert art.octave_sizes((2, 3), 5, 2.0) == [(1, 1), (1, 1), (1, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(("shape", "count", "ratio"), [((31, 46, 3), 4, 1.4), ((5, 7, 1), 3, 2.3)])
def test_splitting_and_joining_without_a_change_is_the_identity(shape, count, ratio):
    x = image(shape)
    octaves = art.split(x, count, ratio)
    assert [octave.shape[:2] for octave in octaves] == art.octave_sizes(shape, count, ratio)
    change = np.zeros((1, 1, shape[2]), np.float32)
    for octave in octaves:
        joined = np.asarray(art.join(octave, change))
        np.testing.assert_array_equal(joined.view(np.int32), octave.view(np.int32))
        change = joined - octave
    np.testing.assert_array_equal(joined.view(np.int32), x.view(np.int32))


def test_a_change_of_a_small_octave_is_enlarged_and_all_detail_stays():
    x = image((24, 30, 3))
    small, _, large = art.split(x, 3)
    change = image(small.shape, 1) - 0.5
    joined = art.join(large, change)
    np.testing.assert_allclose(joined - x, resize(jnp.asarray(change), (24, 30)), atol=1e-6)
    constant = np.full(small.shape, 0.25, np.float32)
    np.testing.assert_allclose(art.join(large, constant), x + 0.25, atol=1e-6)


def test_octaves_are_those_of_pillow():
    """Both average cubic weights over the pixels of the larger image; their parameter differs."""
    x = image((40, 56, 1))
    small = art.split(x, 2, 2.0)[0]
    expected = Image.fromarray(x[..., 0]).resize((28, 20), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(small[..., 0], np.asarray(expected), atol=1e-5)


def test_split_calls_no_program_for_the_image_itself():
    x = image((9, 8, 3))
    assert art.split(x, 1)[0].shape == x.shape
    with jax.numpy_dtype_promotion("strict"):
        assert resize(jnp.asarray(x), (9, 8)) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "octaves: got 0, allowed: at least 1"),
        ({"count": 2.0}, "octaves: got 2.0, allowed: an integer, at least 1"),
        ({"ratio": 1.0}, "ratio: got 1.0, allowed: a number above 1, such as 1.4"),
        ({"ratio": 0.7}, "ratio: got 0.7, allowed: a number in [1, inf)"),
        ({"ratio": float("nan")}, "ratio: got nan, allowed: a number in [1, inf)"),
    ],
)
def test_bad_options(changes, message):
    with pytest.raises(InputError) as raised:
        art.split(image((8, 8, 3)), **({"count": 2} | changes))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[[0.5]]], "image: got 'list', allowed: an array; write np.asarray(image, np.float32)"),
        (
            np.zeros((1, 8, 8, 3)),
            "image: got [1, 8, 8, 3], allowed: one image [H, W, C]; write image[..., None] for a "
            "grey one, images[0] for a set",
        ),
        (
            np.zeros((8, 8, 3), np.uint8),
            "image: got 'uint8', allowed: floats in [0, 1]; write image / np.float32(255)",
        ),
        (
            np.array([[[0.5, 37.0]]]),
            "image: got 'pixels in [0.5, 37]', allowed: pixels in [0, 1]; write image / "
            "np.float32(255), and prepare=... for others",
        ),
        (
            np.array([[[0.5, np.nan]]]),
            "image: got 'pixels in [nan, nan]', allowed: pixels in [0, 1]; write image / "
            "np.float32(255), and prepare=... for others",
        ),
    ],
)
def test_bad_images(value, message):
    with pytest.raises(InputError) as raised:
        check_image(value)
    assert str(raised.value) == message


def test_an_image_inside_of_a_compiled_function_is_refused():
    with pytest.raises(InputError, match=r"^image: got 'an array inside of jax.jit"):
        jax.jit(lambda x: check_image(x) or x)(jnp.zeros((2, 2, 1)))
