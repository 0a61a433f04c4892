"""Finished checkpoints with one random damage: restoring says which file, before a number of it is used.

    python -m tests.faults.damage --trials 300 --seed 0

Every checkpoint is restored once before it is damaged, and Orbax must not be asked for a damaged one.
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np

from jaxdl.errors import CheckpointError
from jaxdl.training import Directory
from tests.faults import command
from tests.faults.checkpoints import check_restores, saved, sizeable
from tests.training.linear import abstract

WHAT = "damaged checkpoints refused with the name of the file, before a number of it was used"


def flip(file: Path, rng: np.random.Generator) -> list[Path]:
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)
    return [file]


def cut(file: Path, rng: np.random.Generator) -> list[Path]:
    file.write_bytes(file.read_bytes()[: rng.integers(file.stat().st_size)])
    return [file]


def delete(file: Path, rng: np.random.Generator) -> list[Path]:
    file.unlink()
    return [file]


def swap(file: Path, rng: np.random.Generator) -> list[Path]:
    """With any other file of the checkpoint that does not hold the same."""
    mine = file.read_bytes()
    others = [p for p in files_of(step_of(file)) if p.read_bytes() != mine]
    other = others[rng.integers(len(others))]
    theirs = other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(mine)
    return [file, other]


def add(file: Path, rng: np.random.Generator) -> list[Path]:
    """Beside a file, any bytes under a new name."""
    new = file.with_name(f"{file.name}.{rng.integers(1000)}")
    if file.name == "manifest.json":
        new = file.with_name(f"d{rng.integers(1000)}")
    new.write_bytes(rng.bytes(rng.integers(100)))
    return [new]


KINDS = {"flip": flip, "cut": cut, "delete": delete, "swap": swap, "add": add}


def step_of(file: Path) -> Path:
    return next(p for p in file.parents if p.name == "2")


def files_of(step: Path) -> list[Path]:
    """All files that hold something: an empty one has no bit to flip."""
    return sorted(p for p in step.rglob("*") if p.is_file() and p.stat().st_size)


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    run = saved(place)
    check_restores(run, 2, 2)
    files = files_of(run / "2")
    touched = KINDS[kind](files[rng.integers(len(files))], rng)
    with mock.patch(
        "orbax.checkpoint.v1.load",
        side_effect=AssertionError("numbers of a damaged checkpoint were used"),
    ):
        try:
            Directory(run).restore(abstract(sizeable(0)), 2)
        except CheckpointError as error:
            said = str(error)
        else:
            raise AssertionError(f"{touched[0]} was damaged and restored")
    assert any(str(file) in said for file in touched), f"{touched[0]} was damaged, said was: {said}"
    check_restores(run, 1, 1)


if __name__ == "__main__":
    sys.exit(command.main("damage", WHAT, trial, KINDS, 300))
