"""Pictures of pooling, of shifted images, and of the face detector by hand."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture
from jaxdl.plots.numbers import WIDTH
from jaxdl.plots.page import BLUE, GREY, INK, PALETTE, RED, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Shifts in pixels, changes of a response, and its stride.
Curve = tuple[Sequence[int] | np.ndarray, Sequence[float] | np.ndarray, int]

#: The cells of a filter and its map.
Matches = tuple[Sequence[str], Float[np.ndarray, "I J"]]


def pooled_photograph(
    images: Mapping[str, Sequence[Float[np.ndarray, "H W C"]]],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws an image that is pooled again and again, at one size, so that pixels grow.

    Args:
      images: for each kind of pooling the images, from the given one on, in [0, 1].
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no images, or rows of different lengths.

    Example:
      >>> import tempfile
      >>> images = [np.zeros((4, 4, 1)), np.ones((2, 2, 1))]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     pooled_photograph({"max": images}, f"{directory}/pooled.png", "Pooling").name
      'pooled.png'
    """
    lengths = {len(each) for each in images.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError("images", sorted(lengths), "rows of images of one length")
    columns = lengths.pop()
    height, width = np.shape(next(iter(images.values()))[0])[:2]
    tile = WIDTH / columns
    with page(path, WIDTH, len(images) * (tile * height / width + 0.25) + 0.35) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(len(images), columns, squeeze=False)
        for axes, (kind, row) in zip(grid, images.items(), strict=True):
            for t, (ax, image) in enumerate(zip(axes, row, strict=True)):
                smooth = "antialiased" if min(np.shape(image)[:2]) > 150 else "nearest"
                ax.imshow(
                    as_picture(np.clip(image, 0, 1)), "gray", vmin=0, vmax=1, interpolation=smooth
                )
                ax.set(xticks=[], yticks=[])
                ax.set_aspect("auto")
                ax.set_box_aspect(height / width)
                ax.grid(False)
                ax.spines[:].set_visible(False)
                rows, across = np.shape(image)[:2]
                ax.set_title(f"{t} times: {rows}×{across}", fontsize=10)
            axes[0].set_ylabel(f"{kind} pooling", fontsize=11)
    return Path(path)


def shift_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws how much a response changes when the image moves.

    Args:
      panels: for each panel its curves: shifts in pixels, changes, and the stride of the response,
        which a dotted line marks.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no panels.

    Example:
      >>> import tempfile
      >>> curves = {"stride 2": ([0, 1, 2], [0.0, 0.0, 1.4], 2)}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     shift_curves({"dot": curves}, f"{directory}/shift.png", "Shifts").name
      'shift.png'
    """
    from matplotlib.ticker import MultipleLocator

    if not panels:
        raise InputError("panels", {}, "at least one panel with its curves")
    with page(path, WIDTH, 4.0) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(1, len(panels), squeeze=False)
        for ax, (name, curves) in zip(grid[0], panels.items(), strict=True):
            for i, (label, (shifts, changes, stride)) in enumerate(curves.items()):
                color = PALETTE[i % len(PALETTE)]
                ax.plot(shifts, changes, "o-", color=color, markersize=3.5, label=plain(label))
                ax.axvline(stride, color=color, linewidth=0.9, linestyle=":")
            ax.set_title(plain(name), fontsize=10)
            ax.set(xlabel="shift of the image in pixels", ylim=(-0.06, None))
            ax.xaxis.set_major_locator(MultipleLocator(4))
        grid[0, 0].set_ylabel("change of the response, relative to its norm")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return Path(path)


def draw_cells(ax: "Axes", rows: Sequence[str], title: str = "") -> None:
    """Draws a filter as cells: black, white, symbols, and grey for cells that do not matter."""
    from matplotlib.patches import Rectangle

    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            color = {"#": INK, ".": "white", "?": "#DADDE2"}.get(cell, "#F7F3D0")
            ax.add_patch(Rectangle((j, i), 1, 1, facecolor=color, edgecolor=GREY, linewidth=0.8))
            if cell not in "#.?":
                ax.text(j + 0.5, i + 0.5, cell, ha="center", va="center", fontsize=11)
    ax.set(xlim=(-0.1, len(rows[0]) + 0.1), ylim=(len(rows) + 0.1, -0.1), aspect="equal")
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=9, loc="center")


def draw_map(ax: "Axes", values: Float[np.ndarray, "H W"], title: str = "") -> None:
    """Draws a map of zeros and ones, with red cells where a filter matches."""
    from matplotlib.colors import ListedColormap

    ax.imshow(values, ListedColormap(["#F2F3F5", RED]), vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set(visible=True, color=GREY)
    if title:
        ax.set_title(title, fontsize=9, loc="center")


def face_hierarchy(
    image: Float[np.ndarray, "H W 1"],
    levels: Sequence[Mapping[str, Matches]],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws a drawing, and from left to right the filters of each level beside their maps.

    Args:
      image: the drawing.
      levels: for each level its filters by name: the cells and the map.
      path: path of the PNG file.
      title: one line above the picture, with the verdict.

    Returns:
      The path.

    Raises:
      InputError: no levels.

    Example: see `experiments/convolution_by_hand.py`.
    """
    if not levels:
        raise InputError("levels", [], "at least one level of filters")
    most = max(map(len, levels))
    columns = 2 + 2 * len(levels)
    widths = [2.2, 0.12, *[0.62, 1.0] * len(levels)]
    with page(path, WIDTH, 0.6 + 1.35 * most) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.add_gridspec(most, columns, width_ratios=widths)
        ax = figure.add_subplot(grid[:, 0])
        ax.imshow(image[..., 0], "Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], title=f"drawing, {image.shape[0]}×{image.shape[1]} pixels")
        ax.grid(False)
        ax.spines[:].set(visible=True, color=GREY)
        for k, level in enumerate(levels):
            # Levels with fewer filters have more space for each.
            edges = np.linspace(0, most, len(level) + 1).round().astype(int)
            for i, (name, (cells, found)) in enumerate(level.items()):
                place = slice(edges[i], edges[i + 1])
                draw_cells(figure.add_subplot(grid[place, 2 + 2 * k]), cells, name)
                count = int(np.sum(found))
                size = f"{found.shape[0]}×{found.shape[1]}"
                ax = figure.add_subplot(grid[place, 3 + 2 * k])
                draw_map(ax, found, f"{size}: {count} match{'' if count == 1 else 'es'}")
    return Path(path)


def face_verdicts(
    drawings: Mapping[str, tuple[Float[np.ndarray, "H W 1"], Mapping[str, Any], bool]],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws several drawings, the maps of the parts and of the face, and the verdict.

    Args:
      drawings: for each name the drawing, its maps by name, and True for a face.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no drawings.

    Example: see `experiments/convolution_by_hand.py`.
    """
    if not drawings:
        raise InputError("drawings", {}, "at least one drawing")
    names = list(next(iter(drawings.values()))[1])
    count = len(drawings)
    tile = min(WIDTH / count, 2.4)
    heights = [1.35, *[1.0] * len(names)]
    with page(path, tile * count + 0.4, tile * 0.8 * sum(heights) + 0.8) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(1 + len(names), count, height_ratios=heights, squeeze=False)
        for column, (name, (image, maps, is_face)) in zip(grid.T, drawings.items(), strict=True):
            ax = column[0]
            ax.imshow(image[..., 0], "Greys", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            color = BLUE if is_face else RED
            ax.spines[:].set(visible=True, color=color, linewidth=2.0)
            verdict = "a face" if is_face else "no face"
            ax.set_title(f"{plain(name)}:\n{verdict}", fontsize=10, color=color, loc="center")
            for ax, part in zip(column[1:], names, strict=True):
                draw_map(ax, maps[part])
        for ax, part in zip(grid[1:, 0], names, strict=True):
            ax.set_ylabel(part, fontsize=10)
    return Path(path)


def tolerance_maps(
    maps: Mapping[str, Float[np.ndarray, "R R"]], path: str | os.PathLike[str], title: str
) -> Path:
    """Draws how often a face is found although one part was moved.

    Args:
      maps: by name shares in [0, 1], by rows down and columns to the right, with no move in the
        middle.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no maps, or one without a middle.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     tolerance_maps({"pooling": np.eye(3)}, f"{directory}/moves.png", "Moves").name
      'moves.png'
    """
    if not maps:
        raise InputError("maps", {}, "at least one map")
    with page(path, 4.4 * len(maps) + 0.4, 4.6) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(1, len(maps), squeeze=False)
        for ax, (name, shares) in zip(grid[0], maps.items(), strict=True):
            if np.ndim(shares) != 2 or len(shares) % 2 == 0 or len(set(np.shape(shares))) > 1:
                raise InputError("maps", np.shape(shares), "squares with a middle")
            reach = len(shares) // 2
            ax.imshow(shares, "Blues", vmin=0, vmax=1.4, extent=(-reach - 0.5, reach + 0.5) * 2)
            for (i, j), share in np.ndenumerate(shares):
                text = f"{100 * share:.0f}"
                color = "white" if share > 0.8 else INK
                ax.text(j - reach, reach - i, text, ha="center", va="center", color=color)
            ax.set_title(plain(name), fontsize=10)
            ticks = np.arange(-reach, reach + 1)
            ax.set_xticks(ticks)
            ax.set_yticks(ticks, labels=[str(-each).replace("-", "−") for each in ticks])
            ax.set(xlabel="pixels to the right", ylabel="pixels down")
            ax.grid(False)
    return Path(path)
