"""Binarization of images: grey values become black (0) or white (1)."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxdl.errors import InputError


def binarize(how: Literal["dynamic"] | float | None) -> Callable[[Key[Array, ""], Array], Array]:
    """Returns a function that makes grey images black and white.

    Args:
      how: "dynamic", a threshold in [0, 1), or None. "dynamic" makes a pixel white with a
        probability equal to its grey value. A threshold makes the pixels above it white. None
        leaves images unchanged.

    Returns:
      `(key, images in [0, 1]) -> images`. Unless `how` is None, a pixel outside [0, 1] becomes NaN,
      which stops a run.

    Raises:
      InputError: any other value of `how`.

    Example:
      >>> import jaxdl
      >>> binarize(0.5)(jaxdl.root(0), jnp.array([0.2, 0.7])).tolist()
      [0.0, 1.0]
    """
    if how is None:
        return lambda key, x: x
    if how != "dynamic" and not (isinstance(how, int | float) and 0 <= how < 1):
        raise InputError("binarize", how, "'dynamic', a threshold in [0, 1) or None")

    def binarize_batch(key: Key[Array, ""], x: Array) -> Array:
        if how == "dynamic":
            white = jax.random.uniform(key, x.shape) < x
        else:
            white = x > how
        return jnp.where((x >= 0) & (x <= 1), white.astype(x.dtype), jnp.nan)

    return binarize_batch
