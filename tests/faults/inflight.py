"""A run ends while a save is in flight: by a return, an error, `sys.exit`, Ctrl-C. The save is finished all the same.

    python -m tests.faults.inflight --trials 4 --seed 0

Each is a process of its own. Its state of 32 MB takes long enough to write, which the process says.
"""

import signal
import sys
from pathlib import Path

import numpy as np

import jaxdl
from jaxdl.training import Directory, state_sha256
from tests.faults import command
from tests.faults.checkpoints import first_state, heavy
from tests.training.linear import KEY, abstract, points

WHAT = "ends with a save in flight, and the checkpoint complete"
NUMBERS = 4_000_000
SAVED = 2


def fail() -> None:
    raise RuntimeError("a writer failed")


#: What a writer does in the step after the save, and the exit code; None: that step does not come.
KINDS = {
    "return": (None, 0),
    "exception": (fail, 1),
    "sys.exit": (lambda: sys.exit(3), 3),
    "Ctrl-C": (lambda: signal.raise_signal(signal.SIGINT), -signal.SIGINT),
}


class Watched(Directory):
    """Says whether a save was in flight when the run ended."""

    def close(self) -> None:
        if self.pending is not None and self.pending.is_alive():
            print("in flight", flush=True)
        super().close()


class GracefulShutdown:
    """A writer that ends the run."""

    def __init__(self, kind: str):
        self.end, _ = KINDS[kind]

    def write(self, step, metrics) -> None:
        if step > SAVED and self.end is not None:
            self.end()

    def close(self) -> None:
        pass


def child(kind: str, place: str) -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what is started in the background ignores it
    jaxdl.train(
        heavy(NUMBERS),
        points(),
        key=KEY,
        steps=SAVED if kind == "return" else SAVED + 1,
        batch_size=4,
        log_every=1,
        save_every=SAVED,
        store=Watched(place),
        writers=[GracefulShutdown(kind)],
        on_validation=lambda state: print(state_sha256(state), flush=True),
    )


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    done = command.child("inflight", kind, place)
    assert done.returncode == KINDS[kind][1], f"ended with {done.returncode}: {done.stderr[-2000:]}"
    sha256, *said = done.stdout.split("\n")
    assert "in flight" in said, "the save was over before the run ended: nothing was tried"
    state, _ = Directory(place).restore(abstract(first_state(NUMBERS)), SAVED)
    assert state_sha256(state) == sha256, "other bits than those that were saved"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("inflight", WHAT, trial, KINDS, 4))
