"""Tests of boards with bars, and of curves by games."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxdl import plots
from jaxdl.plots.boards import DOT
from tests.plots.pictures import pixels, raises_input_error


def test_a_bar_has_the_length_of_its_value(drawn, tmp_path):
    values = np.array([0.0, 1.0, 3.0, np.nan])
    board = plots.Board([DOT, "", "X", ""], values, 2, "move $")
    path = plots.board_rows(
        [[board], [board, board]],
        tmp_path / "b.png",
        title="Title $",
        labels=["one\nrow", "two"],
        limits=(-1.0, 3.0),
    )
    pixels(path)
    assert len(drawn) == 4  # three boards and the scale
    ax = drawn[0]
    assert ax.get_xlabel() == r"move \$"
    bars = [each for each in ax.patches if each.get_height() == pytest.approx(0.12)]
    lengths = [each.get_width() / 0.8 for each in bars[1::2]]
    np.testing.assert_allclose(lengths, [0.25, 0.5, 1.0])
    assert len({to_rgb(each.get_facecolor()) for each in bars[1::2]}) == 3
    (frame,) = [each for each in ax.patches if not each.get_fill()]
    assert frame.get_xy() == pytest.approx((0.04, 1.04))
    assert [text.get_text() for text in ax.texts] == ["X"]
    assert ax.figure.texts[-1].get_text() == "two"


def test_each_seed_has_a_line(drawn, tmp_path):
    curves = plots.Curves(np.array([10, 20]), np.array([[3, 0], [4, 1]]))
    path = plots.curves_by_games(
        {"a": curves, "b": curves},
        tmp_path / "c.png",
        title="t",
        ylabel="losses",
        best=0,
        logarithmic=True,
    )
    pixels(path)
    (ax,) = drawn
    assert len(ax.lines) == 5 and ax.get_yscale() == "symlog"
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert labels == ["best: 0", "a: 0.5", "b: 0.5"], "the means of the last numbers"
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), [4, 1])


def test_bad_boards(tmp_path):
    path = tmp_path / "b.png"
    words = {"title": "", "labels": ["a"], "limits": (0.0, 1.0)}
    board = plots.Board([""] * 4, np.zeros(4))
    with raises_input_error("boards: got 'none', allowed: at least one in each row"):
        plots.board_rows([[]], path, **words)
    with raises_input_error("labels: got 1, allowed: a text for each row, 2"):
        plots.board_rows([[board], [board]], path, **words)
    with raises_input_error("limits: got (1.0, 1.0), allowed: two increasing numbers"):
        plots.board_rows([[board]], path, **{**words, "limits": (1.0, 1.0)})
    with raises_input_error("marks: got 3, allowed: a square number of tiles"):
        plots.board_rows([[plots.Board([""] * 3, np.zeros(3))]], path, **words)
    with raises_input_error("values: got 3, allowed: one for each tile, 4"):
        plots.board_rows([[plots.Board([""] * 4, np.zeros(3))]], path, **words)
    with raises_input_error("lines: got 'none', allowed: at least one"):
        plots.curves_by_games({}, path, title="", ylabel="", best=0)
    assert not list(tmp_path.iterdir())
