"""A run again, from its result: `jaxdl.reproduce(...)`, and `python -m jaxdl.reproduce`."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxdl.experiment.comparison import Comparison


def reproduce(
    result: str | os.PathLike,
    out: str | os.PathLike | None = None,
    experiments: str | os.PathLike = "experiments",
) -> "Comparison":
    """Runs the experiment of a result again, prints old and new side by side, and says whether the promise was kept.

    It starts a process with the options that the result stores; `docs/reproducibility.md` has what is promised.

    Args:
      result: the `result.json` of a finished run.
      out: an empty directory for the new run; None: one that is removed afterwards.
      experiments: the directory with the experiment's script, which is run.

    Returns:
      `same`, `kept`, the `level` of the promise with its `reasons`, and the `differences`.

    Raises:
      InputError: the result names no script there, or options that the script does not have; `out` is not empty.
      RunError: the result cannot be read, or the run failed.
    """
    from jaxdl.experiment.reproduce import (
        reproduce as again,  # and with it all that experiments need
    )

    return again(result, out, experiments)
