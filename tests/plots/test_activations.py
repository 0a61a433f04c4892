"""Pictures of activations: curves, histograms with the share of zeros, variances, dead units."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import pixels, raises_input_error

X = np.linspace(-2, 2, 9)
CURVE = (np.tanh(X), 1 - np.tanh(X) ** 2)


def titles(grid):
    return [ax.get_title(loc="left") for ax in np.ravel(grid)]


def test_the_sheet_has_value_and_derivative(drawn, tmp_path):
    pixels(
        plots.activation_sheet({"a $": CURVE, "b": CURVE, "c": CURVE}, X, tmp_path / "p", columns=2)
    )
    grid = drawn[0]
    assert titles(grid)[:3] == [r"a \$", "b", "c"]
    assert not grid[1, 1].axison
    lines = {line.get_label(): line.get_ydata() for line in grid[0, 0].lines}
    np.testing.assert_array_equal(lines["value"], CURVE[0])
    np.testing.assert_array_equal(lines["derivative"], CURVE[1])


def test_histograms_have_the_share_of_zeros_and_one_scale_for_each_row(drawn, tmp_path):
    rng = np.random.default_rng(0)
    row = {f"layer {i}": np.maximum(rng.normal(size=(50, 20)), 0) / i for i in (1, 4)}
    other = {name: values + 5 for name, values in row.items()}
    notes = {name: {column: f"sd {i}" for i, column in enumerate(row)} for name in ("relu", "b\nc")}
    pixels(plots.activation_histograms({"relu": row, "b\nc": other}, tmp_path / "p", notes=notes))
    grid = drawn[0]
    assert titles(grid[0]) == ["layer 1", "layer 4"]
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["relu", "b\nc"]
    assert grid[0, 0].get_xlim() == grid[0, 1].get_xlim() != grid[1, 0].get_xlim()
    share = f"{100 * (row['layer 1'] == 0).mean():.0f} % are 0"
    assert [text.get_text() for text in grid[0, 0].texts] == [share, "sd 0"]
    assert [text.get_text() for text in grid[1, 1].texts] == ["sd 1"]


def test_variances_are_marks_and_the_formula_a_line(drawn, tmp_path):
    measured = {"he": np.array([1.0, 2.0, 0.5])}
    pixels(plots.variance_by_layer(measured, {"he": np.ones(3)}, tmp_path / "p", title="2 %"))
    line, marks, _ = drawn[0].lines
    np.testing.assert_array_equal(line.get_ydata(), 1)
    np.testing.assert_array_equal(marks.get_ydata(), measured["he"])
    assert marks.get_xdata().tolist() == [1, 2, 3]


def test_decision_maps_have_the_accuracy_of_each(drawn, tmp_path):
    points = np.array([[-1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])

    def left(x):
        return np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(np.float32)

    maps = {"right": left, "wrong": lambda x: left(-x)}
    pixels(plots.decision_maps(maps, points, np.array([0, 1, 1]), tmp_path / "p"))
    assert titles(drawn[0]) == [
        "right\n100.0 % of 3 points correct",
        "wrong\n0.0 % of 3 points correct",
    ]


def test_dead_units_and_fits(drawn, tmp_path):
    panel = (np.array([0, 10]), {"activation_0": np.array([0.0, 0.5])})
    pixels(plots.dead_unit_curves({"rate 1\nx": panel}, tmp_path / "p"))
    assert titles(drawn[0]) == ["rate 1\nx"]
    assert drawn[0][0, 0].lines[0].get_ydata().tolist() == [0, 50]
    pixels(plots.approximated_curves({"one": X, "two": 2 * X}, X, X**2, tmp_path / "q", columns=1))
    assert drawn[1].shape == (2, 1)
    assert [line.get_label() for line in drawn[1][1, 0].lines] == ["curve", "network"]


def test_bad_inputs(tmp_path):
    path = tmp_path / "p"
    for field, draw in (
        ("curves", lambda: plots.activation_sheet({}, X, path)),
        ("values", lambda: plots.activation_histograms({}, path)),
        ("measured", lambda: plots.variance_by_layer({}, {}, path)),
        ("classifiers", lambda: plots.decision_maps({}, X, X, path)),
        ("shares", lambda: plots.dead_unit_curves({}, path)),
        ("fits", lambda: plots.approximated_curves({}, X, X, path)),
    ):
        with raises_input_error(f"{field}: got {{}}, allowed: at least one"):
            draw()
    with raises_input_error("curves['a']: got [3], allowed: numbers [9]"):
        plots.activation_sheet({"a": (X, X[:3])}, X, path)
    with raises_input_error("predicted['he']: got [0], allowed: numbers [9]"):
        plots.variance_by_layer({"he": X}, {}, path)
    with raises_input_error("values['b']: got ['2'], allowed: the columns ['1']"):
        plots.activation_histograms({"a": {"1": X}, "b": {"2": X}}, path)
    with raises_input_error("values['a']['1']: got (9,), allowed: finite numbers"):
        plots.activation_histograms({"a": {"1": X + np.nan}}, path)
    assert not path.exists()
