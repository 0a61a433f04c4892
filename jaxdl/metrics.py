"""Metrics: pairs `(sum, count)` that merge by addition, over any batches and devices.

    mean = sum_i m_i v_i / sum_i m_i

A mean of means is wrong if one batch is smaller than the others. The sum of sums divided by the sum
of counts is always right.

A program that does several steps returns one row of metrics per step. On the host the rows have a
leading axis of runs, `[N, K, ...]`, with N = 1 for a single run.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.errors import InputError

Metric = tuple[Float[Array, "..."], Float[Array, "..."]]
Metrics = dict[str, Metric]


def total(
    values: Num[Array, "*B"], mask: Num[Array, "*B"] | Bool[Array, "*B"] | None = None
) -> Metric:
    """Returns the sum and the number of the values where the mask is true.

        sum = sum_i m_i v_i,   count = sum_i m_i

    A masked value may be NaN, and the sum stays finite. Its gradient does not, if the chain rule
    multiplies NaN by 0 on the way to the value. The inputs of masked values must therefore be
    finite where a gradient is computed.

    Args:
      values: one number per example, `[B]` or any other shape.
      mask: True or 1 where the value counts, of the same shape. None means everywhere.

    Returns:
      Two float32 scalars `(sum, count)`.

    Example:
      >>> s, n = total(jnp.array([1.0, 2.0, 9.0]), jnp.array([True, True, False]))
      >>> float(s), float(n)
      (3.0, 2.0)
    """
    values = values.astype(jnp.float32)
    if mask is None:
        return values.sum(), jnp.full((), values.size, jnp.float32)
    weight = mask.astype(jnp.float32)
    return jnp.where(weight > 0, values * weight, 0.0).sum(), weight.sum()


def mean(metric: Metric) -> Float[Array, "..."]:
    """Returns `sum / count`, or 0 if the count is 0.

    Example:
      >>> float(mean((jnp.array(3.0), jnp.array(2.0))))
      1.5
    """
    value, count = metric
    return value / jnp.maximum(count, 1.0)


def merge(a: Metrics, b: Metrics) -> Metrics:
    """Adds metrics name by name; a name that only one of the arguments has is copied.

    Example:
      >>> merge({"n": (1.0, 1.0)}, {"n": (0.0, 1.0), "m": (2.0, 4.0)})
      {'n': (1.0, 2.0), 'm': (2.0, 4.0)}
    """
    both = {name: jax.tree.map(lambda x, y: x + y, a[name], b[name]) for name in a if name in b}
    return {**a, **b, **both}


def means(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Copies metrics to the host and returns `{name: sum / count}`, NaN if the count is 0.

    Args:
      metrics: metrics of one run, or of N runs with arrays `[N]`.

    Returns:
      A float per name, or an array `[N]` per name for N runs.

    Example:
      >>> means({"loss": (jnp.array(3.0), jnp.array(2.0))})
      {'loss': 1.5}
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = {
            name: np.float64(s) / np.float64(n)
            for name, (s, n) in jax.device_get(dict(metrics)).items()
        }
    return {name: ratio if np.ndim(ratio) else float(ratio) for name, ratio in ratios.items()}


def accuracy(logits: Float[Array, " C"], label: Int[Array, ""]) -> Float[Array, ""]:
    """Returns 1 if the largest logit is that of the label, else 0, for one example.

    Example:
      >>> float(accuracy(jnp.array([0.1, 2.0]), jnp.array(1)))
      1.0
    """
    return (logits.argmax() == label).astype(jnp.float32)


def top_k(logits: Float[Array, " C"], label: Int[Array, ""], k: int) -> Float[Array, ""]:
    """Returns 1 if the logit of the label is one of the `k` largest, else 0, for one example.

    Example:
      >>> float(top_k(jnp.array([0.1, 2.0, 1.0]), jnp.array(2), 2))
      1.0
    """
    return (jax.lax.top_k(logits, k)[1] == label).any().astype(jnp.float32)


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
