"""ROC and precision-recall curves: curves, areas, names, and the part in the picture."""

import numpy as np
import pytest

from jaxdl import plots, reports
from jaxdl.plots.ranking import SIDES
from tests.plots.pictures import axes, pixels, raises_input_error

NAMES = ["cat", "dog", "owl", "ant", "bee", "fox", "hen"]


def predictions(classes: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels and probabilities, which are right more often for a larger strength."""
    rng = np.random.default_rng(classes)
    label = rng.integers(0, classes, 300)
    z = rng.normal(size=(300, classes))
    z[np.arange(300), label] += strength
    p = np.exp(z)
    return label, p / p.sum(1, keepdims=True)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("draw", "area"),
    [
        (plots.draw_roc_curves, reports.roc_auc),
        (plots.draw_precision_recall_curves, reports.average_precision),
    ],
)
def test_the_worst_classes_and_the_mean_are_named_with_their_areas(draw, area):
    label, p = predictions(7, 1.0)
    areas = area(p, label)
    ax = axes()
    draw(ax, label, p, NAMES)
    order = np.argsort(areas)[:5]
    shown = legend(ax)
    assert [text.split(":")[0] for text in shown] == [*(NAMES[k] for k in order), "mean"]
    numbers = [float(text.split()[-1]) for text in shown]
    np.testing.assert_allclose(numbers, [*areas[order], areas.mean()], atol=6e-5)
    assert f"{areas.mean():.4f}" in ax.get_title()


def test_the_mean_curve_has_the_mean_area():
    label, p = predictions(4, 1.0)
    ax = axes()
    plots.draw_roc_curves(ax, label, p, NAMES[:4])
    mean = ax.get_lines()[4]
    area = np.trapezoid(mean.get_ydata(), mean.get_xdata())
    assert area == pytest.approx(reports.roc_auc(p, label).mean(), abs=1e-3)
    ax = axes()
    plots.draw_precision_recall_curves(ax, label, p, NAMES[:4])
    mean = ax.get_lines()[4]
    area = np.mean(mean.get_ydata()[1:])
    assert area == pytest.approx(reports.average_precision(p, label).mean(), abs=3e-3)


def test_of_two_classes_class_1_is_drawn():
    label, p = predictions(2, 1.0)
    ax = axes()
    plots.draw_roc_curves(ax, label, p, ["negative", "positive"])
    curve = ax.get_lines()[0]
    expected = reports.roc_curve(p[:, 1], label == 1)
    np.testing.assert_array_equal(curve.get_xdata(), expected[0])
    np.testing.assert_array_equal(curve.get_ydata(), expected[1])
    assert [text.split(":")[0] for text in legend(ax)] == ["positive"]
    ax = axes()
    plots.draw_precision_recall_curves(ax, label, p, ["negative", "positive"])
    assert ax.get_lines()[1].get_ydata()[0] == pytest.approx(np.mean(label == 1))


@pytest.mark.parametrize("strength", [0.0, 2.0, 5.0, 30.0])
def test_the_part_that_is_drawn_has_room_for_all_curves(strength):
    label, p = predictions(3, strength)
    for draw in (plots.draw_roc_curves, plots.draw_precision_recall_curves):
        ax = axes()
        draw(ax, label, p, NAMES[:3])
        low, high = ax.get_ylim()
        side = high - (high - 1) - low
        assert any(side == pytest.approx(each) for each in SIDES)
        if strength == 0:
            assert side == pytest.approx(1)
        if strength == 30:
            assert side == pytest.approx(SIDES[0])
        for line in ax.get_lines()[:4]:
            assert (np.asarray(line.get_ydata()) > low).any()


def test_pictures(tmp_path):
    label, p = predictions(7, 1.0)
    pixels(plots.roc_curves(label, p, tmp_path / "a.png", NAMES))
    label[label == 6] = 0
    mask = np.arange(300) % 2
    pixels(plots.roc_curves(label, p, tmp_path / "absent.png", mask=mask))
    path = tmp_path / "one.png"
    with raises_input_error("label: got 'only class 3', allowed: examples of at least two classes"):
        plots.roc_curves(np.full(300, 3), p, path)
    with raises_input_error("names: got 2, allowed: as many as classes, 7"):
        plots.roc_curves(label, p, path, ["a", "b"])
    assert not path.exists()
