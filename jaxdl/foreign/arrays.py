"""Arrays of a file that are read in blocks of rows, so that converting them needs little memory."""

import dataclasses
import math
from pathlib import Path
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from jaxdl.data.files import check_amplification, open_regular_file
from jaxdl.errors import InputError

#: Bytes of a large array that are read at a time: 16 MiB.
BLOCK_BYTES = 2**24

#: Most axes of an array, as in NumPy.
MAX_AXES = 64

#: Dtypes that weights may have. Integers are counters, which no network needs.
FLOATS = tuple(np.dtype(name) for name in ("f2", "f4", "f8", jnp.bfloat16))


class Stored(Protocol):
    """An array in a file: `RawArray`, a dataset of h5py, or an array in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype:
        """Its dtype."""

    def __getitem__(self, rows: slice) -> Any:
        """Returns rows along the first axis."""


@dataclasses.dataclass(frozen=True)
class RawArray:
    """An array whose numbers lie in a file one after the other.

    Attributes:
      path: the file.
      offset: place of the first number, in bytes.
      dtype: dtype with its byte order.
      shape: the shape.
      strides: distances between neighbours along each axis, in numbers. None means those of C,
        where the last axis varies fastest.
    """

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None

    def __getitem__(self, rows: slice) -> Shaped[np.ndarray, "N ..."]:
        """Returns rows; raises InputError if the file ends before them."""
        if self.strides is not None:
            return self._strided()[rows]
        first, last, _ = rows.indices(self.shape[0])
        size = math.prod(self.shape[1:])
        numbers = self._read(first * size, (last - first) * size)
        return numbers.reshape(last - first, *self.shape[1:])

    def _strided(self) -> np.ndarray:
        """Returns the whole array, for which all numbers that it spans are read."""
        assert self.strides is not None
        span = 1 + sum(s * (n - 1) for s, n in zip(self.strides, self.shape, strict=True))
        numbers = self._read(0, span)
        strides = [stride * self.dtype.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers, self.shape, strides, writeable=False)

    def _read(self, first: int, count: int) -> np.ndarray:
        try:
            with open_regular_file(self.path) as file:
                place = self.offset + first * self.dtype.itemsize
                file.seek(place)
                numbers = np.empty(count, self.dtype)
                read = file.readinto(numbers.view(np.uint8))  # type: ignore[attr-defined]
        except OSError as error:
            allowed = f"a file that can be read ({error.strerror})"
            raise InputError("weights", str(self.path), allowed) from None
        if read != numbers.nbytes:
            raise InputError("weights", f"{self.path}, which is too short", "an undamaged copy")
        return numbers


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def raw_array(
    name: str,
    path: Path,
    offset: int,
    limit: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
) -> RawArray:
    """Returns an array of a file; raises unless each of its numbers has a place there.

    Args:
      name: name of the array in error messages.
      path: the file.
      offset: place of the first number, in bytes.
      limit: end of the part of the file that the array may use, in bytes.
      dtype: dtype with its byte order.
      shape: the shape.
      strides: distances between neighbours along each axis, in numbers; None means those of C.

    Raises:
      InputError: negative or impossible numbers, or several places in the array that share one
        number.

    Example:
      >>> raw_array("w", Path("x"), 0, 16, np.dtype("f4"), (2, 3))
      Traceback (most recent call last):
      jaxdl.errors.InputError: w: got 'float32[2, 3]', allowed: an array that lies in the file
    """
    if len(shape) > MAX_AXES:
        raise InputError(name, f"{len(shape)} axes", f"at most {MAX_AXES}")
    fits = all(type(n) is int and 0 <= n < 2**62 for n in (offset, limit, *shape))
    steps = strides
    if steps is None:
        steps = _c_strides(shape) if fits else ()
    fits = fits and all(type(n) is int and 0 <= n < 2**62 for n in steps)
    fits = fits and len(steps) == len(shape)
    if fits and 0 not in shape:
        span = 1 + sum(s * (n - 1) for s, n in zip(steps, shape, strict=True))
        # Fewer numbers than places would make a large array from a small file.
        fits = math.prod(shape) <= span and offset + span * dtype.itemsize <= limit
    if not fits:
        shown = f"{dtype.name}{[n for n in shape if type(n) is int][:8]}"
        raise InputError(name, shown, "an array that lies in the file")
    rows = zip(steps, _c_strides(shape), shape, strict=True)
    if all(step == c_step or n == 1 for step, c_step, n in rows):
        strides = None
    return RawArray(path, offset, dtype, shape, strides)


def shown(stored: Stored) -> str:
    """Returns dtype and shape of an array, for messages.

    Example:
      >>> shown(np.zeros((2, 3)))
      'float64[2, 3]'
    """
    return f"{stored.dtype.name}{list(stored.shape)}"


def copy_rows(
    name: str, source: Stored, target: Float[np.ndarray, "..."], to_last_axes: bool
) -> None:
    """Copies an array into memory as float32, block by block.

    Args:
      name: name of the source in error messages.
      source: `[O, I, *W]` or, without `to_last_axes`, an array of the shape of the target.
      target: the array to fill, `[*W, I, O]`.
      to_last_axes: if True, outputs become the last axis and inputs the one before it.

    Raises:
      InputError: numbers that are not finite.

    Example:
      >>> target = np.empty((2, 1, 3, 4), np.float32)
      >>> copy_rows("w", np.arange(24.0).reshape(4, 3, 2, 1), target, True)
      >>> target[:, 0, 0, 0].tolist()
      [0.0, 1.0]
    """
    rows = source.shape[0]
    row_bytes = max(1, math.prod(source.shape[1:])) * source.dtype.itemsize
    count = max(1, BLOCK_BYTES // row_bytes)
    for first in range(0, rows, count):
        block = read_rows(name, source, slice(first, first + count))
        if not np.isfinite(block).all():
            raise InputError(name, "nan or infinite numbers", "finite weights")
        if to_last_axes:
            axes = (*range(2, block.ndim), 1, 0)
            target[..., first : first + count] = block.transpose(axes)
        else:
            target[first : first + count] = block


def is_float(stored: Stored) -> bool:
    """Returns True for an array of one of the dtypes that weights may have.

    Example:
      >>> is_float(np.zeros(3)), is_float(np.zeros(3, int))
      (True, False)
    """
    return stored.dtype.newbyteorder("=") in FLOATS


def read_rows(name: str, source: Stored, rows: slice) -> Float[np.ndarray, "..."]:
    """Returns rows of an array of floats as float32; numbers beyond float32 become infinite.

    Args:
      name: name of the array in error messages.
      source: the array.
      rows: rows along the first axis.

    Raises:
      InputError: numbers that cannot be read.

    Example:
      >>> read_rows("w", np.arange(3.0), slice(1, 3)).tolist()
      [1.0, 2.0]
    """
    try:
        block = np.asarray(source[rows])
    except OSError as error:
        # h5py finds some kinds of damage only when numbers are read.
        raise InputError(name, str(error), "an undamaged file") from None
    with np.errstate(over="ignore"):
        return block.astype(np.float32, copy=False)


def check_total(path: Path, arrays: list[Stored]) -> None:
    """Raises if arrays would need far more memory than their file has bytes.

    Example:
      >>> check_total(Path("/dev/null"), [])
    """
    total = sum(4 * math.prod(array.shape) for array in arrays)
    check_amplification(str(path), total, path.stat().st_size, "store each array once")
