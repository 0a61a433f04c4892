"""Tests for NaN and infinity."""

from collections.abc import Iterator, Mapping
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


def unusable(batch: Mapping[str, Any], classes: int | None = None) -> str:
    """Names the first value of a batch that no model can use.

    These are NaN and infinities, labels that are no class, and lengths outside of the sequence.
    Rows whose `mask` is 0 do not count.

    Args:
      batch: fields `[B, ...]`.
      classes: number of classes of `label`. None means that only negative labels are found.

    Returns:
      A text, which is empty if all values can be used.

    Example:
      >>> unusable({"input": np.ones((2, 3), np.float32), "label": np.array([0, 12])}, classes=10)
      'label[1] of the batch is 12, not a class in [0, 10)'
    """
    for name, field in batch.items():
        x = np.asarray(field)
        wanted = ""
        bad = np.zeros(x.shape, bool)
        if jnp.issubdtype(x.dtype, jnp.inexact):
            bad = ~np.isfinite(x.astype(np.result_type(x.dtype, np.float32)))
        elif name == "label" and jnp.issubdtype(x.dtype, jnp.integer):
            bad = (x < 0) | (x >= (classes or np.inf))
            wanted = "not a class"
            if classes:
                wanted += f" in [0, {classes})"
        elif name == "length" and np.ndim(batch.get("input", 0)) > 1:
            steps = batch["input"].shape[1]
            bad = (x < 1) | (x > steps)
            wanted = f"not in [1, {steps}]"
        bad &= _counts(batch.get("mask"), x.shape)
        if bad.any():
            return _describe_bad(name, x, bad, wanted)
    return ""


def _counts(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns True where the values of a field of this shape count."""
    if mask is None:
        return np.ones(shape, bool)
    counts = np.asarray(mask) != 0
    if counts.shape != shape:
        rows = counts.reshape(shape[0], -1).any(1)
        counts = np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return counts


def _describe_bad(name: str, x: np.ndarray, bad: np.ndarray, wanted: str) -> str:
    """Returns the first bad value with its row, and the number of other rows that have some."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
    value = x[rows[0]][bad[rows[0]]].flat[0]
    text = f"{name}[{rows[0]}] of the batch is {value}"
    if x.ndim > 1:
        text = f"{name}[{rows[0]}] of the batch contains {value}"
    if wanted:
        text += f", {wanted}"
    if len(rows) > 1:
        text += f" (one of {len(rows)} such rows)"
    return text


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
