"""Fails the reader of a streamed set during a run: the run must end with the cause and not hang.

    python -m tests.faults.reader

A thread reads a streamed set ahead of training. At a random read it raises an I/O error, or it
ends. The run must end within five seconds, report the cause, and leave a valid newest checkpoint.
Exits with code 1 unless all trials pass.
"""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import jaxdl
from jaxdl.data import order
from jaxdl.training import Directory
from tests.faults import command
from tests.training.linear import KEY, abstract, line, points

#: By kind, a function that creates the error of the reader, and a part of the run's message.
KINDS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "I/O error": (lambda: OSError(5, "Input/output error", "shard-00003"), "shard-00003"),
    "end of the thread": (lambda: SystemExit(1), "SystemExit"),
}
LIMIT = 5.0
SUMMARY = f"runs ended within {LIMIT:.0f} s, reported the cause and kept a valid checkpoint"


def failing_reader(error: Callable[[], BaseException], reads: int) -> Callable[..., Any]:
    """Returns a reader that works so many times and then raises an error."""
    read = order._read
    count = itertools.count(1)

    def read_or_fail(*args: Any) -> Any:
        if next(count) > reads:
            raise error()
        return read(*args)

    return read_or_fail


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Trains until the reader fails; restores the newest checkpoint, if there is one."""
    error, cause = KINDS[kind]
    data = points(640)
    message = ""
    began = time.monotonic()
    reader = mock.patch("jaxdl.data.order._read", failing_reader(error, int(rng.integers(1, 12))))
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", 0), reader:
        try:
            jaxdl.train(
                line(),
                data,
                key=KEY,
                steps=1000,
                batch_size=4,
                log_every=20,
                save_every=100,
                strategy=jaxdl.strategy("single"),
                store=Directory(directory),
            )
        except BaseException as failure:  # also the SystemExit of the reader's thread
            message = f"{type(failure).__name__}: {failure}"
    seconds = time.monotonic() - began
    assert message, "the run did not fail"
    assert seconds < LIMIT, f"the run took {seconds:.1f} s to fail with {message}"
    assert cause in message, f"the cause is not in the message: {message}"
    store = Directory(directory)
    if store.steps():
        example = {name: np.asarray(x[:4]) for name, x in data.arrays.items()}
        assert store.restore(abstract(line().init(KEY, example))) is not None


if __name__ == "__main__":
    sys.exit(command.main("reader", SUMMARY, trial, KINDS, 20))
