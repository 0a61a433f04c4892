"""What keeping a run safe costs of its time: saving and verifying checkpoints, next to training.

    python -m tests.faults.badput

The CNN on MNIST for four epochs (`--data digits` where there is no MNIST), validated and saved at the end of each, as a
user would start it; then its newest checkpoint is verified and restored. Saving counts as the loop waits for it. Exit
code 1 if both together take 2 % of the time of training or more.
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
    """Seconds of training, of saving, and of verifying the newest checkpoint."""
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=4)
    read = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        train, save, verify = measured(read.data, read.epochs, Path(place) / "run")
    share = (save + verify) / train
    said = f"{save:.2f} s of saving and {verify:.2f} s of verifying in {train:.0f} s of training"
    print(f"badput: {100 * share:.2f} % ({said}, cnn.py on {read.data}, {read.epochs} epochs)")
    return int(share >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
