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
import sys

import numpy as np
from contenders.turns import Turn, in_turns, medians, of_training

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
    times = medians(in_turns(turns, options.rounds))
    everything, head = (1000 * times[name] for name in ("all", "head"))
    ratio = head / everything
    print(f"all layers {everything:.2f} ms per step, head only {head:.2f} ms: ratio {ratio:.3f}")
    print(f"allowed: {THRESHOLD}")
    sys.exit(int(ratio > THRESHOLD))


def turn(size: int, steps: int, head_only: bool) -> Turn:
    """Returns a function that trains some steps and returns the seconds per step."""
    stages = (Stage(32), Stage(64), Stage(64, pool=None))
    task = jaxdl.tasks.classify(CNN(stages, (128,), 10, dropout=0.3, norm="batch"))
    (update,) = task.updates(optimizer("adam", 1e-3))
    if head_only:
        update = jaxdl.freeze(update, skip=["head"])
    images = np.random.default_rng(0).random((BATCH * steps, size, size, 1), np.float32)
    return of_training(jaxdl.learner(task.init, update), images, BATCH)


if __name__ == "__main__":
    main()
