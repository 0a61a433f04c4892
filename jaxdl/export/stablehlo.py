"""A trained network as one file that JAX alone can run: StableHLO with the weights inside."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.export

from jaxdl.errors import InputError, one_of
from jaxdl.export.inputs import any_batch_size, batch_specs, require

#: Platforms of an artefact.
PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
    f: Callable[..., Any], *examples: Any, platforms: Sequence[str] = PLATFORMS
) -> bytes:
    """Returns a function with its weights as a program for any batch size and several platforms.

        call(deserialize(to_stablehlo(f, x)), y) = f(y),    y [B, ...] with any B >= 1

    The program is a `jax.export` artefact. A process that has JAX but not jaxdl can run it. It has
    the routines that jaxdl uses on each platform, except that an LSTM is always a loop and never
    that of cuDNN.

    Args:
      f: a function of arrays, such as `bind(task.predict, state)`. Its arrays become constants.
      *examples: one array `[B, ...]` for each input; only shape and dtype matter, and B does not.
      platforms: some of "cpu", "cuda", "rocm" and "tpu".

    Returns:
      The artefact, to be written to a file.

    Raises:
      InputError: a missing package, an unknown platform, an example that is not an array, or a
        function that needs the batch size as a number.

    Example:
      >>> import jax.numpy as jnp
      >>> artefact = to_stablehlo(lambda x: 2 * x, jnp.zeros((1, 3)))
      >>> from_stablehlo(artefact)(jnp.ones((2, 3))).tolist()
      [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """
    require("flatbuffers")
    if isinstance(platforms, str) or not platforms:
        raise InputError("platforms", platforms, f"a sequence such as {PLATFORMS}")
    for platform in platforms:
        one_of("platform", platform, (*PLATFORMS, "rocm"))
    specs = batch_specs(*examples)

    def function(*inputs: Any) -> Any:
        return f(*inputs)

    with _without_paths(), any_batch_size():
        exported = jax.export.export(jax.jit(function), platforms=tuple(platforms))(*specs)
    return bytes(exported.serialize())


def from_stablehlo(artefact: bytes) -> Callable[..., Any]:
    """Returns the function in an artefact of `to_stablehlo`.

    Args:
      artefact: the content of the file.

    Returns:
      `f(*inputs) -> outputs`, a pure function of arrays, which `jax.jit` can compile.

    Raises:
      InputError: a missing package, or bytes that are no artefact.

    Example:
      >>> import jax.numpy as jnp
      >>> f = from_stablehlo(to_stablehlo(jnp.cumsum, jnp.zeros((1,)), platforms=["cpu"]))
      >>> f(jnp.ones(3)).tolist()
      [1.0, 2.0, 3.0]
    """
    require("flatbuffers")
    try:
        return jax.export.deserialize(bytearray(artefact)).call
    except Exception as error:
        shown = f"{len(artefact)} bytes ({type(error).__name__})"
        raise InputError("artefact", shown, "the bytes that to_stablehlo returned") from None


@contextlib.contextmanager
def _without_paths() -> Iterator[None]:
    """Keeps the paths of source files out of programs that are lowered inside of it."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
