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
    finite where a gradient is computed. Tasks replace them by 0.

    Integers are added in float32, which is exact up to 2^24. The pair `(values.sum(), n)` of
    larger ones is a metric, too, and exact up to 2^31.

    Args:
      values: one number per example, `[B]` or any other shape.
      mask: True or 1 where the value counts, of the same shape. A fraction is a weight, and the
        count is the sum of the weights. None means 1 everywhere.

    Returns:
      Two scalars `(sum, count)`, float32, or float64 for values in float64.

    Example:
      >>> s, n = total(jnp.array([1.0, 2.0, 9.0]), jnp.array([True, True, False]))
      >>> float(s), float(n)
      (3.0, 2.0)
    """
    values = wide(values)
    if mask is None:
        return values.sum(), jnp.full((), values.size, values.dtype)
    weight = mask.astype(values.dtype)
    return jnp.where(weight != 0, values * weight, 0).sum(), weight.sum()


def mean(metric: Metric) -> Float[Array, "..."]:
    """Returns `sum / count`, or the sum if the count is 0.

    The sum of no values is 0. A count may be any other number: weights can sum to less than 1.

    Example:
      >>> float(mean((jnp.array(3.0), jnp.array(2.0))))
      1.5
    """
    value, count = metric
    return value / jnp.where(count == 0, jnp.ones_like(count), count)


def wide(x: Num[Array, "..."] | Bool[Array, "..."]) -> Float[Array, "..."]:
    """Converts integers, bfloat16 and float16 to float32, because sums need the precision.

    Example:
      >>> wide(jnp.ones(2, jnp.bfloat16)).dtype.name
      'float32'
    """
    dtype = wide_dtype(x.dtype)
    if dtype == x.dtype:
        return x
    return x.astype(dtype)


def wide_dtype(dtype: Any) -> Any:
    """Returns the dtype of sums: float32 for integers, Booleans and 16-bit floats, else `dtype`.

    Example:
      >>> wide_dtype(jnp.bfloat16) == jnp.float32, wide_dtype(jnp.float64) == jnp.float64
      (True, True)
    """
    if jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits >= 32:
        return dtype
    return jnp.float32


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


def empty_rows(shapes: Any, count: int) -> Int[Array, "K M"]:
    """Returns a buffer of zeros `[count, M]` for metrics of these shapes, M words in all.

    The rows hold the bits of the numbers in 32-bit words. So integers above 2^24 stay exact, and
    so does float64.
    """
    if not shapes:
        raise InputError("metrics", {}, "at least one for each step, such as the loss")
    return jnp.zeros((count, sum(_count_words(x) for x in jax.tree.leaves(shapes))), jnp.int32)


def write_row(rows: Int[Array, "K M"], i: Array, metrics: Metrics) -> Int[Array, "K M"]:
    """Writes the metrics of a step into row i; all numbers at once, which needs a single update."""
    words = [
        jax.lax.bitcast_convert_type(_at_least_32_bits(x), jnp.int32).reshape(-1)
        for x in jax.tree.leaves(metrics)
    ]
    return jax.lax.dynamic_update_index_in_dim(rows, jnp.concatenate(words), i, 0)


def unpack_rows(rows: Int[Array, "K M"], shapes: Any) -> Metrics:
    """Returns the columns of the rows `[K, M]` as metrics of these shapes, `[K, ...]` each."""
    leaves, structure = jax.tree.flatten(shapes)
    ends = np.cumsum([_count_words(x) for x in leaves])
    values = []
    for words, x in zip(jnp.split(rows, ends[:-1], axis=1), leaves, strict=True):
        wide_x = jax.eval_shape(_at_least_32_bits, x)
        if wide_x.dtype.itemsize == 8:
            words = words.reshape(len(rows), -1, 2)
        numbers = jax.lax.bitcast_convert_type(words, wide_x.dtype)
        values.append(numbers.reshape(-1, *x.shape))
    return jax.tree.unflatten(structure, values)


def _count_words(x: Any) -> int:
    """Returns the number of 32-bit words in a row for an array of this shape and dtype."""
    return math.prod(x.shape) * max(1, x.dtype.itemsize // 4)


def _at_least_32_bits(x: Array) -> Array:
    """Converts booleans and small integers to int32, and small floats to float32."""
    if x.dtype.itemsize >= 4:
        return x
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.float32)
    return x.astype(jnp.int32)


def stack_rows(metrics: list[Metrics]) -> Metrics:
    """Returns the metrics of single steps as rows, on the host."""
    return jax.tree.map(lambda *x: np.stack(x), *jax.device_get(metrics))
