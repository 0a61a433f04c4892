"""Measures a long run: its memory, open files and log must not grow with the number of steps.

    python -m tests.faults.long

Trains the perceptron on the digits for 20,000 steps, validated and saved every 500. One process
has the set on the device, another one streams it. After the first quarter of the run, memory may
grow by 2 %, and the number of open files not at all. The lines of the log and the number of
checkpoints are bounded. Exits with code 1 unless both runs keep these limits.
"""

import json
import os
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np

from tests.faults import command

#: By kind, the size in bytes up to which a set is placed on the device.
KINDS = {"resident": 2**31, "streamed": 0}
STEPS = 20_000
SAVE = 500
LOG = 1_000
SUMMARY = f"runs of {STEPS} steps stayed within the limits on memory, open files and log"


def memory() -> int:
    """Returns the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """Returns the number of open files: the smallest of ten counts.

    A save in progress opens more files for a moment, which should not count.
    """
    counts = []
    for _ in range(10):
        counts.append(len(os.listdir("/proc/self/fd")))
        time.sleep(0.02)
    return min(counts)


def child(kind: str, directory: str, steps: str) -> None:
    """Trains and prints the memory and the open files at each validation."""
    import optax

    import jaxdl
    from jaxdl.training import Directory, JsonLines

    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], jaxdl.root(0), 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((64,)))
    out = Path(directory)
    measured: list[tuple[int, int]] = []
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", KINDS[kind]):
        jaxdl.train(
            jaxdl.learner(task.init, *task.updates(optax.adam(1e-3))),
            data,
            key=jaxdl.root(0),
            steps=int(steps),
            batch_size=32,
            log_every=LOG,
            save_every=SAVE,
            validation=validation,
            strategy=jaxdl.strategy("single"),
            store=Directory(out / "checkpoints"),
            writers=[JsonLines(out / "metrics.jsonl")],
            on_validation=lambda state: measured.append((memory(), open_files())),
        )
    print(json.dumps(measured))


def trial(kind: str, rng: np.random.Generator, directory: Path, steps: int = STEPS) -> None:
    """Trains in a process and compares its measurements with the limits."""
    done = command.child("long", kind, directory, steps, timeout=1800)
    assert not done.returncode, done.stderr[-2000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    assert len(measured) == steps // SAVE
    used, files = zip(*measured[len(measured) // 4 :], strict=True)
    growth = max(used[-1], used[-2]) / used[0] - 1
    print(
        f"  {kind}: {used[0] / 2**20:.0f} MiB after a quarter, {100 * growth:+.1f} % at the end, "
        f"{files[-1]} open files",
        flush=True,
    )
    assert growth < 0.02, f"memory grew by {100 * growth:.1f} %"
    assert min(files[-3:]) <= min(files[:3]), f"open files grew from {files[:3]} to {files[-3:]}"
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    assert len(lines) <= steps // LOG + 2 * (steps // SAVE) + 1, f"{len(lines)} lines in the log"
    checkpoints = list((directory / "checkpoints").iterdir())
    assert len(checkpoints) <= 5, f"{len(checkpoints)} checkpoints were left"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("long", SUMMARY, trial, KINDS, 2))
