"""Metrics are pairs `(sum, count)`: they merge by `+`, whatever the batches and devices were.

    mean = sum_i m_i v_i / sum_i m_i

A mean of means is wrong as soon as one batch is smaller; a sum of sums and counts never is.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

Metric = tuple[Float[Array, "..."], Float[Array, "..."]]
Metrics = dict[str, Metric]


def total(
    values: Num[Array, "*B"], mask: Num[Array, "*B"] | Bool[Array, "*B"] | None = None
) -> Metric:
    """`(sum of the values, how many there are)`, where `mask` is true.

    Args:
      values: `[B]` or any shape, one number per example.
      mask: the same shape, true (or 1) where the example counts; None: everywhere. Values
        that do not count may be NaN: the sum stays finite. A gradient does not, where NaN times 0
        comes out on the way to such a value; so what it is made from must be finite.

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
    """`sum / count`; 0 where nothing counted.

    Example:
      >>> float(mean((jnp.array(3.0), jnp.array(2.0))))
      1.5
    """
    value, count = metric
    return value / jnp.maximum(count, 1.0)


def merge(a: Metrics, b: Metrics) -> Metrics:
    """Both together, added name by name; a name in one of them only is kept.

    Example:
      >>> merge({"n": (1.0, 1.0)}, {"n": (0.0, 1.0), "m": (2.0, 4.0)})
      {'n': (1.0, 2.0), 'm': (2.0, 4.0)}
    """
    both = {name: jax.tree.map(lambda x, y: x + y, a[name], b[name]) for name in a if name in b}
    return {**a, **b, **both}


def means(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """The host's numbers for a report: `{name: sum / count}`; NaN where nothing counted.

    A float each, or for several runs in one program an array `[N]` each.

    Example:
      >>> means({"loss": (jnp.array(3.0), jnp.array(2.0))})
      {'loss': 1.5}
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            name: np.float64(s) / np.float64(n)
            for name, (s, n) in jax.device_get(dict(metrics)).items()
        }
        return {name: value if np.ndim(value) else float(value) for name, value in found.items()}


def accuracy(logits: Float[Array, " C"], label: Int[Array, ""]) -> Float[Array, ""]:
    """1 if the largest logit is the label's, else 0; for one example, `vmap` outside.

    Example:
      >>> float(accuracy(jnp.array([0.1, 2.0]), jnp.array(1)))
      1.0
    """
    return (logits.argmax() == label).astype(jnp.float32)


def top_k(logits: Float[Array, " C"], label: Int[Array, ""], k: int) -> Float[Array, ""]:
    """1 if the label is among the `k` largest logits, else 0; for one example.

    Example:
      >>> float(top_k(jnp.array([0.1, 2.0, 1.0]), jnp.array(2), 2))
      1.0
    """
    return (jax.lax.top_k(logits, k)[1] == label).any().astype(jnp.float32)
