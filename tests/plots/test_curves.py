"""Curves show the numbers that were written."""

import math

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.curves import drawable, series
from tests.plots.pictures import RECORDS, axes, pixels, refused


def test_curves_show_every_point():
    ax = axes()
    plots.draw_curves(ax, RECORDS, "loss")
    drawn = {line.get_label(): line for line in ax.lines}
    assert set(drawn) == {"train", "validation"}
    for part, factor in (("train", 2.0), ("validation", 2.5)):
        np.testing.assert_allclose(drawn[part].get_xydata(), [(s, factor / s) for s in range(1, 9)])
    assert ax.get_yscale() == "linear"


def test_long_curves_get_their_running_mean_and_a_far_fall_a_logarithm():
    draw = np.random.default_rng(0)
    ax = axes()
    loss = 10.0 ** -np.linspace(0, 3, 1000) * draw.uniform(0.5, 1.5, 1000)
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
def test_learning_curves_of_much_and_little(records, tmp_path):
    assert pixels(plots.learning_curves(records, tmp_path / "curves.png")).shape[0] > 400


def test_records_without_a_loss():
    assert drawable(RECORDS) == ["loss", "accuracy"]
    steps, values = series([{"step": 3, "a": 1.0}, {"step": 4}], "a")
    assert (steps.tolist(), values.tolist()) == ([3], [1.0])
    with refused(
        "records: got ['a', 'step'], allowed: records with 'train/loss' or 'validation/loss'"
    ):
        plots.learning_curves([{"step": 3, "a": 1.0}], "nowhere.png")


def test_curves_of_a_game(tmp_path):
    names = ("discriminator_loss", "generator_loss", "score_real", "score_fake")
    draw = np.random.default_rng(0)
    records = [
        {"step": s, **{f"train/{name}": draw.normal() for name in names}} for s in range(300)
    ]
    several = [
        {**record, "train/score_fake/0": 1.0, "train/score_fake/1": -1.0} for record in records[:5]
    ]
    long, short = (
        pixels(plots.gan_curves(r, tmp_path / f"{len(r)}.png")) for r in (records, several)
    )
    assert long.shape == short.shape
    assert (long != short).any()
    with refused("records: got ['step'], allowed: records with 'train/discriminator_loss'"):
        plots.gan_curves([{"step": 1}], tmp_path / "none.png")
