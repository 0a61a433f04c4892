"""Fails a save: the error must have path and step, and earlier checkpoints must stay intact.

    python -m tests.faults.saves --trials 12 --seed 0

The first, a middle or the last save fails. Each trial is a separate process in which the cause of
the failure appears right before the save. Root may write everywhere, so a process of root switches
to another user before it meets a read-only directory.
"""

import os
import resource
import sys
from pathlib import Path

import numpy as np

import jaxdl
from jaxdl.training import Directory, state_sha256
from tests.faults import command
from tests.faults.checkpoints import first_state, heavy
from tests.training.linear import KEY, abstract, points

SUMMARY = "failing saves gave an error with path and step, and left earlier steps intact"
NUMBERS = 16_384
NOBODY = 65534
SAVES = {"first": 2, "middle": 4, "last": 6}


def full(run: Path, step: int) -> None:
    """Limits files to 0 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def quota(run: Path, step: int) -> None:
    """Limits files to a size that suffices for metadata, but not for arrays."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))


def no_permission(run: Path, step: int) -> None:
    """Makes the directory read-only."""
    # Orbax is imported first because the other user may not be allowed to read its files.
    from orbax.checkpoint import v1  # noqa: F401

    run.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


def occupied(run: Path, step: int) -> None:
    """Creates a file at the path of the checkpoint's directory."""
    (run / str(step)).write_text("mine")


CAUSES = {
    "disk full": full,
    "quota": quota,
    "no permission": no_permission,
    "a file in the way": occupied,
}
KINDS = {f"{cause}, {save}": (cause, step) for cause in CAUSES for save, step in SAVES.items()}


def child(cause: str, step: str, run: str) -> None:
    """Trains until the save of a step fails; prints the step and hash of each saved state."""
    store = Directory(run, last=9)

    def on_validation(state):
        print(state.steps_done, state_sha256(state), flush=True)
        if state.steps_done == int(step):
            store.close()  # completes the previous save
            CAUSES[cause](Path(run), state.steps_done)

    jaxdl.train(
        heavy(NUMBERS),
        points(),
        key=KEY,
        steps=6,
        batch_size=4,
        save_every=2,
        store=store,
        on_validation=on_validation,
    )


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Fails one save; checks the error and the earlier checkpoints."""
    cause, step = KINDS[kind]
    directory.parent.chmod(0o755)
    done = command.child("saves", cause, step, directory)
    assert done.returncode == 1, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    start = f"jaxdl.errors.CheckpointError: saving step {step} to {directory} failed: "
    assert any(line.startswith(start) for line in done.stderr.splitlines()), (
        f"no line starts with {start!r}: {done.stderr[-2000:]}"
    )
    hashes = dict(line.split() for line in done.stdout.splitlines())
    earlier = [saved for saved in SAVES.values() if saved < step]
    store = Directory(directory)
    assert store.steps() == earlier, f"the checkpoints are {store.steps()}, not {earlier}"
    for saved in earlier:
        state, *_ = store.restore(abstract(first_state(NUMBERS)), saved)
        assert state_sha256(state) == hashes[str(saved)], f"step {saved} has other bits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("saves", SUMMARY, trial, KINDS, 12))
