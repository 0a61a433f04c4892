"""Grids of images, and of a first layer's filters."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Num

from jaxdl.errors import InputError
from jaxdl.plots.page import GREY, fitting, inches, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Images = Num[np.ndarray, "N H W C"]
#: The space between images in heights of an image, and that for a title in inches.
GAP = 0.08
TITLE = 0.2


def image_grid(
    images: Images,
    path: str | os.PathLike[str],
    columns: int | None = None,
    titles: Sequence[str] | None = None,
) -> Path:
    """Draws images in rows, from left to right.

    Args:
      images: `[N, H, W, C]`, C 1 (grey) or 3 (RGB). Integers are read as 0..255, floats within
        [0, 1] as they are, other floats from their smallest to their largest.
      path: the PNG file.
      columns: how many side by side; None: about as many as rows.
      titles: `N` short texts to stand above them, or None.

    Returns:
      The path.

    Raises:
      InputError: another shape, no images, `columns < 1`, or another number of titles.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     image_grid(np.zeros((6, 8, 8, 1)), f"{directory}/grid.png", titles=list("abcdef")).name
      'grid.png'
    """
    with page(path, *grid_size(images, columns, titles)) as figure:
        draw_image_grid(figure.subplots(), images, columns, titles)
    return Path(path)


def draw_image_grid(
    ax: "Axes",
    images: Images,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    cmap: str = "gray",
) -> None:
    """Draws images in rows on `ax`; arguments as for `image_grid`, and the colour map of grey images."""
    images, columns = _checked(images, columns, titles)
    rows = math.ceil(len(images) / columns)
    aspect = images.shape[2] / images.shape[1]
    ax.set_axis_off()
    width, height = inches(ax)
    space = 0.0 if titles is None else TITLE
    tile = min(width / columns / (aspect + GAP), max(height / rows - space, 0.1) / (1 + GAP))
    top = space / tile
    size = fitting(tile * (aspect + GAP), max(map(len, titles or [""])), 8.0)
    for i, image in enumerate(unit_range(images)):
        x = (i % columns) * (aspect + GAP)
        y = i // columns * (1 + GAP + top)
        image = image[..., 0] if image.shape[-1] == 1 else image
        ax.imshow(image, cmap, vmin=0, vmax=1, extent=(x, x + aspect, y + 1, y))
        if titles is not None:
            ax.text(
                x + aspect / 2, y - 0.2 * top, titles[i], ha="center", va="bottom", fontsize=size
            )
    ax.set(
        xlim=(0, columns * (aspect + GAP) - GAP),
        ylim=(rows * (1 + GAP + top) - top - GAP, -top),
        aspect="equal",
    )


def unit_range(images: Num[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """The same images in [0, 1], to be shown.

    Example:
      >>> unit_range(np.array([0, 51, 255], np.uint8)).tolist(), unit_range(np.array([-1.0, 1.0])).tolist()
      ([0.0, 0.2, 1.0], [0.0, 1.0])
    """
    if np.issubdtype(images.dtype, np.integer):
        return np.clip(images / 255.0, 0.0, 1.0)
    values = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
    low = values.min()
    high = values.max()
    if low < 0 or high > 1:
        values = (values - low) / max(high - low, 1e-12)
    return values


def filters(
    kernel: Float[np.ndarray, "..."],
    path: str | os.PathLike[str],
    shape: tuple[int, int, int] | None = None,
) -> Path:
    """Draws a first layer's filters; grey ones blue where negative, red where positive, white at 0.

    Args:
      kernel: `[h, w, C, filters]` of a convolution or `[D, units]` of a dense layer; C 1 or 3. Of
        more than 64 filters the 64 with the largest norm are drawn.
      path: the PNG file.
      shape: `(H, W, C)` of the images that a dense layer sees, `H W C = D`.

    Returns:
      The path.

    Raises:
      InputError: the kernel has another shape, or does not fit `shape`.

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
            _colorbar(ax, limit)
    return Path(path)


def draw_filters(
    ax: "Axes", kernel: Float[np.ndarray, "h w C filters"], columns: int | None = None
) -> None:
    """Draws a convolution's filters on `ax`, at most 64.

    Args:
      ax: where to draw.
      kernel: `[h, w, C, filters]`.
      columns: how many in a row; None: about as many as rows.
    """
    images, _ = _filter_images(np.asarray(kernel))
    draw_image_grid(ax, images, columns, cmap="RdBu_r")
    shown = len(images)
    of = kernel.shape[3]
    ax.set_title("first layer" if shown == of else f"first layer: the {shown} largest of {of}")


def _filter_images(kernel: np.ndarray, count: int = 64) -> tuple[np.ndarray, float]:
    """Filters `[N, h, w, C]` as images, 0 at 0.5, and the weight that is shown as 1."""
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


def _colorbar(ax: "Axes", limit: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = ax.figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), "RdBu_r"), ax=ax, shrink=0.6, aspect=18
    )
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"{limit:.2g}"])
    bar.outline.set(edgecolor=GREY, linewidth=0.5)


def _checked(
    images: Images, columns: int | None, titles: Sequence[str] | None
) -> tuple[np.ndarray, int]:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise InputError("images", images.shape, "the shape [N, H, W, C], N at least 1, C 1 or 3")
    if columns is not None and columns < 1:
        raise InputError("columns", columns, "at least 1")
    if titles is not None and len(titles) != len(images):
        raise InputError("titles", len(titles), f"as many as images, {len(images)}")
    count, height, width, _ = images.shape
    return images, min(count, columns or math.ceil(math.sqrt(count * height / width)))


def grid_size(
    images: Images, columns: int | None, titles: Sequence[str] | None
) -> tuple[float, float]:
    """Inches wide and high, for tiles of a good size and titles that fit above them."""
    images, columns = _checked(images, columns, titles)
    count, height, width, _ = images.shape
    aspect = width / height
    letters = max(map(len, titles or [""]))
    tile = min(max(0.72 / min(aspect, 1.0), 0.07 * letters / aspect), 13.0 / columns / aspect)
    rows = math.ceil(count / columns)
    space = 0.0 if titles is None else TITLE
    return tile * columns * (aspect + GAP) + 0.1, rows * (tile * (1 + GAP) + space) + 0.1
