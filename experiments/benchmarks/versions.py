"""CPU time of a training step of the lectures' 3x3 CNN under several interpreters, in turns.

    python experiments/benchmarks/versions.py old/bin/python new/bin/python

Each interpreter has its versions of JAX, and jaxdl. A step has 128 images and one thread, so that
other work on the machine changes its CPU time little. Compilation does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

#: Option that marks the processes that train.
CHILD = "--child"


def train_in_turns() -> None:
    """Prints the version of JAX, then one time in ms for each line of standard input."""
    import jax
    import numpy as np
    import optax

    import jaxdl

    rng = np.random.default_rng(0)
    images = rng.random((2560, 28, 28, 1), np.float32)
    labels = rng.integers(0, 10, 2560).astype(np.int32)
    data = jaxdl.data.Dataset({"input": images, "label": labels}, "noise", 10)
    task = jaxdl.tasks.classify(jaxdl.models.lecture_cnn_3x3())
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))

    def seconds(steps: int) -> float:
        start = time.process_time()
        jaxdl.train(net, data, key=jaxdl.root(0), steps=steps, batch_size=128)
        return time.process_time() - start

    seconds(3)
    seconds(13)
    print(jax.__version__, flush=True)
    for _ in sys.stdin:
        before = seconds(3)
        print((seconds(13) - before) / 10 * 1000, flush=True)


def main() -> None:
    """Starts a process for each interpreter and prints the medians of their times."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("interpreters", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    environment = {**os.environ, "PJRT_NPROC": "1", "NPROC": "1", "JAX_PLATFORMS": "cpu"}
    children = [
        subprocess.Popen(
            [interpreter, __file__, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for interpreter in options.interpreters
    ]
    versions = [child.stdout.readline().strip() for child in children]
    times: list[list[float]] = [[] for _ in children]
    for turn in range(options.rounds):
        for place in range(len(children)):
            which = (turn + place) % len(children)
            child = children[which]
            child.stdin.write("\n")
            child.stdin.flush()
            times[which].append(float(child.stdout.readline()))
    medians = [statistics.median(each) for each in times]
    for version, median in zip(versions, medians, strict=True):
        print(f"jax {version}: {median:.1f} ms, {median / medians[0]:.3f} of the first")
    for child in children:
        child.stdin.close()


if __name__ == "__main__":
    if CHILD in sys.argv:
        train_in_turns()
    else:
        main()
