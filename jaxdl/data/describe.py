"""A set as text: its fields, classes and columns, in aligned columns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from jaxdl.data.mapped_array import MappedArray, blocks

if TYPE_CHECKING:
    from jaxdl.data.dataset import Dataset

#: Most classes, and most columns of a table, that are listed.
MOST_ROWS = 20


def describe(data: "Dataset") -> str:
    """Returns a set as text: fields with shape, dtype and range; classes with their examples.

    Fields that stay on disk are not read, so they have no range.

    Args:
      data: the set.

    Example:
      >>> from jaxdl.data import Dataset
      >>> arrays = {"input": np.array([[0.0, 2.5], [1.0, 0.5], [4.0, 0.0]]), "label": [0, 1, 1]}
      >>> print(describe(Dataset(arrays, "pets", 2, class_names=("cat", "dog"))))
      pets: 3 examples, 2 classes
      <BLANKLINE>
      field  shape   dtype    range
      input  [3, 2]  float64  0 to 4
      label  [3]     int64    0 to 1
      <BLANKLINE>
      class  name  examples  share
      0      cat          1  33.3 %
      1      dog          2  66.7 %
    """
    title = f"{data.name}: {_counted(data.size, 'example')}"
    if data.classes is not None:
        title += f", {data.classes} classes"
    if data.contiguous:
        title += ", each row continues the previous one"
    parts = [title, _fields(data.arrays)]
    label = data.arrays.get("label")
    if data.classes is not None and label is not None and label.dtype.kind in "iu":
        counts, total = _counts(np.asarray(label), data.classes)
        parts.append(_classes(counts, total, data.class_names))
    if data.columns is not None:
        rows = [["column", "inputs", "values"]]
        for column in data.columns[:MOST_ROWS]:
            values = "numbers" if column.values is None else ", ".join(column.values[:5])
            if column.width > 5:
                values += ", ..."
            rows.append([column.name, f"{column.width}", values])
        parts.append(aligned(rows, len(data.columns) - MOST_ROWS, right=(1,)))
    return "\n\n".join(parts)


def _fields(arrays: Mapping[str, Shaped[np.ndarray, "N ..."] | MappedArray]) -> str:
    """Returns a line for each field."""
    rows = [["field", "shape", "dtype", "range"]]
    for field, array in arrays.items():
        rows.append([field, str(list(array.shape)), array.dtype.name, _range(array)])
    return aligned(rows)


def _range(array: Shaped[np.ndarray, "N ..."] | MappedArray) -> str:
    """Returns the smallest and the largest finite value of a field as text."""
    if isinstance(array, MappedArray):
        return "on disk"
    low = np.inf
    high = -np.inf
    others = 0
    for _, block in blocks(array):
        values = block.astype(np.float64, copy=False)
        finite = np.isfinite(values)
        others += int((~finite).sum())
        low = min(low, values.min(initial=np.inf, where=finite))
        high = max(high, values.max(initial=-np.inf, where=finite))
    text = "no finite values"
    if low <= high:
        text = f"{low:.6g} to {high:.6g}"
    if others:
        text += f", {_counted(others, 'value')} not finite"
    return text


def _counts(label: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Returns how often each class occurs, and the number of examples or of steps.

    A column of 0 and 1 for each class means that an example may have several classes.
    """
    is_multi_label = label.ndim == 2 and label.shape[1] == classes
    if is_multi_label and label.min() >= 0 and label.max() <= 1:
        return label.sum(0), len(label)
    label = label.reshape(-1)
    counts = np.bincount(label[(label >= 0) & (label < classes)], minlength=classes)
    return counts, len(label)


def _classes(counts: np.ndarray, total: int, names: Sequence[str] | None) -> str:
    """Returns a line for each class."""
    classes = len(counts)
    rows = [["class", "name", "examples", "share"]]
    for i in range(min(classes, MOST_ROWS)):
        name = "" if names is None else names[i]
        rows.append([f"{i}", name, f"{counts[i]:,}", f"{100 * counts[i] / total:.1f} %"])
    if names is None:
        rows = [[number, *rest] for number, _, *rest in rows]
    width = len(rows[0])
    return aligned(rows, classes - MOST_ROWS, right=(width - 2, width - 1))


def aligned(rows: Sequence[Sequence[str]], more: int = 0, right: Sequence[int] = ()) -> str:
    """Returns rows of cells as lines, with equal widths in each column.

    Args:
      rows: the cells of each row.
      more: number of further rows, which a last line states; 0 or less means none.
      right: columns that are aligned on the right, below their title.

    Example:
      >>> print(aligned([["name", "size"], ["a", "1"]], 2, right=[1]))
      name  size
      a        1
      and 2 more
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    if more > 0:
        lines.append(f"and {more} more")
    return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    """Returns a number with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
