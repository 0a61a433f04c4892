"""The newest checkpoint is a bad one: the one before is used, with a warning that says why.

    python -m tests.faults.newest --trials 20 --seed 0

A checkpoint counts when it has a manifest. What has none was never finished, or is not ours, and is passed over
without a word: nothing of it is ever read, so nothing of it can be mistaken. `KINDS` says which kinds warn.
"""

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.faults import command, damage
from tests.faults.checkpoints import check_restores, saved

WHAT = "bad newest checkpoints, the one before used, with the reason in a warning where it counts as a checkpoint"

Rng = np.random.Generator


def damaged(newest: Path, rng: Rng) -> None:
    """Any damage to any file but the manifest's being there."""
    files = damage.files_of(newest)
    kinds = [damage.flip, damage.cut, damage.swap, damage.add]
    kinds[rng.integers(len(kinds))](files[rng.integers(len(files))], rng)


def empty(newest: Path, rng: Rng) -> None:
    shutil.rmtree(newest)
    newest.mkdir()


def half_copy(newest: Path, rng: Rng) -> None:
    """Copied file by file, the manifest last; the copy broke off."""
    files = [p for p in damage.files_of(newest) if p.name != "manifest.json"]
    for file in [*files[rng.integers(len(files)) :], newest / "manifest.json"]:
        file.unlink()


def half_copy_with_manifest(newest: Path, rng: Rng) -> None:
    """Copied file by file, the manifest first; the copy broke off."""
    files = [p for p in damage.files_of(newest) if p.name != "manifest.json"]
    for file in files[rng.integers(len(files)) :]:
        file.unlink()


def other_program(newest: Path, rng: Rng) -> None:
    empty(newest, rng)
    (newest / "model.bin").write_bytes(rng.bytes(100))


def other_program_with_manifest(newest: Path, rng: Rng) -> None:
    other_program(newest, rng)
    (newest / "manifest.json").write_text('{"name": "another program", "files": []}')


def other_manifest(newest: Path, rng: Rng) -> None:
    shutil.copy(newest.parent / "1" / "manifest.json", newest)


def other_step(newest: Path, rng: Rng) -> None:
    """A whole checkpoint, under the number of another."""
    shutil.rmtree(newest)
    shutil.copytree(newest.parent / "1", newest)


def a_file(newest: Path, rng: Rng) -> None:
    shutil.rmtree(newest)
    newest.write_bytes(rng.bytes(100))


#: What is done to the newest, and the words of the warning; None: it does not count, and nothing is said.
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


def trial(kind: str, rng: Rng, place: Path) -> None:
    run = saved(place)
    spoil, words = KINDS[kind]
    spoil(run / "2", rng)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_restores(run, 1)
    said = [str(w.message) for w in caught]
    assert len(said) == (words is not None), f"said was {said}"
    if words is not None:
        assert words in said[0] and str(run / "2") in said[0] and "going back to step" in said[0], (
            said[0]
        )


if __name__ == "__main__":
    sys.exit(command.main("newest", WHAT, trial, KINDS, 20))
