"""The child's side: reads a number of steps from stdin and answers with one line of JSON."""

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

#: Number of last steps whose losses are averaged; also the most steps queued on a device.
LAST = 10

#: Number of steps before the first turn, which include the compilation.
WARM_UP = 3


class Turn(NamedTuple):
    """The measurements of some steps.

    Attributes:
      examples: number of examples trained on.
      seconds: time that they took.
      loss: mean loss of the last steps.
    """

    examples: int
    seconds: float
    loss: float


class Contender(NamedTuple):
    """A network that is ready for training.

    Attributes:
      run: `run(steps) -> Turn`; may do a few steps more or fewer.
      params: number of trainable parameters.
    """

    run: Callable[[int], Turn]
    params: int


Build = Callable[[Workload, int], Contender]


def serve(builds: Mapping[str, Build]) -> None:
    """Runs a contender's program: `python -m contenders.raw raw mlp-32 --examples 64`.

    The first line of output follows the compilation: `{"params": ..., "device": ...}`. Each line
    of input is answered with `{"examples": ..., "seconds": ..., "loss": ...}`. The process sleeps
    while it waits for input. After an error it writes `{"error": ...}` and ends.
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
            lines = str(error).strip().splitlines() or [""]
            answer({"error": f"{type(error).__name__}: {lines[0]}"})


def timed_loop(
    step: Callable[[Any], Any], batches: Sequence[Any], examples: int
) -> Callable[[int], Turn]:
    """Returns a plain Python loop that repeats the batches.

    Args:
      step: `step(batch) -> loss`; the loss may still be in asynchronous computation.
      batches: batches on the device.
      examples: number of examples per step.

    Returns:
      `run(steps) -> Turn`. Every tenth step it waits for the loss of ten steps before.
    """
    supply = itertools.cycle(batches)

    def run(steps: int) -> Turn:
        recent: deque[Any] = deque(maxlen=LAST)
        start = time.perf_counter()
        for i in range(steps):
            if i and i % LAST == 0:
                float(recent[0])
            recent.append(step(next(supply)))
        losses = [float(loss) for loss in recent]
        return Turn(steps * examples, time.perf_counter() - start, sum(losses) / len(losses))

    return run


def with_state(advance: Callable[[Any, Any], tuple[Any, Any]], state: Any) -> Callable[[Any], Any]:
    """Returns `step(batch) -> loss` from a pure `advance(state, batch) -> (state, loss)`."""

    def step(batch: Any) -> Any:
        nonlocal state
        state, loss = advance(state, batch)
        return loss

    return step


def device() -> str:
    """Returns the framework's name of the device."""
    if "jax" in sys.modules:
        return sys.modules["jax"].devices()[0].device_kind
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return sys.modules["torch"].cuda.get_device_name()
    return "cpu"


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count(arrays: Iterable[Any]) -> int:
    """Returns the number of elements in all arrays."""
    return sum(int(array.size) for array in arrays)


@contextlib.contextmanager
def _answers():
    """Yields `answer(value)`, which writes a line of JSON to stdout.

    Anything that libraries print goes to stderr instead.
    """
    with os.fdopen(os.dup(1), "w", buffering=1) as lines:
        os.dup2(2, 1)
        yield lambda value: print(json.dumps(value), file=lines, flush=True)
