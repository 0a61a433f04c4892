"""Pictures of model selection contain their numbers."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import pixels

RATES = np.geomspace(1e-4, 1, 9)
LOSSES = np.array([2.0, 1.9, 1.8, 1.2, 1.0, 0.9, 1.1, 5.0, np.nan])


def test_a_suggested_rate_is_in_the_title_and_on_the_curve(tmp_path, drawn):
    pixels(plots.rate_curve(RATES, LOSSES, LOSSES, 7, 3.2e-3, tmp_path / "rate.png"))
    (ax,) = drawn
    assert ax.get_title(loc="left") == "suggested learning rate 0.0032"
    assert ax.get_xlabel() == "learning rate, which rises at every step"
    (mark,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert list(mark.get_xdata()) == [3.2e-3]
    np.testing.assert_allclose(mark.get_ydata(), 1.2, rtol=0.01)
    low, high = ax.get_ylim()
    assert low < 0.9 and 2.0 < high < 5.0


def test_a_curve_without_a_suggestion(tmp_path, drawn):
    pixels(plots.rate_curve(RATES, LOSSES, LOSSES, 0, None, tmp_path / "rate.png"))
    assert drawn[0].get_title(loc="left") == "no suggestion: the loss never falls"


def test_scores_of_folds_with_their_spread(tmp_path, drawn):
    pixels(plots.fold_scores(np.array([0.5, 0.7]), "accuracy", tmp_path / "folds.png"))
    (ax,) = drawn
    assert ax.get_title(loc="left") == "accuracy of 2 folds: 60 ± 14 %"
    assert {text.get_text() for text in ax.texts} == {"50", "70"}


def test_losses_of_folds_have_no_percent(tmp_path, drawn):
    pixels(plots.fold_scores(np.array([0.5, 0.7]), "loss", tmp_path / "folds.png"))
    assert drawn[0].get_title(loc="left") == "loss of 2 folds: 0.6 ± 0.14"


def test_scores_of_folds_and_seeds(tmp_path, drawn):
    scores = np.array([[0.5, 0.7], [0.6, 0.8]])
    pixels(plots.fold_scores(scores, "accuracy", tmp_path / "folds.png"))
    (ax,) = drawn
    assert ax.get_title(loc="left") == "accuracy of 2 folds and 2 seeds: 65 ± 13 %"
    assert {text.get_text() for text in ax.texts} == {"55", "75"}
    assert len(ax.lines[-1].get_xdata()) == 4
