"""Tests of pictures of fits: their lines, their words, and shapes that are refused."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)
AT = np.linspace(0, 1, 9)
POINTS = (RNG.random(5), RNG.random(5))


def test_fits_have_their_truth_points_and_bands(drawn, tmp_path):
    prediction = RNG.random(9)
    fits = {
        "degree 1 $": (prediction, prediction - 1, prediction + 1),
        "b": (prediction, None, None),
    }
    path = plots.fitted_curves(
        fits,
        tmp_path / "f.png",
        points=POINTS,
        at=AT,
        truth=AT**2,
        title="20 points $",
        labels=("speed $", "heart rate"),
    )
    pixels(path)
    first, second = drawn[0][0]
    assert [ax.get_title(loc="left") for ax in (first, second)] == [r"degree 1 \$", "b"]
    lines = {line.get_label(): line for line in first.lines}
    np.testing.assert_allclose(lines["truth"].get_ydata(), AT**2)
    np.testing.assert_allclose(lines["fit"].get_ydata(), prediction)
    np.testing.assert_allclose(lines["points"].get_xydata(), np.stack(POINTS, 1))
    assert len(first.collections) == 1 and not second.collections
    assert first.get_xlabel() == r"speed \$"
    assert first.get_ylabel() == "heart rate"


def test_huge_predictions_do_not_change_the_axes(drawn, tmp_path):
    fits = {name: (AT * size, None, None) for name, size in (("small", 1), ("huge", 1e9))}
    pixels(plots.fitted_curves(fits, tmp_path / "f.png", points=POINTS, at=AT, columns=1))
    assert drawn[0].shape == (2, 1)
    assert max(drawn[0][1, 0].get_ylim()) < 2


def test_capacity_has_its_best_place_and_its_words(drawn, tmp_path):
    capacity = np.array([1, 3, 9])
    train = np.array([[3.0, 1.0, 0.2], [3.2, 1.2, 0.1]])
    new = np.array([[3.0, 1.5, 4.0], [3.4, 1.7, 9.0]])
    path = plots.capacity_curves(capacity, train, new, tmp_path / "c.png", floor=0.5)
    pixels(path)
    (ax,) = drawn
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["training points"].get_ydata(), train.mean(0))
    np.testing.assert_allclose(lines["new points"].get_ydata(), new.mean(0))
    assert ax.get_title(loc="left") == "Least error on new points at 3: 1.6"
    assert {text.get_text() for text in ax.texts} == {"underfitting", "overfitting"}
    assert any(list(line.get_xdata()) == [3, 3] for line in ax.lines)
    pixels(plots.capacity_curves(capacity, train[0] * 0, new[0], tmp_path / "zero.png", title="t"))


def test_the_parts_are_stacked_beside_the_measured_error(drawn, tmp_path):
    parts = {"bias²": np.array([2.0, 0.5]), "variance": np.array([0.5, 1.0])}
    measured = np.array([2.5, 1.6])
    path = plots.error_parts(["1", "9"], parts, measured, tmp_path / "p.png", spread=measured / 10)
    pixels(path)
    (ax,) = drawn
    bars = [
        [(bar.get_y(), bar.get_height()) for bar in group]
        for group in ax.containers
        if hasattr(group, "patches")
    ]
    np.testing.assert_allclose(bars[0], [(0, 2), (0, 0.5)])
    np.testing.assert_allclose(bars[1], [(2, 0.5), (0.5, 1)])
    np.testing.assert_allclose(bars[-1], [(0, 2.5), (0, 1.6)])
    assert ax.get_title(loc="left").endswith("differences up to 6.2 %")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "9"]


def test_double_descent_has_a_line_where_features_equal_points(drawn, tmp_path):
    features = np.array([2, 10, 100])
    train = np.array([[1.0, 1e-14, 1e-14]])
    path = plots.double_descent_curves(features, train, [1.0, 50.0, 0.5], 10, tmp_path / "d.png")
    pixels(path)
    (ax,) = drawn
    assert any(list(line.get_xdata()) == [10, 10] for line in ax.lines)
    assert ax.get_title(loc="left") == "Largest error on new points at p = 10, n = 10"
    assert ax.get_xscale() == ax.get_yscale() == "log"
    # Errors of rounding stay below the picture.
    assert ax.get_ylim()[0] > 1e-3


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda path: plots.fitted_curves({}, path, points=POINTS, at=AT),
            "fits: got {}, allowed: at least one prediction",
        ),
        (
            lambda path: plots.fitted_curves(
                {"a": (AT[1:], None, None)}, path, points=POINTS, at=AT
            ),
            "fits['a']: got [8], allowed: [9], as at",
        ),
        (
            lambda path: plots.capacity_curves(np.arange(3), np.ones(2), np.ones(3), path),
            "errors: got [1, 2], allowed: [S, 3], one for each capacity",
        ),
        (
            lambda path: plots.double_descent_curves([], [], [], 3, path),
            "capacity: got [0], allowed: [P], P at least 1",
        ),
        (
            lambda path: plots.error_parts(["1"], {}, np.ones(1), path),
            "parts: got {}, allowed: at least one part of the error",
        ),
        (
            lambda path: plots.error_parts(["1"], {"bias²": np.ones(2)}, np.ones(1), path),
            "parts['bias²']: got [2], allowed: [1], one for each name",
        ),
    ],
)
def test_bad_arguments(draw, message, tmp_path):
    with raises_input_error(message):
        draw(tmp_path / "bad.png")
    assert not list(tmp_path.iterdir())
