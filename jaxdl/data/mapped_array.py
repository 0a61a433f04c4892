"""Arrays that stay on disk and are rescaled when their rows are read."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

#: Largest size of a field that is read into memory, in bytes: 2 GiB. A larger one stays a
#: `MappedArray`.
IN_MEMORY = 2**31

#: Bytes of a large array that are processed at a time: 64 MiB.
BLOCK_BYTES = 2**26


@dataclasses.dataclass(frozen=True, eq=False)
class MappedArray:
    """Rows of an array as float32, read and rescaled on access.

        y = (...((x - shift_1) / scale_1 - shift_2) / scale_2 ...)

    The result is bit-identical to the same operations on an array in memory, because these are
    float32 operations in the same order. For dtypes whose values float32 cannot represent (int32,
    int64, float64), rescaling is done in float64 and the result is rounded to `dtype`.

    Attributes:
      raw: `[M, ...]`, of any numeric dtype, usually memory-mapped uint8.
      steps: pairs `(shift, scale)`, each a float64 scalar, or `[C]` for the last axis.
      rows: `[N]`, the selected rows of `raw`. None means all of them.
      dtype: dtype of the rows that are returned; `compute_dtype` preserves all their digits.

    Example:
      >>> pixels = MappedArray(np.array([[0], [51], [255]], np.uint8)).rescale(0.0, 255.0)
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
        if self.rows is None:
            return self.raw.shape
        return (len(self.rows), *self.raw.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.raw.ndim

    @property
    def compute_dtype(self) -> np.dtype:
        """The dtype of rescaling: float32, or float64 if float32 cannot represent `raw` exactly."""
        return np.result_type(self.raw.dtype, np.float32)

    @property
    def nbytes(self) -> int:
        """The size of all rows in memory, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Int[np.ndarray, " B"] | slice) -> Float[np.ndarray, "B ..."]:
        """Returns the rescaled rows at `index`."""
        if self.rows is not None:
            index = self.rows[index]
        x = np.asarray(self.raw[index]).astype(self.compute_dtype)
        for shift, scale in self.steps:
            x -= shift.astype(x.dtype)
            x /= scale.astype(x.dtype)
        return x.astype(self.dtype, copy=False)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Returns all rows as an array in memory."""
        if dtype is None:
            dtype = self.dtype
        return self[:].astype(dtype, copy=False)

    def rescale(self, shift: float | np.ndarray, scale: float | np.ndarray) -> "MappedArray":
        """Returns the same rows with one more step, `(x - shift) / scale`."""
        step = (np.asarray(shift, np.float64), np.asarray(scale, np.float64))
        return dataclasses.replace(self, steps=(*self.steps, step))

    def take(self, rows: Int[np.ndarray, " B"]) -> "MappedArray":
        """Returns the rows with these numbers; they stay on disk."""
        selected = self.rows
        if selected is None:
            selected = np.arange(len(self))
        return dataclasses.replace(self, rows=selected[rows])


def blocks(
    array: Shaped[np.ndarray, "N ..."] | MappedArray,
) -> Iterator[tuple[int, Shaped[np.ndarray, "B ..."]]]:
    """Yields blocks of up to `BLOCK_BYTES`, each with the number of its first row.

    Example:
      >>> [(first, block.shape) for first, block in blocks(np.zeros((3, 2)))]
      [(0, (3, 2))]
    """
    rows = max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    for first in range(0, len(array), rows):
        yield first, array[first : first + rows]
