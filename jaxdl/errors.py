"""What jaxdl raises: one line that names the field, the value and what is allowed."""

import difflib
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import jax
import numpy as np

#: Characters of an error's line.
LONGEST = 2000


class JaxdlError(Exception):
    """Everything that jaxdl raises on purpose; a script ends with its line and exit code 2."""

    def __init__(self, said: str):
        super().__init__(one_line(said))


class InputError(JaxdlError, ValueError):
    """A value that cannot be used.

    Args:
      field: what was given, as the caller names it (`batch_size`, `label`).
      value: what it was.
      allowed: what it may be.

    Example:
      >>> str(InputError("dropout", 1.5, "a number in [0, 1)"))
      'dropout: got 1.5, allowed: a number in [0, 1)'
    """

    def __init__(self, field: str, value: object, allowed: str):
        shown = " ".join(repr(value).split())
        super().__init__(f"{field}: got {shown}, allowed: {allowed}")


class DataUnavailable(JaxdlError):
    """A data set that is not here and cannot be had here; says which command would get it."""


class NonFinite(JaxdlError):
    """A loss, or a leaf of the state, became NaN or infinite.

    Args:
      step: where that was found.
      what: what it was.

    Example:
      >>> NonFinite(7, "loss is not finite").step
      7
    """

    def __init__(self, step: int, what: str):
        super().__init__(f"step {step}: {what}")
        self.step = step


class CheckFailed(JaxdlError):
    """What a step that is looked at found: an index out of bounds, a key used twice, a check of the user's own."""


class CheckpointError(JaxdlError):
    """A checkpoint that is damaged, or does not belong to this run."""


class RunError(JaxdlError):
    """A run directory that is finished already, or belongs to another configuration."""


def one_line(text: object) -> str:
    r"""A text that may come from a file, as one line that a terminal shows and does not obey.

    Example:
      >>> one_line("two\nlines and \x1b[2J")
      'two lines and \\x1b[2J'
    """
    line = " ".join(str(text).splitlines())
    shown = (
        line
        if line.isprintable()
        else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    )
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."


def one_of(field: str, value: str, known: Iterable[str]) -> str:
    """Returns `value` if it is a known name, else raises naming the nearest known one.

    Example:
      >>> one_of("optimizer", "adm", ["adam", "sgd"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: optimizer: got 'adm', allowed: adam, sgd (did you mean 'adam'?)
    """
    names = sorted(known)
    if value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(field, value, ", ".join(names) + hint)


def at_least(field: str, value: int, low: int) -> None:
    """Raises unless the value is an integer (of Python's or NumPy's) and `value >= low`.

    Example:
      >>> at_least("steps", 93.75, 1)
      Traceback (most recent call last):
      jaxdl.errors.InputError: steps: got 93.75, allowed: an integer, at least 1
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(field, value, f"an integer, at least {low}")
    if value < low:
        raise InputError(field, value, f"at least {low}")


def is_traced(value: object) -> bool:
    """Whether a number is one of JAX's that is known only when the program runs.

    Example:
      >>> is_traced(0.5)
      False
    """
    return isinstance(value, jax.core.Tracer)


def is_zero(value: Any) -> bool:
    """Whether a number is 0 and known to be, so that what it would scale can be left out.

    Example:
      >>> is_zero(0.0), is_zero(0.5)
      (True, False)
    """
    return isinstance(value, int | float | np.number) and value == 0


def of_kind(field: str, value: object, kind: type, said: str) -> None:
    """Raises unless the value is of a class, or has what a protocol asks for.

    Example:
      >>> of_kind("data", {"x": 1}, list, "a list")
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got <class 'dict'>, allowed: a list
    """
    if not isinstance(value, kind):
        raise InputError(
            field, value if isinstance(value, str | int | float) else type(value), said
        )


def lengths_within(lengths: Any, size: int) -> None:
    """Raises unless they are integers `[B]` in [1, size], naming the first that is not; traced ones have no value.

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


def in_range(field: str, value: Any, low: float, high: float) -> None:
    """Raises unless `low <= value < high`; what is still being traced has no value to look at.

    Example:
      >>> in_range("dropout", 0.5, 0, 1)
    """
    if not is_traced(value) and not low <= value < high:
        raise InputError(field, value, f"a number in [{low}, {high})")
