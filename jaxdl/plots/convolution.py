"""The backward pass of a convolution as grids of numbers."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.page import GREY, INK, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = Float[np.ndarray, "H W"]

#: Side of a cell in inches, and the space between two grids, in cells.
CELL = 0.42
SPACE = 1.5

#: Colors of the cells that are explained, and of the zeros around a grid.
LIGHT = "#CFE3F2"
BORDER = "#F1F2F4"


def convolution_backward(
    x: Matrix,
    w: Matrix,
    y: Matrix,
    dy: Matrix,
    dw: Matrix,
    dx: Matrix,
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draws a convolution and both of its gradients, which are convolutions too.

    The blue cells show one number of each result with the numbers it is computed from.

    Args:
      x: `[H, W]`, the input.
      w: `[h, w]`, the filter.
      y: `[P, Q]`, the output.
      dy: `[P, Q]`, the gradient of the output.
      dw: `[h, w]`, the gradient of the filter.
      dx: `[H, W]`, the gradient of the input.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: arrays whose shapes do not fit each other.

    Example:
      >>> import tempfile
      >>> x = np.ones((3, 3))
      >>> w = np.ones((2, 2))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     convolution_backward(x, w, 4 * w, w, 4 * w, x, f"{directory}/backward.png").name
      'backward.png'
    """
    shapes = [np.shape(each) for each in (x, w, y, dy, dw, dx)]
    output = tuple(large - small + 1 for large, small in zip(shapes[0], shapes[1], strict=True))
    if shapes != [shapes[0], shapes[1], output, output, shapes[1], shapes[0]]:
        allowed = "[H, W], [h, w], twice [H - h + 1, W - w + 1], [h, w], [H, W]"
        raise InputError("shapes", [list(each) for each in shapes], allowed)
    rows, columns = shapes[1]
    padded = np.pad(dy, ((rows - 1, rows - 1), (columns - 1, columns - 1)))
    rotated = np.asarray(w)[::-1, ::-1]
    everything = slice(None)
    first = (slice(0, rows), slice(0, columns))
    last = (slice(0, output[0]), slice(columns - 1, columns - 1 + output[1]))
    inner = tuple(min(1, size - 1) for size in shapes[0])
    moved = (slice(inner[0], inner[0] + rows), slice(inner[1], inner[1] + columns))
    lines = [
        (
            "forward: the filter slides over the input",
            [("x", x, first), ("w", w, (everything, everything)), ("y", y, (0, 0))],
        ),
        (
            "gradient of the filter: the gradient of y slides over the input",
            [("x", x, last), ("dL/dy", dy, (everything, everything)), ("dL/dw", dw, (0, -1))],
        ),
        (
            "gradient of the input: the rotated filter slides over the gradient of y with zeros",
            [
                ("dL/dy, with zeros", padded, moved),
                ("w, rotated", rotated, (everything, everything)),
                ("dL/dx", dx, inner),
            ],
        ),
    ]
    widths = [max(np.shape(each[i][1])[1] for _, each in lines) for i in range(3)]
    heights = [max(np.shape(each)[0] for _, each, _ in grids) for _, grids in lines]
    width = (sum(widths) + 2 * SPACE + 1) * CELL
    with page(path, max(width, 6.0), (sum(heights) + 3 * 2.3) * CELL + 0.4) as figure:
        ax = figure.subplots()
        top = 0.0
        for (text, grids), height in zip(lines, heights, strict=True):
            ax.text(0, top - 0.1, plain(text), fontsize=10, color=INK, va="bottom")
            _draw_line(ax, grids, widths, top + 0.9, height, shapes[1])
            top += height + 2.3
        ax.set(xlim=(-0.1, sum(widths) + 2 * SPACE + 0.1), ylim=(top - 0.6, -0.9), aspect="equal")
        ax.set_axis_off()
        if title:
            figure.suptitle(plain(title), x=0.02, ha="left", fontsize=11)
    return Path(path)


def _draw_line(
    ax: "Axes",
    grids: Sequence[tuple[str, Matrix, Any]],
    widths: Sequence[int],
    top: float,
    height: int,
    window: tuple[int, ...],
) -> None:
    """Draws two grids and their result in one line."""
    left = 0.0
    for i, ((name, values, cells), width) in enumerate(zip(grids, widths, strict=True)):
        down = top + (height - len(values)) / 2
        border = (0, 0)
        if name.endswith("zeros"):
            border = (window[0] - 1, window[1] - 1)
        _draw_grid(ax, np.asarray(values), left, down, cells, border)
        middle = left + np.shape(values)[1] / 2
        ax.text(middle, down - 0.15, name, ha="center", va="bottom", fontsize=9, color=INK)
        if i < 2:
            sign = ("∗", "=")[i]
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 15}
            ax.text(left + width + SPACE / 2, top + height / 2, sign, **style)
        left += width + SPACE


def _draw_grid(
    ax: "Axes", values: Matrix, left: float, top: float, cells: Any, border: tuple[int, int]
) -> None:
    """Draws the numbers of a grid, with some cells in blue and the zeros around it in grey."""
    from matplotlib.patches import Rectangle

    is_marked = np.zeros(values.shape, bool)
    is_marked[cells] = True
    rows, columns = values.shape
    for (i, j), value in np.ndenumerate(values):
        is_zero = not (border[0] <= i < rows - border[0] and border[1] <= j < columns - border[1])
        color = BORDER if is_zero else "white"
        if is_marked[i, j]:
            color = LIGHT
        corner = (left + j, top + i)
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=color, edgecolor=GREY, linewidth=0.8))
        text = f"{value:.4g}".replace("-", "−")
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
        ax.text(left + j + 0.5, top + i + 0.5, text, color=GREY if is_zero else INK, **style)
