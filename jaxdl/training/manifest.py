"""What makes a step count: `manifest.json`, with the SHA-256 of every file, the state's layout and the validations."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.data.files import content, json_object
from jaxdl.errors import CheckpointError

History = list[tuple[int, float]]


class Damaged(CheckpointError):
    """Not to be trusted, unlike one that is intact but another run's: the step before may be good."""


def _files(where: Path) -> dict[str, str]:
    """The SHA-256 of each file; where a link or a pipe is, nothing is known about what would be read."""
    files = {}
    for path in sorted(where.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise Damaged(f"{path} is no plain file")
        if path.is_file() and not (path.parent == where and path.name.startswith("manifest.json")):
            files[str(path.relative_to(where))] = _sha256(path)
    return files


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error}") from error


def verify(where: Path, expected: Mapping[str, str]) -> None:
    """Raises unless the step's files are those expected, bit for bit."""
    for name in sorted(expected.keys() | (found := _files(where)).keys()):
        if expected.get(name) != found.get(name):
            state = (
                "is missing"
                if name not in found
                else "is damaged"
                if name in expected
                else "does not belong there"
            )
            raise Damaged(f"{where / name} {state}")


def write_manifest(where: Path, layout: Mapping[str, str], history: History) -> None:
    """Last of all, and in one piece: its being there is what makes a step count."""
    body = {
        "files": _files(where),
        "layout": dict(layout),
        "history": [[s, repr(v)] for s, v in history],
    }
    with open(partial := where / "manifest.json.partial", "w") as file:
        file.write(json.dumps({**body, "sha256": _body_hash(body)}, indent=1))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(where / "manifest.json")


def read_manifest(where: Path) -> dict[str, Any]:
    """The step's `files`, `layout` and `history`; raises Damaged where they are not as they were written."""
    name = where / "manifest.json"
    if where.is_symlink():
        raise Damaged(f"{where} is a link")
    try:
        manifest = json_object(content(name))
        body = {field: manifest[field] for field in ("files", "layout", "history")}
        intact = manifest["sha256"] == _body_hash(body)
        body["history"] = [(int(step), float(value)) for step, value in body["history"]]
        if not all(
            isinstance(said, str) for part in ("files", "layout") for said in body[part].values()
        ):
            raise ValueError("files and layout are not all text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Damaged(f"{name} cannot be read: {error}") from error
    if not intact:
        raise Damaged(f"{name} is damaged")
    return body


def _body_hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
