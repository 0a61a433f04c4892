"""Damages one random file of a checkpoint: restoring it must raise an error that names the file.

    python -m tests.faults.damage --trials 300 --seed 0

Every checkpoint is restored once before it is damaged. Afterwards Orbax must not be called, so no
array of a damaged checkpoint is loaded.
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

SUMMARY = "damaged checkpoints refused before any array was loaded, with the name of the file"


def flip(file: Path, rng: np.random.Generator) -> list[Path]:
    """Flips one bit."""
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)
    return [file]


def cut(file: Path, rng: np.random.Generator) -> list[Path]:
    """Truncates the file."""
    file.write_bytes(file.read_bytes()[: rng.integers(file.stat().st_size)])
    return [file]


def delete(file: Path, rng: np.random.Generator) -> list[Path]:
    """Deletes the file."""
    file.unlink()
    return [file]


def swap(file: Path, rng: np.random.Generator) -> list[Path]:
    """Swaps the file with another file of the checkpoint that has different content."""
    content = file.read_bytes()
    others = [p for p in files_of(step_of(file)) if p.read_bytes() != content]
    other = others[rng.integers(len(others))]
    other_content = other.read_bytes()
    file.write_bytes(other_content)
    other.write_bytes(content)
    return [file, other]


def add(file: Path, rng: np.random.Generator) -> list[Path]:
    """Adds a file with random bytes and a new name to the same directory."""
    new = file.with_name(f"{file.name}.{rng.integers(1000)}")
    if file.name == "manifest.json":
        new = file.with_name(f"d{rng.integers(1000)}")
    new.write_bytes(rng.bytes(rng.integers(100)))
    return [new]


KINDS = {"flip": flip, "cut": cut, "delete": delete, "swap": swap, "add": add}


def step_of(file: Path) -> Path:
    """Returns the directory of the checkpoint that contains a file."""
    return next(p for p in file.parents if p.name == "2")


def files_of(step: Path) -> list[Path]:
    """Returns all files of a checkpoint except empty ones, which have no bit to flip."""
    return sorted(p for p in step.rglob("*") if p.is_file() and p.stat().st_size)


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Damages a checkpoint and restores it; then restores an older, valid one."""
    run = saved(directory)
    check_restores(run, 2, 2)
    files = files_of(run / "2")
    touched = KINDS[kind](files[rng.integers(len(files))], rng)
    with mock.patch(
        "orbax.checkpoint.v1.load",
        side_effect=AssertionError("arrays of a damaged checkpoint were loaded"),
    ):
        try:
            Directory(run).restore(abstract(sizeable(0)), 2)
        except CheckpointError as error:
            message = str(error)
        else:
            raise AssertionError(f"the checkpoint was restored although {touched[0]} is damaged")
    assert any(str(file) in message for file in touched), (
        f"the error does not name the damaged file {touched[0]}: {message}"
    )
    check_restores(run, 1, 1)


if __name__ == "__main__":
    sys.exit(command.main("damage", SUMMARY, trial, KINDS, 300))
