"""Properties of XLA:CPU: its routines for convolutions, and the threads of its devices."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

import jax

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
    """
    fusions = "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    options = {"xla_cpu_experimental_ynn_fusion_type": fusions}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        # This version of XLA does not have the option.
        return {}
    return options


def few_threads(devices: Sequence[jax.Device]) -> bool:
    """Returns True for several devices of a CPU, which share a few threads.

    They deadlock if several collective programs wait for these threads.

    Example:
      >>> few_threads(jax.devices()[:1])
      False
    """
    return devices[0].platform == "cpu" and len(devices) > 1
