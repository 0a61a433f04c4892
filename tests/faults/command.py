"""What the commands of this directory share: trials by kind, a line for each kind, one line for all."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]

#: `trial(kind, rng, place)` raises what went wrong. `place` is an empty directory of its own, whose parent all share.
Trial = Callable[[str, np.random.Generator, Path], None]


def outcomes(
    trial: Trial, kinds: Iterable[str], trials: int, seed: int
) -> Iterator[tuple[str, str]]:
    """The kind of each trial, one after the other, and what went wrong; the same for the same seed."""
    kinds = list(kinds)
    with tempfile.TemporaryDirectory() as root:
        for i in range(trials):
            kind = kinds[i % len(kinds)]
            place = Path(root) / str(i)
            place.mkdir()
            try:
                trial(kind, np.random.default_rng((seed, i)), place)
            except Exception as error:
                yield kind, f"{type(error).__name__}: {error}"
            else:
                yield kind, ""


def failures(
    trial: Trial, kinds: Iterable[str], trials: int, seed: int = 0
) -> list[tuple[str, str]]:
    """The trials that went wrong; for tests."""
    return [(kind, wrong) for kind, wrong in outcomes(trial, kinds, trials, seed) if wrong]


def main(name: str, what: str, trial: Trial, kinds: Iterable[str], trials: int) -> int:
    """Reads `--trials` and `--seed`, prints `name: passed/trials what` last; 1 unless all passed."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.faults.{name}", description=what)
    parser.add_argument("--trials", type=int, default=trials)
    parser.add_argument("--seed", type=int, default=0)
    read = parser.parse_args()
    found: dict[str, list[bool]] = {}
    for kind, wrong in outcomes(trial, kinds, read.trials, read.seed):
        found.setdefault(kind, []).append(not wrong)
        if wrong:
            print(f"  {kind}: {wrong}", flush=True)
    for kind, passed in found.items():
        print(f"{kind:<24} {sum(passed)}/{len(passed)}")
    passed = sum(map(sum, found.values()))
    print(f"{name}: {passed}/{read.trials} {what}")
    return int(passed != read.trials)


def child(
    module: str, *arguments: object, devices: int = 1, timeout: int = 600
) -> subprocess.CompletedProcess:
    """Runs `python -m tests.faults.MODULE --child ARGUMENTS` to its end, on so many devices of the CPU."""
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
