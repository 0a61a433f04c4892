"""Raw inputs for a trained network: images, tables, arrays and texts from files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxdl.data.files import decode_utf8, expand_path, open_maybe_gzip, read_bounded
from jaxdl.data.image_folder import ENDINGS, sorted_names
from jaxdl.data.npz import read_input_array
from jaxdl.data.tables import read_table
from jaxdl.errors import InputError

Kind = Literal["images", "rows", "array", "texts", "sounds"]


class RawInputs(NamedTuple):
    """Raw inputs and a name for each.

    Attributes:
      names: N names, such as paths of images or numbers of rows.
      kind: `images` or `sounds` (paths of files), `rows` (dictionaries of a table), `array`, or
        `texts`.
      values: N paths, dictionaries or texts, or an array `[N, ...]`.
    """

    names: list[str]
    kind: Kind
    values: Any


def read_inputs(items: Sequence[str]) -> RawInputs:
    """Returns the raw inputs that the arguments of a command name.

    Args:
      items: PNG or JPEG files and folders of them; or one `.npz`, `.csv` or `.tsv` file; or `.wav`
        files; or texts and `.txt` files, each of which is one text.

    Raises:
      InputError: no inputs, several kinds of them, or a file that cannot be read.

    Example:
      >>> read_inputs(["a good film"])
      RawInputs(names=['text 1'], kind='texts', values=['a good film'])
    """
    if not items:
        raise InputError("inputs", "none", "images, a .npz, .csv or .wav file, or texts")
    kinds = sorted({_kind(item) for item in items})
    if len(kinds) > 1 or (kinds[0] in ("array", "rows") and len(items) > 1):
        allowed = "one kind: images and folders of them, one .npz or .csv file, sounds, or texts"
        raise InputError("inputs", ", ".join(items), allowed)
    kind = kinds[0]
    if kind == "images":
        paths = [path for item in items for path in _images(expand_path(item, "inputs"))]
        return RawInputs([str(path) for path in paths], kind, paths)
    if kind == "sounds":
        paths = [expand_path(item, "inputs") for item in items]
        return RawInputs([str(path) for path in paths], kind, paths)
    if kind == "texts":
        return RawInputs(*_texts(items))
    path = expand_path(items[0], "inputs")
    if kind == "array":
        array = read_input_array(path)
        if not array.ndim or not len(array):
            raise InputError(str(path), list(array.shape), "an array [N, ...] with N of at least 1")
        return RawInputs([f"row {i}" for i in range(len(array))], kind, array)
    table = read_table(path, least=1, columns=1)
    cells = zip(*table.cells.values(), strict=True)
    rows = [dict(zip(table.cells, row, strict=True)) for row in cells]
    return RawInputs([f"line {line}" for line in table.lines], kind, rows)


def _kind(item: str) -> Kind:
    """Returns the kind of an argument, by its ending or because it is a folder."""
    name = item.lower().removesuffix(".gz")
    if name.endswith(ENDINGS):
        return "images"
    if name.endswith(".npz"):
        return "array"
    if name.endswith((".csv", ".tsv")):
        return "rows"
    if name.endswith(".wav"):
        return "sounds"
    # A long text is no path.
    if len(item) < 256 and "\0" not in item and os.path.isdir(os.path.expanduser(item)):
        return "images"
    return "texts"


def _images(path: Path) -> list[Path]:
    """Returns an image, or all images below a folder in natural order."""
    if not path.is_dir():
        return [path]
    names = [
        os.path.relpath(os.path.join(folder, name), path)
        for folder, _, files in os.walk(path)
        for name in files
        if name.lower().endswith(ENDINGS) and not name.startswith(".")
    ]
    if not names:
        raise InputError("inputs", str(path), f"a folder with images ({', '.join(ENDINGS)})")
    return [path / name for name in sorted_names(names)]


def _texts(items: Sequence[str]) -> tuple[list[str], Kind, list[str]]:
    """Returns names and texts; an argument that ends in `.txt` is a file."""
    names = []
    texts = []
    for i, item in enumerate(items):
        if not item.lower().removesuffix(".gz").endswith(".txt"):
            names.append(f"text {i + 1}")
            texts.append(item)
            continue
        path = expand_path(item, "inputs")
        with open_maybe_gzip(path) as file:
            texts.append(decode_utf8(read_bounded(file), item))
        names.append(item)
    return names, "texts", texts
