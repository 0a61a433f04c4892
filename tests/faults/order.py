"""A run that is stopped after any of its batches, and what it reads when it goes on.

    python -m tests.faults.order

For a set that lives on the device, one that is streamed, one whose rows go on from one another, and several runs in
one program: what is read up to batch k and then from batch k on, for every k of two epochs, against one read without a
stop. Exit code 1 unless no example is repeated and none is missing.
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
KINDS = ("resident", "streamed", "contiguous", "several runs")
WHAT = "stops after which nothing is repeated and nothing missing"


def batches(kind: str, seed: int, start: int) -> Iterator[np.ndarray]:
    """The numbers of the examples that each step reads, from a step on, as the device gets them."""
    data = Dataset(
        {"input": np.arange(SIZE, dtype=np.float32)[:, None]},
        "numbers",
        contiguous=kind == "contiguous",
    )
    key = jaxdl.root([seed, seed + 1]) if kind == "several runs" else jaxdl.root(seed)
    step = start
    for window in training_windows(data, key, BATCH, start, lambda host: host):
        while step < min(STEPS, window.last):
            rows = np.asarray(window.order[step - window.first])
            yield np.asarray(window.arrays["input"])[rows, 0].astype(int)
            step += 1
        if step == STEPS:
            return


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[int, int]:
    """How many examples of `a` are one too many in `b`, and how many are missing there."""
    counted, expected = (
        Counter(np.concatenate([each.reshape(-1) for each in x]).tolist()) for x in (b, a)
    )
    return (counted - expected).total(), (expected - counted).total()


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    """Every stop of one kind of set; raises what was not as it should be."""
    seed = int(rng.integers(2**31))
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", 0 if kind == "streamed" else 2**31):
        whole = list(batches(kind, seed, 0))
        assert len(whole) == STEPS
        for k in range(STEPS):
            again = whole[:k] + list(batches(kind, seed, k))
            repeated, missing = difference(whole, again)
            assert not repeated and not missing, (
                f"stop after {k}: {repeated} repeated, {missing} missing"
            )
            assert all(map(np.array_equal, whole, again)), f"stop after {k}: another order"


if __name__ == "__main__":
    sys.exit(command.main("order", f"sets, {STEPS} {WHAT}", trial, KINDS, 12))
