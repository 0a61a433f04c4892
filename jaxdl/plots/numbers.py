"""Grids of numbers: pixels, the weights of a kernel, and sums position by position."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture
from jaxdl.plots.page import BLUE, GREY, INK, RED, font_size, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Grid = Float[np.ndarray, "H W"]

#: Width in inches of a page and of a photograph.
WIDTH = 12.0
#: Most rows and columns of a grid whose numbers can be read.
LARGEST = 12


def draw_numbers(
    ax: "Axes",
    values: Grid,
    cell: float,
    *,
    limit: float | None = None,
    window: tuple[int, int, int, int] | None = None,
    cmap: str = "RdBu_r",
) -> None:
    """Draws a grid of numbers, each in a cell with its color.

    Args:
      ax: axes to draw on.
      values: `[H, W]`, at most 12 x 12. NaN is an empty cell.
      cell: width of a cell in inches, which decides the size of the numbers.
      limit: absolute value of the strongest colors; None means the largest one.
      window: row, column, height and width of cells with a red frame; None means no frame.
      cmap: "RdBu_r", whose middle is 0, or "Greys", whose white is 0.

    Raises:
      InputError: another number of axes, or more cells.
    """
    from matplotlib.patches import Rectangle

    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size or max(values.shape) > LARGEST:
        raise InputError("values", values.shape, f"[H, W], from 1x1 to {LARGEST}x{LARGEST}")
    if limit is None:
        limit = float(np.nanmax(abs(values), initial=0.0))
    # Colors are pale, so that all numbers can be black.
    scale = 1.8 * max(limit, 1e-12)
    low = 0.0 if cmap == "Greys" else -scale
    ax.imshow(np.nan_to_num(values), cmap, vmin=low, vmax=scale)
    texts = [[number(value) for value in row] for row in values]
    letters = max(len(text) for row in texts for text in row)
    size = font_size(0.85 * cell, letters, 11.0)
    for (i, j), _ in np.ndenumerate(values):
        ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=INK)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set(visible=True, color=GREY)
    ax.hlines(np.arange(1, values.shape[0]) - 0.5, -0.5, values.shape[1] - 0.5, GREY, linewidth=0.4)
    ax.vlines(np.arange(1, values.shape[1]) - 0.5, -0.5, values.shape[0] - 0.5, GREY, linewidth=0.4)
    if window is not None:
        top, left, high, wide = window
        frame: dict[str, Any] = {"fill": False, "edgecolor": RED, "linewidth": 2.2, "zorder": 5}
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), wide, high, clip_on=False, **frame))


def number(value: float) -> str:
    """Returns a number with at most two digits after the point; whole numbers have none.

    Example:
      >>> [number(value) for value in (1.0, -2.25, 1 / 9, float("nan"))]
      ['1', '−2.25', '1/9', '']
    """
    if math.isnan(value):
        return ""
    if math.isclose(9 * value, 1, rel_tol=1e-5):
        return "1/9"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    if text in ("-0", ""):
        text = "0"
    return text.replace("-", "−")


def filtered_photographs(
    photographs: Sequence[Float[np.ndarray, "H W C"]],
    kernels: Mapping[str, Grid],
    results: Mapping[str, Sequence[Float[np.ndarray, "H W C"]]],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws photographs, and below the numbers of each kernel its results.

    Results of a kernel with sum 0 are grey at 0, black where negative and white where positive.

    Args:
      photographs: `[H, W, C]` in [0, 1], of one shape, C 1 or 3.
      kernels: `[F, G]` by name.
      results: for each kernel its results for the photographs, of their shape.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no photographs or kernels, or kernels without results.

    Example:
      >>> import tempfile
      >>> image = np.random.default_rng(0).random((8, 12, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/filters.png"
      ...     results = {"copy": [image]}
      ...     filtered_photographs([image], {"copy": np.ones((1, 1))}, results, path, "A").name
      'filters.png'
    """
    if not len(photographs) or not kernels:
        raise InputError("photographs", len(photographs), "at least one, and at least one kernel")
    for name in kernels:
        if len(results.get(name, ())) != len(photographs):
            raise InputError("results", name, f"{len(photographs)} results of each kernel")
    columns = 1 + len(kernels)
    tile = WIDTH / columns
    height, width = np.shape(photographs[0])[:2]
    heights = [0.8 * tile, *[tile * height / width] * len(photographs)]
    with page(path, WIDTH, sum(heights) + 0.75) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(1 + len(photographs), columns, height_ratios=heights, squeeze=False)
        grid[0, 0].set_axis_off()
        names = ["photograph", *kernels]
        for ax, name in zip(grid[0, 1:], kernels, strict=True):
            draw_numbers(ax, kernels[name], 0.78 * tile / max(np.shape(kernels[name])))
            ax.set_title(name.replace("_", " "), fontsize=11, loc="center")
        for i, photograph in enumerate(photographs):
            for ax, name in zip(grid[1 + i], names, strict=True):
                shown = photograph
                if name in kernels:
                    shown = signed(results[name][i], float(np.sum(kernels[name])))
                ax.imshow(
                    as_picture(np.clip(shown, 0, 1)),
                    "gray",
                    vmin=0,
                    vmax=1,
                    interpolation="antialiased",
                )
                ax.set_axis_off()
        grid[1, 0].set_title("photograph", fontsize=11, loc="center")
    return Path(path)


def signed(image: Float[np.ndarray, "H W C"], total: float) -> Float[np.ndarray, "H W C"]:
    """Returns a result in [0, 1] for a picture: 0 becomes grey if the weights add up to 0.

    Example:
      >>> signed(np.array([[[-2.0], [0.0], [2.0]]]), 0.0).ravel().tolist()
      [0.0, 0.5, 1.0]
    """
    values = np.asarray(image, np.float64)
    if abs(total) > 1e-6:
        return values
    limit = max(float(np.quantile(abs(values), 0.99)), 1e-12)
    return 0.5 + values / (2 * limit)


def sums_by_position(
    image: Grid,
    kernel: Grid,
    steps: Sequence[tuple[int, int, Any]],
    result: Grid,
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws how single values of a result arise: pixels times weights, and their sum.

    Each row is one position: the image with the window, the kernel, the products, and the result
    with the values up to this position.

    Args:
      image: `[H, W]`, at most 12 x 12.
      kernel: `[F, G]`.
      steps: row and column of a position, with the numbers of `jaxdl.filters.products_at`.
      result: `[I, J]`, all values.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no steps, or grids that are too large.

    Example: see `experiments/convolution_by_hand.py`.
    """
    if not steps:
        raise InputError("steps", [], "at least one position")
    sizes = [image.shape[1], kernel.shape[1], kernel.shape[1], result.shape[1]]
    unit = 0.42
    widths = [unit * size for size in sizes]
    row = unit * max(image.shape[0], 3) + 0.45
    with page(path, sum(widths) + 1.6, len(steps) * row + 0.5) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(len(steps), 4, width_ratios=widths, squeeze=False)
        place = np.arange(result.size).reshape(result.shape)
        for axes, (i, j, step) in zip(grid, steps, strict=True):
            window = (step.top, step.left, *kernel.shape)
            draw_numbers(axes[0], image, unit, window=window, cmap="Greys")
            draw_numbers(axes[1], kernel, unit)
            draw_numbers(axes[2], step.products, unit)
            shown = np.where(place <= place[i, j], result, np.nan)
            limit = float(abs(result).max())
            draw_numbers(axes[3], shown, unit, limit=limit, window=(i, j, 1, 1))
            titles = ("image", "× kernel", f"= products, sum {number(step.total)}", "result")
            for ax, text in zip(axes, titles, strict=True):
                ax.set_title(text, fontsize=10, color=RED if "sum" in text else INK)
                ax.set_anchor("C")
    return Path(path)


def windows_along_a_line(
    rows: Sequence[tuple[int, int, int, int, int]], path: str | os.PathLike[str], title: str
) -> Path:
    """Draws padding and stride along one axis: the positions of a window, and the formula.

    Args:
      rows: for each example W, F, S, P and the number of positions, such as that of
        `jaxdl.nn.out_size`.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no examples.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     windows_along_a_line([(7, 3, 2, 0, 3)], f"{directory}/stride.png", "Strides").name
      'stride.png'
    """
    if not rows:
        raise InputError("rows", [], "at least one example")
    columns = 2
    lines = math.ceil(len(rows) / columns)
    tallest = max(row[-1] for row in rows)
    with page(path, WIDTH, lines * (0.2 * tallest + 1.0) + 0.4) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(lines, columns, squeeze=False)
        for ax in grid.flat:
            ax.set_axis_off()
        ends = (-max(row[3] for row in rows) - 0.1, max(row[0] + row[3] for row in rows) + 0.1)
        for ax, row in zip(grid.flat, rows, strict=False):
            _draw_line(ax, row)
            ax.set(xlim=ends, ylim=(1.7 + 0.8 * tallest, -0.1))
    return Path(path)


def _draw_line(ax: "Axes", row: tuple[int, int, int, int, int]) -> None:
    """Draws one example: pixels with zeros around them, and a bar for each position."""
    from matplotlib.patches import Rectangle

    size, window, stride, pad, count = row
    for place in range(-pad, size + pad):
        inside = 0 <= place < size
        style: dict[str, Any] = {"facecolor": "#D7E3EF" if inside else "white", "edgecolor": GREY}
        ax.add_patch(Rectangle((place, 0), 1, 1, **style))
        ax.text(place + 0.5, 0.5, "x" if inside else "0", ha="center", va="center", fontsize=9)
    for k in range(count):
        left = k * stride - pad
        low = 1.5 + 0.8 * k
        ax.add_patch(Rectangle((left, low), window, 0.55, facecolor=BLUE, alpha=0.75))
        ax.text(left + window / 2, low + 0.27, str(k + 1), ha="center", va="center", color="white")
    exact = (size - window + 2 * pad) / stride + 1
    formula = f"({size} − {window} + 2·{pad})/{stride} + 1 = {number(exact)}"
    if exact != count:
        formula += f", rounded down {count}"
    ax.set_title(f"W {size}, F {window}, stride {stride}, padding {pad}:  {formula}", fontsize=10)


def kernels_side_by_side(
    rows: Mapping[str, Mapping[str, Grid]], path: str | os.PathLike[str], title: str
) -> Path:
    """Draws the numbers of kernels in rows, such as those by hand above those of a training.

    Args:
      rows: for each row its kernels `[F, G]` by name, the same names in each row.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no kernels, or rows with different names.

    Example:
      >>> import tempfile
      >>> rows = {"by hand": {"copy": np.ones((1, 1))}, "trained": {"copy": np.ones((1, 1))}}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     kernels_side_by_side(rows, f"{directory}/kernels.png", "Kernels").name
      'kernels.png'
    """
    names = [tuple(row) for row in rows.values()]
    if not names or not names[0] or len(set(names)) > 1:
        raise InputError("rows", names, "rows of kernels with the same names, at least one")
    columns = len(names[0])
    tile = min(WIDTH / columns, 2.2)
    with page(path, tile * columns + 0.4, len(rows) * tile + 0.7) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, (label, row) in zip(grid, rows.items(), strict=True):
            for ax, (name, kernel) in zip(axes, row.items(), strict=True):
                draw_numbers(ax, kernel, 0.9 * tile / max(np.shape(kernel)))
                if ax in grid[0]:
                    ax.set_title(name.replace("_", " "), fontsize=11, loc="center")
            axes[0].set_ylabel(plain(label), fontsize=11)
    return Path(path)
