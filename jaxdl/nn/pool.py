"""Pooling that is fast on a CPU too: windows that do not overlap are a reshape and a reduction."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least

Window = int | tuple[int, int]


def max_pool(x: Float[Array, "B H W C"], window: Window, strides: Window | None = None) -> Float[Array, "B I J C"]:
    """The largest value under each window, without padding.

    Where several values are the largest their gradient is shared, if windows do not overlap.

    Args:
      x: `[B, H, W, C]` images, float.
      window: height and width, or one number for both.
      strides: how far the window moves; None: its own size, so that windows do not overlap.

    Returns:
      `[B, I, J, C]`, `(W - F)/S + 1` positions along each axis.

    Raises:
      InputError: wrong rank, a window or stride below 1, a window larger than the image.

    Example:
      >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0].tolist()
      [[5.0, 7.0], [13.0, 15.0]]
    """
    return _pool(jnp.max, nn.max_pool, x, window, strides)


def avg_pool(x: Float[Array, "B H W C"], window: Window, strides: Window | None = None) -> Float[Array, "B I J C"]:
    """The mean of the values under each window, without padding.

    Args:
      x: `[B, H, W, C]` images, float.
      window: height and width, or one number for both.
      strides: how far the window moves; None: its own size, so that windows do not overlap.

    Returns:
      `[B, I, J, C]`, `(W - F)/S + 1` positions along each axis.

    Raises:
      InputError: as `max_pool`.

    Example:
      >>> avg_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0].tolist()
      [[2.5, 4.5], [10.5, 12.5]]
    """
    return _pool(jnp.mean, _overlapping_means, x, window, strides)


def _pool(
    reduce: Callable[..., Array], overlapping: Callable[..., Array], x: Array, window: Window, strides: Window | None
) -> Array:
    if x.ndim != 4:
        raise InputError("x", x.shape, "images [B, H, W, C]")
    down, right = _pair(window)
    moves = (down, right) if strides is None else _pair(strides)
    at_least("window", min(down, right), 1)
    at_least("strides", min(moves), 1)
    batch, height, width, channels = x.shape
    if down > height or right > width:
        raise InputError("window", (down, right), f"at most the image, {height}x{width}")
    if moves != (down, right):
        return overlapping(x, (down, right), strides=moves, padding="VALID")
    i, j = height // down, width // right
    return reduce(x[:, : i * down, : j * right].reshape(batch, i, down, j, right, channels), axis=(2, 4))


def _overlapping_means(x: Array, window: tuple[int, int], strides: tuple[int, int], padding: str) -> Array:
    # Linen's own divides by an integer array, which strict promotion refuses.
    return nn.pool(x, 0.0, lax.add, window, strides, padding) / math.prod(window)


def _pair(size: Window) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
