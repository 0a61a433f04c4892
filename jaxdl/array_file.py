"""A file with arrays of work that takes long, from which an interrupted call continues."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np

from jaxdl.errors import InputError, of_kind

#: Errors of a file that is no `.npz` file with an identity, or is damaged.
DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, AttributeError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
)


class ArrayFile:
    """An `.npz` file with arrays, and with hashes of what decides them.

    Args:
      path: path of the file, in a folder that exists.
      inputs: by name all that decides the arrays: trees of arrays, keys, options and texts.
      field: name of the argument or option of the path, for messages.

    Attributes:
      path: the path.

    Raises:
      InputError: a path where no file can be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = ArrayFile(f"{folder}/squares.npz", {"count": 3})
      ...     before = file.read()
      ...     file.write({"x": np.arange(3) ** 2})
      ...     after = ArrayFile(f"{folder}/squares.npz", {"count": 3}).read()
      >>> before, after["x"].tolist()
      (None, [0, 1, 4])
    """

    def __init__(self, path: Any, inputs: Mapping[str, Any], field: str = "path") -> None:
        of_kind(field, path, str | Path, "the path of a file, or None")
        self.path = Path(path).expanduser()
        self._field = field
        self._identity = {name: _hash(tree) for name, tree in inputs.items()}
        # `os.path` returns False for names that the system refuses.
        is_other = os.path.exists(self.path) and not os.path.isfile(self.path)
        if not self.path.parent.is_dir() or is_other:
            raise InputError(field, str(path), "a file in a folder that exists")
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        try:
            # A file that cannot be written is found before the work begins.
            self._partial.touch()
            self._partial.unlink()
        except (OSError, ValueError):
            allowed = "a file in a folder that can be written"
            raise InputError(field, str(path), allowed) from None

    def read(self) -> dict[str, np.ndarray] | None:
        """Returns the arrays of the file, or None if there is no file.

        Raises:
          InputError: a damaged file, or one that was made from other inputs.
        """
        if not self.path.exists():
            return None
        try:
            # NumPy does not close a path that is no archive.
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            found = dict(json.loads(str(arrays.pop("identity"))))
        except DAMAGED:
            self.refuse_damaged()
        differ = [name for name, value in self._identity.items() if found.get(name) != value]
        if differ:
            self.refuse(", ".join(differ))
        return arrays

    def write(self, arrays: Mapping[str, Any]) -> None:
        """Replaces the file by one with these arrays. Until then the earlier one stays.

        Args:
          arrays: arrays by name, other than "identity".
        """
        fields: dict[str, Any] = {**arrays, "identity": np.array(json.dumps(self._identity))}
        try:
            with open(self._partial, "wb") as file:
                np.savez_compressed(file, **fields)
                file.flush()
                os.fsync(file.fileno())
            self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)

    def refuse(self, what: str) -> NoReturn:
        """Raises InputError for a file that was made from other inputs.

        Args:
          what: the inputs that differ.
        """
        allowed = f"a file with the same {what}; remove this one, or choose another {self._field}"
        raise InputError(self._field, str(self.path), allowed)

    def refuse_damaged(self) -> NoReturn:
        """Raises InputError for a file whose arrays are missing or of another kind."""
        allowed = f"a complete file; remove this one, or choose another {self._field}"
        raise InputError(self._field, str(self.path), allowed) from None


def _hash(tree: Any) -> str:
    """Returns a hash of the arrays of a tree, and of the texts of its other leaves."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        if isinstance(leaf, np.ndarray | jax.Array):
            array = np.ascontiguousarray(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        else:
            digest.update(repr(leaf).encode())
    return digest.hexdigest()
