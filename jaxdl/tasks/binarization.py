"""Binarization of images: grey values become black (0) or white (1)."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

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
            return binarized(x, jax.random.uniform(key, x.shape))
        return binarized(x, how)

    return binarize_batch


def binarized(
    x: Float[Array, "*B"] | np.ndarray, threshold: float | Float[Array, "*B"]
) -> Float[Array, "*B"]:
    """Returns images with 1 above a threshold, and else 0; a pixel outside [0, 1] becomes NaN.

    Args:
      x: images in [0, 1].
      threshold: a number, or one for each pixel.

    Example:
      >>> binarized(jnp.array([0.2, 0.7, 2.0]), 0.5).tolist()
      [0.0, 1.0, nan]
    """
    x = jnp.asarray(x)
    white = x > threshold
    return jnp.where((x >= 0) & (x <= 1), white.astype(x.dtype), jnp.nan)
