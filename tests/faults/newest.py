"""Makes the newest checkpoint invalid: a run must resume from the previous one.

    python -m tests.faults.newest --trials 20 --seed 0

A directory counts as a checkpoint if it has a manifest. If such a checkpoint is invalid, a warning
gives the reason. A directory without a manifest was never completed, or was not written by jaxdl.
It is skipped without a warning because no part of it is ever read. `KINDS` lists which kinds warn.
"""

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults import command, damage
from tests.faults.checkpoints import check_restores, saved

SUMMARY = "invalid newest checkpoints skipped, with a warning if they have a manifest"

Rng = np.random.Generator


def damaged(newest: Path, rng: Rng) -> None:
    """Damages any file, but does not remove the manifest."""
    files = damage.files_of(newest)
    kinds = [damage.flip, damage.cut, damage.swap, damage.add]
    kinds[rng.integers(len(kinds))](files[rng.integers(len(files))], rng)


def empty(newest: Path, rng: Rng) -> None:
    """Leaves an empty directory."""
    shutil.rmtree(newest)
    newest.mkdir()


def half_copy(newest: Path, rng: Rng) -> None:
    """Imitates an interrupted copy whose last file would have been the manifest."""
    files = [p for p in damage.files_of(newest) if p.name != "manifest.json"]
    for file in [*files[rng.integers(len(files)) :], newest / "manifest.json"]:
        file.unlink()


def half_copy_with_manifest(newest: Path, rng: Rng) -> None:
    """Imitates an interrupted copy whose first file was the manifest."""
    files = [p for p in damage.files_of(newest) if p.name != "manifest.json"]
    for file in files[rng.integers(len(files)) :]:
        file.unlink()


def other_program(newest: Path, rng: Rng) -> None:
    """Replaces the checkpoint with a file of another program."""
    empty(newest, rng)
    (newest / "model.bin").write_bytes(rng.bytes(100))


def other_program_with_manifest(newest: Path, rng: Rng) -> None:
    """Replaces the checkpoint with files of another program, one of them called manifest."""
    other_program(newest, rng)
    (newest / "manifest.json").write_text('{"name": "another program", "files": []}')


def other_manifest(newest: Path, rng: Rng) -> None:
    """Replaces the manifest with that of another step."""
    shutil.copy(newest.parent / "1" / "manifest.json", newest)


def other_step(newest: Path, rng: Rng) -> None:
    """Replaces the checkpoint with a valid one of another step."""
    shutil.rmtree(newest)
    shutil.copytree(newest.parent / "1", newest)


def a_file(newest: Path, rng: Rng) -> None:
    """Replaces the directory with a file."""
    shutil.rmtree(newest)
    newest.write_bytes(rng.bytes(100))


#: By kind, the change to the newest checkpoint and a part of the warning. None means that the
#: result does not count as a checkpoint, so there is no warning.
KINDS: dict[str, tuple[Callable[[Path, Rng], None], str | None]] = {
    "damaged file": (damaged, "2/"),
    "empty directory": (empty, None),
    "half copy": (half_copy, None),
    "half copy, manifest": (half_copy_with_manifest, "is missing"),
    "other program": (other_program, None),
    "other program, manifest": (other_program_with_manifest, "manifest.json cannot be read"),
    "other step's manifest": (other_manifest, "2/"),
    "other step's directory": (other_step, "2 holds step 1"),
    "file": (a_file, None),
}


def trial(kind: str, rng: Rng, directory: Path) -> None:
    """Makes the newest checkpoint invalid and restores without a step."""
    run = saved(directory)
    change, words = KINDS[kind]
    change(run / "2", rng)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_restores(run, 1)
    messages = [str(w.message) for w in caught]
    assert len(messages) == (words is not None), f"the warnings are {messages}"
    if words is not None:
        for part in (words, str(run / "2"), "going back to step"):
            assert part in messages[0], f"{part!r} is not in the warning {messages[0]!r}"


if __name__ == "__main__":
    sys.exit(command.main("newest", SUMMARY, trial, KINDS, 20))
