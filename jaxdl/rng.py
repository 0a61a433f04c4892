"""Random keys: one root key per run, and one stream per purpose.

No key is split and none is stored: each follows from the root key, a name and a step.
"""

import operator
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxdl.errors import InputError


def root(seed: int | Sequence[int]) -> Key[Array, "*N"]:
    """Returns the root key of a run, `key(seed)` of the threefry generator.

    Args:
      seed: a Python or NumPy integer in [0, 2**32). JAX would silently truncate a larger one.
        Several seeds, as a sequence or an array such as `range(8)`, give one key per run of an
        ensemble.

    Returns:
      A typed key, or keys `[N]` for N seeds.

    Raises:
      InputError: any other seed.

    Example:
      >>> root(0).shape, root(range(8)).shape
      ((), (8,))
    """
    if _is_several(seed):
        return jnp.stack([root(each) for each in seed])  # type: ignore[union-attr]
    number = _integer(seed)
    if number is None or not 0 <= number < 2**32:
        raise InputError("seed", seed, "an integer in [0, 2**32), or a sequence of them")
    return jax.random.key(number, impl="threefry2x32")


def _is_several(seed: object) -> bool:
    """Returns True for a sequence or array that has one axis and is not empty."""
    if isinstance(seed, str) or not isinstance(seed, Sequence | np.ndarray):
        return False
    return np.ndim(seed) == 1 and len(seed) > 0


def _integer(seed: object) -> int | None:
    """Returns the seed as a Python integer, or None if it is not an integer."""
    if isinstance(seed, bool | np.bool_):
        return None
    try:
        return operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        return None


def check_key(key: Key[Array, "*N"]) -> None:
    """Raises unless the key is a typed key or an array `[N]` of them, as `root` returns.

    Example:
      >>> check_key(jnp.zeros(2, jnp.uint32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: key: got 'uint32[2]', allowed: root(seed) or root(range(n))
    """
    shown: object = key
    if isinstance(key, jax.Array):
        if jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim <= 1:
            return
        shown = f"{key.dtype}{list(key.shape)}"
    raise InputError("key", shown, "root(seed) or root(range(n))")


def check_single_key(key: Key[Array, ""]) -> None:
    """Raises unless the key is one typed key, as `root(seed)` returns.

    Example:
      >>> check_single_key(root([0, 1]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: key: got '2 keys', allowed: one key, root(seed)
    """
    check_key(key)
    if key.ndim:
        raise InputError("key", f"{key.size} keys", "one key, root(seed)")


def stream(key: Key[Array, "*N"], name: str) -> Key[Array, "*N"]:
    """Returns the stream of a key with a name, `fold_in(key, crc32(name))`.

    A stream depends on its name only, so a new stream changes no other one. Training uses "init",
    "data" (and "split" below it), "train", "eval" and "sample". Explanations use "maximize",
    "baseline", "smooth", "lime", "rise", "faithfulness", "random_order", "cascade" and "attack".
    Art uses "dream", "style" and "random_layer". Landscapes use "direction", "eigenvalue",
    "matching" and "gradient_noise". Model selection uses "folds" and "search". Generated curves
    use "curve", sets with few or random labels "few_labels" and "random_labels", and errors of fits
    "bias_variance" and "features". A move of an environment uses "step". Images that are binarized
    once use "binarize". The orders of two sets side by side use "a" and "b".

    Args:
      key: a typed key, usually the root key of a run, or keys `[N]`.
      name: the purpose of the random numbers.

    Returns:
      A typed key, or keys `[N]`. Fold the step into it; do not split it in a loop.

    Example:
      >>> key = root(0)
      >>> bool(stream(key, "init") == stream(key, "data"))
      False
    """
    return fold(key, zlib.crc32(name.encode()))


def fold(key: Key[Array, "*N"], number: int | Int[Array, ""]) -> Key[Array, "*N"]:
    """Folds a number into one key or into each of several, by `fold_in(key, number)`.

    Example:
      >>> keys = root([3, 4])
      >>> bool((fold(keys, 7)[1] == fold(root(4), 7)).all())
      True
    """
    return per_key(lambda one: jax.random.fold_in(one, number), key)


def per_key(f: Callable[[Key[Array, ""]], Any], key: Key[Array, "*N"]) -> Any:
    """Calls a function with one key, or with each of several keys under `jax.vmap`.

    Example:
      >>> [per_key(jax.random.uniform, key).shape for key in (root(0), root([0, 1]))]
      [(), (2,)]
    """
    if key.ndim == 0:
        return f(key)
    return jax.vmap(f)(key)
