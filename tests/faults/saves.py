"""Saves that fail, the first, a middle or the last one: the run fails with path and step, earlier steps are intact.

    python -m tests.faults.saves --trials 12 --seed 0

Each is a process of its own that runs into its trouble right before a save. Root may write everywhere, so a process of
root's becomes another user's before it meets a directory that it may not write to.
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

WHAT = "failing saves with an exit code, path and step, and the earlier steps intact"
NUMBERS = 16_384
NOBODY = 65534
SAVES = {"first": 2, "middle": 4, "last": 6}


def full(run: Path, step: int) -> None:
    """Not one more byte."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def quota(run: Path, step: int) -> None:
    """Enough for the small files, too little for the numbers."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))


def no_permission(run: Path, step: int) -> None:
    from orbax.checkpoint import v1  # noqa: F401  (may be installed where the other user may not read)

    run.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


def occupied(run: Path, step: int) -> None:
    """A file where the directory of the step has to be."""
    (run / str(step)).write_text("mine")


TROUBLES = {
    "disk full": full,
    "quota": quota,
    "no permission": no_permission,
    "a file in the way": occupied,
}
KINDS = {
    f"{trouble}, {save}": (trouble, step) for trouble in TROUBLES for save, step in SAVES.items()
}


def child(trouble: str, step: str, run: str) -> None:
    store = Directory(run, last=9)

    def on_validation(state):
        print(state.steps_done, state_sha256(state), flush=True)
        if state.steps_done == int(step):
            store.close()  # the save before is over
            TROUBLES[trouble](Path(run), state.steps_done)

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


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    trouble, step = KINDS[kind]
    place.parent.chmod(0o755)
    done = command.child("saves", trouble, step, place)
    assert done.returncode == 1, f"ended with {done.returncode}: {done.stderr[-2000:]}"
    said = f"jaxdl.errors.CheckpointError: saving step {step} to {place} failed: "
    assert any(line.startswith(said) for line in done.stderr.splitlines()), (
        f"said was: {done.stderr[-2000:]}"
    )
    hashes = dict(line.split() for line in done.stdout.splitlines())
    earlier = [saved for saved in SAVES.values() if saved < step]
    store = Directory(place)
    assert store.steps() == earlier, f"there are {store.steps()}, not {earlier}"
    for saved in earlier:
        state, _ = store.restore(abstract(first_state(NUMBERS)), saved)
        assert state_sha256(state) == hashes[str(saved)], f"step {saved} has other bits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("saves", WHAT, trial, KINDS, 12))
