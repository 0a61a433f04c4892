"""Seconds from the start of a process to 99 % on MNIST's test set.

The time includes imports, data and compilation.

    python experiments/benchmarks/to_99.py
    python experiments/benchmarks/to_99.py --only jaxdl-warm torch-small --seeds 3

    jaxdl-cold      two convolutions with stride 2, one dense layer and BatchNorm; one-cycle Adam at
                    0.01 for 1.75 epochs in batches of 128; no compiled programs on disk
    jaxdl-warm      the same with compiled programs on disk
    torch-small     the same network and recipe in PyTorch, eager
    torch-lecture   the lectures' 3x3 network in PyTorch, Adam at 0.001, tested after each epoch
    keras-lecture   the same network with `fit` of Keras 3 on JAX

The small networks have a fixed recipe and train to its end. The lecture networks stop at 99 %.
The images are on disk before any process starts. `pip install 'jaxdl[bench]'` installs the peers.
Run the script on an otherwise idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contenders.mnist import GOAL

import jaxdl

HOME = Path(__file__).parent
NAMES = ("jaxdl-cold", "jaxdl-warm", "torch-small", "torch-lecture", "keras-lecture")

#: Largest allowed seconds, on two cores.
THRESHOLDS = {"jaxdl-warm": 10, "jaxdl-cold": 15}

#: Smallest allowed ratio of a contender's seconds to those of jaxdl-warm.
RATIOS = {"torch-small": 1.5, "torch-lecture": 10}


class Run(NamedTuple):
    """The result of one process.

    Attributes:
      seconds: time from the start of the process to its last accuracy.
      accuracy: the last accuracy on the test set.
      epochs: epochs until then.
    """

    seconds: float
    accuracy: float
    epochs: float


class Check(NamedTuple):
    """A measured value and its threshold.

    Attributes:
      name: what was measured, and of which contender.
      value: the measured value.
      threshold: the value to reach.
      passed: True if the value reaches it.
    """

    name: str
    value: float
    threshold: float
    passed: bool


def write_data(folder: Path) -> None:
    """Writes the images as the arrays that the peers read."""
    arrays = {}
    for part, data in zip(("train", "test"), jaxdl.data.load("mnist"), strict=True):
        arrays[f"{part}_input"] = np.round(255 * data["input"]).astype(np.uint8)
        arrays[f"{part}_label"] = data["label"]
    np.savez(folder / "mnist.npz", **arrays)


def arguments(name: str, seed: int, folder: Path) -> list[str]:
    """Returns the arguments of a contender's program."""
    framework, kind = name.split("-")
    if framework == "jaxdl":
        cache = str(folder / "xla")
        if kind == "cold":
            cache = tempfile.mkdtemp(dir=folder)
        return [str(seed), cache]
    data = str(folder / "mnist.npz")
    if framework == "torch":
        return [kind, str(seed), data]
    return [str(seed), data]


def run_contender(name: str, seed: int, folder: Path) -> Run:
    """Starts the process of a contender and waits for its last line."""
    framework, _ = name.split("-")
    program_arguments = arguments(name, seed, folder)
    start = time.perf_counter()
    end = 0.0
    last = ""
    command = [sys.executable, "-m", f"contenders.mnist_{framework}", *program_arguments]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            end = time.perf_counter()
            last = line
    if process.returncode:
        sys.exit(f"{name}: exit code {process.returncode}")
    result = json.loads(last)
    return Run(end - start, result["accuracy"], result["epoch"])


def run_all(names: list[str], seeds: int) -> dict[str, list[Run]]:
    """Runs every contender with every seed, in turns, and prints each result."""
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder)
        if "jaxdl-warm" in runs:
            run_contender("jaxdl-warm", 0, folder)
        for seed in range(seeds):
            for name in names:
                if seed and name.endswith("lecture"):
                    continue
                result = run_contender(name, seed, folder)
                runs[name].append(result)
                print(
                    f"{name:<14} seed {seed}: {result.accuracy:.2%} in {result.seconds:6.1f} s",
                    flush=True,
                )
    return runs


def mean_accuracy(runs: list[Run]) -> float:
    """Returns the mean accuracy of the runs."""
    return statistics.mean(run.accuracy for run in runs)


def print_table(runs: dict[str, list[Run]], median: dict[str, float]) -> None:
    """Prints one line per contender."""
    print(f"\n{'':<14}{'median, s':>10}{'epochs':>8}{'mean accuracy':>15}{'jaxdl-warm is':>15}")
    for name, results in runs.items():
        accuracy = mean_accuracy(results)
        faster = ""
        if "jaxdl-warm" in median:
            faster = f"{median[name] / median['jaxdl-warm']:.2f}x"
        print(
            f"{name:<14}{median[name]:>10.1f}{results[0].epochs:>8.2f}{accuracy:>15.2%}{faster:>15}"
        )


def checks(runs: dict[str, list[Run]], median: dict[str, float]) -> Iterator[Check]:
    """Yields the thresholds of the contenders that ran."""
    for name, most in THRESHOLDS.items():
        if name in runs:
            yield Check(f"{name}, seconds", median[name], most, median[name] <= most)
    for name, results in runs.items():
        if name.startswith("jaxdl"):
            accuracy = mean_accuracy(results)
            yield Check(f"{name}, mean accuracy", accuracy, GOAL, accuracy >= GOAL)
    if "jaxdl-warm" not in median:
        return
    for name, least in RATIOS.items():
        if name in median:
            ratio = median[name] / median["jaxdl-warm"]
            yield Check(f"jaxdl-warm, relative to {name}", ratio, least, ratio >= least)


def main() -> None:
    """Runs the contenders and prints the results and the thresholds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=NAMES,
        default=NAMES,
        metavar="NAME",
        help=f"Some of the contenders: {', '.join(NAMES)} (default: all).",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=5,
        help="Runs per contender (default: 5); the lecture networks always run once.",
    )
    parser.add_argument("--json", type=Path, help="File for all results.")
    options = parser.parse_args()
    runs = run_all(options.only, options.seeds)
    median = {
        name: statistics.median(run.seconds for run in results) for name, results in runs.items()
    }
    print_table(runs, median)
    if options.json:
        report = {
            "cpus": len(os.sched_getaffinity(0)),
            "runs": {name: [run._asdict() for run in results] for name, results in runs.items()},
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")

    print()
    results = list(checks(runs, median))
    for name, value, threshold, passed in results:
        verdict = "pass" if passed else "FAIL"
        print(f"{verdict}  {name:<40}{value:>8.3g}  threshold {threshold}")
    if not all(check.passed for check in results):
        sys.exit("missed a threshold")


if __name__ == "__main__":
    main()
