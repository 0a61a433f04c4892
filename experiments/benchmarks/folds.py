"""Time of a cross-validation in one program, relative to one training for each fold.

    python experiments/benchmarks/folds.py
    python experiments/benchmarks/folds.py --network cnn --steps 100

`together` trains all folds of the digits as the members of one program. `apart` trains one fold
after the other, with the same key and steps. Both call `jaxdl.train` and take turns. Compilation is
not measured, because every program is compiled before. The script checks that both end with the
same bits. It prints the medians, and the median of the ratios of a round, for seconds and for the
time of the processor. It fails if one ratio is above the threshold or a bit differs.

Results of 11 rounds on two cores of an Intel Xeon that much other work shared, with the same bits:

    network   steps   seconds       ratio   of the processor   ratio
    mlp        1000   4.76, 6.10    0.858   2.22, 2.54         0.852
    cnn         100   3.67, 3.54    0.948   1.83, 1.84         0.989
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
from contenders.turns import in_turns, medians

import jaxdl
from jaxdl.models import MLP, lecture_cnn_3x3
from jaxdl.optimizers import optimizer
from jaxdl.selection import Folds, kfold
from jaxdl.training import state_sha256

#: Largest ratio of the time of all folds in one program to that of one training for each.
THRESHOLD = 1.05

#: Examples per step.
BATCH = 64

NETWORKS = {"mlp": lambda: MLP((512,)), "cnn": lecture_cnn_3x3}


def main() -> None:
    """Times both ways in turns, and prints medians, ratios and the threshold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, default="mlp", help="Default: mlp.")
    parser.add_argument("--folds", type=int, default=5, help="Number of folds (default: 5).")
    parser.add_argument("--rounds", type=int, default=11, help="Turns each (default: 11).")
    parser.add_argument("--steps", type=int, default=1000, help="Steps per fold (default: 1000).")
    options = parser.parse_args()
    data, _ = jaxdl.data.load("digits")
    key = jaxdl.root(0)
    folds = kfold(data, options.folds, key=key)
    task = jaxdl.tasks.classify(NETWORKS[options.network]())
    net = jaxdl.learner(task.init, *task.updates(optimizer("adam", 1e-3)))
    together = trained_together(net, folds, key, options.steps)
    apart = trained_apart(net, folds, key, options.steps)
    same = together() == apart()
    print(f"{options.folds} folds of the digits, {options.steps} steps each, same bits: {same}")
    failed = not same
    for unit, clock in (("seconds", time.perf_counter), ("processor", time.process_time)):
        turns = {"together": timed(together, clock), "apart": timed(apart, clock)}
        times = in_turns(turns, options.rounds)
        middle = medians(times)
        rounds = zip(times["together"], times["apart"], strict=True)
        ratio = statistics.median(one / five for one, five in rounds)
        print(
            f"{unit:<10} together {middle['together']:.2f} s, apart {middle['apart']:.2f} s: "
            f"ratio {ratio:.3f}"
        )
        failed |= ratio > THRESHOLD
    print(f"allowed: {THRESHOLD}")
    sys.exit(int(failed))


def trained_together(net: Any, folds: Folds, key: jax.Array, steps: int) -> Callable[[], list[str]]:
    """Returns a function that trains all folds in one program and hashes their states."""
    strategy = jaxdl.strategy("single")
    keys = folds.keys(key)

    def run() -> list[str]:
        states = jaxdl.train(
            net, folds.train, key=keys, steps=steps, batch_size=BATCH, strategy=strategy
        )
        return [state_sha256(states.member(fold)) for fold in range(folds.count)]

    return run


def trained_apart(net: Any, folds: Folds, key: jax.Array, steps: int) -> Callable[[], list[str]]:
    """Returns a function that trains one fold after the other and hashes their states."""
    strategy = jaxdl.strategy("single")
    sets = [folds.train_set(fold) for fold in range(folds.count)]

    def run() -> list[str]:
        states = [
            jaxdl.train(net, each, key=key, steps=steps, batch_size=BATCH, strategy=strategy)
            for each in sets
        ]
        return [state_sha256(state) for state in states]

    return run


def timed(run: Callable[[], Any], clock: Callable[[], float]) -> Callable[[], float]:
    """Returns a function that runs and returns the seconds of a clock."""

    def turn() -> float:
        start = clock()
        run()
        return clock() - start

    return turn


if __name__ == "__main__":
    main()
