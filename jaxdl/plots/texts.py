"""Heat maps over a text, for the values of a unit or gate at every character."""

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
    from matplotlib.figure import Figure

FONT = "DejaVu Sans Mono"
#: Symbols for characters that would leave their cell empty.
MARKS = {"\n": "↵", "\t": "⇥", "\r": "←"}
#: The symbol for characters that the font lacks.
MISSING = "▯"
#: Font size in points.
POINTS = 8.0
#: Width of a cell in inches.
CELL = 0.086
#: Height of a line in inches.
LINE = 0.185
#: Height of a title in inches.
TITLE = 0.26
#: Margin in inches.
MARGIN = 0.12
#: Range of a colour map, as a multiple of the range of the values. Dark letters are legible on the
#: pale part of the map that remains.
PALE = 1.6


def text_heatmap(
    text: str | Sequence[str],
    values: Float[np.ndarray, "R T"],
    rows: Sequence[str],
    path: str | os.PathLike[str],
    width: int = 64,
    ends: tuple[str, str] | None = None,
) -> Path:
    """Draws the text once for each row of values, with coloured cells behind the characters.

    A row without negative values, for example of a gate, ranges from white at 0 to violet at 1. Any
    other row is blue where negative, white at 0 and red where positive. The range ends at 1, or at
    the row's largest absolute value if that exceeds 1.

    Args:
      text: T characters, or T symbols of a few characters each.
      values: `[R, T]`, a value of each row for each symbol. Cells that are not finite are white.
      rows: names of the R units or gates.
      path: path of the PNG file.
      width: number of symbols per line.
      ends: words for −1 and 1, at the ends of the colour scale of every row, which is blue to red
        then. None means numbers.

    Returns:
      The path.

    Raises:
      InputError: no text, another shape of the values, or `width < 1`.

    Example:
      >>> import tempfile
      >>> values = np.linspace(-1, 1, 7)[None]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     text_heatmap("say 'x'", values, ["unit 3"], f"{directory}/text.png").name
      'text.png'
    """
    values = _checked(text, values, rows, width)
    lines = math.ceil(len(text) / width)
    text_width = min(width, len(text)) * CELL * max(map(len, text))
    row_width = max(text_width, 1.3 + 0.07 * max(map(len, rows)))
    row_height = lines * LINE + TITLE
    page_height = len(rows) * (row_height + MARGIN) + MARGIN
    with page(path, row_width + 2 * MARGIN, page_height) as figure:
        figure.set_layout_engine("none")
        for i, (row, name) in enumerate(zip(values, rows, strict=True)):
            bottom = page_height - (i + 1) * (row_height + MARGIN)
            ax = _add_axes(figure, MARGIN, bottom, text_width, lines * LINE)
            draw_text_heatmap(ax, text, row, width, signed=ends is not None)
            ax.set_title(name, fontsize=9, pad=4)
            scale_bottom = bottom + lines * LINE + 0.07
            right = 0.25
            if ends:
                right = 0.08 * len(ends[1])
            scale_left = MARGIN + row_width - 0.7 - right
            _draw_scale(_add_axes(figure, scale_left, scale_bottom, 0.7, 0.08), row, ends)
    return Path(path)


def text_predictions(
    words: Sequence[str],
    probability: Float[np.ndarray, " T"],
    classes: Sequence[str],
    label: int,
    path: str | os.PathLike[str],
    width: int = 12,
) -> Path:
    """Draws a text with the prediction of a classifier after each word.

    A word is red where the second class is more probable and blue where the first one is. The title
    states the true class, and the prediction after the last word with its probability.

    Args:
      words: T words.
      probability: `[T]`, probability of the second class after each word.
      classes: names of the two classes.
      label: class of the text, 0 or 1.
      path: path of the PNG file.
      width: number of words per line.

    Returns:
      The path.

    Raises:
      InputError: see `text_heatmap`; also a number of classes other than two, or another label.

    Example:
      >>> import tempfile
      >>> p = np.array([0.5, 0.9])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     text_predictions(["good", "!"], p, ("neg", "pos"), 1, f"{directory}/text.png").name
      'text.png'
    """
    if len(classes) != 2 or label not in (0, 1):
        raise InputError("classes and label", (classes, label), "two names, and 0 or 1")
    values = 2 * np.asarray(probability) - 1
    predicted = int(values[-1] > 0)
    title = (
        f"true class {classes[label]}, predicted {classes[predicted]} "
        f"({50 + 50 * abs(values[-1]):.0f} %); the colour is the prediction after each word"
    )
    symbols = [f"{word} " for word in words]
    return text_heatmap(symbols, values[None], [title], path, width, (classes[0], classes[1]))


def _add_axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    """Returns new axes of the figure, with a position and size in inches."""
    page_width, page_height = figure.get_size_inches()
    return figure.add_axes(
        (left / page_width, bottom / page_height, width / page_width, height / page_height)
    )


def draw_text_heatmap(
    ax: "Axes",
    text: str | Sequence[str],
    values: Float[np.ndarray, " T"],
    width: int = 64,
    signed: bool = False,
) -> None:
    """Draws the text on `ax` with the values of one row; see `text_heatmap` for the arguments.

    If `signed`, the colours are those of negative and positive values, whatever the values are.
    """
    values = _checked(text, np.asarray(values)[None], ["row"], width)[0]
    across = min(width, len(text))
    lines = math.ceil(len(text) / width)
    cells = np.full(lines * width, np.nan)
    cells[: len(text)] = values
    name, low, high = _colors(values, signed)
    limits = PALE * low, PALE * high
    ax.imshow(cells.reshape(lines, width)[:, :across], name, clim=limits, aspect="auto")
    ax.set_axis_off()
    style: dict[str, Any] = {
        "ha": "center",
        "va": "center_baseline",
        "in_layout": False,
        "parse_math": False,
    }
    for i, symbol in enumerate(readable(text)):
        y, x = divmod(i, width)
        ax.text(x, y, symbol, fontsize=POINTS, family=FONT, color=INK, **style)


def readable(text: str | Sequence[str]) -> list[str]:
    """Returns the symbols with marks for line ends and tabs, and boxes for missing glyphs.

    Example:
      >>> readable("a\\n")
      ['a', '↵']
    """
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(FONT))

    def glyph(character: str) -> str:
        mark = MARKS.get(character, character)
        if font.get_char_index(ord(mark)):
            return mark
        return MISSING

    return ["".join(map(glyph, symbol)) for symbol in text]


def _colors(values: np.ndarray, signed: bool) -> tuple[str, float, float]:
    """Returns the name of the colour map, and the values at the ends of the scale."""
    values = values[np.isfinite(values)]
    limit = max(1.0, float(abs(values).max(initial=0.0)))
    if values.min(initial=0.0) >= 0 and not signed:
        return "Purples", 0.0, limit
    return "RdBu_r", -limit, limit


def _draw_scale(ax: "Axes", values: np.ndarray, ends: tuple[str, str] | None = None) -> None:
    """Draws a small colour scale between the numbers at its ends, or between words."""
    name, low, high = _colors(values, ends is not None)
    ax.imshow(np.linspace(low, high, 64)[None], name, clim=(PALE * low, PALE * high), aspect="auto")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GREY, linewidth=0.5)
    if ends is None:
        ends = (f"{low:.2g}".replace("-", "−"), f"{high:.2g}")
    for x, align, label in ((-0.06, "right", ends[0]), (1.06, "left", ends[1])):
        ax.text(x, 0.5, label, transform=ax.transAxes, ha=align, va="center_baseline", fontsize=7)


def _checked(
    text: str | Sequence[str], values: np.ndarray, rows: Sequence[str], width: int
) -> np.ndarray:
    """Returns the values as an array; raises an error if an argument is bad."""
    values = np.asarray(values, np.float64)
    if not len(text) or not all(text):
        raise InputError("text", text, "at least one symbol, none of them empty")
    if not len(rows) or values.shape != (len(rows), len(text)):
        raise InputError(
            "values shape", values.shape, f"[R, T] = [{len(rows)}, {len(text)}], R at least 1"
        )
    at_least("width", width, 1)
    return values
