"""Measures the share of training time that saving and verifying checkpoints takes.

    python -m tests.faults.badput

Trains the CNN on MNIST for four epochs, as a user would start it. The run is validated and saved
at the end of each epoch. Its newest checkpoint is then verified. The time of a save is the time
that the training loop waits for it. Without MNIST, use `--data digits`. Exits with code 1 if saving
and verifying together take 2 % of the training time or more.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.resume import ROOT, finished, saved

LIMIT = 0.02


def measured(data: str, epochs: int, out: Path) -> tuple[float, float, float]:
    """Returns the seconds of training, of saving, and of verifying the newest checkpoint."""
    from jaxdl.training.manifest import read_manifest, verify

    script = str(ROOT / "experiments" / "cnn.py")
    finished(
        [sys.executable, script, "--data", data, "--epochs", str(epochs), "--out", str(out)],
        timeout=3600,
    )
    seconds = json.loads((out / "result.json").read_text())["seconds"]
    newest = out / "checkpoints" / str(saved(out)[-1])
    began = time.perf_counter()
    verify(newest, read_manifest(newest)["files"])
    return seconds["train"], seconds["save"], time.perf_counter() - began


def main() -> int:
    """Runs the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="mnist", help="data set of the run; default: mnist")
    parser.add_argument("--epochs", type=int, default=4, help="length of the run; default: 4")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        train, save, verify = measured(args.data, args.epochs, Path(directory) / "run")
    share = (save + verify) / train
    parts = f"{save:.2f} s of saving and {verify:.2f} s of verifying in {train:.0f} s of training"
    print(f"badput: {100 * share:.2f} % ({parts}, cnn.py on {args.data}, {args.epochs} epochs)")
    return int(share >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
