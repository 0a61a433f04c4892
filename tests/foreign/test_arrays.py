"""Tests of arrays that are read in blocks."""

import numpy as np
import pytest

import jaxdl.foreign.arrays
from jaxdl.errors import InputError
from jaxdl.foreign.arrays import RawArray, check_total, copy_rows, raw_array


@pytest.mark.parametrize("block", [1, 40, 10_000])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
def test_copies_are_those_of_numpy(monkeypatch, block, dtype):
    monkeypatch.setattr(jaxdl.foreign.arrays, "BLOCK_BYTES", block)
    source = np.random.default_rng(0).normal(size=(7, 3, 2, 5)).astype(dtype)
    target = np.empty((2, 5, 3, 7), np.float32)
    copy_rows("w", source, target, to_last_axes=True)
    np.testing.assert_array_equal(target, source.transpose(2, 3, 1, 0).astype(np.float32))
    same = np.empty(source.shape, np.float32)
    copy_rows("w", source, same, to_last_axes=False)
    np.testing.assert_array_equal(same, source.astype(np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_in_float32_are_refused(value):
    with pytest.raises(InputError, match="w: got 'nan or infinite numbers'"):
        copy_rows("w", np.array([1.0, value]), np.empty(2, np.float32), False)


def test_a_file_that_became_shorter_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(40))
    array = raw_array("w", path, 0, 40, np.dtype("f4"), (5, 2))
    assert isinstance(array, RawArray)
    path.write_bytes(bytes(24))
    assert array[0:3].shape == (3, 2)
    with pytest.raises(InputError, match="too short"):
        array[2:5]


def test_many_names_of_one_array_are_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(4 * 10**4))
    array = raw_array("w", path, 0, 4 * 10**4, np.dtype("f4"), (10**4,))
    check_total(path, [array] * 100)
    with pytest.raises(InputError, match="store each array once"):
        check_total(path, [array] * 10_000)
