"""Tests of the order of examples: every row once, and the same for streamed and resident sets."""

import hashlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.data import order
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import (
    contiguous_order,
    epoch_order,
    evaluation_windows,
    gather,
    sequential_order,
    training_windows,
)
from jaxdl.training import evaluate, state_sha256, train
from jaxdl.training.strategies import Sharded
from tests.training.linear import KEY, line, points


def host(tree):
    return tree


def served(windows, start: int, steps: int) -> list[np.ndarray]:
    """Returns the inputs that the steps from `start` read through the windows."""
    read = []
    window = next(windows)
    for step in range(start, start + steps):
        if step >= window.end:
            window = next(windows)
        assert window.first <= step < window.end
        rows = np.asarray(window.order[step - window.first])
        read.append(np.asarray(window.arrays["input"])[rows])
    return read


@pytest.fixture
def streamed(monkeypatch, tmp_path):
    """A function that returns a memory-mapped copy of a set that is too large to be resident."""
    monkeypatch.setattr(order, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(order, "WINDOW_STEPS", 3)

    def make(data: Dataset) -> Dataset:
        for name, array in data.arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
        return Dataset(
            {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in data.arrays},
            data.name,
        )

    return make


@pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (13, 4), (7, 7), (5, 1)])
def test_every_row_at_most_once_an_epoch(size, batch_size):
    rows = epoch_order(KEY, 3, size, batch_size)
    assert rows.shape == (size // batch_size, batch_size)
    assert rows.dtype == np.int32
    assert len(set(rows.reshape(-1).tolist())) == rows.size
    assert set(rows.reshape(-1).tolist()) <= set(range(size))
    assert rows.size == size - size % batch_size


def test_each_epoch_and_each_seed_has_a_different_order():
    orders = {
        epoch_order(jaxdl.root(seed), epoch, 20, 5).tobytes()
        for seed in (0, 1, 2)
        for epoch in range(5)
    }
    assert len(orders) == 15


def test_skipped_rows_change_with_the_epoch():
    skipped = {
        next(iter(set(range(9)) - set(epoch_order(KEY, e, 9, 4).reshape(-1).tolist())))
        for e in range(30)
    }
    # Of 9 rows, 30 random choices give fewer than 7 different ones with probability below 1e-4.
    assert len(skipped) >= 7


def test_batch_sizes_divide_the_same_permutation():
    assert (
        epoch_order(KEY, 0, 12, 3).reshape(-1).tolist()
        == epoch_order(KEY, 0, 12, 4).reshape(-1).tolist()
    )


def test_the_order_of_seed_0_never_changes():
    """If this fails, no earlier run can be reproduced."""
    orders = [epoch_order(jaxdl.root(0), epoch, 1000, 32) for epoch in (0, 1)]
    digest = hashlib.sha256(b"".join(order.astype("<i4").tobytes() for order in orders))
    assert digest.hexdigest() == "0bfbe3d43a83922d2406255ffc0baa164ba050c502678f6c9a7ba7cc3a852e0a"


def test_sequential_order_has_every_row_once_and_is_padded():
    for size, batch_size in itertools.product((1, 4, 5, 9), (1, 2, 4, 10)):
        rows = sequential_order(size, batch_size)
        assert rows.shape == (-(-size // batch_size), batch_size)
        assert rows[rows >= 0].tolist() == list(range(size))
        assert (rows.reshape(-1)[size:] == -1).all()


def test_gather_masks_padding():
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    rows = np.array([4, 0, -1, 4, -1], np.int32)
    batch = jax.jit(gather)({"x": jnp.asarray(x)}, jnp.asarray(rows))
    assert batch["mask"].tolist() == [1, 1, 0, 1, 0]
    assert batch["mask"].dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(batch["x"])[rows >= 0], x[rows[rows >= 0]])
    assert np.isfinite(batch["x"]).all()


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 4), (5, 3), (5, 2, 4), (5, 4, 4, 2)])
def test_gather_applies_the_mask_of_the_set(shape, dtype):
    # The batch size equals the number of steps of some masks, so that broadcasting errors show.
    rows = np.array([4, 0, -1, 2], np.int32)
    random = np.random.default_rng(0)
    mask = (random.uniform(size=shape) < 0.5).astype(dtype)
    x = random.normal(size=(5, 4)).astype(np.float32)
    batch = jax.jit(gather)({"x": jnp.asarray(x), "mask": jnp.asarray(mask)}, jnp.asarray(rows))
    expected = mask[rows].astype(np.float64)
    expected[rows < 0] = 0
    np.testing.assert_array_equal(batch["mask"], expected)
    assert batch["mask"].dtype == jnp.float32
    counts = expected.reshape(4, -1).any(1)
    np.testing.assert_array_equal(batch["x"], np.where(counts[:, None], x[rows], 0))


def test_rows_that_do_not_count_are_zero_in_floating_fields():
    mask = np.array([0, 1, 1, 0], np.float32)
    rows = np.array([3, 2, -1, 0], np.int32)
    arrays = {
        "x": np.array([[np.nan, 1], [2, 3], [4, 5], [6, np.inf]], np.float32),
        "y": np.array([np.nan, 1, 2, np.nan], np.float16),
        "label": np.array([-1, 6, 7, 8], np.int32),
        "mask": mask,
    }
    batch = gather({name: jnp.asarray(x) for name, x in arrays.items()}, jnp.asarray(rows))
    assert batch["x"].tolist() == [[0, 0], [4, 5], [0, 0], [0, 0]]
    assert batch["y"].tolist() == [0, 2, 0, 0]
    assert batch["label"].tolist() == [8, 7, -1, -1]
    assert batch["y"].dtype == jnp.float16


@pytest.mark.parametrize("limit", [0, 2**31], ids=["streamed", "resident"])
def test_the_values_of_masked_rows_do_not_affect_training(monkeypatch, limit):
    monkeypatch.setattr(order, "RESIDENT_BYTES", limit)
    mask = np.ones(22, np.float32)
    mask[[0, 5]] = 0
    results = []
    strategy = Sharded(jax.devices()[:1])
    for value in (np.nan, 3.0):
        data = points(rows={0: value, 5: value})
        data = Dataset({**data.arrays, "mask": mask}, "masked")
        state = train(line(), data, key=KEY, steps=12, batch_size=4, strategy=strategy)
        metrics = evaluate(line(), state, data, batch_size=4, strategy=strategy)
        results.append((state_sha256(state), metrics))
    assert results[0] == results[1]


def test_a_set_without_a_mask_needs_no_selection():
    def selects(arrays) -> bool:
        text = str(jax.make_jaxpr(gather)(arrays, jnp.array([1, -1])))
        # Indexing itself also selects, but before the last gather operation.
        return "select_n" in text.split("gather")[-1]

    x = {"x": jnp.ones((5, 2))}
    assert not selects(x)
    assert selects(x | {"mask": jnp.ones(5)})


def test_windows_can_start_at_any_step():
    data = points(23)
    whole = served(training_windows(data, KEY, 2, 0, host), 0, 30)
    for start in (0, 1, 5, 10, 11, 17, 22):
        read = served(training_windows(data, KEY, 2, start, host), start, 6)
        np.testing.assert_array_equal(read, whole[start : start + 6])


def test_streamed_and_resident_windows_read_the_same_rows(streamed, monkeypatch):
    data = streamed(points(23))
    monkeypatch.setattr(order, "RESIDENT_BYTES", 2**31)
    resident = served(training_windows(data, KEY, 2, 0, host), 0, 30)
    monkeypatch.setattr(order, "RESIDENT_BYTES", 0)
    for start in (0, 4, 10, 11, 16):
        windows = training_windows(data, KEY, 2, start, host)
        np.testing.assert_array_equal(served(windows, start, 13), resident[start : start + 13])


def test_streamed_windows_are_small(streamed):
    data = streamed(points(40))
    for window in itertools.islice(training_windows(data, KEY, 4, 0, host), 8):
        assert len(window.order) <= 3
        assert len(window.arrays["input"]) == window.order.size <= 12


def test_streamed_evaluation_reads_every_row_once(streamed):
    data = streamed(points(23))
    seen = []
    for window in evaluation_windows(data, 4, host):
        for rows in window.order:
            seen += np.asarray(window.arrays["target"])[rows[rows >= 0]].tolist()
    assert seen == data["target"].tolist()


def test_streamed_and_resident_training_give_the_same_result(streamed, monkeypatch):
    data = streamed(points(23))
    results = []
    strategy = Sharded(jax.devices()[:1])
    for limit in (0, 2**31):
        monkeypatch.setattr(order, "RESIDENT_BYTES", limit)
        state = train(
            line(),
            data,
            key=KEY,
            steps=25,
            batch_size=2,
            log_every=4,
            save_every=10,
            strategy=strategy,
            validation=data,
        )
        metrics = evaluate(line(), state, data, batch_size=4, strategy=strategy)
        results.append((state_sha256(state), metrics))
    assert results[0] == results[1]


# Contiguous sets.


@pytest.mark.parametrize(
    ("size", "batch_size"), [(12, 4), (13, 4), (7, 7), (5, 1), (23, 5), (8, 3)]
)
def test_each_batch_position_reads_the_whole_set_in_order_again_and_again(size, batch_size):
    steps = size // batch_size
    epochs = 3 * size
    read = np.concatenate([contiguous_order(epoch, size, batch_size) for epoch in range(epochs)])
    assert read.shape == (epochs * steps, batch_size)
    assert read.dtype == np.int32
    for b in range(batch_size):
        row = b * steps
        for row_read in read[:, b]:
            assert row_read == row
            row = (row + 1) % size
        assert set(read[:, b].tolist()) == set(range(size))


@pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (13, 4), (23, 5)])
def test_no_row_occurs_twice_in_an_epoch_of_contiguous_order(size, batch_size):
    for epoch in range(7):
        rows = contiguous_order(epoch, size, batch_size).reshape(-1).tolist()
        assert len(set(rows)) == len(rows) == size - size % batch_size


def contiguous(data: Dataset) -> Dataset:
    return Dataset(data.arrays, data.name, contiguous=True)


@pytest.mark.parametrize("limit", [0, 2**31], ids=["streamed", "resident"])
def test_training_reads_a_contiguous_set_in_contiguous_order_from_any_step(monkeypatch, limit):
    monkeypatch.setattr(order, "RESIDENT_BYTES", limit)
    monkeypatch.setattr(order, "WINDOW_STEPS", 3)
    data = contiguous(points(23))
    rows = np.concatenate([contiguous_order(epoch, 23, 5) for epoch in range(9)])
    for start in (0, 1, 4, 6, 11):
        for key in (KEY, jax.random.key(1)):
            read = served(training_windows(data, key, 5, start, host), start, 10)
            np.testing.assert_array_equal(read, data["input"][rows[start : start + 10]])


def test_a_set_that_is_not_contiguous_is_shuffled():
    shuffled = next(training_windows(points(12), KEY, 4, 0, host)).order
    assert (shuffled != contiguous_order(0, 12, 4)).any()
    np.testing.assert_array_equal(shuffled, epoch_order(KEY, 0, 12, 4))
