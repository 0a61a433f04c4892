"""Arrays that take long to compute, in files from which an interrupted script continues."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.array_file import ArrayFile


def stored_arrays(
    path: Path, inputs: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Returns the arrays of a file, or makes them and writes the file.

    So an interrupted script makes only what is missing, with the same bits.

    Args:
      path: an `.npz` file. Its folder is created.
      inputs: by name all that decides the arrays: trees of arrays, keys, options and texts.
      make: function without arguments that returns arrays by name.

    Raises:
      InputError: a file that was made from other inputs, or a damaged one.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder) / "squares.npz"
      ...     made = stored_arrays(path, {"count": 3}, lambda: {"x": np.arange(3) ** 2})
      ...     read = stored_arrays(path, {"count": 3}, lambda: {})
      >>> read["x"].tolist()
      [0, 1, 4]
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = ArrayFile(path, inputs, "out")
    found = file.read()
    if found is not None:
        return found
    arrays = {name: np.asarray(value) for name, value in make().items()}
    file.write(arrays)
    return arrays
