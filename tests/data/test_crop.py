"""Tests of the resizing and crop of photographs, against Pillow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxdl.data.crop import CenterCrop
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError

RNG = np.random.default_rng(0)


def reference(photo, size, resize, filter):
    """Returns the crop as torchvision computes it: integers of the longer side round down."""
    image = Image.fromarray(photo)
    width, height = image.size
    if width <= height:
        shape = (resize, int(resize * height / width))
    else:
        shape = (int(resize * width / height), resize)
    image = image.resize(shape, Image.Resampling[filter.upper()])
    left = int(round((shape[0] - size) / 2.0))
    top = int(round((shape[1] - size) / 2.0))
    return np.asarray(image.crop((left, top, left + size, top + size)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30), st.integers(0, 9), st.booleans())
def test_crops_are_those_of_pillow(height, width, size, more, is_cubic):
    if max(height, width) > 20 * min(height, width) or height == width == size:
        return
    filter = "bicubic" if is_cubic else "bilinear"
    photo = RNG.integers(0, 256, (height, width, 3), np.uint8)
    found = CenterCrop(size, size + more, filter)([photo])[0]
    np.testing.assert_array_equal(found, reference(photo, size, size + more, filter))


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
def test_floats_and_16_bits_are_those_of_uint8_up_to_rounding(filter):
    photo = RNG.integers(0, 256, (40, 50, 3), np.uint8)
    crop = CenterCrop(16, 20, filter)
    expected = crop([photo])[0] / np.float32(255)
    for image in (photo / np.float32(255), photo.astype(np.uint16) * np.uint16(257)):
        found = crop([image, photo])
        assert found.dtype == np.float32
        inside = np.clip(found[0], 0, 1)
        np.testing.assert_allclose(inside, expected, atol=1.5 / 255)
        np.testing.assert_array_equal(found[1], expected)


def test_images_of_the_size_are_not_changed():
    images = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8)
    np.testing.assert_array_equal(CenterCrop(8, 10)(images), images)


def test_long_photographs_are_refused():
    with pytest.raises(InputError, match="a factor of 20; crop it first"):
        CenterCrop(8, 10)([np.zeros((2, 41, 3), np.uint8)])


@pytest.mark.parametrize(
    "arguments", [(0, 8), (8, 7), (8, 10**6), (8.0, 9), (8, 9, "nearest"), (8, 9, 3)]
)
def test_impossible_fields_are_refused(arguments):
    with pytest.raises(InputError):
        CenterCrop(*arguments)


def test_a_stored_crop_is_read_again():
    stored = Preprocessing(crop=CenterCrop(8, 10, "bicubic")).to_json()
    assert Preprocessing.from_json(stored).crop == CenterCrop(8, 10, "bicubic")
    assert Preprocessing.from_json(Preprocessing().to_json()).crop is None
    del stored["crop"]
    assert Preprocessing.from_json(stored).crop is None
    for crop in (3, [], {"size": 0, "resize": 3}, {"size": 3}, {"os.system": 1}):
        with pytest.raises(InputError):
            Preprocessing.from_json({**stored, "crop": crop})
