"""Decoded arrays on disk, each file with a checksum: whole or not there, and never used when damaged."""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from jaxdl.data.files import content, json_object, path_of
from jaxdl.errors import DataUnavailable, InputError

MANIFEST = "manifest.json"

Arrays = dict[str, Shaped[np.ndarray, "N ..."]]


def cache_root(given: str | None = None) -> Path:
    """The directory of everything that can be made again: decoded data and compiled programs.

    Args:
      given: a directory; None: $JAXDL_CACHE, else ~/.cache/jaxdl.

    Raises:
      InputError: not a path.

    Example:
      >>> cache_root("/tmp/mine").as_posix()
      '/tmp/mine'
    """
    said = given or os.environ.get("JAXDL_CACHE") or "~/.cache/jaxdl"
    return path_of(said, "cache_dir").resolve()


def cached(folder: Path, build: Callable[[Path], None]) -> tuple[Arrays, dict[str, Any]]:
    """What the folder holds; built first if it is not there or damaged.

    Args:
      folder: the cache of one data set.
      build: `build(empty folder)` writes `.npy` files there and ends with `seal`.

    Returns:
      The arrays, memory-mapped, by the names of their files, and what `seal` was told about them.

    Raises:
      InputError: the folder cannot be written.
      DataUnavailable: what was just written reads back damaged.

    Example:
      >>> def build(folder):
      ...     np.save(folder / "x.npy", np.arange(3))
      ...     seal(folder, {"classes": 3})
      >>> with tempfile.TemporaryDirectory() as place:
      ...     arrays, about = cached(Path(place) / "three", build)
      >>> arrays["x"].tolist(), about
      ([0, 1, 2], {'classes': 3})
    """
    found = _read(folder)
    if found is None:
        _build(folder, build)
        found = _read(folder)
    if found is None:
        raise DataUnavailable(f"cache_dir: {folder} does not keep what is written there")
    return found


def seal(folder: Path, about: Mapping[str, Any]) -> None:
    """Writes the manifest: what the arrays are, and the SHA-256 of every file and of the manifest itself.

    Args:
      folder: holds the `.npy` files.
      about: anything that JSON can say.
    """
    files = {path.name: _sha256(path) for path in sorted(folder.glob("*.npy"))}
    manifest = {"about": dict(about), "files": files}
    (folder / MANIFEST).write_text(
        json.dumps({**manifest, "sha256": _digest(manifest)}, indent=1) + "\n"
    )


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Builds beside the folder and renames: nobody ever sees half of it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent)
    except OSError as error:
        reason = error.strerror or "not a directory"
        raise InputError(
            "cache_dir", str(folder.parent), f"a directory that can be written ({reason})"
        ) from None
    with place as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        build(new)
        try:
            if folder.exists():
                folder.rename(Path(temporary) / "old")
            new.rename(folder)
        except OSError:
            # Another process was here first; what it wrote is read instead.
            if not (folder / MANIFEST).exists():
                raise


def _read(folder: Path) -> tuple[Arrays, dict[str, Any]] | None:
    if not folder.exists():
        return None
    try:
        return _verified(folder)
    except (
        Exception
    ) as error:  # damage makes the readers of JSON and of arrays fail in too many ways to list them
        reason = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"cache {folder} is damaged ({reason}); building it again", stacklevel=4)
        return None


def _verified(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Reads the manifest and every file, or raises because something is not as it was written."""
    manifest = json_object(content(folder / MANIFEST))
    if manifest.pop("sha256") != _digest(manifest):
        raise ValueError(f"{MANIFEST} does not match its checksum")
    paths = sorted(folder.glob("*.npy"))
    if [path.name for path in paths] != sorted(manifest["files"]):
        raise ValueError(f"files differ from those in {MANIFEST}")
    for path in paths:
        if _sha256(path) != manifest["files"][path.name]:
            raise ValueError(f"{path.name} does not match its checksum")
    return {
        path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in paths
    }, manifest["about"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
