"""Tests of tables and GIFs of dreams: texts, places, shapes and errors."""

import numpy as np
import pytest
from PIL import Image

from jaxdl import plots
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_picture_has_its_place_and_its_texts(channels, drawn, tmp_path):
    pictures = RNG.random((2, 3, 6, 9, channels))
    notes = [["", "1.2-fold", "3 $"], ["", "b", "c"]]
    path = plots.picture_table(
        pictures, ["photograph", "a $", "b"], tmp_path / "d.png", "Title $", ["x", "y"], notes
    )
    pixels(path)
    (table,) = drawn
    for i in range(2):
        for j in range(3):
            shown = np.asarray(table[i, j].images[0].get_array())
            np.testing.assert_array_equal(shown.reshape(6, 9, channels), pictures[i, j])
    assert [ax.get_title(loc="left") for ax in table[0]] == ["photograph", r"a \$", "b"]
    assert [ax.get_ylabel() for ax in table[:, 0]] == ["x", "y"]
    assert table[0, 2].get_xlabel() == r"3 \$" and table[1, 1].get_xlabel() == "b"
    assert table[0, 0].figure.get_suptitle() == r"Title \$"


def test_a_gif_has_a_frame_for_each_picture(tmp_path):
    pictures = RNG.random((4, 6, 9, 3))
    path = plots.picture_gif(pictures, [f"step {i}" for i in range(4)], tmp_path / "d.gif")
    with Image.open(path) as image:
        assert image.n_frames == 4
        frames = []
        for i in range(4):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB"), np.float64))
    assert all(np.abs(frames[0] - frame).mean() > 5 for frame in frames[1:])
    # The mean color of the picture is that of its part of the frame.
    height, width, _ = frames[0].shape
    inner = frames[0][height // 2, width // 4 : 3 * width // 4].mean() / 255
    assert inner == pytest.approx(pictures[0].mean(), abs=0.25)


def test_bad_tables(tmp_path):
    picture = RNG.random((6, 9, 3))
    path = tmp_path / "d.png"
    with raises_input_error("columns: got 1, allowed: a text for each picture, 2"):
        plots.picture_table([[picture, picture]], ["a"], path, "t")
    with raises_input_error("pictures: got [5, 9, 3], allowed: the first shape, (6, 9, 3)"):
        plots.picture_table([[picture, picture[1:]]], ["a", "b"], path, "t")
    with raises_input_error("pictures: got [6, 9], allowed: pictures [H, W, C], C 1 or 3"):
        plots.picture_table([[picture[..., 0]]], ["a"], path, "t")
    with raises_input_error("rows: got 2, allowed: a text for each row, 1"):
        plots.picture_table([[picture]], ["a"], path, "t", ["x", "y"])
    with raises_input_error("notes: got [2], allowed: a text for each picture"):
        plots.picture_table([[picture]], ["a"], path, "t", notes=[["x", "y"]])
    with raises_input_error("pictures: got 'none', allowed: at least one"):
        plots.picture_table([], [], path, "t")
    with raises_input_error("titles: got 1, allowed: as many as pictures, 2"):
        plots.picture_gif([picture, picture], ["a"], tmp_path / "d.gif")
    assert not list(tmp_path.iterdir())
