"""A run that is killed at random moments, again and again, and always started once more.

    python -m tests.faults.kill --trials 20

Each trial is the perceptron on the digits as a user would start it, in an empty directory: SIGKILL a random time after
its first step, several times, whatever it is doing then; then it goes on to its end. Lost are the steps done behind the
newest checkpoint. Exit code 1 unless the final states of all trials have the hash of a run that nobody killed.
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


def killed(out: Path, wait: float) -> int:
    """Kills the run so many seconds after its first step, if it has not ended by then; the steps that were lost."""
    process = subprocess.Popen(
        command(out), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    time.sleep(wait)
    process.kill()
    rest, _ = process.communicate(timeout=TIMEOUT)
    return max(0, reached(said + rest) - max(saved(out), default=0))


def trial(out: Path, rng: random.Random, kills: int, longest: float) -> tuple[str, int]:
    """The hash at the end, and the most steps that a kill lost."""
    lost = 0
    for _ in range(kills):
        if (out / "result.json").exists():
            break
        lost = max(lost, killed(out, rng.uniform(0, longest)))
    whole(out)
    return sha256(out), lost


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3, help="in each trial")
    parser.add_argument("--seed", type=int, default=0)
    read = parser.parse_args()
    fine = 0
    most = 0
    rng = random.Random(read.seed)
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        expected = whole(Path(directory) / "whole")
        longest = (time.monotonic() - began) / 4
        for i in range(read.trials):
            end, lost = trial(Path(directory) / str(i), rng, read.kills, longest)
            fine = fine + (end == expected)
            most = max(most, lost)
            print(
                f"{i + 1:>3}: {'the same' if end == expected else 'ANOTHER'} hash, {lost} steps lost",
                flush=True,
            )
    print(
        f"kill: {fine}/{read.trials} the same state_sha256; {most} steps lost at most, saved every {SAVE}"
    )
    return int(fine < read.trials)


if __name__ == "__main__":
    sys.exit(main())
