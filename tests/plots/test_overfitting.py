"""Tests of pictures of trainings that overfit: the best stop, errors over time, bars of seeds."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import pixels, raises_input_error

RECORDS = [
    {
        "step": step,
        "train/loss": 1 / step,
        "validation/loss": 0.5 + (step - 4) ** 2 / 50,
        "validation/loss/0": 0.4,
        "validation/loss/1": 0.6,
    }
    for step in range(1, 11)
]


def test_the_best_stop_is_the_smallest_validation_loss(drawn, tmp_path):
    pixels(plots.best_stop(RECORDS, tmp_path / "t.png"))
    (ax,) = drawn
    (star,) = (line for line in ax.lines if line.get_marker() == "*")
    assert star.get_xydata().tolist() == [[4, 0.5]]
    title = "Least validation loss 0.5 at step 4, 1.22 at the end"
    assert ax.get_title(loc="left") == title
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["train"].get_ydata(), [1 / s for s in range(1, 11)])
    # One pale line for each seed.
    assert sum(line.get_alpha() == 0.3 for line in ax.lines) == 2


def test_errors_over_time_end_in_the_error_on_new_examples(drawn, tmp_path):
    steps = np.arange(1, 9)
    curves = {"true $": (steps, 0.5 / steps), "random": (steps, 0.9 / steps)}
    new = {"true $": 0.05, "random": 0.91}
    path = plots.error_curves(curves, tmp_path / "e.png", new=new, chance=0.9, title="A $")
    pixels(path)
    (ax,) = drawn
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines[r"training, true \$"].get_ydata(), 50 / steps)
    np.testing.assert_allclose(lines["guessing"].get_ydata(), 90)
    assert [text.get_text() for text in ax.texts] == ["5.0 %", "91.0 %"]
    assert ax.get_title(loc="left") == r"A \$"
    pixels(plots.error_curves(curves, tmp_path / "plain.png"))


def test_bars_are_means_with_the_values_of_the_seeds(drawn, tmp_path):
    values = {"none $": np.array([20.0, 24.0]), "dropout": np.array([9.0])}
    path = plots.spread_bars(values, tmp_path / "b.png", reference="none $", title="Less is better")
    pixels(path)
    (ax,) = drawn
    assert [bar.get_width() for group in ax.containers for bar in group] == [22, 9]
    assert [text.get_text() for text in ax.texts] == ["22.0 ± 2.8", "9.0"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [r"none \$", "dropout"]
    seeds = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert seeds == [[20, 24], [9]]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda path: plots.best_stop([{"step": 1, "train/loss": 1.0}], path),
            "records: got ['step', 'train/loss'], allowed: records with 'validation/loss'",
        ),
        (
            lambda path: plots.error_curves({}, path),
            "curves: got [], allowed: at least one, and those of new: []",
        ),
        (
            lambda path: plots.spread_bars({}, path),
            "values: got [], allowed: numbers [S] for at least one name",
        ),
        (
            lambda path: plots.spread_bars({"a": np.ones(1)}, path, reference="b"),
            "reference: got 'b', allowed: one of ['a']",
        ),
    ],
)
def test_bad_arguments(draw, message, tmp_path):
    with raises_input_error(message):
        draw(tmp_path / "bad.png")
    assert not list(tmp_path.iterdir())
