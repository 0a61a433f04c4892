"""Time of a step that trains the head only, relative to a step that trains all layers.

    python experiments/benchmarks/frozen.py
    python experiments/benchmarks/frozen.py --size 8 --rounds 21

The network is that of `experiments/cnn.py`, with batches of 64 random images. The convolutions and
their norms are frozen by `jaxdl.freeze`. Both programs do many steps per dispatch, as in `train`,
and take turns. The script prints the medians and their ratio, and fails if the ratio is above the
threshold.

Result: 0.24 and 0.26 of the time with 28x28 images (26.8 of 112 ms and 23.2 of 89.1 ms). With 8x8
images it was 0.39 to 0.43 in three runs, because the forward pass alone takes 0.37 there. It was
measured on two cores of an AMD EPYC while other work shared the machine.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxdl
from jaxdl.models import CNN, Stage
from jaxdl.optimizers import optimizer

#: The largest allowed time, as a multiple of that of the step that trains all layers.
THRESHOLD = 0.4

BATCH = 64


def main() -> None:
    """Times both programs in turns and prints the medians, the ratio and the threshold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=28, help="Height and width (default: 28).")
    parser.add_argument("--rounds", type=int, default=9, help="Turns per program (default: 9).")
    parser.add_argument("--steps", type=int, default=20, help="Steps per turn (default: 20).")
    options = parser.parse_args()
    turns = {name: turn(options.size, options.steps, name == "head") for name in ("all", "head")}
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(options.rounds):
        for name, run in turns.items():
            times[name].append(run())
    everything, head = (1000 * statistics.median(times[name]) for name in ("all", "head"))
    ratio = head / everything
    print(f"all layers {everything:.2f} ms per step, head only {head:.2f} ms: ratio {ratio:.3f}")
    print(f"allowed: {THRESHOLD}")
    sys.exit(int(ratio > THRESHOLD))


def turn(size: int, steps: int, head_only: bool) -> Callable[[], float]:
    """Returns a function that trains some steps and returns the seconds per step."""
    rng = np.random.default_rng(0)
    arrays = {
        "input": rng.random((BATCH * steps, size, size, 1), np.float32),
        "label": rng.integers(0, 10, BATCH * steps).astype(np.int32),
    }
    stages = (Stage(32), Stage(64), Stage(64, pool=None))
    task = jaxdl.tasks.classify(CNN(stages, (128,), 10, dropout=0.3, norm="batch"))
    (update,) = task.updates(optimizer("adam", 1e-3))
    if head_only:
        update = jaxdl.freeze(update, skip=["head"])
    net = jaxdl.learner(task.init, update)
    strategy = jaxdl.strategy("single")
    key = jaxdl.root(0)
    data = jaxdl.data.Dataset(arrays, "random", 10)
    window = next(data.training(key, BATCH, 0, strategy.place))
    program = strategy.compile(net, window)
    state, _ = jax.block_until_ready(program.run(program.init(key), window, key, steps))

    def run() -> float:
        nonlocal state
        state = state.replace(step=jnp.zeros_like(state.step))
        start = time.perf_counter()
        state, _ = jax.block_until_ready(program.run(state, window, key, steps))
        return (time.perf_counter() - start) / steps

    return run


if __name__ == "__main__":
    main()
