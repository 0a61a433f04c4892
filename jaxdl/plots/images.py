"""Grids of images, and of the filters of a first layer."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Num

from jaxdl.errors import InputError
from jaxdl.plots.page import (
    GREY,
    font_size,
    page,
    plain,
    plain_lines,
    size_in_inches,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Images = Num[np.ndarray, "N H W C"]
#: Space between images, as a fraction of an image's height.
GAP = 0.08
#: Height of a title in inches, and of a line of the text above a grid.
TITLE = 0.2
LINE = 0.18
#: Least width in inches of a grid with a text above it, and the font size of texts beside rows.
LEAST_WIDTH = 4.0
ROW_SIZE = 8.5


def image_grid(
    images: Images,
    path: str | os.PathLike[str],
    columns: int | Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    rows: Sequence[str] | None = None,
) -> Path:
    """Draws images in rows, from left to right.

    Args:
      images: `[N, H, W, C]`, C 1 (grey) or 3 (RGB). Integers are in 0..255. Floats within [0, 1]
        are shown as they are, other floats are scaled from their range to [0, 1].
      path: path of the PNG file.
      columns: images per row, or a text above each column; None means about as many as rows.
      titles: `N` short texts above the images, or None.
      title: the text above the grid, with the number that matters; None means no text.
      rows: a text beside each row, or None.

    Returns:
      The path.

    Raises:
      InputError: another shape, no images, `columns < 1`, or another number of texts.

    Example:
      >>> import tempfile
      >>> images = np.zeros((6, 8, 8, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     image_grid(images, f"{directory}/grid.png", titles=list("abcdef")).name
      'grid.png'
    """
    width, height = grid_size(images, columns, titles, rows)
    text = None
    if title is not None:
        width = max(width, LEAST_WIDTH)
        text = wrapped(title, width, 10.0)
        height += 0.12 + LINE * (1 + text.count("\n"))
    with page(path, width, height) as figure:
        # The title is above the whole page, also above the texts beside the rows.
        if text is not None:
            figure.suptitle(text, x=0.01, ha="left", fontsize=10.0)
        draw_image_grid(figure.subplots(), images, columns, titles, rows=rows)
    return Path(path)


def reconstructions(
    images: Images,
    outputs: Images,
    path: str | os.PathLike[str],
    columns: int = 10,
    rows: int = 2,
) -> Path:
    """Draws images above their reconstructions, and the mean squared error of all in the title.

    Args:
      images: `[N, H, W, C]`, see `image_grid`.
      outputs: their reconstructions, `[N, H, W, C]`.
      path: path of the PNG file.
      columns: images per row.
      rows: rows of images. The shown images are evenly spread over all N.

    Returns:
      The path.

    Raises:
      InputError: different shapes, or fewer than `rows * columns` images.

    Example:
      >>> import tempfile
      >>> images = np.zeros((20, 8, 8, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     reconstructions(images, images + 0.1, f"{directory}/pairs.png").name
      'pairs.png'
    """
    if np.shape(outputs) != np.shape(images):
        raise InputError("outputs", np.shape(outputs), f"the shape of images, {np.shape(images)}")
    count = rows * columns
    if len(images) < count:
        raise InputError("images", len(images), f"at least {rows} x {columns}")
    shown = np.linspace(0, len(images) - 1, count).astype(int)
    pairs = np.stack([images[shown], outputs[shown]])
    grid = pairs.reshape(2, rows, columns, *pairs.shape[2:]).swapaxes(0, 1)
    error = np.mean((images - outputs) ** 2)
    title = (
        f"{count} of {len(images):,} images above their reconstructions, "
        f"mean squared error of a pixel {error:.4f}"
    )
    names = ["image", "reconstruction"] * rows
    return image_grid(grid.reshape(-1, *pairs.shape[2:]), path, columns, title=title, rows=names)


def draw_image_grid(
    ax: "Axes",
    images: Images,
    columns: int | Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    cmap: str = "gray",
    rows: Sequence[str] | None = None,
) -> None:
    """Draws images in rows on `ax`.

    Args:
      ax: axes to draw on.
      images: see `image_grid`.
      columns: see `image_grid`.
      titles: see `image_grid`.
      cmap: colour map of images with one channel.
      rows: see `image_grid`.
    """
    images, count, heads = _checked(images, columns, titles, rows)
    lines = math.ceil(len(images) / count)
    aspect = images.shape[2] / images.shape[1]
    ax.set_axis_off()
    # The unit of the axes is the height of an image.
    width, height = size_in_inches(ax)
    space = _title_height(titles)
    head = _title_height(heads)
    beside = _width_beside(rows)
    tile = min(
        max(width - beside, 0.1) / count / (aspect + GAP),
        max((height - head) / lines - space, 0.1) / (1 + GAP),
    )
    top = space / tile
    style: dict[str, Any] = {"ha": "center", "va": "bottom"}
    style["fontsize"] = font_size(tile * (aspect + GAP), _longest([*(titles or []), *heads]), 8.0)
    for i, image in enumerate(unit_range(images)):
        x = (i % count) * (aspect + GAP)
        y = i // count * (1 + GAP + top)
        extent = (x, x + aspect, y + 1, y)
        ax.imshow(as_picture(image), cmap, vmin=0, vmax=1, extent=extent)
        if titles is not None:
            ax.text(x + aspect / 2, y - 0.2 * top, plain(titles[i]), **style)
    for i, text in enumerate(heads):
        x = i * (aspect + GAP) + aspect / 2
        ax.text(x, -top - 0.2 * head / tile, plain(text), **style)
    for i, text in enumerate(rows or []):
        y = i * (1 + GAP + top) + 0.5
        left = -0.08 / tile
        ax.text(left, y, plain_lines(text), ha="right", va="center", fontsize=ROW_SIZE)
    ax.set(
        xlim=(-beside / tile, count * (aspect + GAP) - GAP),
        ylim=(lines * (1 + GAP + top) - top - GAP, -top - head / tile),
        aspect="equal",
        anchor="NW",
    )


def unit_range(images: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Returns the images in the range [0, 1].

    Example:
      >>> unit_range(np.array([0, 51, 255], np.uint8)).tolist()
      [0.0, 0.2, 1.0]
      >>> unit_range(np.array([-1.0, 1.0])).tolist()
      [0.0, 1.0]
    """
    if np.issubdtype(images.dtype, np.integer):
        return np.clip(images / 255.0, 0.0, 1.0)
    values = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
    low = values.min()
    high = values.max()
    if low < 0 or high > 1:
        values = (values - low) / max(high - low, 1e-12)
    return values


def as_picture(image: Num[np.ndarray, "H W C"]) -> np.ndarray:
    """Returns an image as `imshow` expects it: `[H, W]` if it has one channel.

    Example:
      >>> as_picture(np.zeros((4, 5, 1))).shape, as_picture(np.zeros((4, 5, 3))).shape
      ((4, 5), (4, 5, 3))
    """
    if image.shape[-1] == 1:
        return image[..., 0]
    return image


def filters(
    kernel: Float[np.ndarray, "..."],
    path: str | os.PathLike[str],
    shape: tuple[int, int, int] | None = None,
) -> Path:
    """Draws the filters of a first layer.

    Filters of one channel are blue where negative, white at 0 and red where positive.

    Args:
      kernel: `[h, w, C, filters]` of a convolution or `[D, units]` of a dense layer, C 1 or 3. If
        there are more than 64 filters, those with the largest norm are shown.
      path: path of the PNG file.
      shape: `(H, W, C)` of the images that a dense layer receives, `H W C = D`.

    Returns:
      The path.

    Raises:
      InputError: another shape of the kernel, or one that does not fit `shape`.

    Example:
      >>> import tempfile
      >>> kernel = np.random.default_rng(0).normal(size=(64, 10))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     filters(kernel, f"{directory}/filters.png", shape=(8, 8, 1)).name
      'filters.png'
    """
    kernel = np.asarray(kernel)
    if kernel.ndim == 2:
        if shape is None or math.prod(shape) != kernel.shape[0]:
            raise InputError("shape", shape, f"(H, W, C) with H * W * C = {kernel.shape[0]}")
        kernel = kernel.reshape(*shape, -1)
    images, limit = _filter_images(kernel)
    width, height = grid_size(images, None, None)
    colored = kernel.shape[2] == 1
    with page(path, width + 0.8 * colored, height + 0.3) as figure:
        ax = figure.subplots()
        draw_filters(ax, kernel)
        if colored:
            _draw_colorbar(ax, limit)
    return Path(path)


def draw_filters(
    ax: "Axes", kernel: Float[np.ndarray, "h w C filters"], columns: int | None = None
) -> None:
    """Draws the filters of a convolution on `ax`, at most 64.

    Args:
      ax: axes to draw on.
      kernel: `[h, w, C, filters]`.
      columns: filters per row; None means about as many as rows.
    """
    images, _ = _filter_images(np.asarray(kernel))
    draw_image_grid(ax, images, columns, cmap="RdBu_r")
    total = kernel.shape[3]
    number = f"{total} filters"
    if len(images) < total:
        number = f"{len(images)} largest of {total} filters"
    ax.set_title(f"first layer: {number}")


def _filter_images(kernel: np.ndarray, count: int = 64) -> tuple[np.ndarray, float]:
    """Returns filters as images `[N, h, w, C]` in which 0.5 is weight 0, and the weight of 1."""
    if kernel.ndim != 4 or kernel.shape[2] not in (1, 3) or not kernel.size:
        raise InputError(
            "kernel", kernel.shape, "the shape [h, w, C, filters] or [D, units], C 1 or 3"
        )
    images = np.nan_to_num(np.moveaxis(kernel.astype(np.float64), -1, 0))
    if len(images) > count:
        norm = (images**2).sum((1, 2, 3))
        images = images[np.argsort(-norm, kind="stable")[:count]]
    limit = float(np.quantile(abs(images), 0.995)) or 1.0
    return np.clip(0.5 + images / (2 * limit), 0.0, 1.0), limit


def _draw_colorbar(ax: "Axes", limit: float) -> None:
    """Draws the scale of the weights, from `-limit` to `limit`."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = ax.figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), "RdBu_r"), ax=ax, shrink=0.6, aspect=18
    )
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"{limit:.2g}"])
    bar.outline.set(edgecolor=GREY, linewidth=0.5)


def _checked(
    images: Images,
    columns: int | Sequence[str] | None,
    titles: Sequence[str] | None,
    rows: Sequence[str] | None,
) -> tuple[np.ndarray, int, Sequence[str]]:
    """Returns the images as an array, the number of columns and the texts above them.

    An error is raised if one of them is bad.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise InputError("images", images.shape, "the shape [N, H, W, C], N at least 1, C 1 or 3")
    total, height, width, _ = images.shape
    heads: Sequence[str] = ()
    if isinstance(columns, Sequence):
        heads = columns
        columns = len(columns)
    if columns is not None and columns < 1:
        raise InputError("columns", columns, "at least 1")
    if titles is not None and len(titles) != total:
        raise InputError("titles", len(titles), f"as many as images, {total}")
    count = min(total, columns or math.ceil(math.sqrt(total * height / width)))
    if len(heads) > count:
        raise InputError("columns", len(heads), f"at most as many texts as images, {count}")
    lines = math.ceil(total / count)
    if rows is not None and len(rows) != lines:
        raise InputError("rows", len(rows), f"a text for each row, {lines}")
    return images, count, heads


def grid_size(
    images: Images,
    columns: int | Sequence[str] | None,
    titles: Sequence[str] | None,
    rows: Sequence[str] | None = None,
) -> tuple[float, float]:
    """Returns width and height of a grid in inches, with tiles wide enough for their titles."""
    images, count, heads = _checked(images, columns, titles, rows)
    total, height, width, _ = images.shape
    aspect = width / height
    letters = _longest([*(titles or []), *heads])
    tile = min(max(0.72 / min(aspect, 1.0), 0.07 * letters / aspect), 13.0 / count / aspect)
    row = tile * (1 + GAP) + _title_height(titles)
    page_width = tile * count * (aspect + GAP) + _width_beside(rows) + 0.1
    return page_width, math.ceil(total / count) * row + _title_height(heads) + 0.1


def _title_height(titles: Sequence[str] | None) -> float:
    """Returns the height in inches of the titles above a row of images."""
    if not titles:
        return 0.0
    return TITLE


def _width_beside(rows: Sequence[str] | None) -> float:
    """Returns the width in inches of the texts beside the rows."""
    if not rows:
        return 0.0
    return 0.16 + text_width(rows, ROW_SIZE)


def _longest(texts: Sequence[str]) -> int:
    """Returns the number of characters of the longest line."""
    return max((len(line) for text in texts for line in text.split("\n")), default=0)
