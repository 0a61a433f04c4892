"""Arrays that are larger than one wants in memory: they stay on disk and are rescaled as they are read."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

#: A field up to this size as float32 is read into memory; a larger one stays a `MappedArray`. 2 GiB.
IN_MEMORY = 2**31

#: What one look at a large array may hold at a time. 64 MiB.
BLOCK_BYTES = 2**26


@dataclasses.dataclass(frozen=True, eq=False)
class MappedArray:
    """Rows of an array, as float32, computed when they are asked for.

        y = (...((x - shift_1) / scale_1 - shift_2) / scale_2 ...)

    The same float32 operations in the same order as on an array in memory, so the same bits. What
    float32 does not hold (int32, int64, float64) is rescaled in float64 first.

    Attributes:
      raw: `[M, ...]`, any numeric dtype, usually memory-mapped uint8.
      steps: pairs `(shift, scale)`, each a float64 scalar or `[C]` for the last axis.
      rows: `[N]`, the rows of `raw` that are its own; None: all of them.
      dtype: what the rows are given as; `working` keeps all their digits.

    Example:
      >>> pixels = MappedArray(np.array([[0], [51], [255]], np.uint8)).then(0.0, 255.0)
      >>> pixels[np.array([1, 2])].tolist()
      [[0.20000000298023224], [1.0]]
    """

    raw: Num[np.ndarray, "M ..."] = dataclasses.field(repr=False)
    steps: tuple[tuple[np.ndarray, np.ndarray], ...] = dataclasses.field(default=(), repr=False)
    rows: Int[np.ndarray, " N"] | None = dataclasses.field(default=None, repr=False)
    dtype: np.dtype = dataclasses.field(default=np.dtype(np.float32), repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """`[N, ...]`."""
        return (len(self.raw if self.rows is None else self.rows), *self.raw.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.raw.ndim

    @property
    def working(self) -> np.dtype:
        """What the steps are computed in: float32, or float64 if float32 does not hold every value of `raw`."""
        return np.result_type(self.raw.dtype, np.float32)

    @property
    def nbytes(self) -> int:
        """What the rows would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Int[np.ndarray, " B"] | slice) -> Float[np.ndarray, "B ..."]:
        """The rows at `index`, rescaled."""
        chosen = self.raw[index] if self.rows is None else self.raw[self.rows[index]]
        x = np.asarray(chosen).astype(self.working)
        for shift, scale in self.steps:
            x -= shift.astype(x.dtype)
            x /= scale.astype(x.dtype)
        return x.astype(self.dtype, copy=False)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All rows, in memory."""
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def then(self, shift: float | np.ndarray, scale: float | np.ndarray) -> "MappedArray":
        """The same rows with one more step, `(x - shift) / scale`."""
        step = (np.asarray(shift, np.float64), np.asarray(scale, np.float64))
        return dataclasses.replace(self, steps=(*self.steps, step))

    def take(self, rows: Int[np.ndarray, " B"]) -> "MappedArray":
        """Some of the rows, still on disk."""
        own = np.arange(len(self)) if self.rows is None else self.rows
        return dataclasses.replace(self, rows=own[rows])


def blocks(
    array: Shaped[np.ndarray, "N ..."] | MappedArray,
) -> Iterator[tuple[int, Shaped[np.ndarray, "B ..."]]]:
    """An array in pieces of up to `BLOCK_BYTES`, each with the number of its first row.

    Example:
      >>> [(first, block.shape) for first, block in blocks(np.zeros((3, 2)))]
      [(0, (3, 2))]
    """
    rows = max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    for first in range(0, len(array), rows):
        yield first, array[first : first + rows]
