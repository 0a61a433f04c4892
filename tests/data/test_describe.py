"""Tests of a set as text: the numbers of NumPy, and lines of equal columns."""

import numpy as np
import pytest

from jaxdl.data import Column, Dataset, mapped_array
from jaxdl.data.describe import MOST_ROWS, aligned
from jaxdl.data.mapped_array import MappedArray

RANDOM = np.random.RandomState(0)


def cells(text):
    """Returns the cells of the lines of a text by the first one."""
    lines = [line.split("  ") for line in text.splitlines() if line]
    return {line[0]: [cell.strip() for cell in line[1:] if cell] for line in lines}


def test_fields_and_classes_have_the_numbers_of_numpy():
    label = RANDOM.randint(0, 3, 50)
    x = RANDOM.normal(size=(50, 4)).astype(np.float32)
    data = Dataset({"input": x, "label": label}, "mine", 3, class_names=("a", "bb", "c c"))
    shown = cells(str(data))
    assert shown["mine: 50 examples, 3 classes"] == []
    assert shown["input"] == ["[50, 4]", "float32", f"{x.min():.6g} to {x.max():.6g}"]
    counts = np.bincount(label)
    for i, name in enumerate(data.class_names):
        assert shown[str(i)] == [name, str(counts[i]), f"{100 * counts[i] / 50:.1f} %"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, np.nan, 3.0], "1 to 3, 1 value not finite"),
        ([np.inf, -np.inf, np.nan], "no finite values, 3 values not finite"),
        ([True, False, True], "0 to 1"),
        ([-5, 7, 0], "-5 to 7"),
        ([1e-30, 0.0, 3e30], "0 to 3e+30"),
    ],
)
def test_the_range_is_that_of_finite_values(values, expected):
    text = str(Dataset({"x": values}, "mine"))
    assert text.splitlines()[-1].endswith(f"  {expected}")


def test_a_field_on_disk_is_not_read(monkeypatch):
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)

    class Unreadable(np.ndarray):
        def __getitem__(self, index):
            raise AssertionError("read")

    raw = np.zeros((5, 2), np.uint8).view(Unreadable)
    assert str(Dataset({"input": MappedArray(raw)}, "mine")).endswith("on disk")


def test_many_classes_and_columns_are_cut():
    columns = tuple(Column(f"c{i}") for i in range(30)) + (Column("z", tuple("abcdefg")),)
    arrays = {"input": np.zeros((40, 37)), "label": np.arange(40)}
    text = str(Dataset(arrays, "mine", 40, columns=columns))
    assert f"and {40 - MOST_ROWS} more" in text
    assert f"and {31 - MOST_ROWS} more" in text
    few = str(Dataset({"input": np.zeros((2, 7))}, "mine", columns=columns[-1:]))
    assert few.splitlines()[-1] == "z            7  a, b, c, d, e, ..."


def test_labels_of_steps_are_counted_and_masked_ones_left_out():
    label = np.array([[0, 1], [1, -1]])
    data = Dataset({"label": label, "mask": np.array([[1, 1], [1, 0]])}, "mine", 2)
    assert cells(str(data))["1"] == ["2", "50.0 %"]


def test_examples_with_several_classes_count_for_each_of_them():
    label = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 1]])
    rows = cells(str(Dataset({"label": label}, "mine", 3)))
    assert [rows[name] for name in "012"] == [["2", "50.0 %"], ["0", "0.0 %"], ["3", "75.0 %"]]


def test_columns_of_cells_are_aligned():
    rows = [["a", "bb"], ["ccc", "d"]]
    assert aligned(rows) == "a    bb\nccc  d"
    assert aligned(rows, right=[0, 1]) == "  a  bb\nccc   d"
