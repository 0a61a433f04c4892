"""The examples that a classifier gets wrong."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.images import Images, draw_image_grid, grid_size
from jaxdl.plots.matrix import check_classes, class_names
from jaxdl.plots.page import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def worst(
    label: Int[np.ndarray, " N"], probabilities: Float[np.ndarray, "N K"], count: int
) -> Int[np.ndarray, " M"]:
    """The rows of the worst mistakes: of those whose likeliest class is wrong, where the true one got least.

    Args:
      label: `[N]`, what is true, in [0, K).
      probabilities: `[N, K]`, what the model gave each class.
      count: how many rows at most.

    Returns:
      `[M]`, M at most `count`, the worst first; equals in their order.

    Raises:
      InputError: unequal lengths, or a label outside [0, K).

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
    """Draws the worst mistakes under titles like "7 → 1 (98 %)": a 7, taken for a 1 with 98 %.

    Args:
      images: `[N, H, W, C]`, C 1 or 3, as for `image_grid`.
      label: `[N]`, what is true, in [0, K).
      probabilities: `[N, K]`, what the model gave each class.
      path: the PNG file.
      count: how many at most.
      names: the classes' names; None: their numbers.

    Returns:
      The path. If there is no mistake, the picture says so.

    Raises:
      InputError: unequal lengths, or a label outside [0, K).

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     mistakes(np.zeros((1, 8, 8, 1)), np.array([0]), np.array([[0.4, 0.6]]), f"{directory}/m.png").name
      'm.png'
    """
    images = np.asarray(images)
    rows = worst(label, probabilities, count)
    width = 3.6
    height = 0.9
    if len(rows):
        width, height = grid_size(images[rows], None, _answers(rows, label, probabilities, names))
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
    """Draws the worst mistakes on `ax`; arguments as for `mistakes`."""
    images = np.asarray(images)
    rows = worst(label, probabilities, count)
    of = len(label)
    if len(images) != of:
        raise InputError("images", images.shape, f"one for each of {of} labels")
    wrong = len(worst(label, probabilities, of))
    if wrong:
        draw_image_grid(ax, images[rows], None, _answers(rows, label, probabilities, names))
        which = f"all {wrong:,}" if len(rows) == wrong else f"the worst {len(rows)} of {wrong:,}"
        ax.set_title(f"true → predicted: {which} mistakes in {of:,}", fontsize=9)
    else:
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"no mistakes: all {of:,} right", ha="center", va="center", fontsize=11)


def _answers(
    rows: np.ndarray, label: np.ndarray, probabilities: np.ndarray, names: Sequence[str] | None
) -> list[str]:
    label = np.asarray(label)[rows]
    probabilities = np.asarray(probabilities)[rows]
    names = class_names(names, probabilities.shape[1])
    said = probabilities.argmax(1)
    return [
        f"{names[t]} → {names[s]} ({p[s]:.0%})".replace("%", " %")
        for t, s, p in zip(label, said, probabilities, strict=True)
    ]
