"""The leaves of a state by name: what a checkpoint is compared by, and one hash of them all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.errors import CheckpointError


def leaves(tree: Any) -> dict[str, Any]:
    """Every leaf by the keys that lead to it, joined by a slash."""
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(map(_part, path)): leaf for path, leaf in flat}


def _part(key: Any) -> str:
    """One key of a path, in quotes where it would read as two: `a/b` and `'a/b'` are two leaves."""
    name = jax.tree_util.keystr((key,), simple=True)
    return repr(name) if set(name) & set("/'\"") else name


def check_names(where: Path, tree: Any) -> None:
    """Raises for two leaves whose keys joined by a dot are the same: so Orbax names them, and it would write one."""
    seen: dict[str, str] = {}
    for name, (path, _) in zip(
        leaves(tree), jax.tree_util.tree_flatten_with_path(tree)[0], strict=True
    ):
        first = seen.setdefault(jax.tree_util.keystr(path, simple=True, separator="."), name)
        if first != name:
            raise CheckpointError(
                f"{where}: {first} and {name} would be one leaf of a checkpoint; rename one"
            )


def layout(tree: Any) -> dict[str, str]:
    """The dtype and shape of every leaf."""
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in leaves(tree).items()}


def check_layout(where: str, stored: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raises unless what is stored is laid out as this run wants it."""
    for name in sorted(wanted.keys() | stored.keys()):
        there = stored.get(name, "nothing")
        here = wanted.get(name, "nothing")
        if there != here:
            raise CheckpointError(f"{where}: {name} is {there} there and {here} in this run")


def state_sha256(state: Any) -> str:
    """One hash of all that training changed: every leaf's path, dtype, shape and bytes, sorted by path.

    Args:
      state: any pytree of arrays.

    Returns:
      64 hexadecimal digits; equal if and only if all bits are.

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
