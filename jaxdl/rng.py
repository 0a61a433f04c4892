"""Randomness: one root key per run, one stream per purpose, nothing split or stored."""

import operator
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxdl.errors import InputError


def root(seed: int | Sequence[int]) -> Key[Array, "*N"]:
    """The root key of a run: `key(seed)`, threefry.

    Args:
      seed: an integer in [0, 2**32), Python's or NumPy's; JAX would cut a larger one silently. Or
        several of them, `root(range(8))`, a sequence or an array, for as many runs in one program.

    Returns:
      A typed key, or `[N]` of them.

    Raises:
      InputError: for any other seed.

    Example:
      >>> root(0).shape, root(range(8)).shape
      ((), (8,))
    """
    if (
        isinstance(seed, Sequence | np.ndarray)
        and not isinstance(seed, str)
        and np.ndim(seed) == 1
        and len(seed)
    ):
        return jnp.stack([root(each) for each in seed])
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 2**32:
        raise InputError("seed", seed, "an integer in [0, 2**32), or several of them")
    return jax.random.key(number, impl="threefry2x32")


def check_key(key: Key[Array, "*N"]) -> None:
    """Raises unless it is what `root` gives.

    Example:
      >>> check_key(jnp.zeros(2, jnp.uint32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: key: got 'uint32[2]', allowed: root(seed) or root(range(n))
    """
    typed = isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.ndim > 1:
        shown = f"{key.dtype}{list(key.shape)}" if isinstance(key, jax.Array) else key
        raise InputError("key", shown, "root(seed) or root(range(n))")


def stream(key: Key[Array, "*N"], name: str) -> Key[Array, "*N"]:
    """The stream of `key` called `name`: `fold_in(key, crc32(name))`.

    Streams are found by name, so adding one never moves another. The names in use are
    "init", "data" (and "split" below it), "train", "eval" and "sample".

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
    return (
        jax.random.fold_in(key, number)
        if key.ndim == 0
        else jax.vmap(jax.random.fold_in, (0, None))(key, number)
    )
