"""Pictures of confusion matrices."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, font_size, page, plain, size_in_inches
from jaxdl.reports.confusion import confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_matrix(
    label: Int[np.ndarray, " N"],
    prediction: Int[np.ndarray, " N"],
    classes: int,
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    title: str | None = None,
    shares: bool = False,
) -> Path:
    """Draws a confusion matrix.

    Each cell contains a count and is coloured by the count's share of its row.

    Args:
      label: `[N]`, true classes in [0, classes).
      prediction: `[N]`, predicted classes in [0, classes).
      classes: number of classes.
      path: path of the PNG file.
      names: names of the classes; None means their numbers.
      title: title of the picture. None states the accuracy.
      shares: if True, a cell contains the count's share of its row in percent.

    Returns:
      The path.

    Raises:
      InputError: see `jaxdl.reports.confusion`; also if the number of names differs from `classes`.

    Example:
      >>> import tempfile
      >>> label = np.array([0, 1, 1])
      >>> prediction = np.array([0, 1, 0])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     confusion_matrix(label, prediction, 2, f"{directory}/confusion.png").name
      'confusion.png'
    """
    counts = confusion(label, prediction, classes)
    longest = max(map(len, class_names(names, classes)))
    side = min(max(0.42 * classes, 2.6), 9.0)
    margin = 0.6 + 0.07 * longest
    with page(path, side + margin + 0.7, side + margin + 0.2) as figure:
        draw_confusion_matrix(figure.subplots(), counts, names, title, shares)
    return Path(path)


def draw_confusion_matrix(
    ax: "Axes",
    counts: Int[np.ndarray, "K K"],
    names: Sequence[str] | None = None,
    title: str | None = None,
    shares: bool = False,
) -> None:
    """Draws the counts that `jaxdl.reports.confusion` returns on `ax`.

    See `confusion_matrix` for the other arguments.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    classes = len(counts)
    if title is None:
        total = counts.sum()
        title = f"{100 * np.trace(counts) / max(total, 1):.2f} % of {total:,} correct"
    names = class_names(names, classes)
    rates = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The square root makes rare mistakes visible.
    image = ax.imshow(rates, "Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    ticks = np.arange(0, classes, -(-classes // 40))
    # Names of seven letters fit below cells of 0.42 inches if there are few classes.
    long = max(map(len, names)) > max(3, 24 // classes)
    ax.set_xticks(ticks, [names[i] for i in ticks], rotation=90 * long)
    ax.set_yticks(ticks, [names[i] for i in ticks])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    unit = ", in % of each true class" if shares else ""
    ax.set(xlabel=f"predicted class{unit}", ylabel="true class", title=title)
    bar = ax.figure.colorbar(
        image, ax=ax, shrink=0.6, aspect=18, format=PercentFormatter(1.0, symbol=" %")
    )
    bar.set_label("share of the true class")
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1])
    bar.outline.set_visible(False)
    written = counts.astype(str)
    if shares:
        written = np.array([[_percent(rate) for rate in row] for row in rates])
    _write_cells(ax, written, rates)


def _percent(share: float) -> str:
    """Returns a share in percent with two digits, without its unit.

    Example:
      >>> _percent(0.5), _percent(0.004), _percent(0.0001)
      ('50', '0.4', '<0.1')
    """
    if 0 < share < 0.0005:
        return "<0.1"
    if share < 0.0995:
        return f"{100 * share:.1f}"
    return f"{100 * share:.0f}"


def _write_cells(ax: "Axes", written: np.ndarray, rates: np.ndarray) -> None:
    """Writes texts into the cells whose rate is not 0, if they can be read there."""
    cell = min(size_in_inches(ax)) / len(rates)
    size = font_size(cell / 1.2, max(map(len, written.flat)), 9.0)
    if size < 4.5:
        return
    for i, j in np.argwhere(rates):
        color = "white" if rates[i, j] > 0.3 else INK
        ax.text(j, i, written[i, j], ha="center", va="center", fontsize=size, color=color)


def class_names(names: Sequence[str] | None, classes: int) -> list[str]:
    """Returns the names of the classes, or their numbers if `names` is None.

    A dollar sign is escaped, so that Matplotlib reads no formula.

    Example:
      >>> class_names(None, 3)
      ['0', '1', '2']
    """
    if names is None:
        return [str(number) for number in range(classes)]
    if len(names) != classes:
        raise InputError("names", len(names), f"as many as classes, {classes}")
    return [plain(str(name)) for name in names]
