"""Tests of baselines: closed forms, keys and errors."""

import numpy as np
import pytest
from scipy import ndimage

from jaxdl import explain, root
from jaxdl.errors import InputError
from tests.explain.networks import images

IMAGES = images(3, (20, 30, 3))


@pytest.mark.parametrize(("kind", "color"), [("black", 0), ("white", 1), ("grey", 0.5)])
def test_a_color_is_the_same_everywhere(kind, color):
    found = explain.baselines(kind, IMAGES)
    assert found.shape == IMAGES.shape and found.dtype == np.float32
    assert (found == color).all()


def test_the_mean_is_the_color_of_each_image():
    found = explain.baselines("mean", IMAGES)
    for i in range(3):
        for channel in range(3):
            np.testing.assert_allclose(
                found[i, ..., channel], IMAGES[i, ..., channel].mean(), rtol=1e-6
            )


def test_the_blur_is_that_of_scipy_inside_of_the_image():
    large = images(2, (60, 70, 2))
    found = explain.baselines("blurred", large)
    for i in range(2):
        for channel in range(2):
            expected = ndimage.gaussian_filter(
                large[i, ..., channel].astype(np.float64), 6.0, mode="constant", truncate=8
            )
            weight = ndimage.gaussian_filter(np.ones((60, 70)), 6.0, mode="constant", truncate=8)
            np.testing.assert_allclose(found[i, ..., channel], expected / weight, rtol=1e-4)
    white = np.ones((1, 8, 9, 1), np.float32)
    np.testing.assert_allclose(explain.baselines("blurred", white), white, rtol=1e-6)


def test_noise_depends_on_the_key_and_the_index_only():
    found = explain.baselines("noise", IMAGES, root(3))
    assert found.min() >= 0 and found.max() < 1
    assert abs(found.mean() - 0.5) < 0.05 and abs(found.std() - 12**-0.5) < 0.05
    np.testing.assert_array_equal(explain.baselines("noise", IMAGES[:2] ** 2, root(3)), found[:2])
    assert not np.allclose(explain.baselines("noise", IMAGES, root(4)), found)


def test_bad_inputs_are_one_line():
    for given, message in (
        (("blak", IMAGES), "^kind: got 'blak', allowed: .*did you mean 'black'"),
        (("noise", IMAGES), r"^key: got None, allowed: root\(seed\)"),
        (("noise", IMAGES, 3), "^key: got 3"),
        (("grey", IMAGES[0]), "^images: got .*write images?.None. for one"),
        (("grey", 255 * IMAGES), "^images: got pixels in"),
        (("grey", np.nan * IMAGES), "^images: got pixels in"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            explain.baselines(*given)
        assert "\n" not in str(raised.value)
