"""Tests of pictures of losses: equal colors, clipped outliers, paths and lines."""

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.page import RED
from tests.plots.pictures import axes, pixels, raises_input_error

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 7)
Y = np.linspace(-2, 3, 5)


def losses(scale=1.0):
    return scale * (0.01 + Y[:, None] ** 2 + X[None] ** 2 + 0.1 * RNG.random((5, 7)))


def test_panels_have_equal_colors_and_titles(drawn, tmp_path):
    planes = {"one $\nloss 1": (losses(), X, Y), "two": (losses(100.0), X, Y)}
    path = plots.loss_planes(planes, tmp_path / "p.png", title="A $ title", labels=("right", "up"))
    pixels(path)
    # The color scale has its own axes.
    grid = drawn[0]
    assert grid.shape == (1, 2)
    assert [ax.get_title(loc="left") for ax in grid[0]] == [r"one \$" + "\nloss 1", "two"]
    assert [ax.get_xlabel() for ax in grid[0]] == ["right", "right"]
    assert grid[0, 0].get_ylabel() == "up"
    figure = grid[0, 0].get_figure()
    assert figure.get_suptitle() == r"A \$ title"
    filled = [ax.collections[0] for ax in grid[0]]
    assert len({each.get_clim() for each in filled}) == 1
    assert np.array_equal(filled[0].levels, filled[1].levels)
    everything = np.concatenate([np.ravel(plane[0]) for plane in planes.values()])
    low, high = filled[0].get_clim()
    np.testing.assert_allclose(low, everything.min())
    np.testing.assert_allclose(high, np.quantile(everything, 0.98))


def test_a_row_has_some_panels(drawn, tmp_path):
    planes = {name: (losses(), X, Y) for name in "abc"}
    pixels(plots.loss_planes(planes, tmp_path / "p.png", columns=2))
    # The color scale has its own axes.
    grid = drawn[0]
    assert grid.shape == (2, 2)
    assert not grid[1, 1].axison


def test_outliers_are_clipped_and_a_minimum_of_zero_has_a_color(drawn, tmp_path):
    values = losses()
    values[0, 0] = np.nan
    values[0, 1] = np.inf
    values[4, 6] = 1e9
    values[2, 3] = 0
    pixels(plots.loss_planes({"a": (values, X, Y)}, tmp_path / "p.png"))
    filled = drawn[0][0, 0].collections[0]
    finite = values[np.isfinite(values)]
    high = np.quantile(finite, 0.98)
    assert filled.get_clim() == (high / 1e5, high)


def test_a_plane_of_one_loss(tmp_path):
    pixels(plots.loss_planes({"a": (np.full((5, 7), 0.5), X, Y)}, tmp_path / "p.png"))


def test_the_path_has_its_states_and_a_star_at_its_end(drawn, tmp_path):
    path = RNG.uniform(-1, 1, (6, 2))
    planes = {"with": (losses(), X, Y), "without": (losses(), X, Y)}
    pixels(plots.loss_planes(planes, tmp_path / "p.png", paths={"with": path}))
    first, second = drawn[0][0]
    line, states, star = first.lines
    np.testing.assert_allclose(line.get_xydata(), path)
    np.testing.assert_allclose(states.get_xydata(), path)
    np.testing.assert_allclose(star.get_xydata(), path[-1:])
    assert star.get_color() == RED
    words = {
        text.get_text(): text.xy for text in first.texts if text.get_text() in ("start", "end")
    }
    np.testing.assert_allclose(words["start"], path[0])
    np.testing.assert_allclose(words["end"], path[-1])
    (cross,) = second.lines
    assert cross.get_xydata().tolist() == [[0, 0]]


def test_no_number_of_a_contour_is_below_the_path(drawn, tmp_path):
    values = losses()
    ax = axes()
    plots.draw_loss_plane(ax, values, X, Y)
    places = [text.get_position() for text in ax.texts]
    # The path goes through the place of one number.
    path = np.array([places[0], (0.0, 0.0)])
    pixels(plots.loss_planes({"a": (values, X, Y)}, tmp_path / "p.png", paths={"a": path}))
    left = [text.get_position() for text in drawn[1][0, 0].texts if text.get_text()[0].isdigit()]
    assert places[0] not in left
    assert 0 < len(left) < len(places)


def test_contours_on_given_axes():
    ax = axes()
    values = losses()
    image = plots.draw_loss_plane(ax, values, X, Y)
    np.testing.assert_allclose(image.get_clim(), (values.min(), np.quantile(values, 0.98)))
    assert ax.get_xlim() == (-1, 1)
    assert ax.get_ylim() == (-2, 3)


def test_lines_have_the_losses_and_the_straight_line_below_them(drawn, tmp_path):
    t = np.linspace(0, 1, 9)
    lines = {"straight $": (RNG.random(9), t), "matched": (RNG.random(9), t)}
    path = plots.loss_lines(lines, tmp_path / "l.png", title="Barrier $ 1", ends=("a", "b"))
    pixels(path)
    (ax,) = drawn
    shown = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(shown[r"straight \$"].get_ydata(), lines["straight $"][0])
    np.testing.assert_allclose(shown["matched"].get_xdata(), t)
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed, [values[[0, -1]] for values, _ in lines.values()])
    assert ax.get_title(loc="left") == r"Barrier \$ 1"
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["0\na", "0.25", "0.5", "0.75", "1\nb"]
    pixels(plots.loss_lines(lines, tmp_path / "log.png", log=True))
    assert drawn[1].get_yscale() == "log"


def test_a_line_beyond_its_networks_joins_the_networks(drawn, tmp_path):
    t = np.linspace(-0.5, 1.5, 9)
    values = RNG.random(9)
    pixels(plots.loss_lines({"line": (values, t)}, tmp_path / "l.png"))
    (dashed,) = (line for line in drawn[0].lines if line.get_linestyle() == "--")
    np.testing.assert_allclose(dashed.get_xydata(), [(0, values[2]), (1, values[6])])


def test_a_plane_without_the_network_keeps_its_limits(drawn, tmp_path):
    pixels(plots.loss_planes({"a": (losses(), X + 5, Y)}, tmp_path / "p.png"))
    assert drawn[0][0, 0].get_xlim() == (4, 6)


@pytest.mark.parametrize(
    ("planes", "options", "message"),
    [
        ({}, {}, "planes: got {}, allowed: the losses of at least one plane"),
        (
            {"a": (losses().T, X, Y)},
            {},
            "planes['a']: got [7, 5], allowed: [5, 7], as many as y and x, at least 2 each",
        ),
        (
            {"a": (np.full((5, 7), np.nan), X, Y)},
            {},
            "planes: got 'no positive finite loss', allowed: losses with some such number",
        ),
        (
            {"a": (losses(), X, Y)},
            {"paths": {"b": np.zeros((3, 2))}},
            "paths: got 'b', allowed: the title of a panel: ['a']",
        ),
        (
            {"a": (losses(), X, Y)},
            {"paths": {"a": np.zeros((3, 3))}},
            "paths['a']: got [3, 3], allowed: [S, 2]",
        ),
    ],
)
def test_bad_planes(planes, options, message, tmp_path):
    with raises_input_error(message):
        plots.loss_planes(planes, tmp_path / "p.png", **options)
    assert not list(tmp_path.iterdir())


def test_bad_lines(tmp_path):
    with raises_input_error("lines: got {}, allowed: the losses along at least one line"):
        plots.loss_lines({}, tmp_path / "l.png")
    with raises_input_error("lines['a']: got [3], allowed: [4]"):
        plots.loss_lines({"a": (np.ones(3), np.ones(4))}, tmp_path / "l.png")
