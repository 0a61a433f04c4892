"""Windows of pooling, of images and sequences, and their numbers of values."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxdl.errors import InputError, integers, of_kind
from jaxdl.nn.sizes import Geometry, Padding, Pads, Pair, Sizes, geometry_of

WINDOW = "one integer, or a pair for height and width, or (F,) for sequences"

# The fields of a `Geometry` with a size of 1 for the height of sequences.
_SIZE_FIELDS = ("size", "window", "strides", "dilation")


class Windows(NamedTuple):
    """The windows of images, along height and width.

    Attributes:
      geometry: the sizes, where the padding includes values beyond the end.
      counts: numbers of values of the image in each window, along each axis.
      padded_counts: the same numbers, with the padding but without values beyond it.
      batch: the batch axes of the argument, none or one.
      axes: the number of its axes of a window, one for sequences.
    """

    geometry: Geometry
    counts: tuple[np.ndarray, np.ndarray]
    padded_counts: tuple[np.ndarray, np.ndarray]
    batch: tuple[int, ...]
    axes: int

    @property
    def is_split(self) -> bool:
        """True if windows neither overlap nor have gaps."""
        geometry = self.geometry
        return geometry.strides == geometry.window and geometry.dilation == (1, 1)

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
      >>> images.shape, windows.geometry.pads, windows.counts[1].tolist()
      ((1, 1, 5, 2), ((0, 0), (0, 1)), [2, 2, 1])
    """
    axes = axes_of("window", window)
    check_images(x, axes)
    size = integers("window", window, axes, WINDOW)
    of_kind("ceil", ceil, bool, "True or False")
    given = x.shape[-1 - axes : -1]
    stride = size if strides is None else strides
    geometry = geometry_of(given, size, stride, padding, dilation, field="window")
    found = [_along(geometry, axis, ceil) for axis in range(axes)]
    if not all(counts.all() for _, counts, _ in found):
        raise InputError("padding", padding, "less; a window would hold no value of the image")
    if axes == 1:
        one = np.ones(1, int)
        found.insert(0, ((0, 0), one, one))
        fields: Any = {name: (1, *getattr(geometry, name)) for name in _SIZE_FIELDS}
        geometry = geometry._replace(**fields)
    batch = x.shape[: -1 - axes]
    images = x
    if x.ndim != 4:
        images = x.reshape(math.prod(batch), *[1] * (2 - axes), *x.shape[-1 - axes :])
    pads, counts, padded_counts = zip(*found, strict=True)
    geometry = geometry._replace(pads=pads)
    return images, Windows(geometry, counts, padded_counts, batch, axes)


def _along(geometry: Geometry, axis: int, ceil: bool) -> tuple[Pair, np.ndarray, np.ndarray]:
    """Returns the values before and after one axis, and the counts of its windows."""
    n = geometry.size[axis]
    stride = geometry.strides[axis]
    before, after = geometry.pads[axis]
    positions = geometry.positions[axis]
    rest = (n + before + after - geometry.spans[axis]) % stride
    # As in PyTorch, no window begins beyond the image.
    if ceil and rest and positions * stride < n + before:
        positions += 1
    starts = np.arange(positions) * stride - before
    places = starts[:, None] + np.arange(geometry.window[axis]) * geometry.dilation[axis]
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
