"""Tests of curves: they show the numbers of the records."""

import math

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.curves import available_metrics, series
from tests.plots.pictures import RECORDS, axes, pixels, raises_input_error


def test_curves_show_every_point():
    ax = axes()
    plots.draw_curves(ax, RECORDS, "loss")
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"train", "validation"}
    for part, factor in (("train", 2.0), ("validation", 2.5)):
        np.testing.assert_allclose(lines[part].get_xydata(), [(s, factor / s) for s in range(1, 9)])
    assert ax.get_yscale() == "linear"


def test_titles_state_the_final_values():
    """Prefers the value of validation, and uses that of training without one."""
    titles = []
    for name in ("loss", "accuracy"):
        ax = axes()
        plots.draw_curves(ax, RECORDS, name)
        titles.append(ax.get_title("left") + ax.get_title())
    assert titles == ["validation loss: 0.312", "training accuracy: 87.5 %"]


def test_long_curves_have_a_running_mean_and_wide_ranges_a_logarithmic_scale():
    rng = np.random.default_rng(0)
    ax = axes()
    loss = 10.0 ** -np.linspace(0, 3, 1000) * rng.uniform(0.5, 1.5, 1000)
    plots.draw_curves(ax, [{"step": i, "train/loss": x} for i, x in enumerate(loss)], "loss")
    raw, smooth = (line.get_xydata() for line in ax.lines)
    np.testing.assert_allclose(raw[:, 1], loss)
    for step, value in smooth[::100]:
        assert value == pytest.approx(loss[int(step) - 10 : int(step) + 10].mean())
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize(
    "records",
    [
        RECORDS,
        RECORDS[:1],
        [{"step": 5, "validation/loss": 0.5}],
        [{"step": s, "train/loss": math.nan, "train/learning_rate": math.nan} for s in (1, 2)],
        [
            {"step": 0, "train/loss": 1.0, "train/learning_rate": 0.0},
            {"step": 1, "seconds/train": 2.0},
        ],
    ],
)
def test_learning_curves_of_many_and_few_records(records, tmp_path):
    assert pixels(plots.learning_curves(records, tmp_path / "curves.png")).shape[0] > 400


def test_records_without_a_loss():
    assert available_metrics(RECORDS) == ["loss", "accuracy"]
    steps, values = series([{"step": 3, "a": 1.0}, {"step": 4}], "a")
    assert (steps.tolist(), values.tolist()) == ([3], [1.0])
    with raises_input_error(
        "records: got ['a', 'step'], allowed: records with 'train/loss' or 'validation/loss'"
    ):
        plots.learning_curves([{"step": 3, "a": 1.0}], "nowhere.png")


def test_a_run_without_records_has_an_empty_panel(tmp_path):
    ax = axes()
    plots.draw_curves(ax, [], "loss")
    assert ax.get_title("left") + ax.get_title() == "loss: no records" and not ax.lines
    assert available_metrics([]) == ["loss"]
    for draw in (plots.learning_curves, plots.gan_curves):
        assert pixels(draw([], tmp_path / "curves.png")).shape[0] > 400


def test_gan_curves(tmp_path):
    names = ("discriminator_loss", "generator_loss", "score_real", "score_fake")
    rng = np.random.default_rng(0)
    records = [{"step": s, **{f"train/{name}": rng.normal() for name in names}} for s in range(300)]
    several = [
        {**record, "train/score_fake/0": 1.0, "train/score_fake/1": -1.0} for record in records[:5]
    ]
    long = pixels(plots.gan_curves(records, tmp_path / "long.png"))
    short = pixels(plots.gan_curves(several, tmp_path / "short.png"))
    assert long.shape == short.shape
    assert (long != short).any()
    with raises_input_error(
        "records: got ['step'], allowed: records with 'train/discriminator_loss'"
    ):
        plots.gan_curves([{"step": 1}], tmp_path / "none.png")


@pytest.mark.parametrize("records", [RECORDS, [{"step": 1, "train/loss": 1.0}]])
def test_overview(records, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((9, 8, 8, 1))
    probabilities = rng.dirichlet(np.ones(4), 9)
    path = plots.overview(
        images,
        rng.integers(0, 4, 9),
        probabilities,
        records,
        images.transpose(1, 2, 3, 0),
        tmp_path / "overview",
        ["cat", "dog", "owl", "ant"],
    )
    assert pixels(path).shape[:2] == (720, 1650)
