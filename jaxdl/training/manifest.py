"""`manifest.json`, which makes a checkpoint valid; names and hashes of the leaves of a state.

A manifest holds the SHA-256 of every file, the state's layout, the validations so far, the
fingerprint of the run and its own hash.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.data.files import parse_json_object, read_bytes, write_atomically
from jaxdl.errors import CheckpointError

History = list[tuple[int, float]]


class Damaged(CheckpointError):
    """A damaged checkpoint, unlike an intact one of another run; an earlier one may be good."""


def _files(where: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file; raises Damaged if there is a link or a special file.

    The contents behind a link or a pipe may change between this check and the reading.
    """
    files = {}
    for path in sorted(where.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise Damaged(f"{path} is not a regular file")
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
    """Raises Damaged unless the files of a step have the expected hashes."""
    found = _files(where)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) == found.get(name):
            continue
        problem = "does not belong there"
        if name not in found:
            problem = "is missing"
        elif name in expected:
            problem = "is damaged"
        raise Damaged(f"{where / name} {problem}")


def write_manifest(
    where: Path,
    layout: Mapping[str, str],
    history: History,
    fingerprint: Mapping[str, Any],
) -> None:
    """Writes the manifest atomically, after all other files; its presence makes the step valid.

    Args:
      where: directory of the step.
      layout: dtype and shape of every leaf.
      history: the validations so far.
      fingerprint: the fingerprint of the run.
    """
    body = {
        "files": _files(where),
        "layout": dict(layout),
        "history": [[step, repr(value)] for step, value in history],
        "fingerprint": dict(fingerprint),
    }
    text = json.dumps({**body, "sha256": _body_hash(body)}, indent=1)
    write_atomically(where / "manifest.json", text)


def read_manifest(where: Path) -> dict[str, Any]:
    """Reads a step's `files`, `layout`, `history` and `fingerprint`.

    In the manifests of earlier versions, which had no fingerprint, it is empty.

    Raises:
      Damaged: the manifest is missing, or differs from what was written.
    """
    name = where / "manifest.json"
    if where.is_symlink():
        raise Damaged(f"{where} is a link")
    try:
        manifest = parse_json_object(read_bytes(name))
        body = {field: manifest[field] for field in ("files", "layout", "history")}
        if "fingerprint" in manifest:
            body["fingerprint"] = dict(manifest["fingerprint"])
        intact = manifest["sha256"] == _body_hash(body)
        body["history"] = [(int(step), float(value)) for step, value in body["history"]]
        values = [value for part in ("files", "layout") for value in body[part].values()]
        if not all(isinstance(value, str) for value in values):
            raise ValueError("the values of files and layout must be strings")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Damaged(f"{name} cannot be read: {error}") from error
    if not intact:
        raise Damaged(f"{name} is damaged")
    return {"fingerprint": {}} | body


def _body_hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def leaves(tree: Any) -> dict[str, Any]:
    """Returns every leaf under its path, whose keys are joined by slashes."""
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(map(_part, path)): leaf for path, leaf in flat}


def _part(key: Any) -> str:
    """Returns the name of one key of a path, quoted if it contains a slash or a quote.

    Without the quotes a key `a/b` would read as the two keys `a` and `b`.
    """
    name = jax.tree_util.keystr((key,), simple=True)
    if set(name) & set("/'\""):
        return repr(name)
    return name


def check_names(where: Path, tree: Any) -> None:
    """Raises CheckpointError if Orbax would give two leaves the same name.

    Orbax joins the keys of a path by dots. Of two leaves with one name it would write only one.
    """
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    seen: dict[str, str] = {}
    for name, path in zip(leaves(tree), paths, strict=True):
        first = seen.setdefault(jax.tree_util.keystr(path, simple=True, separator="."), name)
        if first != name:
            raise CheckpointError(
                f"{where}: {first} and {name} would be one leaf of a checkpoint; rename one"
            )


def layout(tree: Any) -> dict[str, str]:
    """Returns the dtype and shape of every leaf."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in leaves(tree).items()}


def check_layout(where: str, stored: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raises CheckpointError unless the stored leaves have the layout that the run expects."""
    for name in sorted(wanted.keys() | stored.keys()):
        in_checkpoint = stored.get(name, "missing")
        in_run = wanted.get(name, "missing")
        if in_checkpoint != in_run:
            raise CheckpointError(
                f"{where}: {name} is {in_checkpoint} in the checkpoint and {in_run} in this run"
            )


def state_sha256(state: Any) -> str:
    """Returns one hash of a whole state.

    The hash covers every leaf's path, dtype, shape and bytes, sorted by path.

    Args:
      state: any pytree of arrays.

    Returns:
      64 hexadecimal digits, equal if and only if all bits are.

    Example:
      >>> [state_sha256({"a": np.zeros(2)}) == state_sha256({"a": np.zeros(n)}) for n in (2, 3)]
      [True, False]
    """
    total = hashlib.sha256()
    for name, leaf in sorted(leaves(state).items()):
        array = np.asarray(leaf)
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()
