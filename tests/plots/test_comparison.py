"""Tests of the curves of several runs and of sweeps: one line each, and the best one named."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxdl import plots
from jaxdl.plots.comparison import _draw_runs, best_run, shared_metrics
from tests.plots.pictures import raises_input_error

RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def sweep(rng, count):
    """Returns records of a sweep of `count` members, and the losses of the members."""
    losses = rng.uniform(0.1, 1.0, (4, count))
    records = [
        {"step": step, "train/loss": float(row.mean())}
        | {f"train/loss/{i}": float(value) for i, value in enumerate(row)}
        for step, row in enumerate(losses, 1)
    ]
    return records, losses


@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_of_five_rates_has_a_line_for_each_and_names_the_best(seed, tmp_path):
    records, losses = sweep(np.random.default_rng(seed), 5)
    labels = [f"learning rate {rate:g}" for rate in RATES]
    runs = plots.records_by_member(records, labels)
    ax = Figure().subplots()
    _draw_runs(ax, runs, "train/loss")
    for line, values in zip(ax.lines[:5], losses.T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert len({line.get_color() for line in ax.lines[:5]}) == 5
    titles = ax.get_title("left") + ax.get_title()
    assert titles.endswith(labels[losses[-1].argmin()])
    assert plots.sweep_curves(records, labels, tmp_path / "s.png").exists()


def test_bad_labels(tmp_path):
    records, _ = sweep(np.random.default_rng(0), 3)
    with raises_input_error(
        "labels: got ['a', 'a', 'b'], allowed: different words for each member"
    ):
        plots.sweep_curves(records, ["a", "a", "b"], tmp_path / "s.png")
    with raises_input_error("labels: got '2 labels', allowed: one for each of 3 members"):
        plots.sweep_curves(records, ["a", "b"], tmp_path / "s.png")
    with raises_input_error("runs: got {}, allowed: at least one run"):
        plots.comparison_curves({}, tmp_path / "s.png")


def test_a_single_validation_is_no_line():
    records = [{"step": 1, "train/loss": 1.0}, {"step": 2, "train/loss": 1.0, "validation/loss": 1}]
    assert shared_metrics({"a": records}) == ["train/loss"]
    assert shared_metrics({"a": [*records, {"step": 3, "validation/loss": 1}]}) == [
        "validation/loss"
    ]
    gan = [{"step": 1, "train/generator_loss": 1.0, "train/score_fake": 0.0}]
    assert shared_metrics({"a": gan, "b": []}) == ["train/generator_loss", "train/score_fake"]


def test_the_best_run_is_finite():
    values = {"a": np.nan, "b": 0.3, "c": 0.5}
    assert best_run(values, "test/loss") == "b"
    assert best_run(values, "test/accuracy") == "c"
    assert best_run({"a": np.nan}, "test/loss") is None
