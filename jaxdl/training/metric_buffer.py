"""Metrics of several steps: a row for each on the devices, their sums on the host."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxdl.errors import InputError
from jaxdl.metrics import Metrics


def read_rows(metrics: Metrics, count: int, axis: int) -> Metrics:
    """The rows that `run` or `evaluate` filled, on the host.

    Args:
      metrics: `{name: (sums, counts)}`, `[K, ...]` each, of several runs `[N, K, ...]`.
      count: how many rows, at most K.
      axis: which one they are along, 0 or 1.

    Example:
      >>> read_rows({"loss": (jnp.array([1.0, 2.0, 0.0]), jnp.array([4.0, 4.0, 0.0]))}, 2, 0)["loss"][0].tolist()
      [1.0, 2.0]
    """
    here = (slice(None),) * axis + (slice(count),)
    return jax.tree.map(lambda x: x[here], jax.device_get(metrics))


def total_rows(blocks: Sequence[Metrics], axis: int) -> Metrics:
    """The sums of all rows of some blocks, in double precision: how the rows were cut into blocks changes no bit.

    Example:
      >>> rows = {"loss": (np.array([1.0, 2.0]), np.array([4.0, 4.0]))}
      >>> total_rows([rows, rows], 0)
      {'loss': (np.float64(6.0), np.float64(16.0))}
    """
    return jax.tree.map(lambda *x: np.concatenate(x, axis).sum(axis, dtype=np.float64), *blocks)


def empty_rows(shapes: Any, count: int) -> Array:
    """Room for so many rows `[K, M]` of metrics of these shapes, M numbers in all."""
    if not shapes:
        raise InputError("metrics", {}, "at least one for each step, such as the loss")
    return jnp.zeros((count, sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))))


def write_row(rows: Array, i: Array, metrics: Metrics) -> Array:
    """All numbers of a step side by side: one write, where each by itself would be one."""
    row = jnp.concatenate([x.reshape(-1).astype(rows.dtype) for x in jax.tree.leaves(metrics)])
    return jax.lax.dynamic_update_index_in_dim(rows, row, i, 0)


def unpack_rows(rows: Array, shapes: Any) -> Metrics:
    """The columns of the rows `[K, M]` as metrics, `[K, ...]` each."""
    leaves, kind = jax.tree.flatten(shapes)
    ends = np.cumsum([math.prod(x.shape) for x in leaves])
    parts = jnp.split(rows, ends[:-1], axis=1)
    named = [part.reshape(-1, *x.shape) for part, x in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(kind, named)


def stack_rows(found: list[Metrics]) -> Metrics:
    """The metrics of single steps as rows."""
    return jax.tree.map(lambda *x: np.stack(x), *jax.device_get(found))
