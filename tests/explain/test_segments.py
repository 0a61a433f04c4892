"""Tests of segments: a loop, scikit-image, and laws of superpixels."""

import sys

import numpy as np
import pytest
from scipy import ndimage

from jaxdl import explain
from jaxdl.errors import InputError
from tests.explain.networks import images

COLOR = images(3, (20, 17, 3))


@pytest.mark.parametrize("shape", [(6, 6), (7, 5, 3), (1, 9), (4, 4, 1)])
@pytest.mark.parametrize("size", [1, 2, (3, 2), 10])
def test_a_grid_numbers_rectangles_row_by_row(shape, size):
    height, width = np.broadcast_to(size, 2)
    numbers = {}
    expected = np.zeros(shape[:2], int)
    for i in range(shape[0]):
        for j in range(shape[1]):
            expected[i, j] = numbers.setdefault((i // height, j // width), len(numbers))
    np.testing.assert_array_equal(explain.grid(shape, size), expected)


def test_bad_grids_are_refused():
    with pytest.raises(InputError, match="^size: got 0, allowed: at least 1"):
        explain.grid((4, 4), 0)
    with pytest.raises(InputError, match="^shape: got .*such as .28, 28, 1"):
        explain.grid((4,), 2)
    with pytest.raises(InputError, match="^shape: got"):
        explain.grid((4, 4.5), 2)


def test_superpixels_of_colors_are_those_of_scikit_image():
    from skimage.segmentation import slic

    found = explain.superpixels(COLOR, 12)
    for labels, image in zip(found, COLOR, strict=True):
        expected = slic(image.astype(np.float64), n_segments=12, start_label=0)
        np.testing.assert_array_equal(labels, expected)


def test_superpixels_are_connected_and_have_consecutive_numbers():
    smooth = ndimage.gaussian_filter(images(4, (40, 32, 1)), (0, 4, 4, 0))
    for labels in explain.superpixels(smooth, 20):
        count = labels.max() + 1
        assert 5 < count <= 40
        assert np.unique(labels).tolist() == list(range(count))
        assert all(ndimage.label(labels == k)[1] == 1 for k in range(count))


def test_superpixels_of_an_image_do_not_depend_on_others():
    for n in range(3):
        alone = explain.superpixels(COLOR[n : n + 1], 9)
        np.testing.assert_array_equal(alone[0], explain.superpixels(COLOR, 9)[n])


def test_superpixels_follow_colors():
    """Two halves of clear colors are never in one segment."""
    image = 0.05 * images(1, (24, 24, 3))
    image[:, :, 12:] += 0.9
    labels = explain.superpixels(image, 8)[0]
    assert not set(labels[:, :12].flat) & set(labels[:, 12:].flat)


def test_without_scikit_image_one_line_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(InputError, match=r"pip install 'jaxdl\[explain\]', or segments="):
        explain.superpixels(COLOR)


def test_bad_images_of_superpixels_are_refused():
    with pytest.raises(InputError, match="^images: got '2 channels', allowed: grey or RGB"):
        explain.superpixels(images(1))
    with pytest.raises(InputError, match="^images: got pixels in"):
        explain.superpixels(255 * COLOR)
    with pytest.raises(InputError, match="^count: got 0"):
        explain.superpixels(COLOR, 0)
