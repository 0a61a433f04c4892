"""Boards of games with the value of each move, and curves of all seeds by games."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.page import BLUE, GREY, INK, PALETTE, RED, font_size, page, plain, plain_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

#: Side of a board and space around it, heights of title, caption and color bar, width of the label
#: of a row, in inches.
SIDE = 1.15
GAP = 0.16
TITLE = 0.42
CAPTION = 0.14
SCALE = 0.62
LABEL = 1.0

#: Mark of a tile with a dot.
DOT = "●"


class Board(NamedTuple):
    """A board in a picture.

    Attributes:
      marks: text of each tile in the order of reading: "" for an empty one, `DOT` for a dot.
      values: value of the move at each tile, NaN where there is no bar.
      chosen: number of the tile that is framed, or None.
      caption: text below the board.
    """

    marks: Sequence[str]
    values: Float[np.ndarray, " T"]
    chosen: int | None = None
    caption: str = ""


class Curves(NamedTuple):
    """A number of each seed by games.

    Attributes:
      games: `[K]`, number of games.
      values: `[N, K]`, the number of each seed.
    """

    games: Int[np.ndarray, " K"]
    values: Float[np.ndarray, "N K"]


def board_rows(
    rows: Sequence[Sequence[Board]],
    path: str | os.PathLike[str],
    *,
    title: str,
    labels: Sequence[str],
    limits: tuple[float, float],
    scale: str = "value of a move",
    colors: str = "viridis",
) -> Path:
    """Draws boards in rows, with a bar for the value of the move at each tile.

    Length and color of a bar are those of its value between the limits. A frame marks the tile of
    the move that is played, and the text of the scale states this if there is one.

    Args:
      rows: boards of each row, which may differ in number.
      path: path of the PNG file.
      title: one line above the picture.
      labels: a text on the left of each row, perhaps of several lines.
      limits: values of an empty and of a full bar.
      scale: text of the scale of colors.
      colors: a colormap of Matplotlib.

    Returns:
      The path.

    Raises:
      InputError: no boards, or another number of labels, marks or values.

    Example:
      >>> import tempfile
      >>> board = Board(["", DOT, DOT, ""], np.array([0.9, 0.2, 0.1, 0.5]), 0, "4 moves left")
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/boards.png"
      ...     board_rows([[board]], path, title="A", labels=["9 games"], limits=(0, 1)).name
      'boards.png'
    """
    _check(rows, labels, limits)
    from matplotlib import colormaps

    columns = max(len(row) for row in rows)
    step = SIDE + GAP
    width = max(LABEL + columns * step + GAP, 0.07 * len(title), 4.0)
    height = TITLE + len(rows) * (step + CAPTION) + SCALE
    with page(path, width, height) as figure:
        figure.set_layout_engine("none")
        figure.suptitle(
            plain(title),
            x=0.1 / width,
            y=1 - 0.1 / height,
            ha="left",
            fontsize=font_size(width - 0.2, len(title), 10.0),
        )
        for i, row in enumerate(rows):
            top = height - TITLE - i * (step + CAPTION)
            middle = (top - SIDE / 2) / height
            figure.text(
                0.1 / width, middle, plain_lines(labels[i]), va="center", fontsize=8, color=INK
            )
            for j, board in enumerate(row):
                left = LABEL + j * step
                ax = figure.add_axes(
                    (left / width, (top - SIDE) / height, SIDE / width, SIDE / height)
                )
                _draw_board(ax, board, limits, colormaps[colors])
        bar = (LABEL / width, 0.42 / height, min(2.5, width - LABEL - 0.3) / width, 0.1 / height)
        ax = figure.add_axes(bar)
        ax.imshow(np.linspace(0, 1, 256)[None], colors, aspect="auto", extent=(*limits, 0.0, 1.0))
        if any(board.chosen is not None for row in rows for board in row):
            scale += "; the framed one is played"
        ax.set_yticks([])
        ax.set_xlabel(plain(scale), loc="left")
        ax.grid(False)
    return Path(path)


def _check(
    rows: Sequence[Sequence[Board]], labels: Sequence[str], limits: tuple[float, float]
) -> None:
    """Raises unless all rows have boards with values inside of the limits."""
    if not rows or not all(rows):
        raise InputError("boards", "none", "at least one in each row")
    if len(labels) != len(rows):
        raise InputError("labels", len(labels), f"a text for each row, {len(rows)}")
    if not limits[0] < limits[1]:
        raise InputError("limits", limits, "two increasing numbers")
    for board in (each for row in rows for each in row):
        count = len(board.marks)
        if not count or math.isqrt(count) ** 2 != count:
            raise InputError("marks", count, "a square number of tiles")
        if len(board.values) != count:
            raise InputError("values", len(board.values), f"one for each tile, {count}")


def _draw_board(ax: "Axes", board: Board, limits: tuple[float, float], colors: "Colormap") -> None:
    """Draws the tiles of a board with their marks and bars."""
    from matplotlib.patches import Rectangle

    size = math.isqrt(len(board.marks))
    ax.set(xlim=(-0.03, size + 0.03), ylim=(size + 0.03, -0.03), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    for tile, (mark, value) in enumerate(zip(board.marks, board.values, strict=True)):
        y, x = divmod(tile, size)
        ax.add_patch(
            Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor="#F1F3F5", edgecolor="#C9CDD2")
        )
        if mark == DOT:
            ax.plot(x + 0.5, y + 0.42, "o", color=INK, markersize=33 * SIDE / size)
        elif mark:
            ax.text(
                x + 0.5,
                y + 0.5,
                plain(mark),
                ha="center",
                va="center_baseline",
                fontsize=40 * SIDE / size,
                color=INK,
            )
        if not np.isnan(value):
            share = float(np.clip((value - limits[0]) / (limits[1] - limits[0]), 0, 1))
            ax.add_patch(Rectangle((x + 0.1, y + 0.78), 0.8, 0.12, facecolor="#DCDFE4"))
            length = 0.8 * max(share, 0.02)
            ax.add_patch(Rectangle((x + 0.1, y + 0.78), length, 0.12, facecolor=colors(share)))
    if board.chosen is not None:
        y, x = divmod(board.chosen, size)
        ax.add_patch(
            Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, fill=False, edgecolor=RED, linewidth=2)
        )
    ax.set_xlabel(plain_lines(board.caption), fontsize=7.5, labelpad=2)


def curves_by_games(
    lines: Mapping[str, Curves],
    path: str | os.PathLike[str],
    *,
    title: str,
    ylabel: str,
    best: float,
    logarithmic: bool = False,
) -> Path:
    """Draws a number by the number of games, a line for each seed.

    The legend has the mean of the last numbers of each method, and the best number.

    Args:
      lines: numbers by the name of the method.
      path: path of the PNG file.
      title: one line above the picture.
      ylabel: text of the vertical axis.
      best: the best number, a dashed line.
      logarithmic: if True, the vertical axis is logarithmic above 1.

    Returns:
      The path.

    Raises:
      InputError: no lines.

    Example:
      >>> import tempfile
      >>> curves = Curves(np.array([10, 20]), np.array([[300, 400], [310, 420]]))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/curves.png"
      ...     curves_by_games({"a": curves}, path, title="Two", ylabel="boards", best=506).name
      'curves.png'
    """
    from matplotlib.ticker import MaxNLocator

    if not lines:
        raise InputError("lines", "none", "at least one")
    with page(path, 6.4, 3.6) as figure:
        ax = figure.subplots()
        label = f"best: {best:,.0f}"
        ax.axhline(best, color=GREY, linewidth=1, linestyle="--", label=label)
        for i, (name, each) in enumerate(lines.items()):
            color = [BLUE, *PALETTE[1:]][i % len(PALETTE)]
            numbers = np.atleast_2d(each.values)
            mean = f"{numbers[:, -1].mean():,.1f}".removesuffix(".0")
            label = f"{plain(name.replace('_', ' '))}: {mean}"
            lines_drawn = ax.plot(each.games, numbers.T, color=color, linewidth=0.9, alpha=0.75)
            lines_drawn[0].set_label(label)
        if logarithmic:
            ax.set_yscale("symlog", linthresh=1)
            ax.set_ylim(bottom=-0.2)
        else:
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="games", ylabel=plain(ylabel))
        ax.set_title(plain(title), fontsize=font_size(5.6, len(title), 10.0))
        ax.xaxis.set_major_formatter(lambda games, _: f"{games:,.0f}")
        figure.legend(loc="outside lower left", ncols=5)
    return Path(path)
