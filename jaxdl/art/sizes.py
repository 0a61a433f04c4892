"""Checks that layers exist, and that images are large enough for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.errors import InputError, one_of
from jaxdl.explain.layers import Layer, as_partial, fitting

#: Difference of two sizes, from which the stride of a layer follows.
LARGER = 512


def check_maps(
    f: Layer,
    shape: tuple[int, ...],
    sizes: Sequence[tuple[int, int]],
    layers: Sequence[tuple[str, float]] | None,
    units: Sequence[int] | None = None,
) -> dict[str, float]:
    """Returns the weights of maps; raises for maps that a function does not have for some sizes.

    Nothing is computed.

    Args:
      f: function `images [B, H, W, C] -> {name: maps [B, I, J, U]}`.
      shape: shape of the image.
      sizes: heights and widths of its octaves, from small to large.
      layers: names of maps with their weights; None means all with a weight of 1.
      units: indices that each of these maps must have.

    Raises:
      InputError: an unknown name or unit, or an octave below the stride of a layer.

    Example:
      >>> check_maps(lambda x: {"a": x, "b": 2 * x}, (8, 8, 3), [(4, 4), (8, 8)], None)
      {'a': 1.0, 'b': 1.0}
    """
    shapes = map_shapes(f, shape)
    weights = weights_of(shapes, layers, units)
    least = strides(f, shape, shapes, list(weights))
    name, stride = max(least.items(), key=lambda pair: pair[1])
    if min(shape[:2]) < stride:
        allowed = f"at least {stride} × {stride} pixels, the stride of {name}"
        raise InputError("image", _Pixels(shape), allowed)
    fits = [min(size) >= stride and _has_maps(f, (*size, shape[2]), weights) for size in sizes]
    if not all(fits):
        allowed = f"at most {sum(fits)}; the smallest octave would have {_Pixels(sizes[0])!r}"
        if min(sizes[0]) < stride:
            allowed += f", and {name} has a stride of {stride}"
        else:
            allowed += ", too few for the network"
        dense = [name for name in weights if len(shapes[name]) < 3]
        if dense:
            allowed = f"1; {dense[0]} has no positions, and weights for one size of images"
        raise InputError("octaves", len(sizes), allowed)
    return weights


def weights_of(
    shapes: Mapping[str, tuple[int, ...]],
    layers: Sequence[tuple[str, float]] | None,
    units: Sequence[int] | None = None,
) -> dict[str, float]:
    """Returns the weights of maps; raises for an unknown name or unit.

    Args:
      shapes: shapes of maps by name, with the units as last axis.
      layers: names of maps with their weights; None means all with a weight of 1.
      units: indices that each of these maps must have.

    Example:
      >>> weights_of({"a": (8, 8, 3)}, [("b", 1.0)])
      Traceback (most recent call last):
      jaxdl.errors.InputError: layers: got 'b', allowed: a
    """
    weights = dict(layers or [(name, 1.0) for name in shapes])
    for name in weights:
        one_of("layers", name, shapes)
        count = shapes[name][-1]
        for unit in units or ():
            if unit >= count:
                raise InputError("units", unit, f"at most {count - 1}; {name} has {count} units")
    return weights


def map_shapes(
    f: Layer, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of maps for one image, without the axis of the batch.

    Args:
      f: function of images.
      shape: shape of an image.
      dtype: dtype of an image.

    Raises:
      InputError: a function that returns no dictionary of floats `[B, ..., U]`, or an empty map.

    Example:
      >>> map_shapes(lambda x: {"a": x[:, ::2]}, (8, 8, 3))
      {'a': (4, 8, 3)}
    """
    with fitting(shape):
        maps = jax.eval_shape(as_partial(f), _image(shape, dtype))
    for name, each in checked_maps(maps).items():
        if not each.size:
            allowed = f"a larger image; {name} has no position for this one"
            raise InputError("image", _Pixels(shape), allowed)
    return {name: each.shape[1:] for name, each in maps.items()}


def checked_maps(maps: Any) -> Mapping[str, Any]:
    """Returns maps; raises unless they are a dictionary of floats `[B, ..., U]`.

    Example:
      >>> list(checked_maps({"a": jnp.zeros((1, 2, 2, 3))}))
      ['a']
    """
    allowed = "a function of images that returns {name: maps}, such as explain.activations(...)"
    if not isinstance(maps, Mapping) or not maps:
        raise InputError("f", f"a function that returns {type(maps).__name__}", allowed)
    for name, each in maps.items():
        is_map = hasattr(each, "shape") and each.ndim >= 2
        if not is_map or not jnp.issubdtype(each.dtype, jnp.floating):
            raise InputError("f", f"{name} {each}", "maps of floats [B, I, J, U] or [B, U]")
    return maps


def strides(
    f: Layer, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]
) -> dict[str, int]:
    """Returns the stride of layers in pixels; 1 for a layer without positions, or of one size only.

    Args:
      f: function of images.
      shape: shape of an image.
      shapes: shapes of its maps.
      names: names of maps.

    Example:
      >>> strides(lambda x: {"a": x[:, ::4, ::4]}, (8, 8, 3), {"a": (2, 2, 3)}, ["a"])
      {'a': 4}
    """
    found = dict.fromkeys(names, 1)
    try:
        large = jax.eval_shape(f, _image((shape[0] + LARGER, shape[1] + LARGER, shape[2])))
    except Exception:
        # A dense layer after flattened maps has weights for one size of images only.
        return found
    for name in names:
        if len(shapes[name]) == 3:
            more = large[name].shape[1] - shapes[name][0]
            if more > 0:
                found[name] = round(LARGER / more)
    return found


def _has_maps(f: Layer, shape: tuple[int, ...], names: Any) -> bool:
    try:
        maps = map_shapes(f, shape)
    except Exception:
        # The larger image has maps, so that the size is the reason.
        return False
    return all(name in maps for name in names)


def _image(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *shape), dtype)


class _Pixels:
    """A size of an image in messages."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = shape

    def __repr__(self) -> str:
        return f"{self.shape[0]} × {self.shape[1]} pixels"
