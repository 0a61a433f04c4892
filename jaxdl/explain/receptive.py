"""Receptive fields: the part of an image that a unit depends on, exactly and for any network."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Int

from jaxdl.errors import InputError, at_least
from jaxdl.explain.layers import Layer, as_partial, check_finite, fitting, layer_shape
from jaxdl.xla import accepted_options


class Boxes(NamedTuple):
    """The receptive field of every unit, as the smallest box of pixels around it.

    A unit at a position depends on the pixels `image[top:bottom, left:right]` and on no other. A
    unit that depends on no pixel has an empty box.

    Attributes:
      top: `[I, J, U]`, first row; `[U]` for a layer without positions, and so for the others.
      bottom: row after the last one.
      left: first column.
      right: column after the last one.

    Example: see `receptive_fields`.
    """

    top: Int[np.ndarray, "... U"]
    bottom: Int[np.ndarray, "... U"]
    left: Int[np.ndarray, "... U"]
    right: Int[np.ndarray, "... U"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the largest box."""
        return int((self.bottom - self.top).max()), int((self.right - self.left).max())


def receptive_fields(f: Layer, shape: tuple[int, int, int], batch_size: int = 64) -> Boxes:
    """Returns the receptive field of every unit of a layer.

        unit depends on row r    <=>    f(image with NaN in row r) is NaN at this unit

    0 * NaN is NaN, and ReLU, maxima and norms pass NaN on. So the H + W images with NaN in one row
    or column show every connection, whatever the weights are. A norm over positions, such as
    GroupNorm, connects each unit to the whole image.

    Args:
      f: function of images, see `layer`.
      shape: shape of an image, `(H, W, C)`.
      batch_size: number of images in a batch.

    Returns:
      The boxes, clipped at the edges of the image.

    Raises:
      InputError: another shape; a function that is not finite.

    Example:
      >>> import flax.linen as nn
      >>> conv = nn.Conv(2, (3, 3))
      >>> variables = conv.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
      >>> boxes = receptive_fields(lambda x: conv.apply(variables, x), (8, 8, 1))
      >>> boxes.size, [int(edge[4, 0, 1]) for edge in boxes]
      ((3, 3), [3, 6, 0, 2])
    """
    check_image_shape(shape)
    shape = (*shape,)
    at_least("batch_size", batch_size, 1)
    outputs = layer_shape(f, shape)
    check_finite(f, shape)
    edges = []
    for axis in (0, 1):
        size = shape[axis]
        first = jnp.full(outputs, size, jnp.int32)
        end = jnp.zeros(outputs, jnp.int32)
        for start in range(0, size, batch_size):
            # Lines of the last batch are repeated, which changes no minimum and no maximum.
            lines = np.minimum(np.arange(start, start + min(batch_size, size)), size - 1)
            lines = lines.astype(np.int32)
            extend = passing_nan(_extend, "shape", "axis")
            first, end = extend(as_partial(f), first, end, lines, shape=shape, axis=axis)
        is_reached = np.asarray(end) > 0
        edges += [np.where(is_reached, first, 0), np.asarray(end)]
    return Boxes(*edges)


def check_image_shape(shape: tuple[int, ...]) -> None:
    """Raises for a shape that is not that of an image.

    Example:
      >>> check_image_shape((8, 8))
      Traceback (most recent call last):
      jaxdl.errors.InputError: shape: got (8, 8), allowed: that of one image, (H, W, C)
    """
    with fitting(shape):
        is_image = len(shape) == 3 and min(shape) >= 1
    if not is_image:
        raise InputError("shape", tuple(shape), "that of one image, (H, W, C)")


@cache
def passing_nan(f: Callable[..., Any], *static_argnames: str) -> Callable[..., Any]:
    """Returns a compiled function in which the maximum of NaN and a number is NaN.

    YNNPACK, which XLA uses on a CPU for sums and maxima of many values, loses NaN in maxima.

    Args:
      f: a function at the top of a module.
      *static_argnames: see `jax.jit`.

    Example:
      >>> x = jnp.full((4, 8, 8, 16), 0.5).at[0, 3].set(jnp.nan)
      >>> pool = passing_nan(lambda x: x.reshape(4, 4, 2, 4, 2, 16).max((2, 4)))
      >>> int(jnp.isnan(pool(x)).sum())
      64
    """
    options = accepted_options(xla_cpu_experimental_ynn_fusion_type="")
    return jax.jit(f, static_argnames=static_argnames, compiler_options=options)


def _extend(
    f: Partial,
    first: Int[Array, "... U"],
    end: Int[Array, "... U"],
    lines: Int[Array, " B"],
    shape: tuple[int, int, int],
    axis: int,
) -> tuple[Int[Array, "... U"], Int[Array, "... U"]]:
    """Extends intervals by the rows, or columns, that reach a unit."""

    def probe(line: Int[Array, ""]) -> Array:
        is_line = jax.lax.broadcasted_iota(jnp.int32, shape, axis) == line
        return jnp.where(is_line, jnp.nan, 0.5)

    is_reached = jnp.isnan(f(jax.vmap(probe)(lines)))
    firsts = jax.vmap(lambda reached, line: jnp.where(reached, line, shape[axis]))(
        is_reached, lines
    )
    ends = jax.vmap(lambda reached, line: jnp.where(reached, line + 1, 0))(is_reached, lines)
    return jnp.minimum(first, firsts.min(0)), jnp.maximum(end, ends.max(0))
