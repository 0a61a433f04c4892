"""Misclassified examples."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.images import Images, draw_image_grid, grid_size
from jaxdl.plots.matrix import class_names
from jaxdl.plots.page import page
from jaxdl.reports.checks import check_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def worst(
    label: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N K"], count: int
) -> Int[np.ndarray, " M"]:
    """Returns the rows of the worst mistakes.

    A mistake is an example whose most probable class is wrong. It is worse, the less probable its
    true class is.

    Args:
      label: `[N]`, true classes in [0, K).
      probabilities: `[N, K]`, predicted probabilities of the classes.
      count: maximum number of rows.

    Returns:
      `[M]`, M at most `count`, the worst first; equally bad rows in ascending order.

    Raises:
      InputError: different lengths, or a label outside [0, K).

    Example:
      >>> worst(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.3, 0.7]]), 5).tolist()
      [1, 0]
    """
    label = np.asarray(label)
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or probabilities.shape[:1] != label.shape:
        raise InputError(
            "probabilities", probabilities.shape, f"the shape [N, K] for labels {label.shape}"
        )
    check_classes("label", label, probabilities.shape[1])
    rows = np.flatnonzero(probabilities.argmax(1) != label)
    return rows[np.argsort(probabilities[rows, label[rows]], kind="stable")][:count]


def mistakes(
    images: Images,
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    path: str | os.PathLike[str],
    count: int = 25,
    names: Sequence[str] | None = None,
) -> Path:
    """Draws the images of the worst mistakes.

    A title contains the true class, the predicted class and its probability: "7 → 1 (98 %)".

    Args:
      images: `[N, H, W, C]`, C 1 or 3, in the ranges of `image_grid`.
      label: `[N]`, true classes in [0, K).
      probabilities: `[N, K]`, predicted probabilities of the classes.
      path: path of the PNG file.
      count: maximum number of images.
      names: names of the classes; None means their numbers.

    Returns:
      The path. Without mistakes the picture contains a sentence instead of images.

    Raises:
      InputError: different lengths, or a label outside [0, K).

    Example:
      >>> import tempfile
      >>> images = np.zeros((1, 8, 8, 1))
      >>> probabilities = np.array([[0.4, 0.6]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     mistakes(images, np.array([0]), probabilities, f"{directory}/mistakes.png").name
      'mistakes.png'
    """
    images = np.asarray(images)
    rows = worst(label, probabilities, count)
    width = 3.6
    height = 0.9
    if len(rows):
        width, height = grid_size(images[rows], None, _titles(rows, label, probabilities, names))
    with page(path, max(width, 3.6), height + 0.35) as figure:
        draw_mistakes(figure.subplots(), images, label, probabilities, count, names)
    return Path(path)


def draw_mistakes(
    ax: "Axes",
    images: Images,
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    count: int = 25,
    names: Sequence[str] | None = None,
) -> None:
    """Draws the worst mistakes on `ax`; see `mistakes` for the other arguments."""
    images = np.asarray(images)
    rows = worst(label, probabilities, count)
    total = len(label)
    if len(images) != total:
        raise InputError("images", images.shape, f"one for each of {total} labels")
    wrong = len(worst(label, probabilities, total))
    if not wrong:
        text = f"no mistakes: all {total:,} correct"
        ax.set_axis_off()
        ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=11)
        return
    draw_image_grid(ax, images[rows], None, _titles(rows, label, probabilities, names))
    selection = f"the worst {len(rows)} of {wrong:,}"
    if len(rows) == wrong:
        selection = f"all {wrong:,}"
    ax.set_title(f"true → predicted: {selection} mistakes in {total:,}", fontsize=9)


def _titles(
    rows: np.ndarray, label: np.ndarray, probabilities: np.ndarray, names: Sequence[str] | None
) -> list[str]:
    """Returns titles with true class, predicted class and its probability."""
    label = np.asarray(label)[rows]
    probabilities = np.asarray(probabilities)[rows]
    names = class_names(names, probabilities.shape[1])
    predicted = probabilities.argmax(1)
    return [
        f"{names[t]} → {names[p]} ({q[p]:.0%})".replace("%", " %")
        for t, p, q in zip(label, predicted, probabilities, strict=True)
    ]
