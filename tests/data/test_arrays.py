"""Tests of the arrays of a set: nothing else can change them, and their numbers are kept."""

import copy
import hashlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import Dataset, mapped_array
from jaxdl.data.arrays import canonical, values_that_count
from jaxdl.data.checks import unusable
from jaxdl.data.mapped_array import MappedArray

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 4)).astype(np.float32)


class Frame:
    """An object with `__array__`, such as a table of pandas or a tensor of another library."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x[:], lambda x: x[::2], lambda x: x.T, np.asfortranarray]
)
@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_set_does_not_change_with_the_arrays_that_it_was_made_from(view, is_read_only):
    original = X.copy()
    given = view(original)
    if is_read_only and not given.flags.owndata:
        given.flags.writeable = False
    data = Dataset({"x": given}, "a")
    before = np.array(given)
    original[:] = 0
    if given.flags.writeable:
        given[:] = 0
    np.testing.assert_array_equal(data["x"], before)
    assert data.sha256 == Dataset({"x": before}, "b").sha256
    assert data["x"].flags.c_contiguous
    assert not data["x"].flags.writeable


def test_an_array_that_cannot_be_written_is_not_copied(tmp_path):
    given = X.copy()
    given.flags.writeable = False
    assert np.shares_memory(canonical("x", given), given)
    assert np.shares_memory(canonical("x", given[1:]), given)
    data = Dataset({"x": given}, "a")
    assert np.shares_memory(Dataset(data.arrays, "b")["x"], given)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(canonical("x", mapped), mapped)
    np.testing.assert_array_equal(canonical("x", np.frombuffer(X.tobytes(), np.float32)), X.ravel())


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_of_a_set_are_read_only_too(copied):
    data = Dataset({"x": X, "label": [0, 1] * 3}, "a", 2)
    again = copied(data)
    assert (again.name, again.classes, again.sha256) == ("a", 2, data.sha256)
    with pytest.raises(ValueError, match="read-only"):
        again["x"][0] = 0
    with pytest.raises(TypeError, match="does not support item assignment"):
        again.arrays["x"] = X


@pytest.mark.parametrize(
    "given",
    [
        X.astype(">f4"),
        X.tolist(),
        [list(row) for row in X],
        jnp.asarray(X),
        np.ma.masked_array(X, False),
        Frame(X),
        X.astype(np.longdouble),
        MappedArray(X),
    ],
    ids=lambda x: type(x).__name__,
)
def test_every_form_of_the_same_numbers_is_the_same_array(given):
    array = canonical("x", given)
    assert type(array) is np.ndarray
    assert array.dtype.isnative
    assert array.dtype.itemsize in (4, 8)
    np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "int64", "float64"]
)
def test_dtypes_stay_as_they_are(dtype):
    x = np.arange(2).astype(dtype)
    data = Dataset({"x": x}, "a")
    assert data["x"].dtype == x.dtype
    expected = hashlib.sha256(f"x {x.dtype.str} (2,)\n".encode() + x.tobytes()).hexdigest()
    assert data.sha256 == expected


def test_the_largest_numbers_of_32_bits_pass():
    for dtype, array in {
        "int32": np.array([-(2**31), 2**31 - 1]),
        "uint32": np.array([0, 2**32 - 1], np.uint64),
        "float32": np.array([np.finfo(np.float32).max, -np.finfo(np.float32).max, np.nan, np.inf])
        * 1.0,
    }.items():
        data = Dataset({"x": array.astype(np.result_type(array, f"{dtype[:-2]}64"))}, "a")
        np.testing.assert_array_equal(jnp.asarray(data["x"]), data["x"])
    with jax.enable_x64(True):
        assert Dataset({"x": [2**40]}, "a")["x"].tolist() == [2**40]


def test_a_large_array_on_disk_stays_there(monkeypatch):
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    mapped = MappedArray(X)
    assert canonical("x", mapped) is mapped


def test_labels_that_do_not_count_may_be_out_of_range():
    label = np.array([[0, 5], [-1, 1]])
    mask = [[1, 0], [0, 0.5]]
    assert Dataset({"label": label, "mask": mask}, "a", 2).classes == 2
    assert Dataset({"label": label[:, 1], "mask": [0.0, 1.0]}, "a", 2).classes == 2


def test_a_view_through_stride_tricks_is_copied():
    x = np.arange(9.0, dtype=np.float32)
    data = Dataset({"input": np.lib.stride_tricks.sliding_window_view(x, 3)[::3]}, "windows")
    before = data.sha256
    x[:] = 0
    assert data["input"].ravel().tolist() == list(range(9))
    assert Dataset(data.arrays, "windows").sha256 == before


def test_values_count_unless_mask_or_length_leave_them_out():
    """A label behind the end of a sequence, or of a masked row, may be any number."""
    fields = {
        "input": np.zeros((3, 4, 2)),
        "label": np.array([[0, 1, -1, -1], [1, 1, 1, 1], [-1, -1, -1, -1]]),
        "length": np.array([2, 4, 4]),
        "mask": np.array([1.0, 0.5, 0.0]),
    }
    counts = values_that_count(fields, "label")
    assert counts.tolist() == [[i < 2 for i in range(4)], [True] * 4, [False] * 4]
    assert values_that_count(fields, "input").shape == (3, 4, 1)
    assert values_that_count(fields, "length").tolist() == [True, True, False]
    Dataset(fields, "padded", classes=2)
    assert unusable(fields, classes=2) == ""
    fields["mask"] = np.ones(3)
    assert unusable(fields, classes=2).startswith("label[2] of the batch contains -1")
