"""Metrics of several runs, each of one or several seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float


def values_of_seeds(result: Mapping[str, Any], metric: str) -> Float[np.ndarray, " S"]:
    """Returns a metric of each seed of a run.

    Args:
      result: result of `Run.finish`.
      metric: name of the metric, such as `test/loss`.

    Returns:
      `[S]`, of S seeds.

    Example:
      >>> values_of_seeds({"metrics": {"test/loss": 0.5}}, "test/loss")
      array([0.5])
    """
    members = result.get("members", [result])
    return np.array([member["metrics"][metric] for member in members])


def error_table(errors: Mapping[str, Float[np.ndarray, "S L"]], columns: Sequence[str]) -> str:
    """Returns a table of mean errors with their standard deviations over seeds, as text.

    Args:
      errors: `{row: [S, L]}`, one row of numbers for each of S seeds.
      columns: names of the L columns.

    Returns:
      One line for the columns, and one for each row. A single seed has no standard deviation.

    Example:
      >>> print(error_table({"GRU": np.array([[0.08], [0.12]])}, ["error"]))
             error
      GRU  0.1 ± 0.028
    """
    lines = [["", *columns]]
    for name, values in errors.items():
        cells = [f"{mean:.3g}" for mean in np.mean(values, 0)]
        if len(values) > 1:
            deviations = np.std(values, 0, ddof=1)
            cells = [f"{cell} ± {std:.2g}" for cell, std in zip(cells, deviations, strict=True)]
        lines.append([name, *cells])
    first, *widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        f"{name:<{first}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        for name, *cells in lines
    )
