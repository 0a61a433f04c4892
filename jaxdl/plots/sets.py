"""A picture of a data set, whatever it contains."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from jaxdl.errors import InputError
from jaxdl.plots.images import image_grid
from jaxdl.plots.matrix import class_names
from jaxdl.plots.page import BLUE, GREY, PALETTE, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Most images, points, columns of a table, sequences and windows of a text in a picture.
IMAGES = 40
POINTS = 5_000
COLUMNS = 12
SEQUENCES = 6
WINDOWS = 12
#: Most steps of a window of a text, and most frames of a clip.
STEPS = 80
FRAMES = 12


def show(data: Any, path: str | os.PathLike[str], tokens: Sequence[str] | None = None) -> Path:
    """Draws examples of a set, spread evenly over its rows.

    - images and clips: a grid, with the names of the classes;
    - points in the plane: their positions, coloured by class;
    - vectors and tables: a histogram for each column, also of the target;
    - sequences of numbers: lines over time;
    - sequences of integers: windows of text with `tokens`, else their numbers as colours.

    Args:
      data: a `jaxdl.data.Dataset` with a field `input`.
      path: path of the PNG file.
      tokens: text of each integer, such as `Vocabulary.tokens`.

    Returns:
      The path.

    Raises:
      InputError: a set without `input`, or an input of another shape.

    Example:
      >>> import tempfile
      >>> from jaxdl.data import load
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     show(load("digits")[0], f"{directory}/digits.png").name
      'digits.png'
    """
    if "input" not in getattr(data, "arrays", {}):
        got = type(data).__name__
        if hasattr(data, "arrays"):
            got = f"the fields {', '.join(data.arrays)}"
        raise InputError("data", got, "a jaxdl.data.Dataset with a field input")
    shape = data["input"].shape
    is_integer = np.issubdtype(data["input"].dtype, np.integer)
    draw: Callable[..., None]
    if len(shape) in (4, 5) and shape[-1] in (1, 3):
        return _show_images(data, path)
    if len(shape) == 2 and is_integer:
        draw = _draw_windows
        size = (9.0, 0.6 + 0.3 * min(WINDOWS, shape[0]))
    elif len(shape) == 3 or (len(shape) == 2 and "length" in data.arrays):
        draw = _draw_sequences
        size = (8.0, 1.2 * min(SEQUENCES, shape[0]) + 0.6)
    elif len(shape) == 2 and shape[1] == 2 and data.columns is None:
        draw = _draw_points
        size = (5.2, 4.4)
    elif len(shape) == 2:
        draw = _draw_columns
        panels = min(len(_columns(data)), COLUMNS)
        size = (min(panels, 4) * 2.4, 0.5 + 1.9 * -(-panels // 4))
    else:
        raise InputError("input shape", shape, "images, points, vectors, sequences or windows")
    with page(path, *size) as figure:
        draw(figure, data, tokens)
    return Path(path)


def _spread(count: int, most: int) -> Int[np.ndarray, " N"]:
    """Returns at most `most` rows, evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _labels(data: Any) -> tuple[np.ndarray, list[str]] | None:
    """Returns the labels `[N]` and the names of the classes, or None without classes."""
    label = data.arrays.get("label")
    if label is None or data.classes is None or label.ndim != 1 or label.dtype.kind not in "iu":
        return None
    return np.asarray(label), class_names(data.class_names, data.classes)


def _title(data: Any, shown: int, noun: str) -> str:
    """Returns the name of a set with the numbers of shown and of all examples."""
    title = f"{plain(data.name)}: {shown:,} of {len(data):,} {noun}"
    if data.classes is not None:
        title += f", {data.classes} classes"
    return title


def _show_images(data: Any, path: str | os.PathLike[str]) -> Path:
    """Draws a grid of images, or the frames of a clip in each row."""
    images = data["input"]
    labels = _labels(data)
    columns = 10
    rows = _spread(len(data), IMAGES)
    noun = "images"
    if images.ndim == 5:
        columns = min(images.shape[1], FRAMES)
        rows = _spread(len(data), SEQUENCES)
        noun = "clips, one per row"
    shown = np.asarray(images[rows])
    titles = None
    if images.ndim == 5:
        shown = shown[:, :columns].reshape(-1, *shown.shape[2:])
    if labels is not None:
        label, names = labels
        titles = [names[i] for i in label[rows]]
        if images.ndim == 5:
            titles = [text for each in titles for text in [each, *[""] * (columns - 1)]]
    return image_grid(shown, path, columns, titles, _title(data, len(rows), noun))


def _draw_points(figure: Any, data: Any, _: Any) -> None:
    """Draws points in the plane, coloured by class."""
    ax = figure.subplots()
    rows = _spread(len(data), POINTS)
    points = np.asarray(data["input"][rows])
    labels = _labels(data)
    if labels is None or data.classes > len(PALETTE):
        ax.scatter(*points.T, s=8, color=BLUE, alpha=0.6, linewidth=0)
    else:
        label, names = labels
        for i, name in enumerate(names):
            of_class = points[label[rows] == i]
            ax.scatter(*of_class.T, s=8, color=PALETTE[i], alpha=0.6, linewidth=0, label=name)
        ax.legend(title="class", loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(title=_title(data, len(rows), "points"), xlabel="input 0", ylabel="input 1")
    ax.set_aspect("equal", adjustable="datalim")


def _columns(data: Any) -> list[tuple[str, np.ndarray, tuple[str, ...] | None]]:
    """Returns name, values `[N]` and names of the values of each column, the target first.

    The values of a category are the places of its names.
    """
    found: list[tuple[str, np.ndarray, tuple[str, ...] | None]] = []
    target = data.arrays.get("target")
    if target is not None and target.ndim == 2:
        found = [(f"target {i}", target[:, i], None) for i in range(min(target.shape[1], 3))]
    inputs = data["input"][_spread(len(data), 100 * POINTS)]
    if data.columns is None:
        return found + [(f"input {i}", inputs[:, i], None) for i in range(inputs.shape[1])]
    first = 0
    for column in data.columns:
        part = inputs[:, first : first + column.width]
        first += column.width
        values = part[:, 0]
        if column.values is not None:
            # The largest input is that of the category, also after a standardization.
            values = part.argmax(1)
        found.append((column.name, values, column.values))
    return found


def _draw_columns(figure: Any, data: Any, _: Any) -> None:
    """Draws a histogram for each column."""
    columns = _columns(data)
    shown = columns[:COLUMNS]
    wide = min(len(shown), 4)
    axes = figure.subplots(-(-len(shown) // wide), wide, squeeze=False).ravel()
    for ax, (name, values, names) in zip(axes, shown, strict=False):
        _draw_histogram(ax, values, names)
        ax.set_title(plain(name), fontsize=8)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    title = f"{plain(data.name)}: {len(data):,} examples"
    if data.classes is not None:
        title += f", {data.classes} classes"
    if len(columns) > len(shown):
        title += f", the first {len(shown)} of {len(columns)} columns"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    figure.supylabel("examples", fontsize=9)


def _draw_histogram(ax: "Axes", values: np.ndarray, names: Sequence[str] | None) -> None:
    """Draws how often each category or each range of values occurs."""
    if names is None:
        finite = values[np.isfinite(values)]
        ax.hist(finite, 30, color=BLUE)
        ax.locator_params(axis="x", nbins=4)
        ax.locator_params(axis="y", integer=True)
        return
    counts = np.bincount(values, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[:6]
    ax.barh(range(len(order)), counts[order], color=BLUE)
    ax.set_yticks(range(len(order)), [plain(names[i])[:14] for i in order])
    ax.invert_yaxis()


def _draw_sequences(figure: Any, data: Any, _: Any) -> None:
    """Draws each sequence as lines over its valid steps."""
    rows = _spread(len(data), SEQUENCES)
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False).ravel()
    labels = _labels(data)
    for ax, row in zip(axes, rows, strict=True):
        values = np.asarray(data["input"][row : row + 1])[0]
        values = values.reshape(len(values), -1)
        if "length" in data.arrays:
            values = values[: int(data["length"][row])]
        for i, color in zip(range(values.shape[1]), PALETTE, strict=False):
            ax.plot(values[:, i], color=color, linewidth=1.2)
        name = f"example {row}"
        if labels is not None:
            name += f": {labels[1][labels[0][row]]}"
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    axes[0].set_title(_title(data, len(rows), "sequences"))
    axes[-1].set_xlabel("step")


def _draw_windows(figure: Any, data: Any, tokens: Sequence[str] | None) -> None:
    """Draws windows of a text, one per row."""
    rows = np.arange(min(WINDOWS, len(data)))
    if not data.contiguous:
        rows = _spread(len(data), WINDOWS)
    ids = np.asarray(data["input"][rows])[:, :STEPS]
    ax = figure.subplots()
    labels = _labels(data)
    names = [str(row) for row in rows]
    if labels is not None:
        names = [f"{row}: {labels[1][labels[0][row]]}" for row in rows]
    title = _title(data, len(rows), "windows")
    if tokens is None:
        ax.imshow(ids, "viridis", aspect="auto")
        title += f", numbers of their tokens from {ids.min()} to {ids.max()} as colours"
        ax.set_xlabel("step")
    else:
        # A vocabulary of characters also has a few special tokens.
        separator = "" if np.median([len(each) for each in tokens]) == 1 else " "
        for i, row in enumerate(ids):
            text = separator.join(tokens[each] for each in row.tolist())[:STEPS]
            text = plain(text.replace("\n", "↵"))
            ax.text(0, i, text, family="DejaVu Sans Mono", fontsize=8, va="center", color="black")
        ax.set(xlim=(0, 1), ylim=(len(ids) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(rows)), names, fontsize=7)
    ax.set_ylabel("example")
    ax.tick_params(colors=GREY, length=0)
    ax.grid(False)
    ax.set_title(title)
