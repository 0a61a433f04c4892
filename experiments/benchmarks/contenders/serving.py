"""The child's side: trains as many steps as a line on stdin says, and answers with one line of JSON."""

import argparse
import contextlib
import itertools
import json
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from contenders.workloads import EXAMPLES, WORKLOADS, Workload

#: Steps whose losses are reported, and the most that wait for a device.
LAST = 10

#: Steps before the first turn: they compile.
WARM_UP = 3


class Turn(NamedTuple):
    """What some steps took.

    Attributes:
      examples: seen in that time.
      seconds: how long.
      loss: mean of the last steps.
    """

    examples: int
    seconds: float
    loss: float


class Contender(NamedTuple):
    """A network that is ready to be trained.

    Attributes:
      run: `run(steps) -> Turn`; may do a few steps more or fewer.
      params: how many numbers the optimizer moves.
    """

    run: Callable[[int], Turn]
    params: int


Build = Callable[[Workload, int], Contender]


def serve(builds: Mapping[str, Build]) -> None:
    """A contender's `main`: `python -m contenders.raw raw mlp-32 --examples 64`.

    The first answer, after compilation, is `{"params": ..., "device": ...}`; then one per line, `{"examples": ...,
    "seconds": ..., "loss": ...}`. `{"error": ...}` ends it. It sleeps while it waits for a line.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=builds)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    options = parser.parse_args()

    with _answers() as answer:
        try:
            contender = builds[options.contender](WORKLOADS[options.workload], options.examples)
            contender.run(WARM_UP)
            answer({"params": contender.params, "device": device()})
            for line in sys.stdin:
                answer(contender.run(int(line))._asdict())
        except Exception as error:
            traceback.print_exc()
            answer(
                {
                    "error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
                }
            )


def looped(
    step: Callable[[Any], Any], batches: Sequence[Any], examples: int
) -> Callable[[int], Turn]:
    """A plain Python loop over batches, again and again.

    Args:
      step: `step(batch) -> loss`, a number of the framework's that may not be there yet.
      batches: on the device.
      examples: per step.

    Returns:
      `run(steps) -> Turn`. Every tenth step it waits for the loss of ten steps ago.
    """
    supply = itertools.cycle(batches)

    def run(steps: int) -> Turn:
        recent: deque[Any] = deque(maxlen=LAST)
        began = time.perf_counter()
        for i in range(steps):
            if i and i % LAST == 0:
                float(recent[0])
            recent.append(step(next(supply)))
        losses = [float(loss) for loss in recent]
        return Turn(steps * examples, time.perf_counter() - began, sum(losses) / len(losses))

    return run


def with_state(advance: Callable[[Any, Any], tuple[Any, Any]], state: Any) -> Callable[[Any], Any]:
    """`step(batch) -> loss` from a pure `advance(state, batch) -> (state, loss)`."""

    def step(batch: Any) -> Any:
        nonlocal state
        state, loss = advance(state, batch)
        return loss

    return step


def device() -> str:
    """What the contender runs on, as its framework calls it."""
    if "jax" in sys.modules:
        return sys.modules["jax"].devices()[0].device_kind
    cuda = sys.modules["torch"].cuda if "torch" in sys.modules else None
    return cuda.get_device_name() if cuda and cuda.is_available() else "cpu"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count(arrays: Iterable[Any]) -> int:
    """Numbers in all arrays."""
    return sum(int(array.size) for array in arrays)


@contextlib.contextmanager
def _answers():
    """`answer(thing)` writes a line to stdout, which nobody else can reach: what libraries print goes to stderr."""
    with os.fdopen(os.dup(1), "w", buffering=1) as lines:
        os.dup2(2, 1)
        yield lambda thing: print(json.dumps(thing), file=lines, flush=True)
