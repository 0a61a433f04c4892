"""Dreams as tables of pictures and as animated GIFs."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.clips import pictures_gif
from jaxdl.plots.images import LEAST_WIDTH, LINE, ROW_SIZE, as_picture
from jaxdl.plots.page import font_size, page, plain, plain_lines, text_width, wrapped

Image = Float[np.ndarray, "H W C"]

#: Width of a table, and largest width and height of one of its pictures, in inches.
WIDTH = 12.0
LARGEST = 3.4
#: Heights of the line above a picture and of the title, in inches.
HEAD = 0.22
TITLE = 0.3


def picture_table(
    pictures: Sequence[Sequence[Image]],
    columns: Sequence[str],
    path: str | os.PathLike[str],
    title: str,
    rows: Sequence[str] | None = None,
    notes: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Draws pictures of one shape in rows and columns, such as dreams of several layers.

    Args:
      pictures: for each row its pictures, `[H, W, C]` in [0, 1], C 1 (grey) or 3 (RGB).
      columns: a text for each column.
      path: path of the PNG file.
      title: the text above the table.
      rows: a text for each row, or None.
      notes: for each row a text below each picture, such as a number; None means none.

    Returns:
      The path.

    Raises:
      InputError: no pictures, pictures of different shapes, or another number of texts.

    Example:
      >>> import tempfile
      >>> picture = np.random.default_rng(0).random((8, 12, 3))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/dreams.png"
      ...     picture_table([[picture, picture]], ["photograph", "dream"], path, "A dream").name
      'dreams.png'
    """
    _check(pictures, columns, rows, notes)
    height, width, _ = np.shape(pictures[0][0])
    tile = min(WIDTH / len(columns), LARGEST, LARGEST * width / height)
    beside = 0.0
    if rows is not None:
        beside = 0.15 + text_width(rows, ROW_SIZE)
    below = HEAD * (notes is not None)
    page_width = max(tile * len(columns) + beside, LEAST_WIDTH)
    shown = wrapped(title, page_width, 10.0)
    row_height = tile * height / width + below
    page_height = len(pictures) * row_height + HEAD + TITLE + LINE * shown.count("\n")
    with page(path, page_width, page_height, between=0.0) as figure:
        figure.suptitle(shown, x=0.01, ha="left", fontsize=10.0)
        table = figure.subplots(len(pictures), len(columns), squeeze=False)
        for i, row in enumerate(pictures):
            for j, picture in enumerate(row):
                ax = table[i, j]
                # A picture of the screen has few pixels for each one of the image.
                ax.imshow(as_picture(picture), "gray", vmin=0, vmax=1, interpolation="antialiased")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(False)
                if i == 0:
                    ax.set_title(
                        plain(columns[j]), fontsize=font_size(tile, len(columns[j]), 9.0), pad=3
                    )
                if j == 0 and rows is not None:
                    text = plain_lines(rows[i])
                    ax.set_ylabel(text, fontsize=ROW_SIZE, rotation=0, ha="right", va="center")
                if notes is not None:
                    ax.set_xlabel(
                        plain(notes[i][j]),
                        fontsize=font_size(tile, len(notes[i][j]), 8.0),
                        labelpad=2,
                    )
    return Path(path)


def picture_gif(
    pictures: Sequence[Image], titles: Sequence[str], path: str | os.PathLike[str]
) -> Path:
    """Draws pictures of one shape below their titles, as an animated GIF that repeats.

    Args:
      pictures: `[H, W, C]` in [0, 1], in their order.
      titles: a text for each one.
      path: path of the GIF file.

    Returns:
      The path.

    Raises:
      InputError: no pictures, pictures of different shapes, or another number of titles.

    Example:
      >>> import tempfile
      >>> pictures = list(np.random.default_rng(0).random((3, 8, 12, 3)))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     picture_gif(pictures, ["0", "1", "2"], f"{directory}/dream.gif").name
      'dream.gif'
    """
    if len(titles) != len(pictures):
        raise InputError("titles", len(titles), f"as many as pictures, {len(pictures)}")
    _check([pictures], titles, None, None)
    longest = max(map(len, titles))
    height, width, _ = np.shape(pictures[0])
    page_width = max(LARGEST * min(1.0, width / height), 0.06 * longest)
    with tempfile.TemporaryDirectory() as folder:
        frames = []
        for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
            frames.append(Path(folder) / f"{i:04d}.png")
            with page(frames[-1], page_width, page_width * height / width + HEAD + 0.1) as figure:
                ax = figure.subplots()
                ax.imshow(as_picture(picture), "gray", vmin=0, vmax=1, interpolation="antialiased")
                ax.set_axis_off()
                ax.set_title(plain(title), fontsize=font_size(page_width, longest, 9.0))
        return pictures_gif(frames, path, 0.2 * len(frames))


def _check(
    pictures: Sequence[Sequence[Image]],
    columns: Sequence[str],
    rows: Sequence[str] | None,
    notes: Sequence[Sequence[str]] | None,
) -> None:
    if not len(pictures) or not len(pictures[0]):
        raise InputError("pictures", "none", "at least one")
    shape = np.shape(pictures[0][0])
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise InputError("pictures", list(shape), "pictures [H, W, C], C 1 or 3")
    for row in pictures:
        if len(row) != len(columns):
            raise InputError("columns", len(columns), f"a text for each picture, {len(row)}")
        for picture in row:
            if np.shape(picture) != shape:
                raise InputError("pictures", list(np.shape(picture)), f"the first shape, {shape}")
    if rows is not None and len(rows) != len(pictures):
        raise InputError("rows", len(rows), f"a text for each row, {len(pictures)}")
    if notes is not None and [len(row) for row in notes] != [len(row) for row in pictures]:
        raise InputError("notes", [len(row) for row in notes], "a text for each picture")
