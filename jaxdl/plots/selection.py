"""Pictures of model selection: the curve of the learning-rate finder, and scores of folds."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.plots.page import BLUE, GREY, RED, page


def rate_curve(
    rates: Float[np.ndarray, " S"],
    losses: Float[np.ndarray, " S"],
    smoothed: Float[np.ndarray, " S"],
    used: int,
    suggestion: float | None,
    path: str | os.PathLike[str],
    *,
    rule: str = "steepest",
) -> Path:
    """Draws the loss of each step over its learning rate, and the suggested rate.

    Args:
      rates: `[S]`, rates of the steps.
      losses: `[S]`, losses of the steps; NaN is left out.
      smoothed: `[S]`, their running mean.
      used: number of the first points that the rule read, until the minimum.
      suggestion: suggested rate; None without one.
      path: path of the PNG file.
      rule: name of the rule.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> rates = np.geomspace(1e-4, 1, 5)
      >>> losses = np.array([2.0, 1.9, 1.0, 0.9, 3.0])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     rate_curve(rates, losses, losses, 4, 0.01, f"{directory}/rate.png").name
      'rate.png'
    """
    path = Path(path)
    with page(path, 6, 3.6) as figure:
        ax = figure.subplots()
        ax.plot(rates, losses, ".", color=GREY, markersize=4, label="loss of a step")
        ax.plot(rates[:used], smoothed[:used], color=BLUE, label="running mean, until its minimum")
        after = slice(max(used - 1, 0), None)
        ax.plot(rates[after], smoothed[after], color=GREY, linewidth=1, label="after it")
        title = "no suggestion: the loss never falls"
        if suggestion is not None:
            ax.axvline(suggestion, color=RED, linewidth=1.2)
            height = float(np.interp(np.log(suggestion), np.log(rates[:used]), smoothed[:used]))
            ax.plot([suggestion], [height], "o", color=RED, label=f"{suggestion:.2g}, rule {rule}")
            title = f"suggested learning rate {suggestion:.2g}"
        ax.set_title(title)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate, which rises at every step")
        ax.set_ylabel("training loss")
        if used:
            seen = smoothed[:used]
            margin = 0.1 * (np.ptp(seen) + 1e-3)
            top = max(float(np.nanmax(losses[:used])), float(seen.max()))
            ax.set_ylim(min(float(np.nanmin(losses[:used])), seen.min()) - margin, top + margin)
        ax.legend()
    return path


def fold_scores(
    scores: Float[np.ndarray, " K"] | Float[np.ndarray, "S K"],
    name: str,
    path: str | os.PathLike[str],
) -> Path:
    """Draws the score of each fold, with the mean and standard deviation of all scores.

    Args:
      scores: `[K]`, one score per fold, or `[S, K]` of S seeds.
      name: name of the metric; an accuracy is shown in percent.
      path: path of the PNG file.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     fold_scores(np.array([0.9, 0.8]), "accuracy", f"{directory}/folds.png").name
      'folds.png'
    """
    path = Path(path)
    unit = ""
    values = np.atleast_2d(np.asarray(scores, np.float64))
    if name.endswith("accuracy"):
        unit = " %"
        values = 100 * values
    seeds, count = values.shape
    mean = values.mean()
    spread = values.std(ddof=1)
    with page(path, 5, 3.2) as figure:
        ax = figure.subplots()
        folds = np.arange(count)
        ax.axhspan(mean - spread, mean + spread, color=BLUE, alpha=0.15, linewidth=0)
        ax.axhline(mean, color=BLUE, label="mean ± standard deviation")
        each = "held-out fold"
        title = f"{name} of {count} folds"
        if seeds > 1:
            each = "seed of a held-out fold; numbers: means"
            title += f" and {seeds} seeds"
        ax.plot(np.tile(folds, seeds), values.ravel(), "o", color=RED, label=each)
        for fold, of_fold in zip(folds, values.T, strict=True):
            ax.annotate(
                f"{of_fold.mean():.4g}",
                (fold, of_fold.max()),
                (0, 6),
                textcoords="offset points",
                ha="center",
            )
        ax.set_title(f"{title}: {mean:.4g} ± {spread:.2g}{unit}")
        ax.set_xlabel("fold that was held out")
        ax.set_ylabel(name + unit)
        ax.set_xticks(folds)
        ax.margins(x=0.1, y=0.25)
        ax.legend(loc="lower right")
    return path
