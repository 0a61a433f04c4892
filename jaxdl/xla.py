"""Properties of XLA, above all on a CPU: repeated computation, compiler options, convolutions."""

import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, PyTree

#: Name of the scope of optimizers in a trace.
OPTIMIZER = "optimizer"


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


# A convolution for which XLA:CPU has a fast routine inside loops, too.
_FAST_CONVOLUTION = re.compile(
    r"\[b(, \d)+, f\]x\[(\d, )+i, o\]->\[b(, \d)+, f\].*reverse = \[false(, false)*\].*"
    r"batch_group_count = 1 .*feature_group_count = 1 "
)


def convolutions(lowered: str) -> Literal["none", "fast", "slow"]:
    """Classifies the convolutions in a CPU's program.

    Args:
      lowered: the text of the lowered program.

    Returns:
      "none" without convolutions; "fast" if XLA has a routine for all of them inside loops; else
      "slow".

    Example:
      >>> convolutions(jax.jit(lambda x: x + 1).lower(1.0).as_text())
      'none'
    """
    found = [line for line in lowered.splitlines() if "stablehlo.convolution" in line]
    if not found:
        return "none"
    if all(map(_FAST_CONVOLUTION.search, found)):
        return "fast"
    return "slow"


@cache
def convolution_options() -> dict[str, str]:
    """Returns compiler options for CPU programs with convolutions.

    XLA:CPU has two routines for a convolution. The one that is not the default is up to five times
    faster on two cores (`jaxdl/nn/convolution.py`). Matrix products keep their routine.

    A jaxlib without the option gives no options and one warning per process.
    """
    fusions = "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    options = accepted_options(xla_cpu_experimental_ynn_fusion_type=fusions)
    if not options:
        warnings.warn(
            f"jaxlib {jax.lib.__version__} has no compiler option"
            " xla_cpu_experimental_ynn_fusion_type, so convolutions on a CPU may take up to five"
            " times as long; install jaxlib 0.10.2",
            stacklevel=2,
        )
    return options


def few_threads(devices: Sequence[jax.Device]) -> bool:
    """Returns True for several devices of a CPU, which share a few threads.

    They deadlock if several collective programs wait for these threads.

    Example:
      >>> few_threads(jax.devices()[:1])
      False
    """
    return devices[0].platform == "cpu" and len(devices) > 1
