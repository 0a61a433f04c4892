"""Pictures of explanations: images beside the maps of several methods, and bars of shares."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture, unit_range
from jaxdl.plots.page import (
    BLUE,
    GREY,
    INK,
    PALETTE,
    RED,
    font_size,
    page,
    plain,
    plain_lines,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Images = Float[np.ndarray, "N H W C"]

#: Side of a cell and space between cells, in inches.
CELL = 1.0
GAP = 0.1
#: Heights of the names of the columns, and of a line below a cell, in inches.
HEADING = 0.36
LINE = 0.155
#: Width of the label of a row, in inches.
LABEL = 0.95

#: Colors of negative and positive attribution, with white at zero.
COLORS = "RdBu_r"

#: Names of methods that are no words.
NAMES = {"grad_cam": "Grad-CAM", "lime": "LIME", "rise": "RISE", "sobel": "Sobel edges"}


def attribution_maps(
    images: Images,
    maps: Mapping[str, Float[np.ndarray, "N H W D"]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    labels: Sequence[str] | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> Path:
    """Draws a row for each image: the image, then the map of each method.

    Red raises the score, blue lowers it, and white is zero. Methods have different units. So the
    darkest color of each map stands for the 99.5th percentile of its absolute values.

    Args:
      images: `[N, H, W, C]`, C 1 or 3.
      maps: `[N, H, W, D]` by the name of the column; channels are added. A line break in a name
        divides it.
      path: path of the PNG file.
      title: one line above the picture.
      labels: N texts on the left of the rows, perhaps of several lines.
      captions: N texts by the name of a column, or of "image", written below its cells.
      box: top, bottom, left and right of a part that is framed in each cell.

    Returns:
      The path.

    Raises:
      InputError: images or maps of another shape, or another number of texts.

    Example:
      >>> import tempfile
      >>> images = np.zeros((2, 8, 8, 1))
      >>> maps = {"gradient": np.random.default_rng(0).normal(size=(2, 8, 8, 1))}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     attribution_maps(images, maps, f"{directory}/maps.png").name
      'maps.png'
    """
    images = np.asarray(images)
    captions = captions or {}
    _check(images, maps, labels, captions)
    rows = len(images)
    left = LABEL if labels is not None else 0.1
    height = CELL * images.shape[1] / images.shape[2]
    step = height + (LINE + GAP if captions else GAP)
    bottom = 0.36
    width = max(left + (1 + len(maps)) * (CELL + GAP) + 0.1, left + 5.2)
    lines = wrapped(title, width, 10.3).splitlines()
    first = 0.2 + 0.2 * len(lines) + HEADING
    total = first + rows * step + bottom
    with page(path, width, total) as figure:
        figure.set_layout_engine("none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set(xlim=(0, width), ylim=(total, 0))
        ax.text(0.1, 0.14, "\n".join(lines), va="top", fontsize=10.5)
        shown = unit_range(images)
        for column, name in enumerate(["image", *maps]):
            x = left + column * (CELL + GAP)
            _draw_heading(ax, x, first - 0.05, name)
            for row in range(rows):
                y = first + row * step
                if column == 0:
                    _draw_image(ax, x, y, height, shown[row])
                else:
                    _draw_map(ax, x, y, height, np.asarray(maps[name][row]))
                if box is not None:
                    _draw_box(ax, x, y, CELL / images.shape[2], box)
                if name in captions:
                    style: dict[str, Any] = {"ha": "center", "va": "top", "color": INK}
                    text = plain(captions[name][row])
                    size = font_size(CELL + GAP, len(captions[name][row]), 7.0)
                    ax.text(x + CELL / 2, y + height + 0.03, text, fontsize=size, **style)
        for row, label in enumerate(labels or ()):
            y = first + row * step + height / 2
            longest = max(map(len, label.splitlines() or [""]))
            size = font_size(LABEL - 0.12, longest, 8.5)
            ax.text(left - 0.1, y, plain_lines(label), ha="right", va="center", fontsize=size)
        _draw_scale(ax, left, total - 0.2)
    return Path(path)


def _check(images: Any, maps: Any, labels: Any, captions: Mapping[str, Sequence[str]]) -> None:
    """Raises for images, maps or texts that do not fit each other."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise InputError("images", images.shape, "the shape [N, H, W, C], N at least 1, C 1 or 3")
    if not maps:
        raise InputError("maps", {}, "the maps of at least one method")
    for name, each in maps.items():
        if np.ndim(each) != 4 or np.shape(each)[:3] != images.shape[:3]:
            allowed = f"the shape {list(images.shape[:3])} and channels"
            raise InputError(f"maps[{name!r}]", list(np.shape(each)), allowed)
    texts = {f"captions[{name!r}]": each for name, each in captions.items()}
    if labels is not None:
        texts["labels"] = labels
    for name, each in texts.items():
        if len(each) != len(images):
            raise InputError(name, len(each), f"as many as images, {len(images)}")


def _draw_heading(ax: "Axes", x: float, y: float, name: str) -> None:
    longest = max(map(len, name.splitlines() or [""]))
    size = font_size(CELL + GAP, longest, 8.0)
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "linespacing": 1.05}
    ax.text(x + CELL / 2, y, plain_lines(name), fontsize=size, color=INK, **style)


def _draw_image(ax: "Axes", x: float, y: float, height: float, image: np.ndarray) -> None:
    extent = (x, x + CELL, y + height, y)
    ax.imshow(as_picture(image), "gray", vmin=0, vmax=1, extent=extent, aspect="auto")
    _draw_frame(ax, x, y, CELL, height, "#C9CDD3")


def _draw_map(ax: "Axes", x: float, y: float, height: float, values: np.ndarray) -> None:
    flat = values.sum(-1)
    limit = float(np.quantile(np.abs(flat), 0.995)) or float(np.abs(flat).max()) or 1.0
    extent = (x, x + CELL, y + height, y)
    ax.imshow(flat, COLORS, vmin=-limit, vmax=limit, extent=extent, aspect="auto")
    _draw_frame(ax, x, y, CELL, height, "#C9CDD3")


def _draw_frame(
    ax: "Axes", x: float, y: float, width: float, height: float, color: str, wide: float = 0.6
) -> None:
    from matplotlib.patches import Rectangle

    style: dict[str, Any] = {"facecolor": "none", "edgecolor": color, "linewidth": wide}
    ax.add_patch(Rectangle((x, y), width, height, zorder=3, **style))


def _draw_box(ax: "Axes", x: float, y: float, scale: float, box: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = box
    place = (x + scale * left, y + scale * top)
    _draw_frame(ax, *place, scale * (right - left), scale * (bottom - top), "#009E73", 1.1)


def _draw_scale(ax: "Axes", x: float, y: float) -> None:
    """Draws the color scale below the maps, with words."""
    ramp = np.linspace(-1, 1, 101)[None]
    start = x + 0.95
    ax.imshow(ramp, COLORS, extent=(start, start + 1.2, y + 0.05, y - 0.05), aspect="auto")
    _draw_frame(ax, start, y - 0.05, 1.2, 0.1, "#C9CDD3")
    style: dict[str, Any] = {"va": "center", "fontsize": 7, "color": GREY}
    ax.text(start - 0.06, y, "lowers the score", ha="right", **style)
    ax.text(start + 1.26, y, "raises it; white is zero, each map has its own scale", **style)


def share_bars(
    shares: Mapping[str, Mapping[str, float]],
    area: float,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    deviations: Mapping[str, Mapping[str, float]] | None = None,
    factor: float | None = None,
) -> Path:
    """Draws the share of attribution at a mark: a group of bars for each method, one per network.

    A dashed line is the share of the area, and a dotted one `factor` times that.

    Args:
      shares: `{network: {method: share in [0, 1]}}`, with the same methods in each.
      area: share of the pixels.
      path: path of the PNG file.
      title: one line above the picture.
      deviations: standard deviations over seeds in the same form; None draws none.
      factor: multiple of the area that counts as found; None draws no line.

    Returns:
      The path.

    Raises:
      InputError: no networks, or networks with different methods.

    Example:
      >>> import tempfile
      >>> shares = {"marked": {"gradient": 0.5, "sobel": 0.2}}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     share_bars(shares, 0.06, f"{directory}/shares.png").name
      'shares.png'
    """
    if not shares:
        raise InputError("shares", {}, "the shares of at least one network")
    methods = list(next(iter(shares.values())))
    for name, each in shares.items():
        if list(each) != methods:
            raise InputError(f"shares[{name!r}]", list(each), f"those of the first, {methods}")
    bar = 0.8 / len(shares)
    places = np.arange(len(methods))
    width = max(5.0, 1.6 + 0.85 * len(methods))
    with page(path, width, 3.4) as figure:
        ax = figure.subplots()
        for i, (name, each) in enumerate(shares.items()):
            x = places + (i - (len(shares) - 1) / 2) * bar
            heights = [each[method] for method in methods]
            error = None
            if deviations and deviations.get(name):
                error = [deviations[name][method] for method in methods]
            color = (RED, BLUE, PALETTE[1])[i % 3]
            style: dict[str, Any] = {"error_kw": {"elinewidth": 0.8, "ecolor": INK}}
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
            ax.bar(x, heights, 0.92 * bar, label=plain(name), color=color, yerr=error, **style)
            for place, height in zip(x, heights, strict=True):
                # Without its background a number is hard to read where a line crosses it.
                ax.text(place, height + 0.016, f"{height:.2f}", ha="center", fontsize=6, bbox=box)
        ax.axhline(area, color=INK, linestyle="--", linewidth=0.9, label="share of the area")
        if factor is not None:
            label = f"{factor:g} times the area"
            ax.axhline(factor * area, color=GREY, linestyle=":", linewidth=1.1, label=label)
        ax.set_xticks(places, [plain_lines(two_lines(method)) for method in methods])
        ax.set(ylabel="share of positive attribution", ylim=(0, 1.15))
        ax.grid(axis="x", visible=False)
        ax.legend(ncols=len(shares) + 2, loc="upper right", fontsize=7)
        ax.set_title(wrapped(title, width, 11.3))
    return Path(path)


def two_lines(name: str, lines: int = 2) -> str:
    """Returns the name of a method in words, divided into two lines if it is long.

    Example:
      >>> two_lines("integrated_gradients").splitlines(), two_lines("rise")
      (['integrated', 'gradients'], 'RISE')
    """
    name = NAMES.get(name, name)
    words = name.split("_")
    if lines == 1 or len(words) == 1 or len(name) < 10:
        return " ".join(words)
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + "\n" + " ".join(words[half:])
