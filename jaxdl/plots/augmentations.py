"""Pictures of augmentations: an image beside random changes of it, and accuracies with each."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture
from jaxdl.plots.page import BLUE, GREY, INK, page, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Height of an image in inches.
SIDE = 0.62

#: Characters per inch of a label at the left of a row.
PER_INCH = 12.0

#: Most characters of a line of such a label.
WIDEST = 20


def augmentation_rows(
    rows: Mapping[str, Float[np.ndarray, "N H W C"]],
    path: str | os.PathLike[str],
    title: str,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Draws one row for each augmentation: an image, and random changes of it.

    Args:
      rows: `{name: [N, H, W, C]}`. The first image of a row is the original, which has a frame.
        Pixels are clipped to [0, 1].
      path: path of the PNG file.
      title: words above the picture.
      captions: `{name: [N texts]}`, small words below the images of a row, of one or two
        lines; rows may be missing.

    Returns:
      The path.

    Raises:
      InputError: no rows, or rows of different lengths.

    Example:
      >>> import tempfile
      >>> rows = {"shift=1": np.zeros((3, 4, 4, 1)), "cutout=2": np.ones((3, 4, 4, 1))}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     augmentation_rows(rows, f"{directory}/rows.png", "Two augmentations").name
      'rows.png'
    """
    lengths = {len(images) for images in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        shown = {name: len(images) for name, images in rows.items()}
        raise InputError("rows", shown, "rows of one length, at least one image each")
    captions = captions or {}
    count = lengths.pop()
    left = min(max(map(len, rows)), WIDEST) / PER_INCH
    # Two columns of rows fit a page that is projected.
    columns = 1 + (len(rows) > 6)
    lines = -(-len(rows) // columns)
    small = any(captions.values())
    width = columns * (left + count * (SIDE + 0.05) + 0.1)
    with page(path, width, lines * (SIDE + 0.06 + 0.2 * small) + 0.45) as figure:
        axes = figure.subplots(lines, columns * count, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for i, (name, images) in enumerate(rows.items()):
            first = i // lines * count
            row = axes[i % lines, first : first + count]
            texts = captions.get(name, [""] * count)
            for ax, image, text in zip(row, images, texts, strict=True):
                _draw(ax, image, text)
            _frame(row[0], name)
        text = wrapped(title, width - 0.2, 10.0)
        figure.suptitle(text, fontsize=10.0, x=0.01, ha="left", color=INK)
    return Path(path)


def _draw(ax: "Axes", image: Float[np.ndarray, "H W C"], text: str) -> None:
    """Draws an image with words below it."""
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.imshow(np.clip(as_picture(image), 0, 1), cmap="gray", vmin=0, vmax=1)
    if text:
        lines = "\n".join(plain(line) for line in text.splitlines())
        ax.set_xlabel(lines, fontsize=5.5, labelpad=1)


def _frame(ax: "Axes", name: str) -> None:
    """Draws a frame around an original, and the name of its row."""
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(BLUE)
        spine.set_linewidth(1.5)
    lines = textwrap.fill(name.replace(",", ", "), WIDEST)
    ax.set_ylabel(
        "\n".join(plain(line) for line in lines.splitlines()),
        rotation=0,
        ha="right",
        va="center",
        fontsize=8,
    )


def accuracy_dots(
    accuracies: Mapping[str, Float[np.ndarray, " S"]],
    path: str | os.PathLike[str],
    title: str,
    baseline: str | None = None,
) -> Path:
    """Draws the accuracy of each seed as a dot, with one row for each method and its mean.

    Args:
      accuracies: `{method: [S]}` in [0, 1], from top to bottom.
      path: path of the PNG file.
      title: words above the picture.
      baseline: method whose mean is a vertical line; None means none.

    Returns:
      The path.

    Raises:
      InputError: no methods.

    Example:
      >>> import tempfile
      >>> accuracies = {"none": np.array([0.9, 0.92]), "shift=1": np.array([0.95, 0.96])}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     accuracy_dots(accuracies, f"{directory}/dots.png", "With and without", "none").name
      'dots.png'
    """
    if not accuracies:
        raise InputError("accuracies", {}, "at least one method")
    names = list(accuracies)
    with page(path, 7.0, 1.1 + 0.32 * len(names)) as figure:
        ax = figure.subplots()
        if baseline is not None and baseline in accuracies:
            mean = 100 * float(np.mean(accuracies[baseline]))
            ax.axvline(mean, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2)
        for row, values in enumerate(accuracies.values()):
            percent = 100 * np.asarray(values)
            mean = float(percent.mean())
            ax.plot(percent, np.full(len(percent), row), "o", color=BLUE, alpha=0.5, markersize=5)
            ax.plot([mean, mean], [row - 0.3, row + 0.3], color=INK, linewidth=2)
            text = f"{mean:.2f}"
            if len(percent) > 1:
                text += f" ± {percent.std(ddof=1):.2f}"
            ax.annotate(
                text,
                (1.0, row),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        ax.set_yticks(range(len(names)), [plain(name) for name in names])
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_xlabel("test accuracy (%); a dot for each seed, a bar for the mean")
        figure.suptitle(plain(title), fontsize=10, x=0.01, ha="left", color=INK)
    return Path(path)
