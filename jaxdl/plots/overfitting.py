"""Pictures of trainings that overfit: the best stop, random labels, regularizers side by side."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.curves import Records, members, series
from jaxdl.plots.page import BLUE, GREY, INK, LEGEND, PALETTE, RED, page, plain


def best_stop(records: Records, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draws training and validation loss over time, with the smallest validation loss marked.

    Args:
      records: metrics by step with "train/loss" and "validation/loss", as `learning_curves` takes
        them. With several seeds the lines are means, and those of the seeds are pale.
      path: path of the PNG file.
      title: one line above the picture. The default has the best step, its loss and the last loss.

    Returns:
      The path.

    Raises:
      InputError: records without a loss of training or of validation.

    Example:
      >>> import tempfile
      >>> losses = [(1, 2.0, 2.0), (2, 1.0, 1.5), (3, 0.2, 1.9)]
      >>> names = ("step", "train/loss", "validation/loss")
      >>> records = [dict(zip(names, each)) for each in losses]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     best_stop(records, f"{directory}/time.png").name
      'time.png'
    """
    lines = {}
    for name in ("train/loss", "validation/loss"):
        lines[name] = series(records, name)
        if not len(lines[name][0]):
            present = sorted({each for record in records for each in record})
            raise InputError("records", present, f"records with {name!r}")
    steps, losses = lines["validation/loss"]
    best = int(losses.argmin())
    if not title:
        title = (
            f"Least validation loss {losses[best]:.3g} at step {steps[best]:,}, "
            f"{losses[-1]:.3g} at the end"
        )
    with page(path, 6.8, 3.6) as figure:
        ax = figure.subplots()
        for (name, (x, y)), color in zip(lines.items(), (BLUE, RED), strict=True):
            for member in members(records, name):
                ax.plot(*series(records, member), color=color, alpha=0.3, linewidth=0.7)
            ax.plot(x, y, color=color, label=name.split("/")[0])
        top = 1.05 * max(losses.max(), 1.2 * losses[0])
        ax.axvspan(steps[best], steps[-1], color=RED, alpha=0.05, linewidth=0)
        ax.axvline(steps[best], color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
        ax.plot(steps[best], losses[best], "*", color=RED, markersize=11, markeredgecolor="white")
        ax.annotate(
            "best stop", (steps[best], losses[best]), (6, 8), textcoords="offset points", fontsize=9
        )
        ax.text(steps[-1], 0.97 * top, "overfitting ", ha="right", va="top", color=GREY)
        ax.set(xlim=(0, steps[-1]), ylim=(0, top), xlabel="step", ylabel="loss")
        ax.set_title(plain(title))
        ax.legend(loc="upper center", **LEGEND)
    return Path(path)


def error_curves(
    curves: Mapping[str, tuple[Int[np.ndarray, " T"], Float[np.ndarray, " T"]]],
    path: str | os.PathLike[str],
    *,
    new: Mapping[str, float] | None = None,
    chance: float | None = None,
    title: str = "",
) -> Path:
    """Draws training errors over time, with the error on new examples at the end of each line.

    Args:
      curves: steps `[T]` and errors `[T]` in [0, 1], by name, such as "true labels".
      path: path of the PNG file.
      new: error on new examples by the same names.
      chance: error of guessing, in [0, 1].
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no curves, or an error of an unknown name.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = f"{directory}/labels.png"
      ...     error_curves({"true": ([1, 2], [0.5, 0.0])}, file, new={"true": 0.1}).name
      'labels.png'
    """
    new = new or {}
    if not curves or not set(new) <= set(curves):
        raise InputError("curves", list(curves), f"at least one, and those of new: {list(new)}")
    with page(path, 6.8, 3.5) as figure:
        ax = figure.subplots()
        last = max(np.max(steps) for steps, _ in curves.values())
        for i, (name, (steps, errors)) in enumerate(curves.items()):
            color = PALETTE[(3, 0, 2, 1)[i % 4]]
            ax.plot(steps, 100 * np.asarray(errors), color=color, label=f"training, {plain(name)}")
            if name in new:
                value = 100 * new[name]
                # The marker is at the end of the line, behind the last step.
                ax.plot(1.03 * last, value, "D", color=color, clip_on=False)
                ax.annotate(
                    f"{value:.1f} %",
                    (1.03 * last, value),
                    (7, -3),
                    textcoords="offset points",
                    annotation_clip=False,
                )
        if new:
            ax.plot([], [], "D", color=GREY, label="new examples")
        if chance is not None:
            ax.axhline(100 * chance, color=INK, linewidth=0.9, linestyle=":", label="guessing")
        ax.set(xlim=(0, 1.03 * last), ylim=(-2, 102), xlabel="step", ylabel="wrong answers, %")
        ax.set_title(plain(title))
        ax.legend(loc="center right", **LEGEND)
    return Path(path)


def spread_bars(
    values: Mapping[str, Float[np.ndarray, " S"]],
    path: str | os.PathLike[str],
    *,
    label: str = "test error, %",
    reference: str | None = None,
    title: str = "",
) -> Path:
    """Draws the mean of each row as a bar, with the values of the seeds as points.

    The number behind a bar is the mean with the standard deviation over the seeds.

    Args:
      values: `[S]` by name, from top to bottom.
      path: path of the PNG file.
      label: words for the values.
      reference: name of a row, whose mean is a line through all rows. None draws no line.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no values, or an unknown reference.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     spread_bars({"none": np.array([9.0, 8.0])}, f"{directory}/bars.png").name
      'bars.png'
    """
    if not values or any(np.ndim(each) != 1 or not np.size(each) for each in values.values()):
        raise InputError("values", list(values), "numbers [S] for at least one name")
    if reference is not None and reference not in values:
        raise InputError("reference", reference, f"one of {list(values)}")
    means = {name: float(np.mean(each)) for name, each in values.items()}
    best = min(means, key=lambda name: means[name])
    largest = max(float(np.max(each)) for each in values.values())
    with page(path, 6.8, 0.36 * len(values) + 1.1) as figure:
        ax = figure.subplots()
        for row, (name, each) in enumerate(values.items()):
            color = PALETTE[2] if name == best else BLUE
            if name == reference:
                color = GREY
            ax.barh(row, means[name], 0.62, color=color, alpha=0.85)
            ax.plot(each, np.full(len(each), row), "o", color=INK, markersize=2.6)
            text = f"{means[name]:.1f}"
            if len(each) > 1:
                text += f" ± {np.std(each, ddof=1):.1f}"
            ax.annotate(
                text, (max(each), row), (6, 0), textcoords="offset points", va="center", fontsize=8
            )
        if reference is not None:
            ax.axvline(means[reference], color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
        ax.set_yticks(range(len(values)), [plain(name) for name in values])
        ax.invert_yaxis()
        ax.grid(visible=False, axis="y")
        ax.set(xlim=(0, 1.18 * largest), xlabel=plain(label))
        ax.set_title(plain(title))
    return Path(path)
