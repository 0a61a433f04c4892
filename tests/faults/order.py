"""Resumes the reading of a set after any batch: no example may be repeated or missing.

    python -m tests.faults.order

Every k of two epochs is tried. The batches up to batch k, together with those of a reader that
starts at batch k, must equal the batches of an uninterrupted reader. The sets are resident on the
device, streamed, contiguous, or read by several runs in one program. Exits with code 1 unless all
trials pass.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

import jaxdl
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import training_windows
from tests.faults import command

SIZE = 107
BATCH = 5
STEPS = 2 * (SIZE // BATCH)

#: By kind, the size in bytes up to which a set is placed on the device.
KINDS = {"resident": 2**31, "streamed": 0, "contiguous": 2**31, "several runs": 2**31}
SUMMARY = f"sets read without a repeated or missing example after each of {STEPS} stops"


def batches(kind: str, seed: int, start: int) -> Iterator[np.ndarray]:
    """Yields the numbers of the examples that the device reads in each step, from a step on."""
    data = Dataset(
        {"input": np.arange(SIZE, dtype=np.float32)[:, None]},
        "numbers",
        contiguous=kind == "contiguous",
    )
    key = jaxdl.root(seed)
    if kind == "several runs":
        key = jaxdl.root([seed, seed + 1])
    step = start
    for window in training_windows(data, key, BATCH, start, lambda host: host):
        while step < min(STEPS, window.end):
            rows = np.asarray(window.order[step - window.first])
            yield np.asarray(window.arrays["input"])[rows, 0].astype(int)
            step += 1
        if step == STEPS:
            return


def count(steps: list[np.ndarray]) -> Counter:
    """Counts how often each example is read."""
    return Counter(np.concatenate([rows.reshape(-1) for rows in steps]).tolist())


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[int, int]:
    """Returns the number of examples of `a` that are repeated in `b`, and that are missing."""
    expected = count(a)
    counted = count(b)
    return (counted - expected).total(), (expected - counted).total()


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Tries every stop for one kind of set."""
    seed = int(rng.integers(2**31))
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", KINDS[kind]):
        whole = list(batches(kind, seed, 0))
        assert len(whole) == STEPS
        for k in range(STEPS):
            resumed = whole[:k] + list(batches(kind, seed, k))
            repeated, missing = difference(whole, resumed)
            assert not repeated and not missing, (
                f"after a stop at {k}: {repeated} repeated, {missing} missing"
            )
            assert all(map(np.array_equal, whole, resumed)), f"after a stop at {k}: another order"


if __name__ == "__main__":
    sys.exit(command.main("order", SUMMARY, trial, KINDS, 12))
