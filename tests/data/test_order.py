"""The order of examples: every row once, a function of (key, step), the same streamed as resident."""

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
    """What the steps from `start` on read, by way of the windows."""
    read = []
    window = next(windows)
    for step in range(start, start + steps):
        window = window if step < window.last else next(windows)
        assert window.first <= step < window.last
        read.append(
            np.asarray(window.arrays["input"])[np.asarray(window.order[step - window.first])]
        )
    return read


@pytest.fixture
def streamed(monkeypatch, tmp_path):
    """Makes a set of the same numbers that is memory-mapped and too large to be resident."""
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


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = {
        epoch_order(jaxdl.root(seed), epoch, 20, 5).tobytes()
        for seed in (0, 1, 2)
        for epoch in range(5)
    }
    assert len(orders) == 15


def test_rows_left_over_change_with_the_epoch():
    left = {
        next(iter(set(range(9)) - set(epoch_order(KEY, e, 9, 4).reshape(-1).tolist())))
        for e in range(30)
    }
    assert len(left) >= 7  # 30 draws of 9: fewer than 7 has a chance below 1e-4


def test_batches_cut_the_same_permutation():
    assert (
        epoch_order(KEY, 0, 12, 3).reshape(-1).tolist()
        == epoch_order(KEY, 0, 12, 4).reshape(-1).tolist()
    )


def test_the_order_of_seed_0_stays_what_it_is():
    """A change here means that no earlier run can be repeated."""
    found = hashlib.sha256(
        b"".join(epoch_order(jaxdl.root(0), e, 1000, 32).astype("<i4").tobytes() for e in (0, 1))
    )
    assert found.hexdigest() == "0bfbe3d43a83922d2406255ffc0baa164ba050c502678f6c9a7ba7cc3a852e0a"


def test_once_through_shows_every_row_once_and_fills_up():
    for size, batch_size in itertools.product((1, 4, 5, 9), (1, 2, 4, 10)):
        rows = sequential_order(size, batch_size)
        assert rows.shape == (-(-size // batch_size), batch_size)
        assert rows[rows >= 0].tolist() == list(range(size))
        assert (rows.reshape(-1)[size:] == -1).all()


def test_gather_masks_what_is_filled_up():
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    rows = np.array([4, 0, -1, 4, -1], np.int32)
    batch = jax.jit(gather)({"x": jnp.asarray(x)}, jnp.asarray(rows))
    assert batch["mask"].tolist() == [1, 1, 0, 1, 0]
    assert batch["mask"].dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(batch["x"])[rows >= 0], x[rows[rows >= 0]])
    assert np.isfinite(batch["x"]).all()


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 4), (5, 3), (5, 2, 4), (5, 4, 4, 2)])
def test_the_sets_own_mask_of_any_rank(shape, dtype):
    rows = np.array([4, 0, -1, 2], np.int32)  # as many as some masks have steps
    draw = np.random.default_rng(0)
    own = (draw.uniform(size=shape) < 0.5).astype(dtype)
    x = draw.normal(size=(5, 4)).astype(np.float32)
    batch = jax.jit(gather)({"x": jnp.asarray(x), "mask": jnp.asarray(own)}, jnp.asarray(rows))
    expected = np.stack([own[row] if row >= 0 else np.zeros(shape[1:]) for row in rows])
    np.testing.assert_array_equal(batch["mask"], expected)
    assert batch["mask"].dtype == jnp.float32
    counts = expected.reshape(4, -1).any(1)
    np.testing.assert_array_equal(batch["x"], np.where(counts[:, None], x[rows], 0))


def test_rows_that_do_not_count_are_zero_in_floating_fields():
    own = np.array([0, 1, 1, 0], np.float32)
    rows = np.array([3, 2, -1, 0], np.int32)
    arrays = {
        "x": np.array([[np.nan, 1], [2, 3], [4, 5], [6, np.inf]], np.float32),
        "y": np.array([np.nan, 1, 2, np.nan], np.float16),
        "label": np.array([-1, 6, 7, 8], np.int32),
        "mask": own,
    }
    batch = gather({name: jnp.asarray(x) for name, x in arrays.items()}, jnp.asarray(rows))
    assert batch["x"].tolist() == [[0, 0], [4, 5], [0, 0], [0, 0]]
    assert batch["y"].tolist() == [0, 2, 0, 0]
    assert batch["label"].tolist() == [8, 7, -1, -1]
    assert batch["y"].dtype == jnp.float16


@pytest.mark.parametrize("limit", [0, 2**31], ids=["streamed", "resident"])
def test_a_masked_row_of_nan_trains_as_any_other_masked_row(monkeypatch, limit):
    monkeypatch.setattr(order, "RESIDENT_BYTES", limit)
    mask = np.ones(22, np.float32)
    ends = []
    one = Sharded(jax.devices()[:1])
    mask[[0, 5]] = 0
    for value in (np.nan, 3.0):
        data = points(rows={0: value, 5: value})
        data = Dataset({**data.arrays, "mask": mask}, "masked")
        state = train(line(), data, key=KEY, steps=12, batch_size=4, strategy=one)
        ends.append(
            (state_sha256(state), evaluate(line(), state, data, batch_size=4, strategy=one))
        )
    assert ends[0] == ends[1]


def test_a_set_without_a_mask_costs_no_selection():
    x = {"x": jnp.ones((5, 2))}
    mask = {"mask": jnp.ones(5)}
    plain, masked = (
        str(jax.make_jaxpr(gather)(arrays, jnp.array([1, -1]))) for arrays in (x, x | mask)
    )
    # Reading rows selects too, among their numbers; what counts is what comes after it.
    assert ["select_n" in text.split("gather")[-1] for text in (plain, masked)] == [False, True]


def test_a_run_may_begin_anywhere():
    data = points(23)
    whole = served(training_windows(data, KEY, 2, 0, host), 0, 30)
    for start in (0, 1, 5, 10, 11, 17, 22):
        read = served(training_windows(data, KEY, 2, start, host), start, 6)
        np.testing.assert_array_equal(read, whole[start : start + 6])


def test_streamed_windows_read_what_resident_ones_do(streamed, monkeypatch):
    data = streamed(points(23))
    monkeypatch.setattr(order, "RESIDENT_BYTES", 2**31)
    resident = served(training_windows(data, KEY, 2, 0, host), 0, 30)
    monkeypatch.setattr(order, "RESIDENT_BYTES", 0)
    for start in (0, 4, 10, 11, 16):
        windows = training_windows(data, KEY, 2, start, host)
        np.testing.assert_array_equal(served(windows, start, 13), resident[start : start + 13])


def test_streamed_windows_are_small(streamed):
    data = streamed(points(40))
    asked = []
    for window in itertools.islice(
        training_windows(data, KEY, 4, 0, lambda x: asked.append(x) or x), 8
    ):
        assert len(window.order) <= 3
        assert len(window.arrays["input"]) == window.order.size <= 12


def test_streamed_evaluation_shows_every_row_once(streamed):
    data = streamed(points(23))
    seen = []
    for window in evaluation_windows(data, 4, host):
        for rows in window.order:
            seen += np.asarray(window.arrays["target"])[rows[rows >= 0]].tolist()
    assert seen == data["target"].tolist()


def test_streamed_training_is_resident_training(streamed, monkeypatch):
    data = streamed(points(23))
    ends = []
    one = Sharded(jax.devices()[:1])
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
            strategy=one,
            validation=data,
        )
        ends.append(
            (state_sha256(state), evaluate(line(), state, data, batch_size=4, strategy=one))
        )
    assert ends[0] == ends[1]


# Rows that go on from one another.


@pytest.mark.parametrize(
    ("size", "batch_size"), [(12, 4), (13, 4), (7, 7), (5, 1), (23, 5), (8, 3)]
)
def test_each_lane_reads_the_whole_set_round_and_round(size, batch_size):
    steps = size // batch_size
    epochs = 3 * size
    read = np.concatenate([contiguous_order(epoch, size, batch_size) for epoch in range(epochs)])
    assert read.shape == (epochs * steps, batch_size)
    assert read.dtype == np.int32
    for b in range(batch_size):
        row = b * steps
        for found in read[:, b]:
            assert found == row
            row = row + 1 if row + 1 < size else 0
        assert set(read[:, b].tolist()) == set(range(size))


@pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (13, 4), (23, 5)])
def test_no_row_is_in_two_lanes_of_an_epoch(size, batch_size):
    for epoch in range(7):
        rows = contiguous_order(epoch, size, batch_size).reshape(-1).tolist()
        assert len(set(rows)) == len(rows) == size - size % batch_size


def contiguous(data: Dataset) -> Dataset:
    return Dataset(data.arrays, data.name, contiguous=True)


@pytest.mark.parametrize("limit", [0, 2**31], ids=["streamed", "resident"])
def test_training_reads_a_contiguous_set_in_lanes_from_any_step(monkeypatch, limit):
    monkeypatch.setattr(order, "RESIDENT_BYTES", limit)
    monkeypatch.setattr(order, "WINDOW_STEPS", 3)
    data = contiguous(points(23))
    rows = np.concatenate([contiguous_order(epoch, 23, 5) for epoch in range(9)])
    for start in (0, 1, 4, 6, 11):
        for key in (KEY, jax.random.key(1)):
            read = served(training_windows(data, key, 5, start, host), start, 10)
            np.testing.assert_array_equal(read, data["input"][rows[start : start + 10]])


def test_what_is_not_contiguous_is_shuffled():
    shuffled = next(training_windows(points(12), KEY, 4, 0, host)).order
    assert (shuffled != contiguous_order(0, 12, 4)).any()
    np.testing.assert_array_equal(shuffled, epoch_order(KEY, 0, 12, 4))
