"""Tests of pictures of pooling, shifts and the face detector."""

import numpy as np

from jaxdl.plots import by_hand
from jaxdl.plots.page import BLUE, RED
from tests.plots.pictures import axes, pixels, raises_input_error

RNG = np.random.default_rng(0)


def test_pooled_images_have_one_size_and_their_numbers(drawn, tmp_path):
    row = [RNG.random((8, 12, 3)), RNG.random((4, 6, 3)), RNG.random((2, 3, 3))]
    pixels(by_hand.pooled_photograph({"max": row, "average": row}, tmp_path / "p.png", "Pooling"))
    grid = drawn[0]
    titles = [ax.get_title(loc="left") for ax in grid[0]]
    assert titles == ["0 times: 8×12", "1 times: 4×6", "2 times: 2×3"]
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["max pooling", "average pooling"]
    np.testing.assert_allclose(grid[1, 2].images[0].get_array(), row[2])


def test_curves_of_shifts_with_their_strides(drawn, tmp_path):
    curves = {"stride 2": ([0, 1, 2], [0.0, 0.1, 0.7], 2), "stride 1": ([0, 1], [0.0, 1.0], 1)}
    pixels(by_hand.shift_curves({"dot": curves, "two": curves}, tmp_path / "s.png", "Shifts"))
    ax = drawn[0][0, 0]
    np.testing.assert_array_equal(ax.lines[0].get_xydata().T, curves["stride 2"][:2])
    assert list(ax.lines[1].get_xdata()) == [2, 2]
    assert ax.get_title(loc="left") == "dot"
    assert "pixels" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_figure().legends[0].texts] == list(curves)


def test_cells_of_a_filter_have_their_symbols():
    ax = axes()
    by_hand.draw_cells(ax, ["#.", "?e"], "a filter")
    assert [text.get_text() for text in ax.texts] == ["e"]
    assert len(ax.patches) == 4
    assert len({patch.get_facecolor() for patch in ax.patches}) == 4
    assert ax.get_title() == "a filter"


def test_the_hierarchy_has_each_filter_and_its_matches(drawn, tmp_path):
    image = RNG.integers(0, 2, (8, 8, 1)).astype(float)
    maps = [RNG.integers(0, 2, (4, 4)).astype(float) for _ in range(3)]
    levels = [{"corner": (["#."], maps[0]), "edge": (["#"], maps[1])}, {"face": (["e"], maps[2])}]
    path = tmp_path / "h.png"
    pixels(by_hand.face_hierarchy(image, levels, path, "Verdict: a face"))
    assert path.exists()


def test_verdicts_have_their_colors(drawn, tmp_path):
    maps = {"eye": np.eye(3), "face": np.zeros((2, 2))}
    drawings = {
        "front": (np.ones((4, 4, 1)), maps, True),
        "side": (np.ones((4, 4, 1)), maps, False),
    }
    pixels(by_hand.face_verdicts(drawings, tmp_path / "v.png", "Verdicts"))
    grid = drawn[0]
    assert grid.shape == (3, 2)
    assert [ax.get_title() for ax in grid[0]] == ["front:\na face", "side:\nno face"]
    assert [ax.title.get_color() for ax in grid[0]] == [BLUE, RED]
    assert [ax.get_ylabel() for ax in grid[1:, 0]] == ["eye", "face"]


def test_shares_by_move_have_rows_down(drawn, tmp_path):
    shares = np.array([[0.0, 0.25, 0.0], [0.5, 1.0, 0.5], [0.0, 0.75, 0.0]])
    pixels(by_hand.tolerance_maps({"pooling": shares}, tmp_path / "t.png", "Moves"))
    ax = drawn[0][0, 0]
    places = {(text.get_position()): text.get_text() for text in ax.texts}
    # One pixel down is the lower row, and the axis has its number.
    assert places[(0, -1)] == "75"
    assert places[(0, 1)] == "25"
    ticks = dict(zip(ax.get_yticks(), [t.get_text() for t in ax.get_yticklabels()], strict=True))
    assert ticks[-1] == "1"


def test_bad_arguments(tmp_path):
    path = tmp_path / "p.png"
    rows = {"a": [np.ones((2, 2, 1))], "b": [np.ones((2, 2, 1))] * 2}
    with raises_input_error("images: got [1, 2], allowed: rows of images of one length"):
        by_hand.pooled_photograph(rows, path, "")
    with raises_input_error("panels: got {}, allowed: at least one panel with its curves"):
        by_hand.shift_curves({}, path, "")
    with raises_input_error("levels: got [], allowed: at least one level of filters"):
        by_hand.face_hierarchy(np.ones((2, 2, 1)), [], path, "")
    with raises_input_error("drawings: got {}, allowed: at least one drawing"):
        by_hand.face_verdicts({}, path, "")
    with raises_input_error("maps: got {}, allowed: at least one map"):
        by_hand.tolerance_maps({}, path, "")
    with raises_input_error("maps: got (2, 2), allowed: squares with a middle"):
        by_hand.tolerance_maps({"a": np.ones((2, 2))}, path, "")
    assert not path.exists()
