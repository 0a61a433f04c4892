"""Pictures of perceptrons: lines where the score is 0, words of mistakes, chosen panels."""

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from PIL import Image

from jaxdl import plots
from jaxdl.plots.perceptron import draw_separator
from tests.plots.pictures import axes, pixels, raises_input_error

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(30, 2))
LABEL = (POINTS @ [1.0, -2.0] + 0.3 > 0).astype(int)
DATA = plots.TwoClasses(POINTS, LABEL, names=("pepper", "banana"), axes=("length", "weight"))
LINES = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, -2.0, 0.3]])
EXAMPLES = np.array([3, 5, 7])


def zeros(ax):
    """Returns the points of the lines in a picture."""
    contours = [
        each for each in ax.collections if isinstance(each, QuadContourSet) and not each.filled
    ]
    return [path.vertices for each in contours for path in each.get_paths() if len(path.vertices)]


def test_the_line_is_where_the_score_is_zero():
    ax = axes()
    draw_separator(ax, DATA, LINES[3])
    (line,) = zeros(ax)
    np.testing.assert_allclose(line @ LINES[3, :2] + LINES[3, 2], 0, atol=1e-6)
    assert len(line) > 10
    names = ax.get_legend_handles_labels()[1]
    assert names == ["pepper", "banana"]


def test_features_bend_the_line():
    ax = axes()
    circle = DATA._replace(features=lambda x: np.concatenate([x, x**2], 1))
    draw_separator(ax, circle, np.array([0.0, 0.0, 1.0, 1.0, -1.0]))
    for part in zeros(ax):
        np.testing.assert_allclose((part**2).sum(1), 1, atol=5e-3)


def test_without_weights_there_is_no_line():
    ax = axes()
    draw_separator(ax, DATA, np.array([0.0, 0.0, 1.0]), before=LINES[0], example=2)
    assert not zeros(ax)


def test_panels_have_titles_and_words(drawn, tmp_path):
    panels = {"perceptron\n9 $ 1": (DATA, LINES[3]), "softmax": (DATA, LINES[2])}
    pixels(plots.separators(panels, tmp_path / "p.png", title="two $"))
    grid = drawn[0]
    assert [ax.get_title(loc="left") for ax in grid[0]] == ["perceptron\n9 \\$ 1", "softmax"]
    assert [ax.get_xlabel() for ax in grid[0]] == ["length"] * 2
    assert grid[0, 0].get_figure().get_suptitle() == r"two \$"


def test_a_sheet_has_some_of_many_mistakes(drawn, tmp_path):
    lines = np.concatenate([LINES[:1], np.tile(LINES[1:], (9, 1))])
    path = plots.perceptron_sheet(DATA, lines, np.arange(27), tmp_path / "p.png", most=4, columns=2)
    pixels(path)
    titles = [ax.get_title(loc="left") for ax in drawn[0].flat]
    assert titles == ["mistake 1", "mistake 10", "mistake 18", "mistake 27"]


def test_the_gif_has_a_frame_for_start_each_mistake_and_end(drawn, tmp_path):
    path = plots.perceptron_gif(DATA, LINES, EXAMPLES, tmp_path / "p.gif", end="the end")
    with Image.open(path) as picture:
        assert picture.n_frames == 5
    titles = [ax.get_title(loc="left") for ax in drawn]
    assert titles[0] == "start: the weights are 0"
    assert titles[-1] == "the end"
    assert titles[1].startswith("mistake 1 of 3: ") and titles[1].endswith(" without a line")
    for k in (1, 2):
        label = LABEL[EXAMPLES[k]]
        words = ("pepper taken for banana", "banana taken for pepper")[label]
        assert titles[k + 1] == f"mistake {k + 1} of 3: {words}"
    assert "no line: w = 0" in [text.get_text() for text in drawn[0].texts]


@pytest.mark.parametrize("draw", [plots.perceptron_sheet, plots.perceptron_gif])
def test_bad_inputs(draw, tmp_path):
    path = tmp_path / "p"
    with raises_input_error("mistakes: got 0, allowed: at least 1"):
        draw(DATA, LINES[:1], [], path)
    allowed = "allowed: [4, 3]: one line more than mistakes"
    with raises_input_error(f"lines: got [2, 3], {allowed}"):
        draw(DATA, LINES[:2], EXAMPLES, path)
    with raises_input_error("points: got [4], allowed: the shape [N, 2], N at least 1"):
        draw(DATA._replace(points=np.zeros(4)), LINES, EXAMPLES, path)
    with raises_input_error("label: got [-1, -1], allowed: 0 or 1 for each of 2 points"):
        draw(plots.TwoClasses(POINTS[:2], [-1, -1]), LINES, EXAMPLES, path)
    with raises_input_error("lines: got {}, allowed: at least one line"):
        plots.separators({}, path)
    assert not path.exists()
