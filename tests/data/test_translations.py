"""Translations of images with a known truth, against loops over pixels."""

import numpy as np
import pytest

from jaxdl import data
from jaxdl.data import Dataset
from jaxdl.data.translations import (
    TRANSLATIONS,
    coloured,
    enlarged,
    outlines,
    sheared,
    thick,
    thin,
    translated,
    translation_pairs,
    unpaired_halves,
)
from jaxdl.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.random((4, 9, 11, 1)).astype(np.float32)
DIGITS = data.load("digits")[0]


def neighbours(image, i, j):
    """Returns the 3x3 neighbours of a pixel, with 0 outside of the image."""
    padded = np.pad(image, 1)
    return padded[i : i + 3, j : j + 3]


def test_thick_and_outlines_are_largest_and_smallest_neighbours():
    for function, of_window in (
        (thick, np.max),
        (outlines, lambda window: window.max() - window.min()),
    ):
        found = function(IMAGES)
        for n, image in enumerate(IMAGES[..., 0]):
            expected = [[of_window(neighbours(image, i, j)) for j in range(11)] for i in range(9)]
            np.testing.assert_allclose(found[n, ..., 0], expected, rtol=1e-6)


def skeleton(image):
    """Returns the skeleton of a binary image by the rules of Zhang and Suen, pixel by pixel."""
    alive = np.pad(image, 1).astype(int)
    changed = True
    while changed:
        changed = False
        for half in (0, 1):
            removed = []
            for i, j in np.argwhere(alive):
                p = [alive[i - 1, j], alive[i - 1, j + 1], alive[i, j + 1], alive[i + 1, j + 1]]
                p += [alive[i + 1, j], alive[i + 1, j - 1], alive[i, j - 1], alive[i - 1, j - 1]]
                edges = sum(p[k] == 0 and p[(k + 1) % 8] == 1 for k in range(8))
                first = (p[0] * p[2] * p[4], p[2] * p[4] * p[6])
                second = (p[0] * p[2] * p[6], p[0] * p[4] * p[6])
                if 2 <= sum(p) <= 6 and edges == 1 and not any((first, second)[half]):
                    removed.append((i, j))
            for place in removed:
                alive[place] = 0
            changed = changed or bool(removed)
    return alive[1:-1, 1:-1]


def test_thin_is_the_skeleton():
    images = enlarged(np.asarray(DIGITS["input"][:12]), (16, 16))
    found = thin(images)[..., 0]
    for image, each in zip(images[..., 0], found, strict=True):
        np.testing.assert_array_equal(each, skeleton(image > 0.5))
    assert 0 < found.sum() < (images > 0.5).sum() / 2


def test_sheared_moves_rows_by_their_distance_from_the_middle():
    image = np.zeros((1, 9, 31, 1), np.float32)
    image[:, :, 15] = 1
    found = sheared(image)[0, ..., 0]
    centres = (found * np.arange(31)).sum(1) / found.sum(1)
    slope = np.tan(np.radians(20))
    np.testing.assert_allclose(centres, 15 - (np.arange(9) - 4) * slope, atol=1e-5)


def test_equal_images_have_equal_colours():
    found = coloured(np.concatenate([IMAGES, IMAGES[::-1]]))
    assert found.shape == (8, 9, 11, 3)
    np.testing.assert_array_equal(found[:4], found[:3:-1])
    assert np.abs(found[..., 0] - found[..., 1]).max() > 0.1


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_pixels_stay_in_their_range(name):
    found = translated(name, IMAGES)
    assert found.dtype == np.float32 and found.shape[:3] == IMAGES.shape[:3]
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(found, translated(name, IMAGES))


def test_halves_have_no_image_in_common():
    pairs = translation_pairs(DIGITS.take(np.arange(31)), "grey", "inverted")
    a, b = unpaired_halves(pairs)
    assert (a.size, b.size) == (15, 16)
    np.testing.assert_array_equal(a["input"], DIGITS["input"][:15])
    np.testing.assert_array_equal(b["input"], 1 - DIGITS["input"][15:31])
    np.testing.assert_array_equal(b["label"], DIGITS["label"][15:31])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: translated("thcik", IMAGES), "translation: got 'thcik', allowed: coloured, grey"),
        (
            lambda: translated("thick", np.repeat(IMAGES, 3, -1)),
            "images: got [4, 9, 11, 3], allowed: grey images [N, H, W, 1]",
        ),
        (
            lambda: unpaired_halves(Dataset({"input": IMAGES[:1], "target": IMAGES[:1]}, "one")),
            "pairs: got 1, allowed: at least 2",
        ),
    ],
)
def test_images_that_cannot_be_translated(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(message)
