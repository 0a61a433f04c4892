"""Pictures of descents: paths, legends, frames, hills, rates, schedules and sizes of a batch."""

import numpy as np
import pytest
from PIL import Image

from jaxdl import plots
from jaxdl.plots.downhill import line_style
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 9)
Y = np.linspace(-2, 2, 7)
PLANE = (Y[:, None] ** 2 + X[None] ** 2, X, Y)


def walk(steps=5):
    return np.linspace([0.9, 1.5], [0, 0], steps) + 0.01 * RNG.normal(size=(steps, 2))


def test_maps_have_their_paths_and_legends(drawn, tmp_path):
    paths = {"bowl $": {"sgd $": walk(), "adam": walk(8)}, "two": {"sgd": walk()}}
    planes = dict.fromkeys(paths, PLANE)
    path = plots.descent_maps(
        planes, paths, tmp_path / "m.png", title="A $", minima={"bowl $": (0.0, 0.0)}
    )
    pixels(path)
    left, right = drawn[0][0]
    assert left.get_title(loc="left") == r"bowl \$"
    assert [text.get_text() for text in left.get_legend().get_texts()] == [r"sgd \$", "adam"]
    for line, points in zip(
        [line for line in left.lines if line.get_label() in (r"sgd \$", "adam")],
        paths["bowl $"].values(),
        strict=True,
    ):
        np.testing.assert_allclose(np.stack(line.get_data(), -1), points)
    markers = [[line.get_marker() for line in ax.lines] for ax in (left, right)]
    assert markers[0].count("*") == 1 and markers[1].count("*") == 0
    assert left.get_xlim() == (-1, 1) and left.get_ylim() == (-2, 2)


def test_a_single_path_is_named_in_the_title(drawn, tmp_path):
    planes = dict.fromkeys("abc", PLANE)
    paths = {name: {f"value {name}": walk()} for name in "abc"}
    pixels(plots.descent_maps(planes, paths, tmp_path / "m.png"))
    grid = drawn[0]
    assert grid.shape == (2, 2) and not grid[1, 1].axison
    assert grid[1, 0].get_title(loc="left") == "c, value c"
    assert all(ax.get_legend() is None for ax in grid.flat)


def test_a_constant_function_has_a_map(tmp_path):
    planes = {"flat": (np.ones((7, 9)), X, Y)}
    pixels(plots.descent_maps(planes, {"flat": {"sgd": walk()}}, tmp_path / "m.png"))


def test_colors_differ():
    styles = {tuple(line_style(i).values()) for i in range(21)}
    assert len(styles) == 21


def frames_of(path):
    with Image.open(path) as image:
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("L"), float))
    return frames


def test_paths_grow_in_a_gif(tmp_path):
    paths = {"bowl": {"sgd": walk(), "adam": walk()}, "two": {"sgd": walk(), "adam": walk()}}
    planes = dict.fromkeys(paths, PLANE)
    frames = frames_of(plots.descent_gif(planes, paths, tmp_path / "m.gif"))
    assert len(frames) == 5
    assert np.abs(frames[0] - frames[-1]).max() > 50
    with raises_input_error(
        "paths['two']: got ['sgd'], allowed: the labels of the first map, ['sgd', 'adam']"
    ):
        paths["two"] = {"sgd": walk()}
        plots.descent_gif(planes, paths, tmp_path / "m.gif")


def test_balls_lie_on_their_hill(drawn, tmp_path):
    curve = (X, X**2)
    x = np.array([-0.9, -0.5, 0.1])
    paths = {"sgd $\nloss 0": (x, x**2), "short": (x[:2], x[:2] ** 2)}
    pixels(plots.hill_paths(curve, paths, tmp_path / "h.png", title="T $"))
    left, right = drawn[0][0]
    assert left.get_title(loc="left") == "sgd \\$\nloss 0"
    for ax, last in ((left, 0.1), (right, -0.5)):
        _, trail, ball = ax.lines
        assert ball.get_xdata() == [last]
        assert ball.get_ydata()[0] == pytest.approx(last**2, abs=0.06)
        assert trail.get_xdata()[-1] == last
    frames = frames_of(plots.hill_paths(curve, paths, tmp_path / "h.gif"))
    assert len(frames) == 3
    with raises_input_error("paths: got {}, allowed: at least one"):
        plots.hill_paths(curve, {}, tmp_path / "h.png")


def test_the_best_rate_is_marked(drawn, tmp_path):
    measures = {"bowl": {"sgd": np.array([3.0, 0.1, np.inf]), "adam": np.array([0.0, 2.0, 1.0])}}
    path = plots.tuning_curves([0.01, 0.1, 1.0], measures, tmp_path / "r.png", title="T")
    pixels(path)
    ax = drawn[0][0, 0]
    lines = ax.lines[::2]
    points = ax.lines[1::2]
    assert [point.get_xdata()[0] for point in points] == [0.1, 0.01]
    assert np.isnan(lines[0].get_ydata()[2])
    assert lines[1].get_ydata()[0] == 1e-12
    with raises_input_error("measures['bowl']['sgd']: got 3, allowed: 2"):
        plots.tuning_curves([0.01, 0.1], measures, tmp_path / "r.png")
    with raises_input_error("measures: got {}, allowed: at least one panel"):
        plots.tuning_curves([0.01, 0.1], {}, tmp_path / "r.png")


def test_schedules_and_values_have_lines(drawn, tmp_path):
    rates = {"constant": np.ones(9), "falling $": np.linspace(1, 0, 9)}
    pixels(plots.schedule_lines(rates, tmp_path / "s.png", title="T"))
    left, right = drawn[0]
    for ax in (left, right):
        assert [line.get_label() for line in ax.lines] == ["constant", r"falling \$"]
    assert right.get_yscale() == "log" and left.get_yscale() == "linear"
    values = {"bowl": {"sgd": np.array([1.0, 0.0])}}
    pixels(plots.value_curves(values, tmp_path / "v.png", title="T"))
    assert drawn[1][0, 0].lines[0].get_ydata().tolist() == [1.0, 1e-12]
    with raises_input_error("rates: got {}, allowed: at least one schedule"):
        plots.schedule_lines({}, tmp_path / "s.png")
    with raises_input_error("values: got {}, allowed: at least one panel"):
        plots.value_curves({}, tmp_path / "s.png")


def test_sizes_of_a_batch_have_three_panels(drawn, tmp_path):
    losses = np.array([[2.0, 3.0], [1.0, 2.0]])
    runs = {
        size: plots.BatchSize(np.array([32, 64]), losses, np.array([0.1, 0.2]), 3 / size**0.5)
        for size in (4, 16)
    }
    pixels(plots.batch_sizes(runs, tmp_path / "b.png", title="T"))
    examples, seconds, noise = drawn[0]
    np.testing.assert_allclose(examples.lines[0].get_ydata(), [2.5, 1.5])
    np.testing.assert_allclose(seconds.lines[1].get_xdata(), [0.1, 0.2])
    # The line through the noise has the slope of 1 / sqrt(B).
    np.testing.assert_allclose(noise.lines[-1].get_ydata(), [1.5, 0.75])
    with raises_input_error("runs: got {}, allowed: at least one size"):
        plots.batch_sizes({}, tmp_path / "b.png")


def test_bad_maps(tmp_path):
    path = tmp_path / "m.png"
    with raises_input_error("planes: got {}, allowed: at least one map"):
        plots.descent_maps({}, {}, path)
    with raises_input_error("paths: got [], allowed: at least one path of 'a'"):
        plots.descent_maps({"a": PLANE}, {}, path)
    with raises_input_error("paths['a']['sgd']: got [5], allowed: [S, 2]"):
        plots.descent_maps({"a": PLANE}, {"a": {"sgd": np.ones(5)}}, path)
    with raises_input_error(
        "planes['a']: got [9, 7], allowed: [7, 9], as many as y and x, at least 2 each"
    ):
        plots.descent_maps({"a": (PLANE[0].T, X, Y)}, {"a": {"sgd": walk()}}, path)
