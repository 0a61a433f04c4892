"""Runs the cases of ONNX and Flax with jaxdl's layers: `python -m tests.conformance`.

ONNX's node tests come with their inputs and outputs in the package `onnx`. Flax's cases have the
figures of its tests of convolution, pooling and recurrence. A grid of configurations is compared
with Linen's layers.
"""

import importlib.util
import sys

from tests.conformance import flax_cases
from tests.conformance.cases import report


def main() -> int:
    """Runs all cases; returns the number of failures."""
    if importlib.util.find_spec("onnx") is None:
        print("onnx is not installed: pip install onnx")
        return 1
    from tests.conformance import onnx_cases

    failures = report("ONNX", onnx_cases.cases())
    failures += report("Flax", flax_cases.cases())
    return failures + report("Linen's layers on a grid", flax_cases.grid())


if __name__ == "__main__":
    sys.exit(min(main(), 1))
