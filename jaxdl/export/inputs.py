"""Inputs of an exported function: shapes with a free batch size, and names."""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.export import symbolic_shape

from jaxdl.errors import InputError

#: Name of the batch size, the first axis of all inputs.
BATCH = "batch"


def batch_specs(*examples: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Returns shapes and dtypes of inputs, with one symbol as the first size of all.

    Args:
      *examples: arrays `[B, ...]`, real numbers; B may be any number, and differ.

    Returns:
      One `[batch, ...]` for each.

    Raises:
      InputError: no examples, or one that is not an array `[B, ...]`.

    Example:
      >>> batch_specs(jax.numpy.zeros((3, 5)))
      (ShapeDtypeStruct(shape=(batch, 5), dtype=float32),)
    """
    if not examples:
        raise InputError("examples", examples, "an array [B, ...] for each input of the function")
    (batch,) = symbolic_shape(BATCH)
    return tuple(_spec(i, x, batch) for i, x in enumerate(examples))


def _spec(i: int, x: Any, batch: Any) -> jax.ShapeDtypeStruct:
    shape = getattr(x, "shape", None)
    dtype = getattr(x, "dtype", None)
    if shape is None or dtype is None:
        raise InputError(f"examples[{i}]", type(x).__name__, "an array [B, ...]")
    if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        allowed = "an array of numbers; export a function without keys, such as predict or decode"
        raise InputError(f"examples[{i}]", str(dtype), allowed)
    if not shape:
        raise InputError(f"examples[{i}]", x, "an array [B, ...], with the batch as first axis")
    return jax.ShapeDtypeStruct((batch, *shape[1:]), jax.dtypes.canonicalize_dtype(dtype))


@contextlib.contextmanager
def any_batch_size() -> Iterator[None]:
    """Raises InputError for a function that needs the batch size as a number to be traced.

    Example:
      >>> with any_batch_size():
      ...     jax.eval_shape(lambda x: x * int(x.shape[0]), *batch_specs(jax.numpy.zeros(2)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: f: got 'a function that needs the batch size', allowed: ...
    """
    try:
        yield
    except jax.errors.InconclusiveDimensionOperation:
        allowed = "a function for any batch size, without numbers that are computed from it"
        raise InputError("f", "a function that needs the batch size", allowed) from None


def input_names(f: Callable[..., Any], count: int) -> list[str]:
    """Returns the names of the first arguments of a function.

    Example:
      >>> input_names(lambda inputs, lengths=None: inputs, 2)
      ['inputs', 'lengths']
      >>> input_names(lambda *arrays: arrays, 2)
      ['input_0', 'input_1']
    """
    try:
        parameters: Sequence[inspect.Parameter] = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in parameters if each.kind in kinds][:count]
    return names + [f"input_{i}" for i in range(len(names), count)]


def require(package: str) -> None:
    """Raises InputError unless a package of the extra `export` is installed.

    Example:
      >>> require("numpy")
    """
    try:
        importlib.import_module(package)
    except ImportError:
        allowed = f"the package {package}; run: pip install 'jaxdl[export]'"
        raise InputError("export", None, allowed) from None
