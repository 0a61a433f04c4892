"""Checks of the arrays that the methods of this package read."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, is_traced, real_array
from jaxdl.metrics import wide_dtype


def finite_rows(field: str, value: Any, axes: int, allowed: str) -> Float[Array, "N ..."]:
    """Returns an array of finite numbers; raises an error that names the first row without them.

    Args:
      field: name of the array.
      value: the array, of at least one number. Its values are not checked if they are traced.
      axes: number of its axes.
      allowed: a description of its shape.

    Returns:
      The array. Integers and floats of 16 bits become float32.

    Example:
      >>> finite_rows("x", [1, np.inf], 1, "numbers [N]")
      Traceback (most recent call last):
      jaxdl.errors.InputError: x[1]: got inf, allowed: finite numbers
    """
    array = real_array(field, value, allowed)
    array = array.astype(wide_dtype(array.dtype))
    if array.ndim != axes or not array.size:
        raise InputError(field, list(array.shape), allowed)
    if not is_traced(array):
        numbers = np.asarray(array)
        finite = np.isfinite(numbers).reshape(len(numbers), -1).all(1)
        if not finite.all():
            row = int(finite.argmin())
            raise InputError(f"{field}[{row}]", numbers[row].tolist(), "finite numbers")
    return array


def with_features(field: str, value: Any, count: int) -> Float[Array, "N D"]:
    """Returns examples with a number of features; raises an error for another shape.

    Args:
      field: name of the array.
      value: `[N, D]`, real numbers. Integers and floats of 16 bits become float32.
      count: D.

    Example:
      >>> with_features("x", [1.0, 2.0], 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got [2], allowed: numbers [N, 2]
    """
    allowed = f"numbers [N, {count}]"
    array = real_array(field, value, allowed)
    if array.ndim != 2 or array.shape[1] != count:
        raise InputError(field, list(array.shape), allowed)
    return array.astype(wide_dtype(array.dtype))
