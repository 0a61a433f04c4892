"""A layer of random filters of several sizes, for textures without a trained network."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key

from jaxdl.errors import InputError, at_least, integers
from jaxdl.nn.conv import conv2d
from jaxdl.rng import check_single_key, fold, stream

#: Height and width of a filter in blocks.
TAPS = 7


def random_layer(
    key: Key[Array, ""],
    channels: int = 3,
    features: int = 32,
    scales: Sequence[int] = (1, 2, 4, 8),
) -> Callable[..., Any]:
    """Returns one convolutional layer of random filters of several sizes.

        h_s = relu(box_s(x) * K_s),    K_s with taps that are s pixels apart

    `box_s` is the mean of s x s pixels. So a filter of scale s has 7 x 7 blocks, each of s x s
    pixels. Images continue at the opposite edge. So a cyclic shift of an image shifts the maps, and
    their Gram matrix stays the same.

    Source: Ustyuzhaninov, Brendel, Gatys, Bethge 2016, Texture synthesis using shallow
    convolutional networks with random filters. It has filters of up to 55 x 55 pixels; here large
    filters are constant in blocks, which needs fewer operations.

    Args:
      key: root key.
      channels: channels of the images.
      features: filters of each scale.
      scales: sides of the blocks of filters in pixels.

    Returns:
      `f(images [B, H, W, C]) -> {"random": [B, H, W, U]}`, U the filters of all scales. It is a
      `jax.tree_util.Partial`.

    Raises:
      InputError: an invalid argument; by f, an image that is smaller than the largest filter, or
        one with other channels.

    Example:
      >>> from jaxdl.rng import root
      >>> f = random_layer(root(0), features=4, scales=(1, 2))
      >>> f(jnp.ones((1, 16, 24, 3)))["random"].shape
      (1, 16, 24, 8)
      >>> f(jnp.ones((1, 8, 24, 3)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: image: got (8, 24, 3), allowed: at least (14, 14, 3), the largest ...
    """
    check_single_key(key)
    at_least("channels", channels, 1)
    at_least("features", features, 1)
    sizes = integers("scales", scales, None, "sides of blocks, such as (1, 2, 4)")
    if not sizes:
        raise InputError("scales", scales, "at least one side of blocks, such as 1")
    if len(set(sizes)) < len(sizes):
        raise InputError("scales", scales, "different sides; features=... gives more filters")
    filters = {}
    for i, scale in enumerate(sizes):
        shape = (TAPS, TAPS, channels, features)
        weights = jax.random.normal(fold(stream(key, "random_layer"), i), shape)
        # With a mean of 0 a filter does not respond to the brightness of an image.
        weights -= weights.mean((0, 1, 2), keepdims=True)
        filters[scale] = weights / jnp.sqrt((weights**2).sum((0, 1, 2), keepdims=True))
    return Partial(_maps, filters)


def _maps(
    filters: dict[int, Float[Array, "F G C D"]], images: Float[Array, "B H W C"]
) -> dict[str, Float[Array, "B H W U"]]:
    largest = TAPS * max(filters)
    channels = next(iter(filters.values())).shape[2]
    shape = images.shape[1:]
    if images.ndim != 4:
        raise InputError("images", list(images.shape), "images [B, H, W, C]; write image[None]")
    if shape[-1] != channels:
        allowed = f"{channels} channels; write random_layer(..., channels={shape[-1]})"
        raise InputError("image", shape, allowed)
    if min(shape[:2]) < largest:
        allowed = f"at least {(largest, largest, channels)}, the largest filter"
        raise InputError("image", shape, allowed)
    maps = []
    for scale, kernel in filters.items():
        blurred = _box(images, scale)
        before = (TAPS - 1) // 2 * scale
        around = ((0, 0), (before, before), (before, before), (0, 0))
        padded = jnp.pad(blurred, around, mode="wrap")
        kernel = kernel.astype(images.dtype)
        maps.append(conv2d(padded, kernel, padding="VALID", dilation=scale))
    return {"random": jax.nn.relu(jnp.concatenate(maps, -1))}


def _box(images: Float[Array, "B H W C"], scale: int) -> Float[Array, "B H W C"]:
    """Returns the mean of the scale x scale pixels from each pixel on, cyclically."""
    for axis in (1, 2):
        shifted = [jnp.roll(images, -i, axis) for i in range(scale)]
        images = jnp.stack(shifted).mean(0)
    return images
