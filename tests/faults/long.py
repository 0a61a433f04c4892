"""A long run: what it takes of memory, open files and log does not grow with its steps.

    python -m tests.faults.long

20,000 steps of the perceptron on the digits, from a set on the device and from one that is streamed, each in a process
of its own, validated and saved every 500. From a quarter of the run on, memory may grow by 2 %, open files not at all;
the log and the checkpoints have their bounds. Exit code 1 unless both keep them.
"""

import json
import os
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np

from tests.faults import command

KINDS = ("resident", "streamed")
STEPS = 20_000
SAVE = 500
LOG = 1_000
WHAT = f"runs of {STEPS} steps took no more at their end than at a quarter"


def resident() -> int:
    """Bytes that the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """How many files are open, the fewest of a few looks: a save that is under way has some of its own for a moment."""
    counts = []
    for _ in range(10):
        counts.append(len(os.listdir("/proc/self/fd")))
        time.sleep(0.02)
    return min(counts)


def child(kind: str, place: str, steps: str) -> None:
    """One run, which prints what it took at each validation."""
    import optax

    import jaxdl
    from jaxdl.training import Directory, JsonLines

    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], jaxdl.root(0), 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((64,)))
    out = Path(place)
    taken: list[tuple[int, int]] = []
    with mock.patch("jaxdl.data.order.RESIDENT_BYTES", 0 if kind == "streamed" else 2**31):
        jaxdl.train(
            jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(1e-3))),
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
            on_validation=lambda state: taken.append((resident(), open_files())),
        )
    print(json.dumps(taken))


def trial(kind: str, rng: np.random.Generator, place: Path, steps: int = STEPS) -> None:
    """One run; raises what was not as it should be."""
    done = command.child("long", kind, place, steps, timeout=1800)
    assert not done.returncode, done.stderr[-2000:]
    taken = json.loads(done.stdout.splitlines()[-1])
    assert len(taken) == steps // SAVE
    memory, files = zip(*taken[len(taken) // 4 :], strict=True)
    grown = max(memory[-1], memory[-2]) / memory[0] - 1
    print(
        f"  {kind}: {memory[0] / 2**20:.0f} MiB, at the end {100 * grown:+.1f} %, {files[-1]} open files",
        flush=True,
    )
    assert grown < 0.02, f"memory grew by {100 * grown:.1f} %"
    assert min(files[-3:]) <= min(files[:3]), f"open files grew from {files[:3]} to {files[-3:]}"
    lines = (place / "metrics.jsonl").read_text().splitlines()
    assert len(lines) <= steps // LOG + 2 * (steps // SAVE) + 1, f"{len(lines)} lines in the log"
    kept = list((place / "checkpoints").iterdir())
    assert len(kept) <= 5, f"{len(kept)} checkpoints are kept"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("long", WHAT, trial, KINDS, 2))
