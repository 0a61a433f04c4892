"""The crops of images that excite each unit of a layer most."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, not_in_jit
from jaxdl.explain.images import batches, check_images, check_pixels
from jaxdl.explain.layers import Layer, as_partial, check_units, layer_shape
from jaxdl.explain.receptive import Boxes, receptive_fields


class Crops(NamedTuple):
    """The crops that excite each unit most, from the strongest to the weakest.

    Attributes:
      value: `[U, K]`, activation of the unit.
      image: `[U, K]`, index of the image in the set.
      position: `[U, K]`, index of the position in the layer, in row-major order.
      box: `[U, K, 4]`, top, bottom, left and right of the crop in the image, see `Boxes`.
      size: height and width of the layer's largest receptive field.

    Example: see `best_crops`.
    """

    value: Float[np.ndarray, "U K"]
    image: Int[np.ndarray, "U K"]
    position: Int[np.ndarray, "U K"]
    box: Int[np.ndarray, "U K 4"]
    size: tuple[int, int]


def best_crops(
    f: Layer,
    images: Float[np.ndarray, "N H W C"],
    count: int = 9,
    *,
    boxes: Boxes | None = None,
    batch_size: int = 128,
) -> Crops:
    """Returns the crops of a set that excite each unit most, at most one of each image.

        value_u = the K largest of  max_p f(x_n)[p, u]  over the images n,   p the positions

    The box of a crop is the receptive field of the unit at its best position. So the crop alone
    gives the same activation, whatever the rest of the image is. Only the K best are stored while
    the set is read. Of equal activations the first one in the set is chosen.

    Args:
      f: function of images, see `layer`.
      images: `[N, H, W, C]`, pixels in [0, 1]; an array or a mapped file.
      count: K, number of crops of each unit. A set with fewer images gives as many as it has.
      boxes: receptive fields, if they are known already.
      batch_size: number of images in a batch.

    Returns:
      The crops of all units.

    Raises:
      InputError: images of another shape or range; a count below 1; a layer that is not finite.

    Example:
      >>> images = np.zeros((3, 4, 4, 1), np.float32)
      >>> images[1, 2, 3] = 1.0
      >>> crops = best_crops(lambda x: 2 * x, images, count=2)
      >>> crops.value.tolist(), crops.image.tolist(), crops.box[0, 0].tolist()
      ([[2.0, 0.0]], [[1, 0]], [2, 3, 3, 4])
    """
    not_in_jit("best_crops")
    at_least("count", count, 1)
    at_least("batch_size", batch_size, 1)
    check_images(images)
    shape = np.shape(images)[1:]
    units = layer_shape(f, shape)[-1]
    if boxes is None:
        boxes = receptive_fields(f, shape)
    kept = min(count, len(images))
    best: Any = (
        jnp.full((units, kept), -jnp.inf),
        jnp.zeros((units, kept), jnp.int32),
        jnp.zeros((units, kept), jnp.int32),
    )
    for first, rows, batch in batches(images, batch_size):
        check_pixels(batch)
        numbers = first + np.arange(len(batch), dtype=np.int32)
        best = _merge(as_partial(f), best, batch, numbers, np.int32(rows))
    value, image, position = map(np.asarray, best)
    if not np.isfinite(value).all():
        shown = float(value[~np.isfinite(value)][0])
        raise InputError("activations", shown, "finite ones, of finite weights and images")
    edges = [edge.reshape(-1, units) for edge in boxes]
    box = np.stack([edge[position, np.arange(units)[:, None]] for edge in edges], -1)
    return Crops(value, image, position, box, boxes.size)


def cut(
    images: Float[np.ndarray, "N H W C"], crops: Crops, unit: int, fill: float = 1.0
) -> Float[np.ndarray, "K h w C"]:
    """Returns the crops of one unit as images of equal size.

    Args:
      images: the images that `best_crops` was applied to.
      crops: the crops.
      unit: index of the unit.
      fill: color of the part of a receptive field outside of its image.

    Returns:
      `[K, h, w, C]` with the size of the largest receptive field.

    Raises:
      InputError: a unit that the layer does not have.

    Example:
      >>> images = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1) / 16
      >>> crops = best_crops(lambda x: x, images)
      >>> cut(images, crops, 0).tolist()
      [[[[0.9375]]]]
    """
    at_least("unit", unit, 0)
    check_units(unit, lambda x: jnp.zeros((1, len(crops.value))), np.shape(images)[1:])
    if len(images) <= crops.image.max():
        allowed = f"those of best_crops, at least {crops.image.max() + 1}"
        raise InputError("images", f"{len(images)} images", allowed)
    height, width, channels = np.shape(images)[1:]
    count = crops.value.shape[1]
    canvas = np.full((count, *crops.size, channels), fill, np.float32)
    for i in range(count):
        top, bottom, left, right = crops.box[unit, i].tolist()
        y = _offset(top, bottom, crops.size[0])
        x = _offset(left, right, crops.size[1])
        crop = images[crops.image[unit, i]][top:bottom, left:right]
        canvas[i, y : y + bottom - top, x : x + right - left] = crop
    return canvas


def only_box(
    image: Float[np.ndarray, "H W C"], box: Int[np.ndarray, " 4"], other: Any = 0.5
) -> Float[np.ndarray, "H W C"]:
    """Returns an image with another color, or another image, outside of a box.

    Args:
      image: `[H, W, C]`.
      box: top, bottom, left and right.
      other: a number, or an image of the same shape.

    Example:
      >>> only_box(np.ones((2, 2, 1)), np.array([0, 1, 0, 2]), 0.0)[..., 0].tolist()
      [[1.0, 1.0], [0.0, 0.0]]
    """
    top, bottom, left, right = np.asarray(box).tolist()
    result = np.broadcast_to(np.asarray(other, image.dtype), image.shape).copy()
    result[top:bottom, left:right] = image[top:bottom, left:right]
    return result


def _offset(start: int, end: int, size: int) -> int:
    """Returns the place of a clipped box in its whole receptive field of `size` pixels."""
    if start == 0:
        return size - end
    return 0


@partial(jax.jit, donate_argnums=1)
def _merge(
    f: Partial,
    best: tuple[Float[Array, "U K"], Int[Array, "U K"], Int[Array, "U K"]],
    batch: Float[Array, "B H W C"],
    numbers: Int[Array, " B"],
    rows: Int[Array, ""],
) -> Any:
    """Returns the best crops of those so far and of a batch, whose first `rows` images count."""
    y = f(batch)
    maps = y.reshape(y.shape[0], -1, y.shape[-1]).astype(jnp.float32)
    # On a CPU the maximum of many numbers may ignore NaN.
    value = jnp.where(jnp.isnan(maps).any(1), jnp.nan, maps.max(1)).T
    position = maps.argmax(1).astype(jnp.int32).T
    counts = jnp.arange(numbers.size, dtype=jnp.int32) < rows
    value = jnp.where(jnp.broadcast_to(counts, value.shape), value, -jnp.inf)
    image = jnp.broadcast_to(numbers, value.shape)
    # Of equal values `top_k` chooses the first, which is the earlier image.
    all_values = jnp.concatenate([best[0], value], 1)
    top, index = jax.lax.top_k(all_values, best[0].shape[1])
    merged = [
        jnp.take_along_axis(jnp.concatenate(pair, 1), index, 1)
        for pair in ((best[1], image), (best[2], position))
    ]
    return top, *merged
