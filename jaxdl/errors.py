"""Exceptions of jaxdl, and checks that raise them.

Each message is one line that names the field, its value and the values that are allowed.
"""

import contextlib
import difflib
import operator
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import Any

import jax
import numpy as np

#: Maximum number of characters in a message.
MAX_MESSAGE_LENGTH = 2000

# The largest size of an array's axis in XLA.
_MAX_SIZE = 2**31 - 1


class JaxdlError(Exception):
    """Base class of all errors that jaxdl raises on purpose.

    A script prints the message and ends with exit code 2.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


class InputError(JaxdlError, ValueError):
    """A value that cannot be used.

    Args:
      field: name of the value, as the caller wrote it (`batch_size`, `label`).
      value: the value.
      allowed: a description of the values that are allowed.

    Example:
      >>> str(InputError("dropout", 1.5, "a number in [0, 1)"))
      'dropout: got 1.5, allowed: a number in [0, 1)'
    """

    def __init__(self, field: str, value: object, allowed: str):
        shown = " ".join(repr(value).split())
        super().__init__(f"{field}: got {shown}, allowed: {allowed}")


class DataUnavailable(JaxdlError):
    """A data set that is neither stored locally nor obtainable in this process.

    The message names the command that obtains it.
    """


class NonFinite(JaxdlError):
    """A loss or a leaf of the state that became NaN or infinite.

    Args:
      step: number of the step in which it was found.
      what: a description of the value.

    Example:
      >>> NonFinite(7, "loss is not finite").step
      7
    """

    def __init__(self, step: int, what: str):
        super().__init__(f"step {step}: {what}")
        self.step = step
        self.what = what


class CheckFailed(JaxdlError):
    """A failed check of a checked step.

    The cause is an index out of bounds, a key used twice or a failed check in the user's code.
    """


class CheckpointError(JaxdlError):
    """A checkpoint that is damaged, or that belongs to another run."""


class RunError(JaxdlError):
    """A run directory that is already finished, or that belongs to another configuration."""


def one_line(text: object) -> str:
    r"""Returns a text as one line of printable characters.

    The text may come from a file. Control characters are escaped, so that a terminal prints them
    and does not execute them. A line longer than `MAX_MESSAGE_LENGTH` is cut.

    Example:
      >>> one_line("two\nlines and \x1b[2J")
      'two lines and \\x1b[2J'
    """
    line = " ".join(str(text).splitlines())
    if not line.isprintable():
        line = "".join(_printable(character) for character in line)
    if len(line) > MAX_MESSAGE_LENGTH:
        line = line[: MAX_MESSAGE_LENGTH - 3] + "..."
    return line


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return repr(character)[1:-1]


def one_of(field: str, value: str, known: Iterable[str]) -> str:
    """Returns `value` if it is a known name, else raises an error that suggests the nearest one.

    Example:
      >>> one_of("optimizer", "adm", ["adam", "sgd"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: optimizer: got 'adm', allowed: adam, sgd (did you mean 'adam'?)
    """
    names = sorted(known)
    if isinstance(value, str) and value in names:
        return value
    allowed = ", ".join(names)
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    if near:
        allowed += f" (did you mean {near[0]!r}?)"
    raise InputError(field, value, allowed)


def at_least(field: str, value: int, low: int) -> None:
    """Raises unless the value is a Python or NumPy integer and `value >= low`.

    Example:
      >>> at_least("steps", 93.75, 1)
      Traceback (most recent call last):
      jaxdl.errors.InputError: steps: got 93.75, allowed: an integer, at least 1
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(field, value, f"an integer, at least {low}")
    if value < low:
        raise InputError(field, value, f"at least {low}")


def integers(
    field: str, value: Any, count: int | None, allowed: str, low: int | None = 1
) -> tuple[Any, ...]:
    """Returns integers of a layer or model as a tuple of Python integers.

    Args:
      field: name of the value.
      value: a sequence or an array of integers; one integer stands for `count` equal ones.
      count: number of integers; None means any number, and that one integer is refused.
      allowed: a description of the value for the message.
      low: least integer; None means that negative ones are allowed, too.

    Returns:
      A tuple of `count` integers.

    Raises:
      InputError: another type, another number of integers, or an integer below `low` or above
        2^31 - 1.

    Example:
      >>> integers("strides", 2, 2, "one integer or a pair"), integers("hidden", [8, 4], None, "")
      ((2, 2), (8, 4))
      >>> integers("window", (2, 2, 2), 2, "one integer or a pair")
      Traceback (most recent call last):
      jaxdl.errors.InputError: window: got (2, 2, 2), allowed: one integer or a pair
    """
    items = value
    if isinstance(value, np.ndarray | jax.Array) and not is_traced(value):
        items = np.asarray(value).tolist()
    if isinstance(items, Integral) and count is not None:
        items = (items,) * count
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise InputError(field, value, allowed)
    if count is not None and len(items) != count:
        raise InputError(field, value, allowed)
    for item in items:
        if low is not None:
            at_least(field, item, low)
        elif isinstance(item, bool) or not isinstance(item, Integral):
            raise InputError(field, value, allowed)
        if item > _MAX_SIZE:
            raise InputError(field, item, f"at most {_MAX_SIZE}")
    return tuple(map(operator.index, items))


def is_traced(value: object) -> bool:
    """Returns True for a JAX tracer, whose number is known only when the program runs.

    Example:
      >>> is_traced(0.5)
      False
    """
    return isinstance(value, jax.core.Tracer)


def not_in_jit(function: str) -> None:
    """Raises inside of a function that JAX compiles, where no number can be logged or saved.

    Example:
      >>> not_in_jit("train")
    """
    if is_traced(jax.numpy.zeros(())):
        allowed = f"a call outside of it; {function} compiles what it repeats"
        raise InputError(function, "a call inside of jax.jit", allowed)


def is_zero(value: Any) -> bool:
    """Returns True for a concrete number 0; a term that it scales can be left out.

    Example:
      >>> is_zero(0.0), is_zero(0.5)
      (True, False)
    """
    return isinstance(value, int | float | np.number) and value == 0


def of_kind(field: str, value: object, kind: Any, allowed: str) -> None:
    """Raises unless the value is an instance of a class or follows a protocol.

    Args:
      field: name of the value.
      value: the value.
      kind: the class, union of classes, or runtime-checkable protocol.
      allowed: a description of `kind` for the message.

    Example:
      >>> of_kind("data", {"x": 1}, list, "a list")
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got <class 'dict'>, allowed: a list
    """
    if isinstance(value, kind):
        return
    shown: object = type(value)
    if isinstance(value, str | int | float):
        shown = value
    raise InputError(field, shown, allowed)


def lengths_within(lengths: Any, size: int) -> None:
    """Raises unless the lengths are integers `[B]` in [1, size], and names the first that is not.

    The values of traced lengths are unknown and not checked.

    Example:
      >>> lengths_within(np.array([3, 0]), 5)
      Traceback (most recent call last):
      jaxdl.errors.InputError: length[1]: got 0, allowed: an integer in [1, 5]
    """
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
        raise InputError(
            "length", f"{lengths.dtype}{list(lengths.shape)}", "integers [B], one per sequence"
        )
    if is_traced(lengths):
        return
    values = np.asarray(lengths)
    bad = (values < 1) | (values > size)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(f"length[{row}]", int(values[row]), f"an integer in [1, {size}]")


@contextlib.contextmanager
def no_missing_arguments(field: str, allowed: str) -> Iterator[None]:
    """Raises InputError in place of the TypeError of a call without all required arguments.

    Example:
      >>> with no_missing_arguments("optimizer", "one without a line search"):
      ...     (lambda grads, value_fn: None)(0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: optimizer: got "<lambda>() missing 1 required positional argument...
    """
    try:
        yield
    except TypeError as error:
        if "required" not in str(error):
            raise
        raise InputError(field, str(error), allowed) from None


@contextlib.contextmanager
def in_jax(field: str) -> Iterator[None]:
    """Raises InputError in place of JAX's errors about a function that reads its numbers.

    Such are functions of NumPy and `math`, `float(x)`, and a condition on a number.

    Args:
      field: name of the function that the caller has passed.

    Example:
      >>> with in_jax("f"):
      ...     jax.grad(np.sin)(1.0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: f: got 'np.sin, math.sin, float(x) or a condition on a number', ...
    """
    given = "np.sin, math.sin, float(x) or a condition on a number"
    allowed = "operations of jax.numpy, such as jnp.sin(x) and jnp.where(x > 0, a, b)"
    needs_numbers = (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    )
    try:
        yield
    except TypeError as error:
        # A function of NumPy itself, which JAX cannot refer to.
        if not isinstance(error, needs_numbers) and "weak reference" not in str(error):
            raise
        raise InputError(field, given, allowed) from None
    except jax.errors.NonConcreteBooleanIndexError:
        raise InputError(field, given, allowed) from None


def in_range(field: str, value: Any, low: float, high: float) -> None:
    """Raises unless `low <= value < high`. A traced value is unknown and not checked.

    Example:
      >>> in_range("dropout", 0.5, 0, 1)
    """
    if is_traced(value):
        return
    number = real_number(value)
    if number is None or not low <= number < high:
        raise InputError(field, value, f"a number in [{low}, {high})")


def positive(field: str, value: Any) -> None:
    """Raises unless the value is a finite number above 0. A traced value is not checked.

    Example:
      >>> positive("rate", 0.0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: rate: got 0.0, allowed: a finite number above 0
    """
    if is_traced(value):
        return
    number = real_number(value)
    if number is None or not 0 < number < np.inf:
        raise InputError(field, value, "a finite number above 0")


def real_number(value: Any) -> np.ndarray | None:
    """Returns a real number as a NumPy array without axes; None for other values.

    Example:
      >>> float(real_number(2)), real_number("2"), real_number(1j)
      (2.0, None, None)
    """
    try:
        # A comparison of a JAX array would be traced inside `jit`.
        number = np.asarray(value)
    except (TypeError, ValueError):
        return None
    real = any(jax.dtypes.issubdtype(number.dtype, kind) for kind in (np.bool_, np.number))
    if number.ndim or not real or jax.dtypes.issubdtype(number.dtype, np.complexfloating):
        return None
    return number


def real_array(field: str, value: Any, allowed: str) -> jax.Array:
    """Returns an array of integers or floats; raises for values that are no real numbers.

    Args:
      field: name of the value.
      value: the value, which may be traced.
      allowed: a description of the values that are allowed.

    Example:
      >>> real_array("x", [1, 2], "numbers [N]").tolist()
      [1, 2]
      >>> real_array("x", None, "numbers [N]")
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got None, allowed: numbers [N]
    """
    try:
        # A list may mix integers and floats.
        with jax.numpy_dtype_promotion("standard"):
            array = jax.numpy.asarray(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(field, value, allowed) from None
    kinds = (np.bool_, np.integer, np.floating)
    if not any(jax.dtypes.issubdtype(array.dtype, kind) for kind in kinds):
        raise InputError(field, f"{array.dtype}{list(array.shape)}", allowed)
    return array
