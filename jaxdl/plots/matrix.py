"""Confusion matrices."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, font_size, page, plain, size_in_inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion(
    label: Int[np.ndarray, " N"], prediction: Int[np.ndarray, " N"], classes: int
) -> Int[np.ndarray, "K K"]:
    """Counts the examples of each pair of true and predicted class.

        m[i, j] = #{n: label_n = i, prediction_n = j}

    Args:
      label: `[N]`, true classes in [0, classes).
      prediction: `[N]`, predicted classes in [0, classes).
      classes: number of classes.

    Returns:
      `[classes, classes]`, with true classes in rows and predicted classes in columns.

    Raises:
      InputError: different lengths, values that are not integers, or a class outside [0, classes).

    Example:
      >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
      [[1, 0], [1, 1]]
    """
    label = np.asarray(label)
    prediction = np.asarray(prediction)
    if label.shape != prediction.shape or label.ndim != 1:
        raise InputError("prediction", prediction.shape, f"one for each label, {label.shape}")
    check_classes("label", label, classes)
    check_classes("prediction", prediction, classes)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (label, prediction), 1)
    return counts


def confusion_matrix(
    label: Int[np.ndarray, " N"],
    prediction: Int[np.ndarray, " N"],
    classes: int,
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
) -> Path:
    """Draws a confusion matrix.

    Each cell contains a count and is coloured by the count's share of its row. The title states
    the accuracy.

    Args:
      label: `[N]`, true classes in [0, classes).
      prediction: `[N]`, predicted classes in [0, classes).
      classes: number of classes.
      path: path of the PNG file.
      names: names of the classes; None means their numbers.

    Returns:
      The path.

    Raises:
      InputError: see `confusion`; also if the number of names differs from `classes`.

    Example:
      >>> import tempfile
      >>> label = np.array([0, 1, 1])
      >>> prediction = np.array([0, 1, 0])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     confusion_matrix(label, prediction, 2, f"{directory}/confusion.png").name
      'confusion.png'
    """
    counts = confusion(label, prediction, classes)
    names = class_names(names, classes)
    side = min(max(0.42 * classes, 2.6), 9.0)
    margin = 0.6 + 0.07 * max(map(len, names))
    with page(path, side + margin + 0.7, side + margin + 0.2) as figure:
        draw_confusion_matrix(figure.subplots(), counts, names)
    return Path(path)


def draw_confusion_matrix(
    ax: "Axes", counts: Int[np.ndarray, "K K"], names: Sequence[str] | None = None
) -> None:
    """Draws the counts that `confusion` returns on `ax`."""
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    classes = len(counts)
    total = max(counts.sum(), 1)
    names = class_names(names, classes)
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The square root makes rare mistakes visible.
    image = ax.imshow(rates, "Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    ticks = np.arange(0, classes, -(-classes // 40))
    long = max(map(len, names)) > 3
    ax.set_xticks(ticks, [names[i] for i in ticks], rotation=90 * long)
    ax.set_yticks(ticks, [names[i] for i in ticks])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set(
        xlabel="predicted class",
        ylabel="true class",
        title=f"{100 * np.trace(counts) / total:.2f} % of {total:,} correct",
    )
    bar = ax.figure.colorbar(
        image, ax=ax, shrink=0.6, aspect=18, format=PercentFormatter(1.0, symbol=" %")
    )
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1])
    bar.outline.set_visible(False)
    _write_counts(ax, counts, rates)


def _write_counts(ax: "Axes", counts: np.ndarray, rates: np.ndarray) -> None:
    """Writes the counts that are not 0 into their cells, if they can be read there."""
    cell = min(size_in_inches(ax)) / len(counts)
    size = font_size(cell / 1.2, len(str(counts.max())), 9.0)
    if size < 4.5:
        return
    for i, j in np.argwhere(counts):
        color = "white" if rates[i, j] > 0.3 else INK
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=size, color=color)


def class_names(names: Sequence[str] | None, classes: int) -> list[str]:
    """Returns the names of the classes, or their numbers if `names` is None.

    Example:
      >>> class_names(None, 3)
      ['0', '1', '2']
    """
    if names is None:
        return [str(number) for number in range(classes)]
    if len(names) != classes:
        raise InputError("names", len(names), f"as many as classes, {classes}")
    return [plain(str(name)) for name in names]


def check_classes(field: str, values: Int[np.ndarray, " N"], classes: int) -> None:
    """Raises an error unless every value is an integer in [0, classes).

    Example:
      >>> check_classes("label", np.array([0, 1]), 2)
    """
    if values.dtype.kind not in "iu":
        raise InputError(f"{field} dtype", values.dtype.name, f"integers in [0, {classes})")
    outside = values[(values < 0) | (values >= classes)]
    if outside.size:
        raise InputError(field, int(outside[0]), f"integers in [0, {classes})")
