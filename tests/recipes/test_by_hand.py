"""Tests of the pictures of convolutions by hand, and of the set that teaches filters."""

import numpy as np
import pytest
from scipy import ndimage

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.filters import named_kernel, parts_drawing
from jaxdl.recipes import by_hand

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_targets_are_the_results_of_scipy(channels):
    images = RNG.random((6, 7, 5, channels)).astype(np.float32)
    data = Dataset({"input": images, "label": np.zeros(6, np.int32)}, "random", 1)
    names = ("sobel_y", "emboss")
    taught = by_hand.taught_set(data, names, 3)
    assert taught["target"].shape == (3, 7, 5, 2)
    bright = images[[0, 2, 5]]
    if channels == 3:
        bright = bright @ np.array([[0.299], [0.587], [0.114]], np.float32)
    np.testing.assert_allclose(taught["input"], bright, rtol=1e-6)
    for i, image in enumerate(bright[..., 0]):
        for k, name in enumerate(names):
            expected = ndimage.correlate(image, named_kernel(name), mode="constant")
            np.testing.assert_allclose(taught["target"][i, :, :, k], expected, atol=1e-5)


def test_photographs_have_the_given_width():
    found = by_hand.photographs(48)
    assert {name: each.shape for name, each in found.items()} == {
        "temple": (32, 48, 3),
        "flower": (32, 48, 3),
    }
    assert all(0 <= each.min() < each.max() <= 1 for each in found.values())
    with pytest.raises(InputError, match="^width: got 641, allowed: at most 640"):
        by_hand.photographs(641)


def test_shifts_of_a_photograph_are_measured(tmp_path):
    image = RNG.random((40, 50, 1)).astype(np.float32)
    found = by_hand.measure_shifts(image, lambda name: tmp_path / f"{name}.png", (0, 2))
    assert found["dot/largest_change_within_stride"] == 0
    np.testing.assert_allclose(found["dot/change_at_stride"], np.sqrt(2))
    assert found["photograph/change_at_stride_after_moving"] == 0
    assert found["photograph/change_of_1_pixel_without_pooling"] > 0
    assert (tmp_path / "shifts.png").exists()


def test_a_face_is_found_at_all_places_with_room():
    """The drawings of the picture have room for the moves that their names state."""
    from jaxdl.filters import find_face

    assert find_face(parts_drawing(24, (4, 5), {"mouth": (1, 0)})).is_face
    assert not find_face(parts_drawing(24, (4, 5), {"mouth": (4, 0)})).is_face


def test_learned_kernels_are_compared(tmp_path):
    names = ("identity", "sobel_x")
    by_hand.draw_learned(by_hand.stacked(names), names, lambda name: tmp_path / f"{name}.png")
    assert (tmp_path / "learned.png").exists()
