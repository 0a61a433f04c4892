"""Functions that keep XLA from repeated computation, and options for programs that run once."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, PyTree


def noinline(f: Callable, static_argnums: int | tuple[int, ...] = ()) -> Callable:
    """Returns `f` as a function that XLA does not inline into its callers.

    XLA:CPU fuses cheap operations into each operation that reads their result, and so computes
    them several times. The result of a function that is not inlined is computed once and stored.

    Three convolutions and sums read the gradient of pooling and dropout. Computing it again for
    each of them took 22 of the 108 ms of a step of the 3x3 CNN at batch 128. Optimization barriers
    do not help, because XLA removes them before it fuses.

    Args:
      f: a function of arrays. It may return its argument.
      static_argnums: positions of the arguments that are not arrays, as for `jax.jit`.

    Returns:
      A function of the same arguments. Create it once and reuse it: each one is compiled
      separately.

    Example:
      >>> float(noinline(jax.numpy.sin)(0.0))
      0.0
    """
    compiled = jax.jit(f, static_argnums=static_argnums)

    def call(*args: Any) -> Any:
        # XLA compiles a function that it may not inline separately from its callers.
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


def materialize(x: PyTree[Array]) -> PyTree[Array]:
    """Returns `x`, which a CPU computes once and completely before any operation reads it.

    Args:
      x: arrays.

    Returns:
      The same arrays.

    Example:
      >>> materialize(jax.numpy.arange(2)).tolist()
      [0, 1]
    """
    return jax.lax.platform_dependent(x, cpu=_materialized, default=_identity)


def _identity(x: Any) -> Any:
    return x


_materialized = noinline(_identity)


@cache
def accepted_options(**options: Any) -> dict[str, Any]:
    """Returns compiler options if this version of XLA has all of them, else none.

    Example:
      >>> accepted_options(xla_no_such_option=True)
      {}
    """
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def quick_options() -> dict[str, Any]:
    """Returns compiler options for a program that runs once, in which time is mostly compilation.

    Such a program is compiled without optimization, on a CPU ten times as fast. Other platforms
    have no such options.

    Example:
      >>> x = jax.jit(jax.numpy.sin, compiler_options=quick_options())(0.0)
      >>> float(x)
      0.0
    """
    if jax.default_backend() != "cpu":
        return {}
    plain = accepted_options(xla_backend_optimization_level=0)
    # XLA's older emitters halve the time once more. A later version may lack them.
    return accepted_options(**plain, xla_cpu_use_fusion_emitters=False) or plain
