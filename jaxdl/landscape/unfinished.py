"""Finished rows of a surface, in memory and in a file from which an interrupted call continues."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.array_file import ArrayFile

#: Largest difference of the first loss, relative to itself, for one function.
SAME = 1e-3


class Unfinished:
    """Rows of losses that are computed in order.

    Args:
      shape: numbers of rows and columns.
      path: file of the rows; None means no file.
      inputs: by name the arrays that decide the losses.

    Attributes:
      values: `[Q, P]`, of which the first `count` rows are finished.
      count: number of finished rows.
      seconds: time of all finished rows, including those of an interrupted call.

    Raises:
      InputError: a path that cannot be written, a damaged file, or one of another surface.

    Example:
      >>> rows = Unfinished((2, 3), None, {})
      >>> rows.add(np.ones(3, np.float32))
      >>> rows.count
      1
    """

    def __init__(
        self, shape: tuple[int, ...], path: str | Path | None, inputs: Mapping[str, Any]
    ) -> None:
        self.values = np.zeros(shape, np.float32)
        self.count = 0
        self.seconds = 0.0
        self._file: ArrayFile | None = None
        self._began = time.perf_counter()
        if path is not None:
            self._file = ArrayFile(path, inputs)
            self._read(self._file)

    def check_first(self, first: Callable[[], float]) -> None:
        """Raises if the file has another first loss than the function.

        The hashes are those of arrays only. So a loss distinguishes functions with equal arrays.

        Args:
          first: function that computes the first loss.
        """
        if self._file is None or not self.count:
            return
        stored = float(self.values[0, 0])
        value = first()
        if not np.isclose(value, stored, rtol=SAME, atol=0, equal_nan=True):
            self._file.refuse("loss")

    def add(self, row: Float[np.ndarray, " P"]) -> None:
        """Adds a row, and replaces the file by one with it."""
        now = time.perf_counter()
        self.values[self.count] = row
        self.count += 1
        self.seconds += now - self._began
        self._began = now
        if self._file is not None:
            self._file.write({"losses": self.values[: self.count], "seconds": self.seconds})

    def _read(self, file: ArrayFile) -> None:
        """Reads the rows of the file, if it exists."""
        arrays = file.read()
        if arrays is None:
            return
        if set(arrays) != {"losses", "seconds"}:
            file.refuse_damaged()
        losses = arrays["losses"]
        seconds = arrays["seconds"]
        is_time = seconds.shape == () and seconds.dtype == np.float64
        fits = losses.dtype == np.float32 and losses.ndim == 2
        fits = fits and losses.shape[1] == self.values.shape[1]
        if not is_time or not fits or len(losses) > len(self.values):
            file.refuse_damaged()
        self.count = len(losses)
        self.values[: self.count] = losses
        self.seconds = float(seconds)
