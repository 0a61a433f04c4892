"""Names, dtypes and shapes of the leaves of a state, and one hash of all of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.errors import CheckpointError


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
