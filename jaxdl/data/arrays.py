"""The arrays of a set: numbers in native byte order, in one piece, that nothing else can change."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Num, Shaped

from jaxdl.data import mapped_array
from jaxdl.data.mapped_array import MappedArray, blocks
from jaxdl.errors import InputError

#: Replacements for the values that are not numbers, by the kind of their dtype.
NUMBERS = {
    "O": "numbers of one dtype; pad sequences to one length and add a field `length`",
    "U": "numbers; np.unique(x, return_inverse=True)[1] numbers the words",
    "S": "numbers; np.unique(x, return_inverse=True)[1] numbers the words",
    "T": "numbers; np.unique(x, return_inverse=True)[1] numbers the words",
    "M": "numbers, such as (x - x[0]) / np.timedelta64(1, 'h')",
    "m": "numbers, such as x / np.timedelta64(1, 'h')",
    "c": "real numbers, such as np.stack([x.real, x.imag], -1)",
    "V": "numbers of one dtype, such as np.stack([x[name] for name in x.dtype.names], -1)",
}


def canonical(field: str, value: Any) -> Shaped[np.ndarray, "..."] | MappedArray:
    """Returns the values of a field as a read-only array that nothing else can change.

    The array is in native byte order and contiguous. Read-only arrays of that form are returned
    as they are, and all others are copied.

    Args:
      field: name of the field for the message.
      value: an array of NumPy or JAX, a list, or an object with `__array__`. A `MappedArray` above
        `mapped_array.IN_MEMORY` stays on disk.

    Returns:
      The array, with the dtype of the value. `long double` becomes float64.

    Raises:
      InputError: values that are not real numbers or Booleans, or masked ones.

    Example:
      >>> canonical("input", np.array([1.0, 2.0], ">f4")).dtype.isnative
      True
      >>> canonical("label", ["cat", "dog"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: label dtype: got 'str96', allowed: numbers; np.unique(x, ...
    """
    if isinstance(value, MappedArray):
        if value.nbytes > mapped_array.IN_MEMORY:
            return value
        return frozen(np.asarray(value))
    array = as_numbers(field, value)
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    if dtype == array.dtype and array.flags.c_contiguous and _is_frozen(array):
        return array.view(np.ndarray)
    with np.errstate(over="ignore"):
        return frozen(np.array(array, dtype, order="C", copy=True, subok=False))


def as_numbers(field: str, value: Any) -> Num[np.ndarray, "..."]:
    """Returns a value as an array of real numbers, without a copy where it is one.

    Args:
      field: its name for the message.
      value: see `canonical`.

    Raises:
      InputError: values that are not real numbers or Booleans, or masked ones.

    Example:
      >>> as_numbers("x", [1, 2]).tolist()
      [1, 2]
    """
    array = _as_array(field, value)
    if not is_number(array.dtype):
        raise InputError(f"{field} dtype", array.dtype.name, NUMBERS[array.dtype.kind])
    return array


def frozen(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Makes a new array read-only and returns it; a set then takes it without a copy.

    Example:
      >>> frozen(np.zeros(2)).flags.writeable
      False
    """
    array.flags.writeable = False
    return array


def is_number(dtype: np.dtype) -> bool:
    """Returns True for integers, Booleans and floating-point numbers, also of JAX's own dtypes.

    Example:
      >>> is_number(np.dtype("bfloat16")), is_number(np.dtype(complex))
      (True, False)
    """
    if dtype.kind != "V":
        return dtype.kind in "biuf"
    kinds = (jax.numpy.integer, jax.numpy.floating)
    return any(jax.numpy.issubdtype(dtype, kind) for kind in kinds)


def check_range(field: str, array: Num[np.ndarray, "N ..."]) -> None:
    """Raises if a number of 64 bits would be another number, or infinite, in the dtype of JAX.

    JAX computes with 32 bits, unless `jax_enable_x64` is set.

    Example:
      >>> check_range("label", np.array([1, 2**32 + 1]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: label[1]: got 4294967297, allowed: a number that fits into int32
    """
    target = jax.dtypes.canonicalize_dtype(array.dtype)
    if target == array.dtype:
        return
    limits: Any = np.iinfo
    if target.kind == "f":
        limits = np.finfo
    low = int(limits(target).min)
    high = int(limits(target).max)
    for first, block in blocks(array):
        with np.errstate(invalid="ignore"):
            if block.size == 0 or (low <= block.min() and block.max() <= high):
                continue
        bad = np.isfinite(block) & ((block < low) | (block > high))
        if bad.any():
            row = int(bad.reshape(len(block), -1).any(-1).argmax())
            value = block[row][bad[row]].flat[0].item()
            raise InputError(f"{field}[{first + row}]", value, f"a number that fits into {target}")


def check_finite(
    field: str,
    array: Num[np.ndarray, "N ..."] | MappedArray,
    counts: Callable[[int, int], Bool[np.ndarray, "B ..."]] | None = None,
) -> None:
    """Raises for the first number that counts and is NaN or infinite.

    Args:
      field: name of the field for the message.
      array: `[N, ...]`, read in blocks; integers are not read.
      counts: `counts(first, last)`, True where the values of these rows count, with as many axes
        as the array. None means that all of them count.

    Raises:
      InputError: with the row and the value.

    Example:
      >>> check_finite("input", np.array([[0.0], [np.nan]]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: input[1]: got nan, allowed: finite numbers
    """
    raw = array
    if isinstance(array, MappedArray):
        raw = array.raw
    if not jax.numpy.issubdtype(raw.dtype, jax.numpy.floating):
        return
    for first, block in blocks(array):
        with np.errstate(invalid="ignore"):
            if block.size == 0 or np.isfinite([block.min(), block.max()]).all():
                continue
        bad = ~np.isfinite(block)
        if counts is not None:
            bad &= counts(first, first + len(block))
        if bad.any():
            row = int(bad.reshape(len(block), -1).any(-1).argmax())
            value = float(block[row][bad[row]].flat[0])
            raise InputError(f"{field}[{first + row}]", value, "finite numbers")


def checked_scaling(
    scaling: Any, arrays: Mapping[str, Any]
) -> dict[str, tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """Returns pairs `(shift, scale)` of fields in float64; raises unless they fit the fields.

    Args:
      scaling: `{field: pairs}`, each of numbers or of one number per channel, `[C]`.
      arrays: the fields `[N, ..., C]`.

    Raises:
      InputError: an unknown field; no pairs; numbers that are not finite, scales of 0, or another
        number of them than channels.

    Example:
      >>> checked_scaling({"input": [(0, 255)]}, {"input": np.zeros((3, 2))})
      {'input': ((array(0.), array(255.)),)}
      >>> checked_scaling({"input": (0, 255)}, {"input": np.zeros((3, 2))})
      Traceback (most recent call last):
      jaxdl.errors.InputError: scaling['input']: got (0, 255), allowed: pairs (shift, scale), as ...
    """
    if not isinstance(scaling, Mapping):
        raise InputError("scaling", scaling, "a dictionary {field: [(shift, scale)]}")
    checked = {}
    for field, steps in scaling.items():
        if field not in arrays:
            raise InputError("scaling", field, f"a field of the set: {', '.join(arrays)}")
        shape = np.shape(arrays[field])[1:][-1:]
        try:
            pairs: Any = [tuple(np.asarray(x, np.float64) for x in pair) for pair in steps]
            fit = all(x.shape in ((), shape) and np.isfinite(x).all() for p in pairs for x in p)
            fit = fit and all(len(pair) == 2 and pair[1].all() for pair in pairs)
        except (TypeError, ValueError):
            fit = False
        if not fit:
            allowed = (
                "pairs (shift, scale), as [(mean, std)], each one finite number, or one for each "
                f"of the {shape[0] if shape else 1} channels; no scale is 0"
            )
            raise InputError(f"scaling[{field!r}]", steps, allowed)
        checked[field] = tuple(pairs)
    return checked


def check_mask(arrays: Mapping[str, Any]) -> None:
    """Raises unless the `mask` of a set is weights `[N]`, or `[N, T]` for steps; none is below 0.

    Example:
      >>> check_mask({"mask": np.array([1.0, -1.0])})
      Traceback (most recent call last):
      jaxdl.errors.InputError: mask[1]: got -1.0, allowed: a weight, at least 0; 0 leaves it out
    """
    if "mask" not in arrays:
        return
    mask = np.asarray(arrays["mask"])
    shape = np.shape(arrays.get("input", ()))
    is_of_steps = shape[1:2] == (1,) and (len(shape) > 2 or arrays["input"].dtype.kind in "iu")
    if mask.shape[1:] == (1,) and not is_of_steps:
        allowed = "[N], such as mask[:, 0]; or [N, T], one weight per step"
        raise InputError("mask shape", mask.shape, allowed)
    bad = ~np.isfinite(mask.astype(np.float32)) | (mask < 0)
    if bad.any():
        row = int(bad.reshape(len(bad), -1).any(-1).argmax())
        value = mask[row][bad[row]].flat[0].item()
        raise InputError(f"mask[{row}]", value, "a weight, at least 0; 0 leaves it out")
    if not mask.any():
        raise InputError("mask", "zeros only", "1 for each example that counts")


def values_that_count(
    arrays: Mapping[str, Any], field: str, first: int = 0, last: int | None = None
) -> Bool[np.ndarray, "B ..."]:
    """Returns True where the values of a field count.

    Values do not count where the `mask` is 0, nor behind the `length` of a sequence.

    Args:
      arrays: the fields `[N, ...]` of a set or a batch.
      field: the field.
      first: the first row.
      last: the row after the last one; None means all further rows.

    Returns:
      An array with as many axes as the field, whose axes may have a size of 1.

    Example:
      >>> fields = {"input": np.zeros((2, 3)), "length": np.array([3, 1])}
      >>> values_that_count(fields, "input").tolist()
      [[True, True, True], [True, False, False]]
    """
    array = arrays[field]
    rows = slice(first, len(array) if last is None else last)
    counts = np.ones((rows.stop - first,) + (1,) * (array.ndim - 1), bool)
    if "mask" in arrays and field != "mask":
        # A negative weight counts, too.
        weighs = np.asarray(arrays["mask"][rows]) != 0
        if array.shape[1 : weighs.ndim] != weighs.shape[1:]:
            weighs = weighs.reshape(len(weighs), -1).any(1)
        counts = counts & weighs.reshape(*weighs.shape, *(1,) * (array.ndim - weighs.ndim))
    steps = np.shape(arrays.get("input", ()))[1:2]
    if "length" in arrays and array.ndim > 1 and array.shape[1:2] == steps:
        valid = np.arange(array.shape[1]) < np.asarray(arrays["length"][rows])[:, None]
        counts = counts & valid.reshape(*valid.shape, *(1,) * (array.ndim - 2))
    return counts


def _as_array(field: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """Returns the value as an array of NumPy; raises for masked and for ragged values."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            allowed = "an array without missing values, such as x.filled(0) with a field `mask`"
            raise InputError(field, "a masked array", allowed)
        return value.data
    if hasattr(value, "toarray"):
        raise InputError(field, type(value).__name__, "a dense array, such as x.toarray()")
    try:
        return np.asarray(value)
    except Exception as error:
        # Objects with `__array__` raise too many kinds of exceptions to list them.
        allowed = f"an array [N, ...] of numbers ({error})"
        raise InputError(field, type(value).__name__, allowed) from None


def _is_frozen(array: Any) -> bool:
    """Returns True if neither the array nor one whose memory it uses can be written."""
    # Stride tricks put an object that is no array between a view and its memory.
    while array is not None:
        if isinstance(array, np.ndarray) and array.flags.writeable:
            return False
        array = getattr(array, "base", None)
    return True
