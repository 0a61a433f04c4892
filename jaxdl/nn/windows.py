"""Windows of images and sequences: their sizes, padding and number of values."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxdl.errors import InputError, integers
from jaxdl.nn.conv import SIZES, Padding, Pads, Sizes, pads_of
from jaxdl.nn.convolution import Pair

WINDOW = "one integer, or a pair for height and width, or (F,) for sequences"


class Windows(NamedTuple):
    """The windows of images, each field for height and width.

    Attributes:
      size: numbers of values of a window.
      strides: distances between two windows.
      dilation: distances between two values of a window.
      pads: values before and after the image, which include those beyond the end.
      counts: numbers of values of the image in each window, along each axis.
      padded_counts: the same numbers, with the padding but without values beyond it.
      batch: the batch axes of the argument, none or one.
      axes: the number of its axes of a window, one for sequences.
    """

    size: Pair
    strides: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]
    counts: tuple[np.ndarray, np.ndarray]
    padded_counts: tuple[np.ndarray, np.ndarray]
    batch: tuple[int, ...]
    axes: int

    @property
    def is_split(self) -> bool:
        """True if windows neither overlap nor have gaps."""
        return self.strides == self.size and self.dilation == (1, 1)

    def result(self, y: Array) -> Array:
        """Returns a result `[B, I, J, C]` with the axes of the argument."""
        if self.batch and self.axes == 2:
            return y
        return y.reshape(*self.batch, *y.shape[3 - self.axes :])


def windows_of(
    x: Array,
    window: Sizes,
    strides: Sizes | None,
    padding: Padding | Pads,
    dilation: Sizes,
    ceil: bool,
) -> tuple[Array, Windows]:
    """Checks the arguments of pooling; returns images `[B, H, W, C]` and their windows.

    Sequences become images of height 1.

    Args:
      x: images or sequences, with or without a batch axis.
      window: the sizes of a window, `(F,)` for sequences.
      strides: distances between two windows; None means the window's sizes.
      padding: "VALID", "SAME", or numbers of values before and after each axis.
      dilation: distances between two values of a window.
      ceil: if True, a last window may reach beyond the padding.

    Raises:
      InputError: as for `jaxdl.nn.max_pool`.

    Example:
      >>> images, windows = windows_of(jnp.ones((5, 2)), (2,), None, "VALID", 1, True)
      >>> images.shape, windows.pads, windows.counts[1].tolist()
      ((1, 1, 5, 2), ((0, 0), (0, 1)), [2, 2, 1])
    """
    axes = axes_of("window", window)
    check_images(x, axes)
    size = integers("window", window, axes, WINDOW)
    stride = size
    if strides is not None:
        stride = integers("strides", strides, axes, SIZES[axes])
    steps = integers("dilation", dilation, axes, SIZES[axes])
    pads = pads_of(padding, ("SAME", "VALID"), axes)
    given = x.shape[-1 - axes : -1]
    extent = tuple((f - 1) * d + 1 for f, d in zip(size, steps, strict=True))
    if isinstance(pads, str):
        pads = tuple(lax.padtype_to_pads(given, extent, stride, pads))
    padded = [n + sum(pad) for n, pad in zip(given, pads, strict=True)]
    if any(e > n for e, n in zip(extent, padded, strict=True)):
        raise InputError("window", extent, f"at most the image size, {'x'.join(map(str, padded))}")
    found = [_along(*a, ceil) for a in zip(given, size, stride, steps, pads, strict=True)]
    if not all(counts.all() for _, counts, _ in found):
        raise InputError("padding", pads, "less; a window would hold no value of the image")
    if axes == 1:
        size, stride, steps = ((1, *pair) for pair in (size, stride, steps))
        one = np.ones(1, int)
        found.insert(0, ((0, 0), one, one))
    batch = x.shape[: -1 - axes]
    images = x
    if x.ndim != 4:
        images = x.reshape(math.prod(batch), *[1] * (2 - axes), *x.shape[-1 - axes :])
    around, counts, padded_counts = zip(*found, strict=True)
    return images, Windows(size, stride, steps, around, counts, padded_counts, batch, axes)


def _along(
    n: int, size: int, stride: int, step: int, pad: Pair, ceil: bool
) -> tuple[Pair, np.ndarray, np.ndarray]:
    """Returns the values before and after one axis, and the counts of its windows."""
    before, after = pad
    extent = (size - 1) * step + 1
    positions, rest = divmod(n + before + after - extent, stride)
    positions += 1
    # As in PyTorch, no window begins beyond the image.
    if ceil and rest and positions * stride < n + before:
        positions += 1
    starts = np.arange(positions) * stride - before
    places = starts[:, None] + np.arange(size) * step
    counts = ((places >= 0) & (places < n)).sum(1)
    padded_counts = (places < n + after).sum(1)
    return (before, max(after, int(places[-1, -1]) + 1 - n)), counts, padded_counts


def axes_of(field: str, sizes: Sizes) -> int:
    """Returns the number of axes of a window: two for images, or one for sequences.

    Example:
      >>> axes_of("window", 2), axes_of("window", (2,))
      (2, 1)
    """
    if isinstance(sizes, Integral):
        return 2
    if isinstance(sizes, str) or not isinstance(sizes, Sequence | np.ndarray | jax.Array):
        raise InputError(field, sizes, WINDOW)
    if np.ndim(sizes) != 1 or len(sizes) not in (1, 2):
        raise InputError(field, sizes, WINDOW)
    return len(sizes)


def check_images(x: Array, axes: int) -> None:
    """Raises `InputError` unless the axes and the dtype are those of images or sequences.

    Example:
      >>> check_images(jnp.ones((5, 2)), 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got (5, 2), allowed: images [B, H, W, C] or [H, W, C]
    """
    if x.ndim not in (axes + 1, axes + 2):
        allowed = {1: "sequences [B, T, C] or [T, C]", 2: "images [B, H, W, C] or [H, W, C]"}
        raise InputError("x", x.shape, allowed[axes])
    if not jnp.issubdtype(x.dtype, jnp.floating) and not jnp.issubdtype(x.dtype, jnp.integer):
        raise InputError("x dtype", x.dtype.name, "floats or integers")
