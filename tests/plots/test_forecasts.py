"""Tests of forecasts and their errors: the positions of all numbers."""

import numpy as np
import pytest

from jaxdl.plots.forecasts import draw_error_bars, draw_forecasts, error_bars, forecast_lines
from jaxdl.plots.page import GREY
from tests.plots.pictures import axes, pixels, raises_input_error

TIMES = np.arange(500.0)
TARGETS = np.sin(TIMES / 24)
PREDICTIONS = {"persistence": np.roll(TARGETS, 24), "GRU": TARGETS + 0.1}


def test_lines_are_the_numbers_against_the_day():
    ax = axes()
    draw_forecasts(ax, TIMES, TARGETS, PREDICTIONS, "temperature (°C)")
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    for name, values in {**PREDICTIONS, "observed": TARGETS}.items():
        np.testing.assert_allclose(lines[name], np.stack([TIMES / 24, values], 1))
    assert len({line.get_color() for line in ax.lines}) == 3
    assert ax.get_ylabel() == "temperature (°C)"


@pytest.mark.parametrize("size", [500, 168, 2, 1])
def test_long_and_short_forecasts(size, tmp_path):
    predictions = {name: values[:size] for name, values in PREDICTIONS.items()}
    path = forecast_lines(TIMES[:size], TARGETS[:size], predictions, tmp_path / "f.png")
    height = pixels(path).shape[0]
    assert (height > 600) == (size > 168), "only long series have a second panel with a week"


def test_the_errors_of_all_weeks_and_their_lowest_mean(tmp_path, drawn):
    label = "temperature (°C)"
    forecast_lines(TIMES, TARGETS, PREDICTIONS, tmp_path / "f.png", label=label)
    ((above, below),) = drawn
    assert above.get_title("left") == "500 forecasts; lowest mean absolute error 0.100 °C (GRU)"
    assert below.get_ylabel() == "error (°C)"
    errors = {name: abs(values - TARGETS) for name, values in PREDICTIONS.items()}
    for line in below.lines:
        each = errors[line.get_label()]
        expected = [each[start : start + 168].mean() for start in (0, 168, 336)]
        np.testing.assert_allclose(line.get_ydata(), expected)
    np.testing.assert_allclose(above.get_xlim(), (7, 7 + 167 / 24))


def test_bad_forecasts(tmp_path):
    path = tmp_path / "f.png"
    with raises_input_error("GRU: got (3,), allowed: one for each of 4 times"):
        forecast_lines(np.arange(4), np.arange(4), {"GRU": np.arange(3)}, path)
    with raises_input_error("targets: got (4, 1), allowed: one for each of 4 times"):
        forecast_lines(np.arange(4), np.zeros((4, 1)), {}, path)
    with raises_input_error("times: got (0,), allowed: the shape [T], T at least 1"):
        forecast_lines(np.zeros(0), np.zeros(0), {}, path)
    with raises_input_error("predictions: got 8, allowed: at most 7 methods"):
        forecast_lines(TIMES, TARGETS, {str(i): TARGETS for i in range(8)}, path)
    with raises_input_error("week: got 1, allowed: at least 2"):
        forecast_lines(TIMES, TARGETS, PREDICTIONS, path, week=1)


def test_bars_are_as_long_as_the_errors_and_the_baseline_is_marked(tmp_path):
    errors = {"persistence": [0.4], "linear": [0.19, 0.21], "GRU": [0.02, 0.05, 0.11]}
    ax = axes()
    draw_error_bars(ax, errors, label="error (m)")
    means = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(means, [0.4, 0.2, 0.06])
    # The sample standard deviations are 0.02 / sqrt(2) and sqrt(0.0042 / 2).
    assert [text.get_text() for text in ax.texts] == [
        "0.400 m",
        "0.200 ± 0.01 m",
        "0.0600 ± 0.05 m",
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(errors)
    centers = [bar.get_y() + bar.get_height() / 2 for bar in ax.patches]
    assert sorted(centers) == centers
    assert ax.yaxis_inverted(), "not from top to bottom"
    grey, *others = [bar.get_facecolor() for bar in ax.patches]
    from matplotlib.colors import to_rgba

    assert grey == to_rgba(GREY)
    assert grey not in others
    assert [0.4, 0.4] in [list(line.get_xdata()) for line in ax.lines]
    assert ax.get_title() == "lowest error: 0.0600 m (GRU), 15 % of that of persistence (dashed)"
    other = axes()
    draw_error_bars(other, {"persistence": [0.4], "GRU": [0.5]})
    assert other.get_title().endswith("(persistence): nothing is better than this baseline")
    pixels(error_bars(errors, tmp_path / "e.png"))


def test_bars_without_a_baseline(tmp_path):
    pixels(error_bars({"GRU": [0.0]}, tmp_path / "e.png"))
    pixels(error_bars({"a": [1.5, 0.5], "b": [1e-4]}, tmp_path / "e.png", naive=None))


def test_bad_bars(tmp_path):
    path = tmp_path / "e.png"
    with raises_input_error("errors['a'] shape: got (0,), allowed: [S], S at least 1"):
        error_bars({"a": []}, path)
    with raises_input_error("errors['a']: got [-1.0], allowed: numbers that are not negative"):
        error_bars({"a": [-1]}, path)
    with raises_input_error("errors: got {}, allowed: at least one method"):
        error_bars({}, path)
