"""The style of all figures, and the context manager that writes them to files."""

import contextlib
import contextvars
import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

#: The palette of Okabe and Ito, which colour-blind readers can distinguish:
#: https://jfly.uni-koeln.de/color/
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
BLUE = "#0072B2"
RED = "#D55E00"
GREY = "#8A8F98"
INK = "#2B2F36"

#: Text in the corner of all figures, see `stamped`.
_STAMP: contextvars.ContextVar[str] = contextvars.ContextVar("stamp", default="")
#: Height of that text in inches, and the text for runs with `--smoke`.
STAMP = 0.13
SMOKE = "smoke test"
#: Mean width of a character as a fraction of the font size.
CHARACTER = 0.58

#: Arguments of a legend inside of the axes, which hides the lines behind it.
LEGEND: dict[str, Any] = {"frameon": True, "edgecolor": "none", "framealpha": 0.9}

STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 9,
    "text.color": INK,
    "axes.titlesize": 10,
    "axes.titlepad": 7,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E8EAED",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
}


@contextlib.contextmanager
def page(
    path: str | os.PathLike[str], width: float, height: float, between: float = 0.02
) -> "Iterator[Figure]":
    """Yields an empty figure in the style of the library, and writes it to `path` at the end.

    Nothing is written if the block raises an exception.

    Args:
      path: path of the PNG file; its directory is created if missing.
      width: width in inches of 150 pixels.
      height: height in inches.
      between: space between rows of axes, as a fraction of the height.

    Yields:
      The figure.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "line.png"
      ...     with page(path, 2.0, 1.0) as figure:
      ...         _ = figure.subplots().plot([1, 2])
      ...     path.read_bytes()[1:4]
      b'PNG'
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(STYLE):
        # The text in the corner has an extra line, so that it hides no label.
        line = STAMP / height * bool(_STAMP.get())
        engine = ConstrainedLayoutEngine(hspace=between, rect=(0, line, 1, 1 - line))
        figure = Figure(figsize=(width, height), layout=engine)
        yield figure
        stamp(figure)
        _save(figure, Path(path))


@contextlib.contextmanager
def stamped(text: str) -> Iterator[None]:
    """Writes a text into the corner of all figures that are made inside a `with` statement.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory, stamped("20 steps only"):
      ...     with page(Path(directory) / "line.png", 2.0, 1.0) as figure:
      ...         _ = figure.subplots().plot([1, 2])
      ...     [each.get_text() for each in figure.texts]
      ['20 steps only']
    """
    before = _STAMP.set(text)
    try:
        yield
    finally:
        _STAMP.reset(before)


def stamp(figure: "Figure") -> None:
    """Writes the text of `stamped` into the lower right corner of a figure."""
    text = _STAMP.get()
    if text:
        back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        figure.text(1, 0, text, ha="right", va="bottom", fontsize=7, color=RED, bbox=back)


def _save(figure: "Figure", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(unfinished, format="png", metadata={"Software": None})
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def size_in_inches(ax: "Axes") -> tuple[float, float]:
    """Returns width and height of the axes, laid out with the artists that they have now."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    return ax.bbox.width / figure.dpi, ax.bbox.height / figure.dpi


def plain(text: str) -> str:
    r"""Returns a text that Matplotlib draws as it is, without formulas between dollar signs.

    Characters that no font has, such as control characters, become spaces.

    Example:
      >>> plain("1 $ and 2 $")
      '1 \\$ and 2 \\$'
    """
    printable = "".join(each if each.isprintable() else " " for each in text)
    # A second call changes nothing.
    return re.sub(r"(?<!\\)\$", r"\\$", printable)


def plain_lines(text: str) -> str:
    """Returns a text of several lines that Matplotlib draws as it is.

    Example:
      >>> plain_lines("8\\n99 %").splitlines()
      ['8', '99 %']
    """
    return "\n".join(plain(line) for line in text.splitlines())


def short_number(value: float) -> str:
    """Returns a number with three digits and a true minus sign.

    Example:
      >>> short_number(2.5), short_number(-0.02), short_number(1234.5), short_number(99.96)
      ('2.50', '−0.0200', '1,234', '100')
    """
    text = f"{value:#.3g}".removesuffix(".")
    if abs(value) >= 100:
        text = f"{value:,.0f}"
    return text.replace("-", "−")


def unit_in(label: str) -> str:
    """Returns the unit in the last parentheses of a label, after a space; '' without one.

    Example:
      >>> unit_in("temperature (°C)"), unit_in("error")
      (' °C', '')
    """
    found = re.findall(r"\(([^()]+)\)", label)
    if not found:
        return ""
    return f" {found[-1]}"


def set_log_ticks(axis: "Axis", low: float, high: float) -> None:
    """Sets the ticks of a logarithmic axis from `low` to `high`, with numbers that do not overlap.

    There is one for each power of ten, more if these are few, and equally spaced ones within
    a power of ten.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    if high / low >= 1000:
        axis.set_major_locator(LogLocator(subs=(1.0,), numticks=8))
    elif high / low > 10:
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=20))
    else:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def font_size(width: float, characters: int, largest: float) -> float:
    """Returns the font size in points at which a text fits into a width.

    Args:
      width: available width in inches.
      characters: number of characters of the text.
      largest: upper limit of the size.

    Example:
      >>> font_size(1.0, 3, 9.0), round(font_size(1.0, 30, 9.0), 2)
      (9.0, 3.87)
    """
    return min(largest, 72 * width / (0.62 * max(characters, 1)))


def text_width(texts: Sequence[str], size: float) -> float:
    """Returns the width in inches that the longest line of some texts needs; 0 without texts.

    Args:
      texts: texts of one or more lines.
      size: font size in points.

    Example:
      >>> round(text_width(["one", "a longer line"], 10.0), 2), text_width([], 10.0)
      (1.05, 0.0)
    """
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    return longest * CHARACTER * size / 72


def wrapped(text: str, width: float, size: float) -> str:
    """Returns a text that Matplotlib draws as it is, in as many lines as it needs in a width.

    Args:
      text: the text, whose line breaks are kept.
      width: available width in inches.
      size: font size in points.

    Example:
      >>> wrapped("100 images generated after 600 steps", 2.0, 10.0).split("\\n")
      ['100 images generated', 'after 600 steps']
    """
    characters = max(10, int(72 * width / (CHARACTER * size)))
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, characters)]
    return "\n".join(plain(line) for line in lines)
