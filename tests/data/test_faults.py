"""Tests of the faults of sets, each against a set that has no other."""

import itertools

import numpy as np
import pytest

from jaxdl.data import Dataset, find_faults, load, mapped_array, standardize, windows
from jaxdl.data.faults import check_alike
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

RANDOM = np.random.default_rng(0)
X = RANDOM.random((60, 6), np.float32)
LABEL = np.arange(60) % 3


def faults(x=X, label=LABEL, test_x=None, test_label=(0, 1, 2), classes=3):
    """Returns the faults of a training set and of a test set without faults."""
    if test_x is None:
        test_x = RANDOM.random((len(test_label), *x.shape[1:]), np.float32)
    train = Dataset({"input": x, "label": label}, "train", classes)
    return find_faults(
        train, Dataset({"input": test_x, "label": np.array(test_label)}, "b", classes)
    )


@pytest.mark.parametrize("name", ["digits", "moons", "photos", "spirals"])
def test_the_embedded_sets_have_no_faults(name):
    assert find_faults(*load(name)) == []


@pytest.mark.parametrize("name", ["fruits", "curved_fruits"])
def test_fruits_in_centimeters_and_grams_need_a_scaling(name):
    (fault,) = find_faults(*load(name))
    assert fault.endswith("divide pixels by 255, or standardize")
    assert find_faults(*standardize(*load(name))) == []


def changed(x, rows, value):
    x = x.copy()
    x[rows] = value
    return x


ROWS = {
    "labels from 1": (
        {"label": LABEL + 1, "test_label": (1, 2, 3), "classes": 4},
        "label: class 0 of 4 has no example; labels that start at 1 need y - 1",
    ),
    "many classes without examples": (
        {"classes": 10},
        "label: classes 3, 4, 5, 6, 7 and 2 more of 10 have no example",
    ),
    "a class of the test set only": (
        {"test_label": (0, 3, 1, 3), "classes": 4},
        "label: class 3 of 4 has no training example, but 2 of 4 in the test set",
    ),
    "imbalance": (
        {"label": np.repeat([0, 1, 2], [2, 49, 9])},
        "label: class 1 has 49 training examples and class 0 2; "
        "always class 1 is right in 81.7 % of them",
    ),
    "constant columns": (
        {"x": changed(X, (slice(None), [2, 5]), 0.5)},
        "input: 2 of 6 columns have one value only, first column 2",
    ),
    "equal images": (
        {"x": np.full((60, 4, 4, 1), 0.5, np.float32), "label": LABEL},
        "input: all training examples are equal",
    ),
    "a test example in the training set": (
        {"test_x": np.concatenate([X[7:9], -X[:1]])},
        "input: 2 of 3 test examples are in the training set too",
    ),
    "different labels": (
        {"x": changed(X, [3, 10, 20], X[0])},
        "label: 1 training input occurs several times, with different labels",
    ),
    "a long series": (
        {"x": RANDOM.random((60, 20, 6, 1), np.float32)},
        "input: [20, 6, 1] is taken for grey images, with values from ",
    ),
    "a series with negative values": (
        {"x": RANDOM.normal(size=(60, 6, 5, 1)).astype(np.float32)},
        "input: [6, 5, 1] is taken for grey images, with values from -",
    ),
    "bytes": (
        {"x": (255 * X).round()},
        "input: values from ",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_fault_is_one_line(row):
    arguments, expected = ROWS[row]
    found = [line for line in faults(**arguments) if line.startswith(expected)]
    assert len(found) == 1
    others = set(faults(**arguments)) - set(found)
    # Equal images with three labels are contradictory, too.
    assert not others or row == "equal images"


def test_repeated_rows_are_those_that_loops_find(monkeypatch):
    x = RANDOM.integers(0, 2, (80, 5)).astype(np.float32)
    label = RANDOM.integers(0, 2, 80)
    test = RANDOM.integers(0, 2, (30, 5)).astype(np.float32)
    shared = sum(any((row == other).all() for other in x) for row in test)
    pairs = itertools.combinations(range(80), 2)
    contradictory = {
        x[i].tobytes() for i, j in pairs if (x[i] == x[j]).all() and label[i] != label[j]
    }
    train, test = (
        Dataset({"input": a, "label": b}, "a", 2) for a, b in ((x, label), (test, label[:30]))
    )
    expected = [
        f"input: {shared} of 30 test examples are in the training set too",
        f"label: {len(contradictory)} training inputs occur several times, with different labels",
    ]
    assert find_faults(train, test) == expected
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 64)
    on_disk = Dataset({**train.arrays, "input": MappedArray(np.array(x))}, "a", 2)
    assert find_faults(on_disk, test) == expected


def test_what_is_no_fault():
    zero_border = changed(RANDOM.random((60, 6, 6, 1), np.float32), (slice(None), 0), 0)
    assert faults(zero_border) == []
    assert faults(X, np.eye(3)[LABEL], test_label=np.eye(3)) == []
    assert faults(RANDOM.integers(0, 5, (60, 9)), test_x=RANDOM.integers(5, 9, (3, 9))) == []
    text = windows(np.arange(100) % 2, 8, 8)
    assert find_faults(text, text) == []
    unlabelled = Dataset({"target": X}, "a")
    assert find_faults(unlabelled, unlabelled) == []


TRAIN = Dataset({"input": X, "label": LABEL}, "train", 3)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"input": X},
            "test fields: got ['input'], allowed: also 'label', a field of the training set",
        ),
        (
            {"input": X[:, :4], "label": LABEL},
            "test input: got 'float32[60, 4]', allowed: float32[N, 6], as in training",
        ),
        (
            {"input": X.astype(np.uint8), "label": LABEL},
            "test input: got 'uint8[60, 6]', allowed: float32[N, 6], as in training",
        ),
        (
            {"input": X, "label": np.eye(3)[LABEL]},
            "test label: got 'float64[60, 3]', allowed: int64[N], as in training",
        ),
    ],
)
def test_a_set_of_other_fields_is_refused(fields, line):
    with pytest.raises(InputError) as caught:
        find_faults(TRAIN, Dataset(fields, "other"))
    assert str(caught.value) == line


def test_sets_that_are_alike():
    other = {
        "input": X.astype(np.float64),
        "label": LABEL.astype(np.uint8),
        "mask": LABEL,
        "row": LABEL,
    }
    check_alike(TRAIN, Dataset(other, "other"))
    steps = [
        Dataset({"input": np.zeros((3, t, 2)), "length": np.ones(3, int)}, "a") for t in (4, 7)
    ]
    check_alike(*steps)


def test_examples_that_the_mask_leaves_out_are_no_faults():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    label = np.arange(40) % 2
    x[30:] = x[0]
    label[30:] = -1
    mask = (np.arange(40) < 30).astype(np.float32)
    train = Dataset({"input": x, "label": label, "mask": mask}, "train", 2)
    test = Dataset({"input": rng.normal(size=(8, 3)).astype(np.float32), "label": label[:8]}, "t")
    assert find_faults(train, test) == []
