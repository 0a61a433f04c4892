"""Kills a run at random moments and restarts it: the final state must have the same bits.

    python -m tests.faults.kill --trials 20

Each trial is the perceptron on the digits, started as a user would start it in an empty directory.
It receives SIGKILL at a random time after its first step, in any phase, and is restarted. This is
repeated several times; then the run finishes. The lost steps are those after the newest checkpoint.
Exits with code 1 unless all final states have the hash of a run that was not killed.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.resume import ROOT, TIMEOUT, saved, sha256
from tests.faults.signals import SAVE, command, reached, whole


def lost_steps(out: Path, wait: float) -> int:
    """Kills the run so many seconds after its first step; returns the number of lost steps.

    A run that ends earlier is not killed.
    """
    process = subprocess.Popen(
        command(out), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(wait)
    process.kill()
    rest, _ = process.communicate(timeout=TIMEOUT)
    return max(0, reached(first + rest) - max(saved(out), default=0))


def trial(out: Path, rng: random.Random, kills: int, longest: float) -> tuple[str, int]:
    """Returns the final hash, and the largest number of steps that a kill lost."""
    lost = 0
    for _ in range(kills):
        if (out / "result.json").exists():
            break
        lost = max(lost, lost_steps(out, rng.uniform(0, longest)))
    whole(out)
    return sha256(out), lost


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="number of trials; default: 20")
    parser.add_argument("--kills", type=int, default=3, help="kills per trial; default: 3")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times; default: 0")
    args = parser.parse_args()
    passed = 0
    most_lost = 0
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        expected = whole(Path(directory) / "whole")
        longest = (time.monotonic() - began) / 4
        for i in range(args.trials):
            final, lost = trial(Path(directory) / str(i), rng, args.kills, longest)
            verdict = "ANOTHER"
            if final == expected:
                passed += 1
                verdict = "the same"
            most_lost = max(most_lost, lost)
            print(f"{i + 1:>3}: {verdict} hash, {lost} steps lost", flush=True)
    print(
        f"kill: {passed}/{args.trials} runs ended with the same state_sha256; "
        f"at most {most_lost} steps lost, saved every {SAVE} steps"
    )
    return int(passed < args.trials)


if __name__ == "__main__":
    sys.exit(main())
