"""Tests of data sets: their contents, their checksum, and splitting them."""

import hashlib

import jax
import numpy as np
import pytest

from jaxdl.data import Dataset, check_batch_size, dataset, holdout, mapped_array, split
from jaxdl.data.mapped_array import MappedArray
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError
from jaxdl.rng import root, stream

RANDOM = np.random.RandomState(0)
INPUT = RANDOM.standard_normal((50, 3)).astype(np.float32)
LABEL = RANDOM.randint(0, 4, 50)


@pytest.fixture
def data():
    return Dataset({"input": INPUT, "label": LABEL, "row": np.arange(50)}, "random", 4)


def test_sizes_and_fields(data):
    assert len(data) == data.size == 50
    assert data.nbytes == INPUT.nbytes + LABEL.nbytes + 50 * 8
    np.testing.assert_array_equal(data["label"], LABEL)


def test_arrays_are_read_only_and_those_of_the_caller_stay_writable(data):
    with pytest.raises(ValueError, match="read-only"):
        data["input"][0] = 0
    assert INPUT.flags.writeable


def test_sha256_covers_name_dtype_shape_and_bytes_in_the_order_of_the_names(data):
    expected = hashlib.sha256()
    for field in ("input", "label", "row"):
        x = data[field]
        expected.update(f"{field} {x.dtype.str} {x.shape}\n".encode() + x.tobytes())
    assert data.sha256 == expected.hexdigest()
    assert Dataset(dict(reversed(data.arrays.items())), "other").sha256 == data.sha256


@pytest.mark.parametrize(
    "arrays",
    [
        {"input": INPUT + np.float32(1e-6), "label": LABEL},
        {"input": INPUT.astype(np.float64), "label": LABEL},
        {"input": INPUT.reshape(50, 1, 3), "label": LABEL},
        {"inputs": INPUT, "label": LABEL},
        {"input": INPUT[::-1], "label": LABEL},
    ],
)
def test_sha256_changes_with_every_change_of_the_data(arrays):
    assert Dataset(arrays, "a").sha256 != Dataset({"input": INPUT, "label": LABEL}, "a").sha256


def test_sha256_does_not_depend_on_blocks_or_layout(data, monkeypatch):
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 100)
    fortran = Dataset({**data.arrays, "input": np.asfortranarray(INPUT)}, "random")
    assert fortran.sha256 == Dataset(data.arrays, "random").sha256


def test_take_keeps_rows_together(data):
    some = data.take(np.array([7, 3, 3]))
    assert some["row"].tolist() == [7, 3, 3]
    np.testing.assert_array_equal(some["input"], INPUT[[7, 3, 3]])
    assert (some.name, some.classes) == ("random", 4)


def test_fields_on_disk_are_read_if_they_are_small_enough(monkeypatch):
    raw = MappedArray(INPUT)
    assert isinstance(Dataset({"x": raw}, "small")["x"], np.ndarray)
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 25 * 12)
    large = Dataset({"x": raw}, "large")
    assert isinstance(large["x"], MappedArray)
    train, validation = split(large, root(0), 0.3)
    assert isinstance(train["x"], MappedArray)
    assert isinstance(validation["x"], np.ndarray)
    in_memory = split(Dataset({"x": INPUT}, "memory"), root(0), 0.3)
    assert [part.sha256 for part in (train, validation)] == [part.sha256 for part in in_memory]


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.37, 0.98])
def test_split_is_disjoint_and_complete_and_has_the_requested_size(data, fraction):
    train, validation = split(data, root(3), fraction)
    assert len(validation) == round(50 * fraction)
    assert sorted([*train["row"], *validation["row"]]) == list(range(50))
    for part in (train, validation):
        np.testing.assert_array_equal(part["label"], LABEL[part["row"]])
        assert (np.diff(part["row"]) > 0).all()


def test_split_is_a_function_of_the_key_alone(data):
    same = [split(data, root(3), 0.3)[1]["row"].tolist() for _ in range(2)]
    arrays = {"x": INPUT[::-1], "row": np.arange(50), "label": LABEL}
    other = split(Dataset(arrays, "other", 4), root(3), 0.3)[1]["row"].tolist()
    assert same[0] == same[1] == other
    assert split(data, root(4), 0.3)[1]["row"].tolist() != other


def test_split_uses_the_data_stream():
    key = stream(stream(root(3), "data"), "split")
    expected = sorted(np.asarray(jax.random.permutation(key, 50))[:15].tolist())
    assert (
        split(Dataset({"row": np.arange(50)}, "rows"), root(3), 0.3)[1]["row"].tolist() == expected
    )


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.25, 0.37, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_split_has_the_largest_remainders_of_each_class(seed, fraction):
    """A loop over the permutation chooses the first rows of each class."""
    random = np.random.RandomState(seed)
    label = random.choice(6, 200, p=[0.5, 0.3, 0.1, 0.06, 0.04, 0.0])
    data = Dataset({"label": label, "row": np.arange(200)}, "mine", 6)
    train, validation = split(data, root(seed), fraction)
    assert len(validation) == round(200 * fraction)
    assert sorted([*train["row"], *validation["row"]]) == list(range(200))
    exact = {c: fraction * (label == c).sum() for c in set(label.tolist())}
    counts = {c: int(value) for c, value in exact.items()}
    while sum(counts.values()) < round(200 * fraction):
        remainder = {c: exact[c] - counts[c] for c in sorted(exact)}
        counts[max(remainder, key=remainder.get)] += 1
    key = stream(stream(root(seed), "data"), "split")
    expected = []
    for row in np.asarray(jax.random.permutation(key, 200)):
        if counts[label[row]]:
            counts[label[row]] -= 1
            expected.append(row)
    assert validation["row"].tolist() == sorted(expected)


def test_split_of_equal_classes_has_equal_classes():
    data = Dataset({"label": np.arange(100) % 10}, "mine", 10)
    for part, count in zip(split(data, root(0), 0.2), (8, 2), strict=True):
        assert np.bincount(part["label"]).tolist() == [count] * 10


@pytest.mark.parametrize(
    "arrays", [{"label": LABEL % 2.0}, {"label": np.stack([LABEL, LABEL], 1)}, {"x": LABEL}]
)
def test_split_without_one_class_per_row_is_that_of_the_permutation(arrays):
    data = Dataset({**arrays, "row": np.arange(50)}, "rows", 4)
    expected = split(Dataset({"row": np.arange(50)}, "rows"), root(3), 0.3)[1]["row"]
    assert split(data, root(3), 0.3)[1]["row"].tolist() == expected.tolist()


def test_split_chooses_every_row_equally_often():
    rows = Dataset({"row": np.arange(10)}, "rows")
    count = sum(
        np.bincount(split(rows, root(seed), 0.3)[1]["row"], minlength=10) for seed in range(100)
    )
    # The expected count is 30, with a standard deviation of 4.6.
    assert count.min() > 10
    assert count.max() < 50


def test_holdout_takes_the_same_share_of_every_class(data):
    train, test = holdout(data)
    assert sorted([*train["row"], *test["row"]]) == list(range(50))
    for label in range(4):
        assert (test["label"] == label).sum() == round(0.2 * (label == LABEL).sum())


def test_holdout_is_always_the_same(data):
    assert holdout(data)[1].sha256 == holdout(data)[1].sha256
    assert holdout(Dataset({"label": np.array([5, 5, 7])}, "three"))[1]["label"].tolist() == [5]


def test_holdout_is_spread_over_the_whole_set():
    rows = holdout(Dataset({"label": np.zeros(1000, int), "row": np.arange(1000)}, "rows"))[1][
        "row"
    ]
    assert abs(rows.mean() - 499.5) < 60


def test_dataset_can_be_sent_to_another_process(data):
    import pickle

    assert pickle.loads(pickle.dumps(data)).sha256 == data.sha256
    assert "array" not in repr(data)
    assert dataset.Dataset is Dataset


def test_batch_sizes_up_to_the_set_pass():
    data = Dataset({"input": INPUT[:20]}, "random")
    for size in (1, 7, np.int32(20)):
        check_batch_size(data, size)


PAIRS = (
    "pairs (shift, scale), as [(mean, std)], each one finite number, or one for each of the 2 "
    "channels; no scale is 0"
)


@pytest.mark.parametrize(
    ("scaling", "line"),
    [
        ([1], "scaling: got [1], allowed: a dictionary {field: [(shift, scale)]}"),
        ({"inputs": []}, "scaling: got 'inputs', allowed: a field of the set: input, label"),
        ({"input": (0, 1)}, f"scaling['input']: got (0, 1), allowed: {PAIRS}"),
        ({"input": [(0,)]}, f"scaling['input']: got [(0,)], allowed: {PAIRS}"),
        ({"input": [(0, 0)]}, f"scaling['input']: got [(0, 0)], allowed: {PAIRS}"),
        ({"input": [("a", 1)]}, f"scaling['input']: got [('a', 1)], allowed: {PAIRS}"),
        ({"input": [(0, np.nan)]}, f"scaling['input']: got [(0, nan)], allowed: {PAIRS}"),
        ({"input": [([1, 2, 3], 1)]}, f"scaling['input']: got [([1, 2, 3], 1)], allowed: {PAIRS}"),
    ],
)
def test_a_scaling_that_does_not_fit_is_refused(scaling, line):
    with pytest.raises(InputError) as caught:
        Dataset({"input": np.ones((3, 2)), "label": [0, 1, 0]}, "mine", scaling=scaling)
    assert str(caught.value) == line


def test_a_scaling_may_be_numbers_or_lists():
    data = Dataset({"input": np.ones((3, 2))}, "mine", scaling={"input": [(1, [2.0, 4.0])]})
    again = Preprocessing.from_json(data.preprocessing.to_json())
    raw = np.array([[3.0, 5.0]], np.float32)
    assert again(raw).tolist() == data.preprocessing(raw).tolist() == [[1.0, 1.0]]
    assert data.take(np.array([0])).preprocessing.to_json() == data.preprocessing.to_json()
