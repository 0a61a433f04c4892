"""Heat maps over a text: what a unit or a gate does at every character."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.plots.page import GREY, INK, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = "DejaVu Sans Mono"
#: What stands for characters that would leave their cell empty, and for those that the font lacks.
MARKS = {"\n": "↵", "\t": "⇥", "\r": "←"}
MISSING = "▯"
#: Size of the letters in points; that of a cell and of the space around in inches.
POINTS = 8.0
CELL = 0.086
LINE = 0.185
TITLE = 0.26
MARGIN = 0.12
#: How far beyond its last value a colour map goes on: dark letters can be read on what is left of it.
PALE = 1.6


def text_heatmap(
    text: str | Sequence[str],
    values: Float[np.ndarray, "R T"],
    rows: Sequence[str],
    path: str | os.PathLike[str],
    width: int = 64,
) -> Path:
    """Draws the text once for each row of values, every character on a cell in the colour of its value.

    A row that is nowhere negative, as a gate, goes from white at 0 to violet at 1; any other one is blue where
    negative, red where positive, white at 0. Both end at 1, or at the row's largest value beyond.

    Args:
      text: T characters, or T symbols of a few characters each.
      values: `[R, T]`, what row r has at each of them; white where not finite.
      rows: the names of the R units or gates.
      path: the PNG file.
      width: how many stand in a line.

    Returns:
      The path.

    Raises:
      InputError: no text, values that are not one for each symbol and row, `width < 1`.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     text_heatmap("say 'x'", np.linspace(-1, 1, 7)[None], ["unit 3"], f"{directory}/text.png").name
      'text.png'
    """
    values = _checked(text, values, rows, width)
    across = min(width, len(text))
    lines = math.ceil(len(text) / width)
    cell = CELL * max(map(len, text))
    wide = max(across * cell, 1.3 + 0.075 * max(map(len, rows)))
    high = lines * LINE + TITLE
    with page(path, wide + 2 * MARGIN, len(rows) * (high + MARGIN) + MARGIN) as figure:
        figure.set_layout_engine("none")
        whole_width, whole_height = figure.get_size_inches()
        for i, (row, name) in enumerate(zip(values, rows, strict=True)):
            bottom = whole_height - (i + 1) * (high + MARGIN)
            shape = across * cell / whole_width, lines * LINE / whole_height
            ax = figure.add_axes((MARGIN / whole_width, bottom / whole_height, *shape))
            draw_text_heatmap(ax, text, row, width)
            ax.set_title(name, fontsize=9, pad=4)
            top = (bottom + lines * LINE + 0.07) / whole_height
            _scale(
                figure.add_axes(
                    (
                        (MARGIN + wide - 0.95) / whole_width,
                        top,
                        0.7 / whole_width,
                        0.08 / whole_height,
                    )
                ),
                row,
            )
    return Path(path)


def draw_text_heatmap(
    ax: "Axes", text: str | Sequence[str], values: Float[np.ndarray, " T"], width: int = 64
) -> None:
    """Draws the text on `ax` with the values of one row; arguments as for `text_heatmap`."""
    values = _checked(text, np.asarray(values)[None], ["row"], width)[0]
    across = min(width, len(text))
    lines = math.ceil(len(text) / width)
    cells = np.full(lines * width, np.nan)
    cells[: len(text)] = values
    name, low, high = _colors(values)
    limits = PALE * low, PALE * high
    ax.imshow(cells.reshape(lines, width)[:, :across], name, clim=limits, aspect="auto")
    ax.set_axis_off()
    place: dict[str, Any] = {
        "ha": "center",
        "va": "center_baseline",
        "in_layout": False,
        "parse_math": False,
    }
    for i, symbol in enumerate(readable(text)):
        y, x = divmod(i, width)
        ax.text(x, y, symbol, fontsize=POINTS, family=FONT, color=INK, **place)


def readable(text: str | Sequence[str]) -> list[str]:
    """The symbols as they are drawn: marks for line ends and tabs, boxes for what the font lacks.

    Example:
      >>> readable("a\\n")
      ['a', '↵']
    """
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(FONT))
    marked = ["".join(MARKS.get(letter, letter) for letter in symbol) for symbol in text]
    return [
        "".join(x if font.get_char_index(ord(x)) else MISSING for x in symbol) for symbol in marked
    ]


def _colors(values: np.ndarray) -> tuple[str, float, float]:
    """The colour map, and the values at its ends."""
    values = values[np.isfinite(values)]
    limit = max(1.0, float(abs(values).max(initial=0.0)))
    return ("Purples", 0.0, limit) if values.min(initial=0.0) >= 0 else ("RdBu_r", -limit, limit)


def _scale(ax: "Axes", values: np.ndarray) -> None:
    """A little scale with the numbers at its ends beside it."""
    name, low, high = _colors(values)
    ax.imshow(np.linspace(low, high, 64)[None], name, clim=(PALE * low, PALE * high), aspect="auto")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GREY, linewidth=0.5)
    for x, align, value in ((-0.06, "right", low), (1.06, "left", high)):
        label = f"{value:.2g}".replace("-", "−")
        ax.text(x, 0.5, label, transform=ax.transAxes, ha=align, va="center_baseline", fontsize=7)


def _checked(
    text: str | Sequence[str], values: np.ndarray, rows: Sequence[str], width: int
) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if not len(text) or not all(text):
        raise InputError("text", text, "at least one symbol, none of them empty")
    if not len(rows) or values.shape != (len(rows), len(text)):
        raise InputError(
            "values shape", values.shape, f"[R, T] = [{len(rows)}, {len(text)}], R at least 1"
        )
    at_least("width", width, 1)
    return values
