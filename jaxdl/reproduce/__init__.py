"""Repeats a run from its result: `jaxdl.reproduce(...)` and `python -m jaxdl.reproduce`."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxdl.runs.comparison import Comparison


def reproduce(
    result: str | os.PathLike,
    out: str | os.PathLike | None = None,
    experiments: str | os.PathLike = "experiments",
) -> "Comparison":
    """Repeats the run of a result and prints the old and the new values side by side.

    The run is started in a new process with the options that the result contains. See
    `docs/reproducibility.md` for what is promised to be equal.

    Args:
      result: `result.json` of a finished run.
      out: empty directory for the new run. None means a temporary directory.
      experiments: directory with the script of the experiment, which is executed.

    Returns:
      The comparison: `same`, `promise_kept`, the `level` of the promise with its `reasons`, and
      the `differences`.

    Raises:
      InputError: the result names an unknown script or option, or `out` is not empty.
      RunError: the result cannot be read, or the run failed.
    """
    # The import is here because it loads everything that experiments need.
    from jaxdl.runs.reproduce import reproduce as run_again

    return run_again(result, out, experiments)
