"""Pictures of networks of pixels: unseen pixels, completions, and GIFs."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.errors import InputError
from jaxdl.plots import completions, drawing_gif, reach_maps
from jaxdl.plots.pixels import blind

RNG = np.random.default_rng(0)


def test_unseen_pixels_are_earlier_ones_near_the_pixel():
    reach = np.zeros((5, 5))
    reach[1:3, 1:3] = 1
    reach[2, 2] = 0
    found = blind(reach, (2, 2))
    expected = np.zeros((5, 5), bool)
    expected[1, 3] = True
    np.testing.assert_array_equal(found, expected)
    assert blind(np.zeros((3, 3)), (1, 1)).sum() == 4


def test_reaches_are_a_picture(tmp_path):
    maps = {"one": RNG.uniform(size=(5, 5)), "none": np.zeros((5, 5))}
    path = reach_maps(maps, (3, 2), tmp_path / "reach.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="maps: got"):
        reach_maps({}, (3, 2), tmp_path / "none.png")


def test_completions_are_a_picture(tmp_path):
    images = RNG.uniform(size=(2, 4, 4, 1))
    completed = RNG.uniform(size=(2, 3, 4, 4, 1))
    path = completions(images, completed, 2, tmp_path / "halves.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_gif_has_at_most_one_frame_per_pixel(tmp_path):
    images = np.ones((2, 3, 3, 1))
    for frames, expected in ((4, 4), (60, 9)):
        with Image.open(drawing_gif(images, tmp_path / "pixels.gif", frames)) as picture:
            assert picture.n_frames == expected
