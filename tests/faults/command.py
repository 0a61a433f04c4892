"""The main program of most commands in this directory: repeated trials of several kinds."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]

#: A function `trial(kind, rng, directory)` that raises if the trial fails. The directory is empty
#: and belongs to this trial; its parent is shared by all trials.
Trial = Callable[[str, np.random.Generator, Path], None]


def outcomes(
    trial: Trial, kinds: Iterable[str], trials: int, seed: int
) -> Iterator[tuple[str, str]]:
    """Yields the kind and the error of each trial; the error is empty if the trial passed.

    The kinds take turns. The same seed gives the same trials.
    """
    kinds = list(kinds)
    with tempfile.TemporaryDirectory() as root:
        for i in range(trials):
            kind = kinds[i % len(kinds)]
            directory = Path(root) / str(i)
            directory.mkdir()
            try:
                trial(kind, np.random.default_rng((seed, i)), directory)
            except Exception as error:
                yield kind, f"{type(error).__name__}: {error}"
            else:
                yield kind, ""


def failures(
    trial: Trial, kinds: Iterable[str], trials: int, seed: int = 0
) -> list[tuple[str, str]]:
    """Returns the kind and the error of each trial that failed."""
    return [(kind, error) for kind, error in outcomes(trial, kinds, trials, seed) if error]


def main(name: str, summary: str, trial: Trial, kinds: Iterable[str], trials: int) -> int:
    """Runs a command: reads its options, runs the trials, and prints one line per kind.

    The last line is `NAME: PASSED/TRIALS SUMMARY`.

    Args:
      name: name of the command's module.
      summary: text after the counts in the last line.
      trial: one trial; its module's docstring is the description in `--help`.
      kinds: kinds of trials.
      trials: default number of trials.

    Returns:
      The exit code: 0 if all trials passed, else 1.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.faults.{name}",
        description=sys.modules[trial.__module__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--trials", type=int, default=trials, help=f"number of trials; default: {trials}"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the trials; default: 0")
    args = parser.parse_args()
    results: dict[str, list[bool]] = {}
    for kind, error in outcomes(trial, kinds, args.trials, args.seed):
        results.setdefault(kind, []).append(not error)
        if error:
            print(f"  {kind}: {error}", flush=True)
    for kind, passed in results.items():
        print(f"{kind:<24} {sum(passed)}/{len(passed)}")
    passed = sum(map(sum, results.values()))
    print(f"{name}: {passed}/{args.trials} {summary}")
    return int(passed != args.trials)


def child(
    module: str, *arguments: object, devices: int = 1, timeout: int = 600
) -> subprocess.CompletedProcess:
    """Runs `python -m tests.faults.MODULE --child ARGUMENTS` and waits until it ends.

    Args:
      module: name of the module in this directory.
      *arguments: arguments behind `--child`.
      devices: number of CPU devices of the process.
      timeout: limit in seconds.

    Returns:
      The completed process with its output.
    """
    flags = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), "XLA_FLAGS": ""}
    command = [sys.executable, "-m", f"tests.faults.{module}", "--child", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **flags},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
