"""Octaves: one image in several sizes, and changes that pass from a size to the next one."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, is_traced


def octave_sizes(shape: tuple[int, ...], count: int, ratio: float) -> list[tuple[int, int]]:
    """Returns the heights and widths of the octaves of an image, from small to large.

        H_k = max(1, round(H / ratio^(K - k))),    k = 1..K

    Args:
      shape: shape of the image, `(H, W, C)`.
      count: K, number of octaves.
      ratio: size of an octave relative to the one before it, above 1.

    Returns:
      K pairs. The last one is the size of the image.

    Raises:
      InputError: a count below 1, or a ratio of at most 1.

    Example:
      >>> octave_sizes((100, 200, 3), 3, 2.0)
      [(25, 50), (50, 100), (100, 200)]
    """
    at_least("octaves", count, 1)
    in_range("ratio", ratio, 1, float("inf"))
    if ratio == 1:
        raise InputError("ratio", ratio, "a number above 1, such as 1.4")
    height, width = shape[:2]
    factors = [ratio**-k for k in reversed(range(count))]
    return [(max(1, round(height * each)), max(1, round(width * each))) for each in factors]


def split(
    image: Float[np.ndarray, "H W C"], count: int, ratio: float = 1.4
) -> list[Float[np.ndarray, "h w C"]]:
    """Returns an image in several sizes, from small to large.

    The last octave is the image with the same bits. So `join` loses no detail: it adds changes to
    these octaves and never enlarges the image itself.

    Source: Mordvintsev, Olah and Tyka 2015, Inceptionism.

    Args:
      image: `[H, W, C]`, floats in [0, 1].
      count: number of octaves.
      ratio: see `octave_sizes`.

    Returns:
      The octaves.

    Raises:
      InputError: another image, a count below 1, or a ratio of at most 1.

    Example:
      >>> image = np.random.default_rng(0).random((8, 6, 3), np.float32)
      >>> octaves = split(image, 3)
      >>> [octave.shape for octave in octaves]
      [(4, 3, 3), (6, 4, 3), (8, 6, 3)]
      >>> change = np.zeros((1, 1, 3), np.float32)
      >>> for octave in octaves:
      ...     joined = join(octave, change)
      ...     change = joined - octave
      >>> bool((joined == image).all())
      True
    """
    check_image(image)
    pixels = np.asarray(image, np.float32)
    sizes = octave_sizes(pixels.shape, count, ratio)
    return [np.asarray(_resize(pixels, size)) for size in sizes]


def join(octave: Float[Array, "H W C"], change: Float[Array, "h w C"]) -> Float[Array, "H W C"]:
    """Returns an octave with the change of a smaller one; a pure function.

        y = x + enlarge(d)

    Args:
      octave: x, `[H, W, C]`.
      change: d, `[h, w, C]`, the changed smaller octave minus the smaller octave.

    Returns:
      `[H, W, C]`. It is x, bit for bit, for a change of 0.

    Example: see `split`.
    """
    return jnp.asarray(octave) + resize(jnp.asarray(change), (octave.shape[0], octave.shape[1]))


def resize(image: Float[Array, "H W C"], size: tuple[int, int]) -> Float[Array, "h w C"]:
    """Returns an image of another size, by cubic interpolation.

    Pixels between those of a larger image are averaged, so that fine patterns do not alias. An
    image of the size is returned as it is.

    Args:
      image: `[H, W, C]`.
      size: new height and width.

    Returns:
      `[h, w, C]`. Beside edges values can exceed those of the image.

    Example:
      >>> resize(jnp.full((4, 4, 1), 0.5), (2, 3))[..., 0].round(3).tolist()
      [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """
    if image.shape[:2] == tuple(size):
        return image
    return jax.image.resize(image, (*size, image.shape[2]), "cubic")


@partial(jax.jit, static_argnames="size")
def _resize(image: Float[Array, "H W C"], size: tuple[int, int]) -> Float[Array, "h w C"]:
    return resize(image, size)


def check_image(image: Any, field: str = "image") -> None:
    """Raises unless a value is an image: an array of floats `[H, W, C]` in [0, 1].

    Args:
      image: the value.
      field: its name in the message.

    Example:
      >>> check_image(np.zeros((8, 8), np.float32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: image: got [8, 8], allowed: one image [H, W, C]; write image[..., ...
    """
    if not hasattr(image, "dtype"):
        allowed = "an array; write np.asarray(image, np.float32)"
        raise InputError(field, type(image).__name__, allowed)
    if is_traced(image):
        raise InputError(field, "an array inside of jax.jit, vmap or grad", "a call outside of it")
    shape = list(np.shape(image))
    if len(shape) != 3 or min(shape) < 1:
        allowed = "one image [H, W, C]; write image[..., None] for a grey one, images[0] for a set"
        raise InputError(field, shape, allowed)
    if not np.issubdtype(image.dtype, np.floating):
        allowed = "floats in [0, 1]; write image / np.float32(255)"
        raise InputError(field, f"{image.dtype}", allowed)
    low = float(np.min(image))
    high = float(np.max(image))
    if not (low >= 0 and high <= 1):
        allowed = "pixels in [0, 1]; write image / np.float32(255), and prepare=... for others"
        raise InputError(field, f"pixels in [{low:.4g}, {high:.4g}]", allowed)
