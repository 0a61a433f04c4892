"""Pictures of the units of a layer, and of the maps of every layer for one image."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture, unit_range
from jaxdl.plots.page import BLUE, GREY, INK, RED, font_size, page, plain, short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Images = Float[np.ndarray, "N H W C"]

#: Sides of a cell, of the space between cells, and of the space beside a made image, in inches.
CELL = 0.56
GAP = 0.06
WIDE = 0.16
#: Color of the part of a receptive field that lies outside of its image.
OUTSIDE = "#C3D0E0"
#: Height of the number above a cell, and width of the label of a unit, in inches.
NUMBER = 0.15
LABEL = 0.62


def unit_images(
    units: Sequence[int],
    made: Images,
    made_values: Float[np.ndarray, " N"],
    crops: Sequence[Images],
    values: Float[np.ndarray, "N K"],
    path: str | os.PathLike[str],
    title: str = "",
    columns: int | None = None,
    dead: Sequence[bool] | None = None,
) -> Path:
    """Draws for each unit the image that was made for it, beside the crops that excite it most.

    Above each image is the activation of the unit. It is blue for a made image that excites the
    unit at least as much as every crop, and red for another one. NaN pixels, outside of an image,
    are light blue.

    Args:
      units: N indices of units.
      made: `[N, H, W, C]`, the images that were made, C 1 or 3.
      made_values: `[N]`, the activations for them.
      crops: for each unit `[K, h, w, C]`, its crops from the strongest to the weakest.
      values: `[N, K]`, the activations for the crops.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of columns of units; None means one for up to 8 units, else two.
      dead: True for a unit without a positive activation; None means none.

    Returns:
      The path.

    Raises:
      InputError: different numbers of units, or images of another shape.

    Example:
      >>> import tempfile
      >>> made = np.zeros((2, 5, 5, 1))
      >>> crops = [np.ones((3, 5, 5, 1))] * 2
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/units.png"
      ...     unit_images([0, 7], made, np.ones(2), crops, np.zeros((2, 3)), path).name
      'units.png'
    """
    made = np.asarray(made)
    values = np.asarray(values)
    if made.ndim != 4 or made.shape[-1] not in (1, 3) or not made.size:
        raise InputError("made", made.shape, "the shape [N, H, W, C], N at least 1, C 1 or 3")
    for name, count in (("units", len(units)), ("crops", len(crops)), ("values", len(values))):
        if count != len(made):
            raise InputError(name, count, f"as many as made images, {len(made)}")
    if columns is None:
        columns = min(2, math.ceil(len(units) / 8))
    count = values.shape[1]
    row_width = LABEL + CELL + WIDE + count * (CELL + GAP)
    row_height = CELL + NUMBER + GAP
    rows = math.ceil(len(units) / columns)
    width = max(columns * row_width + (columns - 1) * 2 * WIDE + 0.2, 4.0)
    height = rows * row_height + 0.75
    with page(path, width, height) as figure:
        ax = figure.subplots()
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(height, 0))
        text = plain(title)
        ax.text(0.1, 0.22, text, va="center", fontsize=font_size(width - 0.2, len(title), 11.0))
        for column in range(columns):
            _draw_heading(ax, 0.1 + column * (row_width + 2 * WIDE), 0.52, count)
        for i in range(len(units)):
            column, row = divmod(i, rows)
            left = 0.1 + column * (row_width + 2 * WIDE)
            top = 0.66 + row * row_height
            is_dead = dead is not None and bool(dead[i])
            _draw_unit(
                ax, left, top, units[i], made[i], made_values[i], crops[i], values[i], is_dead
            )
    return Path(path)


def _draw_heading(ax: "Axes", left: float, y: float, count: int) -> None:
    """Draws the words above one column of units."""
    style: dict[str, Any] = {"va": "center", "fontsize": 7.5, "color": GREY}
    ax.text(left + LABEL + CELL / 2, y, "made", ha="center", **style)
    first = left + LABEL + CELL + WIDE
    words = "the crops that excite it most, with their activations"
    ax.text(first, y, words, **style)


def _draw_unit(
    ax: "Axes",
    left: float,
    top: float,
    unit: int,
    made: np.ndarray,
    made_value: float,
    crops: np.ndarray,
    values: np.ndarray,
    is_dead: bool,
) -> None:
    """Draws the row of one unit."""
    middle = top + NUMBER + CELL / 2
    ax.text(left, middle, f"unit {unit}", va="center", fontsize=8.5, color=INK)
    if is_dead:
        ax.text(left, middle + 0.16, "dead", va="center", fontsize=7, color=RED)
    color = RED
    if made_value >= values[0]:
        color = BLUE
    x = left + LABEL
    _draw_cell(ax, x, top, made, made_value, color, weight="bold")
    x += CELL + WIDE
    for crop, value in zip(crops, values, strict=True):
        _draw_cell(ax, x, top, crop, value, GREY)
        x += CELL + GAP


def _draw_cell(
    ax: "Axes",
    left: float,
    top: float,
    image: np.ndarray,
    value: float,
    color: str,
    weight: str = "normal",
) -> None:
    """Draws an image with its activation above."""
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    box = (
        left + (CELL - scale * width) / 2,
        left + (CELL + scale * width) / 2,
        top + NUMBER + (CELL + scale * height) / 2,
        top + NUMBER + (CELL - scale * height) / 2,
    )
    shown = as_picture(image)
    if shown.ndim == 3:
        is_inside = ~np.isnan(shown).any(-1, keepdims=True)
        shown = np.concatenate([np.nan_to_num(shown), is_inside], -1)
    _draw_frame(ax, box, color, OUTSIDE)
    ax.imshow(shown, "gray", vmin=0, vmax=1, extent=box, aspect="auto", zorder=2)
    ax.text(
        left + CELL / 2,
        top + NUMBER - 0.03,
        short_number(value),
        ha="center",
        va="bottom",
        fontsize=6.5,
        color=color,
        weight=weight,
    )


def _draw_frame(
    ax: "Axes", box: tuple[float, float, float, float], color: str, background: str = "none"
) -> None:
    from matplotlib.patches import Rectangle

    left, right, bottom, top = box
    corner = (left, top)
    size = (right - left, bottom - top)
    ax.add_patch(Rectangle(corner, *size, facecolor=background, edgecolor="none", zorder=1))
    ax.add_patch(
        Rectangle(corner, *size, facecolor="none", edgecolor=color, linewidth=0.6, zorder=3)
    )


def layer_maps(
    image: Float[np.ndarray, "H W C"],
    maps: Mapping[str, Float[np.ndarray, "I J U"]],
    path: str | os.PathLike[str],
    count: int = 10,
    title: str | None = None,
) -> Path:
    """Draws the maps of one image at every layer, one row for each layer.

    Of a layer with more units the maps with the largest values are shown. Dark means 0. Maps with
    negative values are blue where negative and red where positive.

    Args:
      image: `[H, W, C]`, C 1 or 3.
      maps: `[I, J, U]` by the name of the layer, in order. Layers without positions are left out.
      path: path of the PNG file.
      count: largest number of maps in a row.
      title: one line above the picture; None means one with the number of units.

    Returns:
      The path.

    Raises:
      InputError: an image of another shape, or no layer with positions.

    Example:
      >>> import tempfile
      >>> maps = {"conv_0": np.random.default_rng(0).normal(size=(6, 6, 3))}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     layer_maps(np.zeros((8, 8, 1)), maps, f"{directory}/maps.png").name
      'maps.png'
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError("image", image.shape, "the shape [H, W, C], C 1 or 3")
    shown = {name: np.asarray(each) for name, each in maps.items() if np.ndim(each) == 3}
    if not shown:
        raise InputError("maps", list(maps), "at least one layer with maps [I, J, U]")
    count = min(count, max(each.shape[-1] for each in shown.values()))
    label = 1.25
    first = label + CELL + WIDE
    width = first + count * (CELL + GAP) + 0.15
    step = CELL + 2 * GAP
    height = len(shown) * step + 0.55
    units = sum(each.shape[-1] for each in shown.values())
    if title is None:
        title = f"{units:,} maps in {len(shown)} layers; the strongest of each layer for one image"
    with page(path, width, height) as figure:
        ax = figure.subplots()
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.text(0.1, 0.22, plain(title), va="center", fontsize=font_size(width, len(title), 10.5))
        _draw_map(ax, label, 0.45, unit_range(image), {"cmap": "gray", "vmin": 0, "vmax": 1})
        for row, (name, each) in enumerate(shown.items()):
            top = 0.45 + row * step
            size = " × ".join(map(str, each.shape))
            style: dict[str, Any] = {"va": "center", "ha": "left"}
            ax.text(0.1, top + 0.2, plain(name), fontsize=8, **style)
            ax.text(0.1, top + 0.37, size, fontsize=6.5, color=GREY, **style)
            strongest = np.argsort(-np.abs(each).max((0, 1)), kind="stable")[:count]
            colors = _map_colors(each)
            for i, unit in enumerate(strongest):
                _draw_map(ax, first + i * (CELL + GAP), top, each[..., unit], colors)
    return Path(path)


def _map_colors(maps: np.ndarray) -> dict[str, Any]:
    """Returns the color map of a layer, with the same range for all of its units."""
    limit = float(np.quantile(np.abs(maps), 0.998)) or 1.0
    if maps.min() < 0:
        return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return {"cmap": "magma", "vmin": 0, "vmax": limit}


def _draw_map(
    ax: "Axes", left: float, top: float, image: np.ndarray, colors: Mapping[str, Any]
) -> None:
    if image.ndim == 3:
        image = as_picture(image)
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    box = (left, left + scale * width, top + scale * height, top)
    ax.imshow(image, extent=box, aspect="auto", zorder=2, **colors)
    _draw_frame(ax, box, "#C9CDD3")
