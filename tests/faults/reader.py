"""A set that cannot be read any more in the middle of a run: the run ends and says why, and does not wait for ever.

    python -m tests.faults.reader

The thread that reads a streamed set ahead meets an error of the disk at a random read, or ends without a word. The run
must end in five seconds, name what happened, and leave its newest checkpoint whole. Exit code 1 unless every trial was
so.
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

KINDS = ("error of the disk", "a thread that ends")
LIMIT = 5.0
WHAT = f"runs ended in {LIMIT:.0f} s, named the cause, and kept what they had"


def failing(kind: str, reads: int) -> Callable[..., Any]:
    """Reads a window as the library does, so many times."""
    read = order._read
    done = itertools.count(1)

    def until(*args: Any) -> Any:
        if next(done) > reads:
            raise (
                OSError(5, "Input/output error", "shard-00003")
                if kind == KINDS[0]
                else SystemExit(1)
            )
        return read(*args)

    return until


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    """One run; raises what was not as it should be."""
    data = points(640)
    said = ""
    began = time.monotonic()
    reads = mock.patch("jaxdl.data.order._read", failing(kind, int(rng.integers(1, 12))))
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", 0), reads:
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
                store=Directory(place),
            )
        except BaseException as error:  # whatever a thread leaves
            said = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    assert said, "it came to its end"
    assert seconds < LIMIT, f"it took {seconds:.1f} s to say {said}"
    assert ("shard-00003" if kind == KINDS[0] else "SystemExit") in said, (
        f"the cause is not named: {said}"
    )
    store = Directory(place)
    if store.steps():
        example = {name: np.asarray(x[:4]) for name, x in data.arrays.items()}
        assert store.restore(abstract(line().init(KEY, example))) is not None


if __name__ == "__main__":
    sys.exit(command.main("reader", WHAT, trial, KINDS, 20))
