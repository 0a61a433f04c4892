"""Metrics of several steps: one row per step on the devices, summed on the host.

On the host a metric always has a leading axis of runs, `[N, K, ...]`, with N = 1 for a single run.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxdl.errors import InputError
from jaxdl.metrics import Metrics


def read_rows(metrics: Metrics, count: int, several: bool) -> Metrics:
    """Copies the rows that `run` or `evaluate` filled to the host.

    Args:
      metrics: `{name: (sums, counts)}`, `[K, ...]` each; `[N, K, ...]` for several runs.
      count: number of filled rows, at most K.
      several: True for several runs.

    Returns:
      `[N, count, ...]` each, where N is 1 for a single run.

    Example:
      >>> metrics = {"loss": (jnp.array([1.0, 2.0, 0.0]), jnp.array([4.0, 4.0, 0.0]))}
      >>> read_rows(metrics, 2, several=False)["loss"][0].tolist()
      [[1.0, 2.0]]
    """
    filled: tuple[Any, ...] = (None, slice(count))
    if several:
        filled = (slice(None), slice(count))
    return jax.tree.map(lambda x: x[filled], jax.device_get(metrics))


def total_rows(blocks: Sequence[Metrics]) -> Metrics:
    """Computes the sums of all rows of some blocks in double precision, `[N]` each.

    The result does not depend on how the rows were divided into blocks.

    Example:
      >>> rows = {"loss": (np.array([[1.0, 2.0]]), np.array([[4.0, 4.0]]))}
      >>> [x.tolist() for x in total_rows([rows, rows])["loss"]]
      [[6.0], [16.0]]
    """
    return jax.tree.map(lambda *x: np.concatenate(x, 1).sum(1, dtype=np.float64), *blocks)


def empty_rows(shapes: Any, count: int) -> Array:
    """Returns a buffer of zeros `[count, M]` for metrics of these shapes, M numbers in all."""
    if not shapes:
        raise InputError("metrics", {}, "at least one for each step, such as the loss")
    return jnp.zeros((count, sum(math.prod(x.shape) for x in jax.tree.leaves(shapes))))


def write_row(rows: Array, i: Array, metrics: Metrics) -> Array:
    """Writes the metrics of a step into row i; all numbers at once, which needs a single update."""
    row = jnp.concatenate([x.reshape(-1).astype(rows.dtype) for x in jax.tree.leaves(metrics)])
    return jax.lax.dynamic_update_index_in_dim(rows, row, i, 0)


def unpack_rows(rows: Array, shapes: Any) -> Metrics:
    """Returns the columns of the rows `[K, M]` as metrics of these shapes, `[K, ...]` each."""
    leaves, structure = jax.tree.flatten(shapes)
    ends = np.cumsum([math.prod(x.shape) for x in leaves])
    columns = jnp.split(rows, ends[:-1], axis=1)
    values = [part.reshape(-1, *x.shape) for part, x in zip(columns, leaves, strict=True)]
    return jax.tree.unflatten(structure, values)


def stack_rows(metrics: list[Metrics]) -> Metrics:
    """Returns the metrics of single steps as rows, on the host."""
    return jax.tree.map(lambda *x: np.stack(x), *jax.device_get(metrics))
