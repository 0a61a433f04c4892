"""Keeping XLA from computing things again."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, PyTree


def noinline(f: Callable, static_argnums: int | tuple[int, ...] = ()) -> Callable:
    """`f` whose result a CPU keeps, where XLA would compute cheap work again in each place that reads it.

    The backward pass of pooling and dropout, which three convolutions and sums read, took 22 of 108 ms in a step
    of the 3x3 CNN at batch 128. Barriers do not help: they are gone before XLA fuses.

    Args:
      f: a function of arrays; the result may be its argument.
      static_argnums: arguments that are no arrays, as for `jax.jit`.

    Returns:
      A function of the same arguments, to be made once.

    Example:
      >>> float(noinline(jax.numpy.sin)(0.0))
      0.0
    """
    compiled = jax.jit(f, static_argnums=static_argnums)

    def call(*args: Any) -> Any:
        # XLA compiles by itself what it may not inline.
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


def materialize(x: PyTree[Array]) -> PyTree[Array]:
    """`x`, computed once on a CPU, all of it before anything that follows reads it.

    Args:
      x: arrays.

    Returns:
      The same numbers.

    Example:
      >>> materialize(jax.numpy.arange(2)).tolist()
      [0, 1]
    """
    return jax.lax.platform_dependent(x, cpu=_kept, default=_same)


def _same(x: Any) -> Any:
    return x


_kept = noinline(_same)
