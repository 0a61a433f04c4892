"""Tests that arrays on disk are bit-identical to the same arrays in memory."""

import numpy as np
import pytest

from jaxdl.data import mapped_array
from jaxdl.data.mapped_array import MappedArray, blocks

RAW = np.random.RandomState(0).randint(0, 256, (23, 4, 3, 2)).astype(np.uint8)
MEAN = np.array([0.31, 0.47], np.float32)
STD = np.array([0.2, 0.7], np.float32)
MEMORY = (RAW.astype(np.float32) / np.float32(255) - MEAN) / STD


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "x.npy", RAW)
    raw = np.load(tmp_path / "x.npy", mmap_mode="r")
    return MappedArray(raw).rescale(0, 255).rescale(MEAN, STD)


@pytest.mark.parametrize(
    "index", [slice(None), slice(3, 9), np.array([5, 0, 5, 22]), np.array([], int), np.array([-1])]
)
def test_rows_are_those_of_the_array_in_memory(array, index):
    np.testing.assert_array_equal(array[index], MEMORY[index])
    assert array[index].dtype == np.float32


def test_shape_size_and_dtype(array):
    assert (array.shape, array.ndim, len(array), array.dtype) == (MEMORY.shape, 4, 23, MEMORY.dtype)
    assert array.nbytes == MEMORY.nbytes


def test_take_of_take(array):
    rows = np.array([9, 2, 20, 2])
    again = np.array([3, 0])
    taken = array.take(rows).take(again)
    assert taken.shape == (2, 4, 3, 2)
    np.testing.assert_array_equal(taken[:], MEMORY[rows][again])
    assert isinstance(taken, MappedArray)


def test_conversion_to_an_array(array):
    np.testing.assert_array_equal(np.asarray(array), MEMORY)
    assert np.asarray(array, np.float64).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32, np.uint32])
def test_large_offsets_are_subtracted_before_rounding_to_float32(dtype):
    raw = (10**8 + np.arange(10)).astype(dtype)[:, None]
    rescaled = MappedArray(raw).rescale(10**8, 1).rescale(np.array([4]), 2)
    assert rescaled[:].ravel().tolist() == [(i - 4) / 2 for i in range(10)]
    assert rescaled[:].dtype == np.asarray(rescaled).dtype == rescaled.dtype == np.float32


def test_the_raw_rows_are_unchanged(array):
    array[:]
    np.testing.assert_array_equal(array.raw, RAW)


@pytest.mark.parametrize("size", [1, 200, 1000, 10**6])
def test_blocks_are_the_whole_array_in_order(array, monkeypatch, size):
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", size)
    pieces = list(blocks(array))
    lengths = [len(block) for _, block in pieces]
    assert [first for first, _ in pieces] == list(np.cumsum([0, *lengths[:-1]]))
    np.testing.assert_array_equal(np.concatenate([block for _, block in pieces]), MEMORY)
    assert all(block.nbytes <= max(size, 96) for _, block in pieces)
