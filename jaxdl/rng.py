"""Randomness: one root key per run, one stream per purpose, nothing split or stored."""

import operator
import zlib

import jax
from jaxtyping import Array, Key

from jaxdl.errors import InputError


def root(seed: int) -> Key[Array, ""]:
    """The root key of a run: `key(seed)`, threefry.

    Args:
      seed: an integer in [0, 2**32), Python's or NumPy's; JAX would cut a larger one silently.

    Raises:
      InputError: for any other seed.

    Example:
      >>> root(0).shape
      ()
    """
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise InputError("seed", seed, "an integer in [0, 2**32)")
    return jax.random.key(number, impl="threefry2x32")


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """The stream of `key` called `name`: `fold_in(key, crc32(name))`.

    Streams are found by name, so adding one never moves another. The names in use are
    "init", "data" (and "split" below it), "train" and "eval".

    Args:
      key: a typed key, the root of a run.
      name: what the randomness is for.

    Returns:
      A typed key; fold the step into it, never split it in a loop.

    Example:
      >>> key = root(0)
      >>> bool(stream(key, "init") == stream(key, "data"))
      False
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
