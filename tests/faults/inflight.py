"""Ends a run while a save is in progress: the save must be completed.

    python -m tests.faults.inflight --trials 4 --seed 0

The run returns, raises an exception, calls `sys.exit` or receives Ctrl-C. Each trial is a separate
process. Its state of 32 MB takes long enough to write that the save is still in progress; the
process prints a line to confirm it.
"""

import signal
import sys
from pathlib import Path

import numpy as np

import jaxdl
from jaxdl.training import Directory, state_sha256
from jaxdl.training.writers import JsonLines
from tests.faults import command
from tests.faults.checkpoints import first_state, heavy
from tests.training.linear import KEY, abstract, points

SUMMARY = "runs that ended during a save left a complete checkpoint"
NUMBERS = 4_000_000
SAVED = 2


def fail() -> None:
    """Raises an exception."""
    raise RuntimeError("a writer failed")


#: By kind, the action of a writer in the step after the save, and the exit code. None means that
#: the run has no such step.
KINDS = {
    "return": (None, 0),
    "exception": (fail, 1),
    "sys.exit": (lambda: sys.exit(3), 3),
    "Ctrl-C": (lambda: signal.raise_signal(signal.SIGINT), -signal.SIGINT),
}


class ReportingStore(Directory):
    """A store that prints a line if a save is in progress when the run ends."""

    def close(self) -> None:
        if self.pending is not None and self.pending.is_alive():
            print("in flight", flush=True)
        super().close()


class EndingWriter(JsonLines):
    """A record that ends the run in the step after the save; errors of other writers do not."""

    def __init__(self, kind: str):
        self.action, _ = KINDS[kind]

    def write(self, step, metrics) -> None:
        if step > SAVED and self.action is not None:
            self.action()

    def close(self) -> None:
        pass


def child(kind: str, directory: str) -> None:
    """Trains and prints the hash of the saved state."""
    # Processes that a shell starts in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    steps = SAVED + 1
    if kind == "return":
        steps = SAVED
    jaxdl.train(
        heavy(NUMBERS),
        points(),
        key=KEY,
        steps=steps,
        batch_size=4,
        log_every=1,
        save_every=SAVED,
        store=ReportingStore(directory),
        writers=[EndingWriter(kind)],
        on_validation=lambda state: print(state_sha256(state), flush=True),
    )


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Ends a run in one way and restores its checkpoint."""
    done = command.child("inflight", kind, directory)
    assert done.returncode == KINDS[kind][1], f"ended with {done.returncode}: {done.stderr[-2000:]}"
    sha256, *lines = done.stdout.split("\n")
    assert "in flight" in lines, "the save was over before the run ended, so nothing was tested"
    state, *_ = Directory(directory).restore(abstract(first_state(NUMBERS)), SAVED)
    assert state_sha256(state) == sha256, "the restored state has other bits than the saved one"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("inflight", SUMMARY, trial, KINDS, 4))
