"""ROC curves and precision-recall curves: predictions at every threshold."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.matrix import class_names
from jaxdl.plots.page import GREY, INK, LEGEND, PALETTE, page
from jaxdl.reports.checks import Mask
from jaxdl.reports.probabilities import (
    average_precision,
    over_classes,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Number of classes with a curve, those with the smallest areas.
MOST = 5

#: Sides of the part of the unit square in a picture. Curves of good classifiers need a small part.
SIDES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

#: Points at which the mean of the curves of all classes is computed.
GRID = np.linspace(0.0, 1.0, 1001)


class Curve(NamedTuple):
    """A curve with the area below it.

    Attributes:
      name: name of its class.
      x: `[T]`, ascending.
      y: `[T]`.
      area: area below the curve.
    """

    name: str
    x: Float[np.ndarray, " T"]
    y: Float[np.ndarray, " T"]
    area: float


def roc_curves(
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    mask: Mask | None = None,
) -> Path:
    """Draws ROC curves on the left, and precision-recall curves on the right.

    Of two classes, class 1 is the positive one. Of more, each class is compared with all others:
    the picture has the mean over the classes, and the curves of the five with the smallest areas.
    Dashed lines are random predictions. If all curves pass near the corner of perfect predictions,
    only the part around it is in the picture.

    Args:
      label: `[N]`, true classes in [0, K), at least two different ones.
      probabilities: `[N, K]`, predicted probabilities of the classes.
      path: path of the PNG file.
      names: names of the classes; None means their numbers.
      mask: `[N]`, weights of the examples. None means 1 for each.

    Returns:
      The path.

    Raises:
      InputError: a bad argument, or only one class among the labels.

    Example:
      >>> import tempfile
      >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], 50)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     roc_curves(p.argmax(1), p, f"{directory}/roc.png", ["cat", "dog", "owl"]).name
      'roc.png'
    """
    label = np.asarray(label)
    p = np.asarray(probabilities)
    areas = roc_auc(p, label, mask)
    if np.isnan(areas).all():
        raise InputError("label", f"only class {label[0]}", "examples of at least two classes")
    names = class_names(names, p.shape[1])
    with page(path, 8.6, 4.2) as figure:
        left, right = figure.subplots(1, 2)
        draw_roc_curves(left, label, p, names, mask)
        draw_precision_recall_curves(right, label, p, names, mask)
    return Path(path)


def draw_roc_curves(
    ax: "Axes",
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    names: Sequence[str],
    mask: Mask | None = None,
) -> None:
    """Draws ROC curves on `ax`; see `roc_curves` for the other arguments."""
    areas = roc_auc(probabilities, label, mask)

    def curve_of(k: int) -> Curve:
        """Returns the curve of one class."""
        return Curve(names[k], *roc_curve(probabilities[:, k], label == k, mask), areas[k])

    drawn = [curve_of(k) for k in _worst(areas)]
    if len(areas) > 2:
        # At a rate of 0 a curve is vertical, and the interpolation takes its upper end.
        mean = _mean(areas, lambda k: np.interp(GRID, *curve_of(k)[1:3]))
        x = np.concatenate([[0.0], GRID])
        drawn.append(Curve("mean", x, np.concatenate([[0.0], mean]), over_classes(areas)))
    _draw(ax, drawn, "AUC")
    side = _side([float((1 - curve.y + curve.x).min()) / 2 for curve in drawn])
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    margin = 0.02 * side
    ax.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(-margin, side),
        ylim=(1 - side, 1 + margin),
        title=_title("ROC: area", over_classes(areas), names),
    )
    _draw_legend(ax, len(areas), "lower right")


def draw_precision_recall_curves(
    ax: "Axes",
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    names: Sequence[str],
    mask: Mask | None = None,
) -> None:
    """Draws precision-recall curves on `ax`; see `roc_curves` for the other arguments."""
    areas = average_precision(probabilities, label, mask)

    def curve_of(k: int) -> Curve:
        """Returns the curve of one class."""
        recall, precision = precision_recall_curve(probabilities[:, k], label == k, mask)
        # Of several thresholds with one recall, the highest has the largest precision.
        x, first = np.unique(recall[::-1], return_index=True)
        return Curve(names[k], x, precision[::-1][first], areas[k])

    drawn = [curve_of(k) for k in _worst(areas)]
    if len(areas) > 2:
        mean = _mean(areas, lambda k: _step(curve_of(k)))
        drawn.append(Curve("mean", GRID, mean, over_classes(areas)))
    _draw(ax, drawn, "AP", drawstyle="steps-pre")
    side = _side([float(np.maximum(1 - curve.x, 1 - curve.y).min()) for curve in drawn])
    chance = 1 / len(areas)
    if len(areas) == 2:
        chance = float(np.average(label == 1, weights=mask))
    ax.axhline(chance, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    margin = 0.02 * side
    ax.set(
        xlabel="recall",
        ylabel="precision",
        xlim=(1 - side, 1 + margin),
        ylim=(1 - side, 1 + margin),
        title=_title("average precision", over_classes(areas), names),
    )
    _draw_legend(ax, len(areas), "lower left")


def _worst(areas: Float[np.ndarray, " K"]) -> list[int]:
    """Returns the classes with a curve: class 1 of two, or those with the smallest areas."""
    if len(areas) == 2:
        return [1]
    present = int((~np.isnan(areas)).sum())
    return np.argsort(areas)[: min(MOST, present)].tolist()


def _mean(
    areas: Float[np.ndarray, " K"], curve: Callable[[int], Float[np.ndarray, " G"]]
) -> Float[np.ndarray, " G"]:
    """Returns the mean of the curves of all classes that have an area, one after the other."""
    present = np.flatnonzero(~np.isnan(areas)).tolist()
    total = np.zeros(len(GRID))
    for k in present:
        total += curve(k)
    return total / len(present)


def _step(curve: Curve) -> Float[np.ndarray, " G"]:
    """Returns the precision at each recall of `GRID`: that of the next larger recall."""
    return curve.y[np.searchsorted(curve.x, GRID, side="left")]


def _side(errors: Sequence[float]) -> float:
    """Returns the side of the part around the corner that has room for all curves.

    Args:
      errors: distance of each curve from the corner, along an axis.
    """
    return next((side for side in SIDES if side >= 4 * max(errors)), 1.0)


def _draw(ax: "Axes", curves: Sequence[Curve], area: str, **style: Any) -> None:
    """Draws curves, whose legend has their names and areas; the mean is black."""
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    for curve, color in zip(curves, PALETTE, strict=False):
        width = 1.3
        if curve.name == "mean":
            color = INK
            width = 2.2
        text = f"{curve.name}: {area} {curve.area:.4f}"
        ax.plot(curve.x, curve.y, color=color, linewidth=width, label=text, **style)


def _draw_legend(ax: "Axes", classes: int, place: Literal["lower left", "lower right"]) -> None:
    """Draws the legend, with words for the choice if not all classes have a curve."""
    words = f"the smallest of {classes} classes" if classes > MOST else None
    ax.legend(loc=place, title=words, title_fontsize=8, alignment="left", **LEGEND)


def _title(what: str, area: float, names: Sequence[str]) -> str:
    """Returns the title with the area of class 1 of two, or the mean over classes."""
    if len(names) == 2:
        return f"{what} {area:.4f} for class {names[1]}"
    return f"{what} {area:.4f}, the mean of {len(names)} classes"
