"""Sets from a table in a CSV file: numbers and categories, and a column to predict."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdl.data.columns import (
    check_present,
    column_of,
    encode_cells,
    is_number,
    numbers,
)
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import decode_utf8, open_maybe_gzip, read_bounded
from jaxdl.errors import InputError

#: The name of a table and, after a colon, of the column to predict.
PATTERN = re.compile(r"(.+\.(?:csv|tsv)(?:\.gz)?)(?::(.+))?", re.IGNORECASE | re.DOTALL)

#: Names of the column to predict, in upper or lower case, if none is given.
TARGETS = ("label", "class", "target")

#: Largest number of classes of a table.
MOST_CLASSES = 1000

#: Most bytes of a table; its cells take several times as much memory.
MAX_TABLE = 2**28

_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


class Table(NamedTuple):
    """The cells of a table as text.

    Attributes:
      cells: the cells of each column by its name, without spaces around them.
      lines: the line of the file in which each row ends.
      path: the file.
    """

    cells: dict[str, list[str]]
    lines: list[int]
    path: Path

    def where(self, row: int) -> str:
        """Returns the place of a row for a message."""
        return f"{self.path}, line {self.lines[row]}"


def load_table(path: Path, target: str = "") -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of a table.

    The first line has the names of the columns. Cells are divided by commas, semicolons or tabs. A
    column whose cells are all numbers is one input. A column of texts becomes a one-hot vector
    with an input for each of its texts (`jaxdl.data.columns`).

    A target of texts or of integers without a decimal point gives classes. Other numbers give a
    regression, so `3.0` in place of `3` makes one of small integers. One row in five (of each
    class) is in the test set, the same rows every time.

    Args:
      path: a file in UTF-8, decompressed if its name ends in `.gz`.
      target: name of the column to predict. If empty, it is the column `label`, `class` or
        `target`. Several names of columns of numbers, divided by commas, give a regression.

    Returns:
      `(train, test)`, with `input [N, D]` float32, not scaled. Classes are `label [N]` int32 with
      `class_names`, other numbers `target [N, K]` float32. `columns` encodes further rows.

    Raises:
      InputError: a file that cannot be read, rows of different lengths, an empty cell, or no column
        to predict; the message has the line and the column.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder) / "pets.csv"
      ...     _ = path.write_text("size,fur,label\\n" + "4,long,cat\\n9,short,dog\\n" * 5)
      ...     train, test = load_table(path)
      >>> test["input"].tolist(), test["label"].tolist(), test.class_names
      ([[9.0, 0.0, 1.0], [4.0, 1.0, 0.0]], [1, 0], ('cat', 'dog'))
    """
    table = read_table(path)
    targets = _targets(table, target)
    for each in targets:
        check_present(each, table.cells[each], table.where)
    columns = tuple(
        column_of(name, cells, table.where)
        for name, cells in table.cells.items()
        if name not in targets
    )
    if not columns:
        raise InputError("data", f"{path}:{target}", "at least one column that is not predicted")
    inputs = encode_cells(columns, table.cells, table.where)
    name = re.split(r"\.[ct]sv", path.name, flags=re.IGNORECASE)[0]
    first = table.cells[targets[0]]
    if len(targets) > 1 or _is_real(targets[0], first, table.where):
        values = [numbers(each, table.cells[each], table.where) for each in targets]
        arrays = {"input": inputs, "target": np.stack(values, 1)}
        return holdout(Dataset(arrays, name, columns=columns))
    label, names = _classes(targets[0], first)
    data = Dataset(
        {"input": inputs, "label": label},
        name,
        len(names),
        class_names=names,
        columns=columns,
    )
    return holdout(data)


def read_table(path: Path, least: int = 2, columns: int = 2) -> Table:
    """Reads the cells of a table with at least `least` rows and `columns` columns.

    Raises:
      InputError: see `load_table`.

    Example:
      >>> read_table(Path("nowhere.csv"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere.csv', allowed: a file that exists
    """
    with open_maybe_gzip(path) as file:
        content = read_bounded(file)
    if len(content) > MAX_TABLE:
        allowed = f"at most {MAX_TABLE}; write the numbers into a .npz file"
        raise InputError(str(path), f"{len(content)} bytes", allowed)
    text = decode_utf8(content, str(path))
    header, delimiter = _header(text, path, columns)
    rows = []
    lines = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                allowed = f"{len(header)}, one for each column of the first line"
                raise InputError(f"{path}, line {reader.line_num}", f"{len(row)} cells", allowed)
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise InputError(where, str(error), "cells with closed quotation marks") from None
    if len(rows) < least:
        allowed = f"at least {least} below the names of columns"
        raise InputError(str(path), f"{len(rows)} rows", allowed)
    cells = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
    return Table(cells, lines, path)


def _header(text: str, path: Path, least: int) -> tuple[list[str], str]:
    """Returns the names of the columns, and the delimiter that gives most of them."""
    headers = {}
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            headers[delimiter] = [name.strip() for name in next(reader, [])]
        except csv.Error:
            headers[delimiter] = []
    delimiter = max(headers, key=lambda each: len(headers[each]))
    header = headers[delimiter]
    where = f"{path}, line 1"
    if len(header) < least:
        allowed = "names of two or more columns, divided by commas, semicolons or tabs"
        raise InputError(where, header, allowed)
    if "" in header:
        allowed = "a name for each column; pandas writes no index with to_csv(index=False)"
        raise InputError(where, header, allowed)
    if any(map(is_number, header)):
        raise InputError(where, header, "a line with the names of the columns, not numbers")
    name, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise InputError(where, name, "different names of the columns")
    return header, delimiter


def _targets(table: Table, target: str) -> list[str]:
    """Returns the names of the columns to predict."""
    names = list(table.cells)
    if target in names:
        return [target]
    several = [each.strip() for each in target.split(",")]
    if set(several) <= set(names) and len(set(several)) == len(several):
        return several
    path = table.path
    if target:
        raise InputError("data", f"{path}:{target}", f"a column of the table: {', '.join(names)}")
    found = [name for name in names if name.lower() in TARGETS]
    if len(found) == 1:
        return found
    allowed = f"one column {', '.join(TARGETS)}; or its name, such as '{path}:{names[-1]}'"
    raise InputError("data", f"{path} with the columns {', '.join(names)}", allowed)


def _is_real(name: str, texts: list[str], where: Callable[[int], str]) -> bool:
    """Returns True if a target is real numbers, and False if it is classes."""
    if all(map(_INTEGER.fullmatch, texts)):
        return False
    if sum(map(is_number, texts)) > len(texts) / 2:
        # Raises if some of them are no numbers.
        numbers(name, texts, where)
        return True
    return False


def _classes(name: str, texts: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the labels `[N]` and the names of the classes, sorted."""
    names = sorted(set(texts))
    if all(map(_INTEGER.fullmatch, texts)):
        texts = [str(int(text)) for text in texts]
        names = sorted(set(texts), key=int)
    if not 2 <= len(names) <= min(MOST_CLASSES, len(texts) / 2):
        allowed = "two or more classes, each in several rows; for a regression numbers with a "
        allowed += "decimal point, such as 3.0"
        shown = f"{len(names)} different values in {len(texts)} rows"
        raise InputError(f"column {name!r}", shown, allowed)
    places = {each: i for i, each in enumerate(names)}
    return np.array([places[text] for text in texts], np.int32), tuple(names)
