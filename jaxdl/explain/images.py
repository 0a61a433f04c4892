"""Checks of images, and sets of images in batches of equal size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, is_traced


def check_images(images: Any) -> None:
    """Raises unless images are an array of floats `[N, H, W, C]`.

    Example:
      >>> check_images(np.zeros((2, 2, 1)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: images: got [2, 2, 1], allowed: images [N, H, W, C]; write ...
    """
    if not hasattr(images, "dtype"):
        allowed = "an array; write np.asarray(images, np.float32)"
        raise InputError("images", type(images).__name__, allowed)
    if is_traced(images):
        allowed = "a call outside of it; explanations compile what they repeat"
        raise InputError("images", "an array inside of jax.jit, vmap or grad", allowed)
    shape = list(np.shape(images))
    if len(shape) != 4 or min(shape) < 1:
        raise InputError("images", shape, "images [N, H, W, C]; write image[None] for one")
    if not np.issubdtype(images.dtype, np.floating):
        allowed = "floats in [0, 1]; write images / np.float32(255)"
        raise InputError("images", f"{images.dtype}", allowed)


def check_pixels(images: Float[np.ndarray, "N H W C"]) -> None:
    """Raises unless all pixels lie in [0, 1].

    Example:
      >>> check_pixels(np.full((1, 2, 2, 1), 255.0))
      Traceback (most recent call last):
      jaxdl.errors.InputError: images: got pixels in [255, 255], allowed: pixels in [0, 1]; ...
    """
    low = images.min()
    high = images.max()
    if not (low >= 0 and high <= 1):
        allowed = "pixels in [0, 1]; write images / np.float32(255), and prepare=... for others"
        raise InputError("images", _Range(low, high), allowed)


def as_array(field: str, value: Any, allowed: str) -> np.ndarray:
    """Returns a value as an array; raises for lists whose lengths differ.

    Example:
      >>> as_array("target", [[0], [1, 2]], "a class")
      Traceback (most recent call last):
      jaxdl.errors.InputError: target: got 'lists of different lengths', allowed: a class
    """
    try:
        return np.asarray(value)
    except ValueError:
        raise InputError(field, "lists of different lengths", allowed) from None


def batches(
    images: Float[np.ndarray, "N ..."], size: int
) -> Iterator[tuple[int, int, Float[np.ndarray, "B ..."]]]:
    """Yields batches of equal size with their first index and their number of images.

    The last batch is filled with its first image.

    Example:
      >>> [(first, rows, len(x)) for first, rows, x in batches(np.zeros((5, 2)), 3)]
      [(0, 3, 3), (3, 2, 3)]
    """
    size = min(size, len(images))
    for first in range(0, len(images), size):
        batch = np.asarray(images[first : first + size])
        rows = len(batch)
        yield first, rows, np.concatenate([batch, np.repeat(batch[:1], size - rows, 0)])


class _Range:
    """The value in the message of `check_pixels`."""

    def __init__(self, low: Any, high: Any) -> None:
        self.text = f"pixels in [{low:.4g}, {high:.4g}]"

    def __repr__(self) -> str:
        return self.text
