"""Tests for NaN and infinity."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool

from jaxdl.core import State


def finite(state: State) -> State:
    """Tests each leaf of a state for NaN and infinity.

    An optimizer may use infinities on purpose, so its state is tested for NaN only.

    Args:
      state: the state of a learner.

    Returns:
      A state of booleans, True for each leaf that passes.

    Example:
      >>> params = {"w": jnp.array([1.0, jnp.inf])}
      >>> opt = ({"best": jnp.array(jnp.inf)},)
      >>> passed = finite(State(jnp.zeros((), jnp.int32), params, opt, {}))
      >>> bool(passed.params["w"]), bool(passed.opt[0]["best"])
      (False, True)
    """

    def test(path: Any, x: Array) -> Array:
        if path[0].name == "opt" and jnp.issubdtype(x.dtype, jnp.inexact):
            return ~jnp.isnan(x).any()
        return all_finite(x)

    return jax.tree_util.tree_map_with_path(test, state)


def all_finite(x: Array) -> Bool[Array, ""]:
    """Returns True if no number of an array is NaN or infinite; always for integers and booleans.

    Example:
      >>> bool(all_finite(jnp.array([1.0, jnp.nan]))), bool(all_finite(jnp.array([1, 2])))
      (False, True)
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.ones((), bool)
    return jnp.isfinite(x).all()


def finite_on_host(state: State) -> dict[str, Bool[np.ndarray, " N"]]:
    """Tests each leaf of each run on the host, without a compiled program.

    Args:
      state: the state of N runs, or of a single one with N = 1.

    Returns:
      For each leaf by its path, True for each run that passes the test of `finite`. In several
      processes the result is the same in all of them.

    Example:
      >>> params = {"w": jnp.array([1.0, jnp.inf])}
      >>> state = State(jnp.zeros((), jnp.int32), params, (), {})
      >>> {name: passed.tolist() for name, passed in finite_on_host(state).items()}
      {'step': [True], 'params/w': [False]}
    """
    runs = state.step.size
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    passed: Any = np.ones((len(leaves), runs), bool)
    for i, (path, leaf) in enumerate(leaves):
        bad = np.isnan if path[0].name == "opt" else _is_not_finite
        for part in _parts(leaf):
            passed[i] &= ~bad(part.reshape(runs, -1)).any(1)
    if jax.process_count() > 1:
        passed = np.asarray(multihost_utils.process_allgather(passed)).all(0)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return dict(zip(names, passed, strict=True))


def _is_not_finite(x: np.ndarray) -> np.ndarray:
    return ~np.isfinite(x)


def _parts(leaf: Array) -> Iterator[np.ndarray]:
    """Yields the parts of a floating-point leaf that are on devices of this process."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return
    if leaf.is_fully_addressable:
        yield np.asarray(leaf)
        return
    for shard in leaf.addressable_shards:
        yield np.asarray(shard.data)
