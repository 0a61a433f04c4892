"""Randomness: one root key per run, one stream per purpose, nothing split or stored."""

import operator
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from jaxdl.errors import InputError


def root(seed: int | Sequence[int]) -> Key[Array, "*N"]:
    """The root key of a run: `key(seed)`, threefry.

    Args:
      seed: an integer in [0, 2**32), Python's or NumPy's; JAX would cut a larger one silently. Or
        several of them, `root(range(8))`, for as many runs in one program.

    Returns:
      A typed key, or `[N]` of them.

    Raises:
      InputError: for any other seed.

    Example:
      >>> root(0).shape, root(range(8)).shape
      ((), (8,))
    """
    if isinstance(seed, Sequence) and not isinstance(seed, str) and len(seed):
        return jnp.stack([root(each) for each in seed])
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise InputError("seed", seed, "an integer in [0, 2**32)")
    return jax.random.key(number, impl="threefry2x32")


def stream(key: Key[Array, "*N"], name: str) -> Key[Array, "*N"]:
    """The stream of `key` called `name`: `fold_in(key, crc32(name))`.

    Streams are found by name, so adding one never moves another. The names in use are
    "init", "data" (and "split" below it), "train" and "eval".

    Args:
      key: a typed key, the root of a run, or `[N]` of them.
      name: what the randomness is for.

    Returns:
      A typed key; fold the step into it, never split it in a loop.

    Example:
      >>> key = root(0)
      >>> bool(stream(key, "init") == stream(key, "data"))
      False
    """
    return fold(key, zlib.crc32(name.encode()))


def fold(key: Key[Array, "*N"], number: int | Int[Array, ""]) -> Key[Array, "*N"]:
    """`fold_in(key, number)`, of one key or of several.

    Example:
      >>> keys = root([3, 4])
      >>> bool((fold(keys, 7)[1] == fold(root(4), 7)).all())
      True
    """
    return jax.random.fold_in(key, number) if key.ndim == 0 else jax.vmap(jax.random.fold_in, (0, None))(key, number)
