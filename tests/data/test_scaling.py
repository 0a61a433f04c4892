"""Tests of standardization with the statistics of the training set."""

import numpy as np
import pytest

from jaxdl.data import Dataset, mapped_array, standardize
from jaxdl.data.mapped_array import MappedArray

RANDOM = np.random.RandomState(0)
SCALE = np.array([2.0, 0.1, 30.0])
SHIFT = np.array([5.0, -1.0, 0.0])


def images(count: int) -> np.ndarray:
    return (RANDOM.standard_normal((count, 4, 5, 3)) * SCALE + SHIFT).astype(np.float32)


TRAIN = images(40)
OTHER = images(9) + 1


def both(train=TRAIN, other=OTHER, field="input"):
    return standardize(Dataset({field: train}, "a"), Dataset({field: other}, "b"), field=field)


def test_equals_the_definition():
    mean = TRAIN.astype(np.float64).mean((0, 1, 2))
    std = TRAIN.astype(np.float64).std((0, 1, 2))
    for data, before in zip(both(), (TRAIN, OTHER), strict=True):
        np.testing.assert_allclose(data["input"], (before - mean) / std, rtol=2e-5, atol=2e-5)
        assert data["input"].dtype == np.float32


def test_only_training_channels_have_mean_0_and_variance_1():
    train, other = both()
    np.testing.assert_allclose(train["input"].mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(train["input"].std((0, 1, 2)), 1, rtol=1e-5)
    assert (abs(other["input"].mean((0, 1, 2))) > 1e-2).all()


def test_statistics_do_not_depend_on_the_other_sets():
    alone = standardize(Dataset({"input": TRAIN}, "a"))[0]
    assert alone.sha256 == both()[0].sha256 == both(other=OTHER * 100)[0].sha256


def test_a_constant_channel_is_only_shifted():
    train = TRAIN.copy()
    other = OTHER.copy()
    train[..., 1] = 0.1
    scaled, scaled_other = both(train, other)
    assert (scaled["input"][..., 1] == 0).all()
    np.testing.assert_allclose(
        scaled_other["input"][..., 1], other[..., 1] - np.float32(0.1), rtol=1e-6
    )


@pytest.mark.parametrize(
    "train", [TRAIN.reshape(-1, 3), TRAIN.astype(np.float64), (TRAIN * 10).astype(np.int32)]
)
def test_vectors_and_other_dtypes(train):
    scaled = standardize(Dataset({"x": train}, "a"), field="x")[0]["x"]
    assert scaled.dtype == np.float32
    axes = tuple(range(train.ndim - 1))
    np.testing.assert_allclose(scaled.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axes), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32])
@pytest.mark.parametrize("limit", [0, 2**31], ids=["on disk", "in memory"])
def test_a_large_offset_costs_no_precision(monkeypatch, dtype, limit):
    monkeypatch.setattr(mapped_array, "IN_MEMORY", limit)
    small = np.stack([np.arange(10), RANDOM.permutation(10) * 3], -1)
    raw = (small + 10**8).astype(dtype)
    arrays = [raw, raw[3:5]]
    if limit == 0:
        arrays = [MappedArray(array) for array in arrays]
    scaled, other = both(*arrays)
    assert isinstance(scaled["input"], MappedArray) == (limit == 0)
    expected = (small - small.mean(0)) / small.std(0)
    np.testing.assert_allclose(np.asarray(scaled["input"]), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.asarray(other["input"]), expected[3:5], rtol=1e-6, atol=1e-6)
    assert scaled["input"].dtype == np.asarray(scaled["input"]).dtype == np.float32


def test_other_fields_are_unchanged():
    label = np.arange(40)
    scaled = standardize(Dataset({"input": TRAIN, "label": label}, "a", 40))[0]
    np.testing.assert_array_equal(scaled["label"], label)
    assert (scaled.name, scaled.classes) == ("a", 40)


def test_on_disk_the_same_bits(monkeypatch):
    raw = RANDOM.randint(0, 256, (30, 4, 4, 3)).astype(np.uint8)
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 500)
    expected = both(MappedArray(raw).rescale(0, 255)[:])[0]
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    on_disk = both(MappedArray(raw).rescale(0, 255))[0]
    assert isinstance(on_disk["input"], MappedArray)
    assert on_disk.sha256 == expected.sha256
