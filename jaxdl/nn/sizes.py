"""Sizes, padding and positions of windows, for convolutions and pooling."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax import lax

from jaxdl.errors import InputError, at_least, integers, is_traced, one_of

Pair = tuple[int, int]
Sizes = int | Sequence[int]
Pads = int | Sequence[int | tuple[int, int]]
Padding = Literal["SAME", "VALID"]

#: Descriptions of sizes, by their number of axes.
SIZES = {1: "one integer", 2: "one integer, or a pair for height and width"}


#: Names of the padding of images.
PADDINGS = ("SAME", "VALID")


class Geometry(NamedTuple):
    """Sizes, strides, padding, dilation and groups of a convolution or of pooling.

        positions = (W - ((F - 1) L + 1) + 2P)/S + 1,    rounded down

    Each field but the last has one entry for each axis: height and width, or time.

    Attributes:
      size: W, the size of the input.
      window: F, the number of taps of the window.
      strides: S, at least 1.
      pads: numbers of zeros before (P) and after; negative numbers crop.
      dilation: L, the distance between two taps of the kernel, at least 1.
      groups: number of groups of channels, each of which has its own features.

    Example:
      >>> Geometry((28, 28), (5, 3), (1, 2), ((0, 0), (0, 1))).positions
      (24, 14)
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[Pair, ...]
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    @property
    def spans(self) -> tuple[int, ...]:
        """(F - 1) L + 1, the numbers of values from the first to the last tap of a window."""
        return tuple((f - 1) * d + 1 for f, d in zip(self.window, self.dilation, strict=True))

    @property
    def positions(self) -> tuple[int, ...]:
        """Numbers of positions of the window along each axis."""
        axes = zip(self.size, self.spans, self.strides, self.pads, strict=True)
        return tuple((n + sum(pad) - span) // s + 1 for n, span, s, pad in axes)


def geometry_of(
    size: Sequence[int],
    window: Sequence[int],
    strides: Any = 1,
    padding: Any = "VALID",
    dilation: Any = 1,
    groups: int = 1,
    *,
    field: str = "kernel",
    names: Sequence[str] = PADDINGS,
) -> Geometry:
    """Checks strides, padding and dilation of a window; returns them with numbers of zeros.

    Args:
      size: W along each axis.
      window: F along each axis.
      strides: S, one integer or one for each axis.
      padding: a name or numbers of zeros, see `pads_of`.
      dilation: L, one integer or one for each axis.
      groups: number of groups, which is not checked.
      field: name of the window in errors.
      names: the names of paddings that are allowed, of "SAME", "VALID" and "CAUSAL".

    Raises:
      InputError: a stride or dilation below 1, an unknown padding, or a window that does not fit.

    Example:
      >>> geometry_of((5,), (3,), 2, "SAME").pads, geometry_of((5,), (3,), 1, (2,)).positions
      (((1, 1),), (7,))
    """
    axes = len(size)
    stride = integers("strides", strides, axes, SIZES[axes])
    gaps = integers("dilation", dilation, axes, SIZES[axes])
    pads: Any = pads_of(padding, names, axes)
    around = ((0, 0),) * axes
    geometry = Geometry(tuple(size), tuple(window), stride, around, gaps, groups)
    spans = geometry.spans
    if pads == "CAUSAL":
        pads = tuple((span - 1, 0) for span in spans)
    elif isinstance(pads, str):
        pads = tuple((int(a), int(b)) for a, b in lax.padtype_to_pads(size, spans, stride, pads))
    geometry = geometry._replace(pads=pads)
    padded = [n + sum(pad) for n, pad in zip(size, pads, strict=True)]
    if any(span > n for span, n in zip(spans, padded, strict=True)):
        allowed = f"at most the padded size, {'x'.join(map(str, padded))}"
        if spans != geometry.window:
            allowed += f"; with its dilation it is {'x'.join(map(str, spans))}"
        raise InputError(field, geometry.window, allowed)
    return geometry


def pads_of(
    padding: Any, names: Sequence[str], axes: int, field: str = "padding"
) -> str | tuple[Pair, ...]:
    """Returns a padding by name, or the numbers of zeros before and after each axis.

    Args:
      padding: one of `names`; one integer for all sides; or for each axis one integer or a pair
        (before, after). Linen accepts the same.
      names: the names that are allowed.
      axes: number of axes.
      field: name of the value in errors.

    Returns:
      The name, or one pair for each axis.

    Raises:
      InputError: anything else, or a negative number.

    Example:
      >>> pads_of(1, ("SAME",), 2), pads_of([(0, 1), 2], ("SAME",), 2)
      (((1, 1), (1, 1)), ((0, 1), (2, 2)))
    """
    if isinstance(padding, str):
        return one_of(field, padding, names)
    allowed = f"{', '.join(names)}, one integer, or an integer or pair for each of {axes} axes"
    items = padding
    if isinstance(padding, np.ndarray | jax.Array) and not is_traced(padding):
        items = np.asarray(padding).tolist()
    if isinstance(items, Integral):
        items = (items,) * axes
    if not isinstance(items, Sequence) or len(items) != axes:
        raise InputError(field, padding, allowed)
    return tuple(integers(field, item, 2, allowed, low=0) for item in items)


def out_size(
    size: int, window: int, stride: int, padding: Padding | Pads, dilation: int = 1
) -> int:
    """Returns the number of window positions along one axis.

        (W - ((F - 1) L + 1) + 2P)/S + 1,    rounded down

    Args:
      size: W, the width (or height) of the image.
      window: F, the width of the window.
      stride: S, the distance between two positions.
      padding: "VALID" means P = 0; "SAME" means the padding that gives `ceil(W/S)` positions. One
        integer is P, and `[(before, after)]` has the zeros of both sides.
      dilation: L, the distance between two taps of the window.

    Returns:
      The number of positions; 0 or less if the window does not fit.

    Raises:
      InputError: a window, stride or dilation below 1, a size below 0, or another padding.

    Example:
      >>> out_size(28, 5, 1, "VALID"), out_size(28, 5, 1, "SAME"), out_size(28, 2, 2, "VALID")
      (24, 28, 14)
    """
    at_least("size", size, 0)
    at_least("window", window, 1)
    at_least("stride", stride, 1)
    at_least("dilation", dilation, 1)
    pads: Any = pads_of(padding, PADDINGS, 1)
    if pads == "SAME":
        return -(-size // stride)
    if pads == "VALID":
        pads = ((0, 0),)
    return Geometry((size,), (window,), (stride,), pads, (dilation,)).positions[0]
