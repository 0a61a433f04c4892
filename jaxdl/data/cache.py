"""A cache of decoded arrays on disk, with a checksum for each file.

An entry is a folder that appears complete or not at all. A damaged entry is built again.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from jaxdl.data.files import (
    check_utf8,
    expand_path,
    parse_json_object,
    read_bytes,
    sync,
    write_atomically,
)
from jaxdl.data.owner import Owner, own
from jaxdl.errors import DataUnavailable, InputError

MANIFEST = "manifest.json"

Arrays = dict[str, Shaped[np.ndarray, "N ..."]]


def cache_root(given: str | None = None) -> Path:
    """Returns the directory of all files that can be rebuilt: decoded data, compiled programs.

    Args:
      given: a directory. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is not set.

    Raises:
      InputError: not a path, or a path that is not UTF-8.

    Example:
      >>> cache_root("/tmp/mine").as_posix()
      '/tmp/mine'
    """
    directory = given or os.environ.get("JAXDL_CACHE") or "~/.cache/jaxdl"
    root = expand_path(directory, "cache_dir").resolve()
    check_utf8(root, "cache_dir")
    return root


def load_or_build(folder: Path, build: Callable[[Path], None]) -> tuple[Arrays, dict[str, Any]]:
    """Returns the contents of a cache folder; builds it first if it is missing or damaged.

    Args:
      folder: the cache folder of one data set.
      build: a function that is called with an empty folder. It writes `.npy` files there and ends
        with a call of `write_manifest`.

    Returns:
      The memory-mapped arrays by file name, and the metadata that `write_manifest` stored.

    Raises:
      InputError: the folder cannot be written.
      DataUnavailable: files that were just written read back damaged.

    Example:
      >>> def build(folder):
      ...     np.save(folder / "x.npy", np.arange(3))
      ...     write_manifest(folder, {"classes": 3})
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     arrays, metadata = load_or_build(Path(directory) / "three", build)
      >>> arrays["x"].tolist(), metadata
      ([0, 1, 2], {'classes': 3})
    """
    contents = _read(folder)
    if contents is None:
        with _owned(folder) as owner:
            if owner.waited:
                contents = _read(folder)
            if contents is None:
                _build(folder, build)
                contents = _read(folder)
    if contents is None:
        raise DataUnavailable(f"cache_dir: files written to {folder} read back damaged")
    return contents


def write_manifest(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Writes the manifest: the metadata, the SHA-256 of each file and that of the manifest itself.

    Args:
      folder: the folder of the `.npy` files.
      metadata: values that JSON can represent.
    """
    files = {path.name: _sha256(path) for path in sorted(folder.glob("*.npy"))}
    manifest = {"metadata": dict(metadata), "files": files}
    text = json.dumps({**manifest, "sha256": _digest(manifest)}, indent=1)
    # A file whose name survives a power failure must have its contents, too.
    for name in files:
        sync(folder / name)
    write_atomically(folder / MANIFEST, text + "\n")


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[Owner]:
    """Yields the owner of an entry; waits while another process builds it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        owner = own(folder.parent, f".{folder.name}.lock", f"builds {folder}")
    except OSError as error:
        reason = error.strerror or "not a directory"
        raise InputError(
            "cache_dir", str(folder.parent), f"a directory that can be written ({reason})"
        ) from None
    with contextlib.closing(owner):
        yield owner


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Builds in a temporary folder and renames it, so that no reader finds a partial result."""
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        new.mkdir()
        build(new)
        try:
            if folder.exists():
                folder.rename(Path(temporary) / "old")
            new.rename(folder)
        except OSError:
            # Another process may have built the folder first; its result is then read instead.
            if not (folder / MANIFEST).exists():
                raise
        sync(folder.parent)


def _read(folder: Path) -> tuple[Arrays, dict[str, Any]] | None:
    """Returns the verified contents; None if there are none, with a warning if they are damaged."""
    if not folder.exists():
        return None
    try:
        return _read_verified(folder)
    except Exception as error:
        # Damaged JSON and arrays raise too many kinds of exceptions to list them.
        reason = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"cache {folder} is damaged ({reason}); rebuilding it", stacklevel=4)
        return None


def _read_verified(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Reads the manifest and every file; raises an exception if a checksum does not match."""
    manifest = parse_json_object(read_bytes(folder / MANIFEST))
    if manifest.pop("sha256") != _digest(manifest):
        raise ValueError(f"{MANIFEST} does not match its checksum")
    paths = sorted(folder.glob("*.npy"))
    if [path.name for path in paths] != sorted(manifest["files"]):
        raise ValueError(f"files differ from those in {MANIFEST}")
    for path in paths:
        if _sha256(path) != manifest["files"][path.name]:
            raise ValueError(f"{path.name} does not match its checksum")
    arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in paths}
    return arrays, manifest["metadata"]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
