"""Columns of a table: numbers, and categories that become one-hot vectors."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError

#: Largest number of different texts of a column; each is an input of the network.
MOST_VALUES = 256

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)

_CHARACTERS = re.compile(r"[0-9eE.+-]+")


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table, and the inputs that it becomes.

    Attributes:
      name: name of the column.
      values: the different texts of a column of categories, in the order of their one-hot vector.
        None for a column of numbers, which is one input.

    Example:
      >>> Column("age").width, Column("color", ("red", "blue")).width
      (1, 2)
    """

    name: str
    values: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """The number of inputs that the column becomes."""
        return 1 if self.values is None else len(self.values)

    def to_json(self) -> dict[str, Any]:
        """Returns the values for a JSON file, from which `columns_from_json` reads the same."""
        return dataclasses.asdict(self)


def columns_from_json(stored: Any) -> tuple[Column, ...] | None:
    """Returns the columns that `Column.to_json` returned, or None for None.

    Raises:
      InputError: other contents.

    Example:
      >>> columns_from_json([{"name": "age", "values": None}])
      (Column(name='age', values=None),)
    """
    if stored is None:
        return None
    try:
        columns = tuple(Column(each["name"], _texts(each["values"])) for each in stored)
    except (KeyError, TypeError, ValueError):
        raise InputError("columns", "other contents", "names and values of columns") from None
    if not columns or not all(isinstance(column.name, str) for column in columns):
        raise InputError("columns", "other contents", "at least one column with a name")
    return columns


def encode_rows(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str] | None = None,
) -> Float[np.ndarray, "N D"]:
    """Returns rows of a table as inputs of a network.

    Numbers stay as they are. A category becomes a vector with 1 at its place and 0 elsewhere.

    Args:
      columns: columns of the table that the network was trained on.
      rows: the cells of each row by the name of their column, texts or numbers. Further cells are
        ignored.
      names: the name of each row for messages, such as "line 2". None means "row 0" and so on.

    Returns:
      `[N, D]` float32, D the sum of the widths of the columns.

    Raises:
      InputError: a missing column; or a missing cell, a text in place of a number, or an unknown
        category, with its row and column.

    Example:
      >>> columns = (Column("age"), Column("color", ("blue", "red")))
      >>> encode_rows(columns, [{"age": "7.5", "color": "red"}]).tolist()
      [[7.5, 0.0, 1.0]]
      >>> encode_rows(columns, [{"age": "7.5", "color": "green"}])
      Traceback (most recent call last):
      jaxdl.errors.InputError: row 0, column 'color': got 'green', allowed: blue, red
    """
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(f"row {i}", type(row), "a dictionary {column: cell}")
    given = {name for row in rows for name in row}
    missing = [column.name for column in columns if column.name not in given]
    if rows and missing:
        allowed = f"also {', '.join(map(repr, missing))}, as in the training set"
        raise InputError("columns", sorted(map(str, given)), allowed)
    cells = {column.name: [_text(row.get(column.name, "")) for row in rows] for column in columns}
    return encode_cells(columns, cells, lambda i: f"row {i}" if names is None else names[i])


def encode_cells(
    columns: Sequence[Column], cells: Mapping[str, Sequence[str]], where: Callable[[int], str]
) -> Float[np.ndarray, "N D"]:
    """Returns the cells of each column as inputs; see `encode_rows`.

    Args:
      columns: columns of the table.
      cells: the texts of each column, N of each.
      where: the name of a row for messages.

    Example:
      >>> encode_cells([Column("age")], {"age": ["1", "2"]}, str).tolist()
      [[1.0], [2.0]]
    """
    parts = []
    for column in columns:
        texts = cells[column.name]
        check_present(column.name, texts, where)
        if column.values is None:
            parts.append(numbers(column.name, texts, where)[:, None])
            continue
        places = {value: i for i, value in enumerate(column.values)}
        for i, text in enumerate(texts):
            if text not in places:
                allowed = ", ".join(column.values)
                raise InputError(f"{where(i)}, column {column.name!r}", text, allowed)
        rows = [places[text] for text in texts]
        parts.append(np.eye(len(places), dtype=np.float32)[rows])
    return np.concatenate(parts, 1)


def check_present(name: str, texts: Sequence[str], where: Callable[[int], str]) -> None:
    """Raises for the first empty cell of a column.

    Example:
      >>> check_present("age", ["1", ""], lambda i: f"row {i}")
      Traceback (most recent call last):
      jaxdl.errors.InputError: row 1, column 'age': got '', allowed: a value; remove the row, or ...
    """
    if "" in texts:
        allowed = "a value; remove the row, or write a number or a text that stands for it"
        raise InputError(f"{where(list(texts).index(''))}, column {name!r}", "", allowed)


def numbers(
    name: str, texts: Sequence[str], where: Callable[[int], str]
) -> Float[np.ndarray, " N"]:
    """Returns the cells of a column of numbers as float32; raises for the first that is none.

    Example:
      >>> numbers("age", ["1", "x"], lambda i: f"row {i}")
      Traceback (most recent call last):
      jaxdl.errors.InputError: row 1, column 'age': got 'x', allowed: a number, as in other rows
    """
    largest = float(np.finfo(np.float32).max)
    values = _parsed(texts)
    if values is not None and abs(values).max(initial=0) <= largest:
        return values.astype(np.float32)
    for i, text in enumerate(texts):
        if is_number(text) and abs(float(text)) <= largest:
            continue
        allowed = "a number, as in other rows"
        if is_number(text):
            allowed = "a number that fits into float32"
        elif is_number(text.replace(",", ".")):
            allowed = "a number with a decimal point and without other separators"
        raise InputError(f"{where(i)}, column {name!r}", text, allowed)
    return np.array([float(text) for text in texts], np.float32)


def column_of(name: str, texts: Sequence[str], where: Callable[[int], str]) -> Column:
    """Returns the column with these cells: of numbers if all are, else of categories.

    Raises:
      InputError: an empty cell, numbers with some texts between them, or too many different texts.

    Example:
      >>> column_of("color", ["red", "blue", "red"], str)
      Column(name='color', values=('blue', 'red'))
    """
    check_present(name, texts, where)
    if _parsed(texts) is not None or sum(map(is_number, texts)) > len(texts) / 2:
        numbers(name, texts, where)
        return Column(name)
    values = sorted(set(texts))
    if len(values) > MOST_VALUES:
        allowed = f"numbers, or at most {MOST_VALUES} texts; remove the column"
        if is_number(values[-1].replace(",", ".")):
            allowed += ", or write numbers with a decimal point"
        raise InputError(f"column {name!r}", f"{len(values)} different texts", allowed)
    return Column(name, tuple(values))


def _parsed(texts: Sequence[str]) -> Float[np.ndarray, " N"] | None:
    """Returns texts as numbers, or None unless all are finite decimal numbers.

    This is much faster than `is_number` for each of them.
    """
    # Python's `float` also reads nan, 1_000 and digits of other scripts.
    if not all(map(_CHARACTERS.fullmatch, texts)):
        return None
    try:
        values = np.array(list(map(float, texts)), np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def is_number(text: str) -> bool:
    """Returns True for a finite decimal number.

    Example:
      >>> is_number("-1.5e3"), is_number("nan"), is_number("1_000")
      (True, False, False)
    """
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def _text(cell: Any) -> str:
    """Returns a cell as text; a missing one is empty."""
    if cell is None or (isinstance(cell, float | np.floating) and not math.isfinite(cell)):
        return ""
    return str(cell).strip()


def _texts(values: Any) -> tuple[str, ...] | None:
    """Returns a list of different texts as a tuple; raises ValueError for anything else."""
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        raise ValueError("no texts")
    if not values or len(set(values)) < len(values):
        raise ValueError("no texts, or the same twice")
    return tuple(values)
