"""The record of one case, and its result."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Inexpressible(Exception):
    """A case that needs a property that no layer has; the message names it."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of another library.

    Attributes:
      name: its name there.
      compute: a function that returns the outputs of jaxdl's layers, None for an output that they
        do not return. It raises `Inexpressible` if they cannot compute the case.
      expected: the outputs of the other library.
      tolerance: the largest relative difference.
    """

    name: str
    compute: Callable[[], Sequence[Any]]
    expected: Sequence[Any]
    tolerance: float = 2e-5

    def result(self) -> str:
        """Returns "" for equal outputs, else "cannot be expressed: ..." or "failed: ..."."""
        try:
            outputs = self.compute()
            for output, expected in zip(outputs, self.expected, strict=True):
                if output is not None:
                    np.testing.assert_allclose(
                        output, expected, rtol=self.tolerance, atol=self.tolerance / 10
                    )
        except Inexpressible as reason:
            return f"cannot be expressed: {reason}"
        except Exception as error:
            return f"failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return ""


def report(title: str, cases: Sequence[Case]) -> int:
    """Prints the counts and every case that did not pass; returns the number of failures."""
    results = {case.name: case.result() for case in cases}
    failed = {name: text for name, text in results.items() if text.startswith("failed")}
    other = {name: text for name, text in results.items() if text and name not in failed}
    passed = len(results) - len(failed) - len(other)
    print(f"{title}: {passed} passed, {len(failed)} failed, {len(other)} cannot be expressed")
    for name, text in {**failed, **other}.items():
        print(f"  {name}: {text.removeprefix('cannot be expressed: ')}")
    return len(failed)
