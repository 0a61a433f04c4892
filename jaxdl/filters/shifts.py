"""Repeated pooling, and the response of a convolution with pooling to a shifted image."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, of_kind, one_of, real_array
from jaxdl.filters.filtering import checked, filter_image
from jaxdl.nn import avg_pool, max_pool, out_size

Kind = Literal["max", "average"]

#: Pooling by name.
POOLING = {"max": max_pool, "average": avg_pool}


def pool_repeatedly(
    image: Float[Array | np.ndarray, "H W C"],
    times: int = 5,
    kind: Kind = "max",
    window: int = 2,
) -> list[Float[Array, "I J C"]]:
    """Pools an image again and again.

        x_0 = x,    x_t = pool(x_{t-1})

    Each pooling divides height and width by the side of the window, rounded down.

    Args:
      image: `[H, W, C]`.
      times: number of poolings, at least 1.
      kind: "max" or "average".
      window: side of the window and distance between two windows, in pixels.

    Returns:
      `times + 1` images, the given one first.

    Raises:
      InputError: an image without the axis of channels, an unknown kind, a number below 1, or an
        image that becomes smaller than the window.

    Example:
      >>> import jax.numpy as jnp
      >>> images = pool_repeatedly(jnp.arange(16.0).reshape(4, 4, 1), 2)
      >>> [each.shape for each in images], images[-1].item()
      ([(4, 4, 1), (2, 2, 1), (1, 1, 1)], 15.0)
    """
    one_of("kind", kind, POOLING)
    at_least("times", times, 1)
    at_least("window", window, 1)
    pixels = real_array("image", image, "[H, W, C]")
    if pixels.ndim != 3 or not pixels.size:
        raise InputError("image", pixels.shape, "[H, W, C]")
    sizes = list(pixels.shape[:2])
    for t in range(times):
        sizes = [out_size(size, window, window, "VALID") for size in sizes]
        if min(sizes) < 1:
            allowed = f"at most {t} for an image of {pixels.shape[0]}x{pixels.shape[1]} pixels"
            raise InputError("times", times, allowed)
    images = [pixels]
    for _ in range(times):
        images.append(POOLING[kind](images[-1], window))
    return images


def pooled_response(
    image: Float[Array | np.ndarray, "H W C"],
    kernel: Float[Array | np.ndarray, "F G"],
    depth: int,
    kind: Kind = "max",
) -> Float[Array, "I J C"]:
    """Computes a convolution, a ReLU and repeated 2x2 pooling.

        y = pool(... pool(max(0, x * k))),    of stride 2^depth

    Args:
      image: `[H, W, C]`.
      kernel: `[F, G]`.
      depth: number of poolings, at least 0.
      kind: "max" or "average".

    Returns:
      `[H / 2^depth, W / 2^depth, C]`, rounded down.

    Raises:
      InputError: as for `filter_image` and `pool_repeatedly`.

    Example:
      >>> import jax.numpy as jnp
      >>> pooled_response(jnp.ones((8, 8, 1)), np.ones((1, 1)), 2).shape
      (2, 2, 1)
    """
    at_least("depth", depth, 0)
    response = jax.nn.relu(filter_image(image, kernel))
    if depth == 0:
        return response
    return pool_repeatedly(response, depth, kind)[-1]


@partial(jax.jit, static_argnums=(2, 3))
def _responses(
    images: Float[Array, "B H W C"], kernel: Float[Array, "F G"], depth: int, kind: Kind
) -> Float[Array, "B I J C"]:
    """Returns the pooled response to each image."""
    return jax.vmap(lambda image: pooled_response(image, kernel, depth, kind))(images)


class ShiftedResponses(NamedTuple):
    """Changes of a response when the image moves to the right.

    Attributes:
      shift: `[S]`, pixels by which the image was moved.
      change: `[S]`, distance from the response to the image that was not moved, relative to its
        norm. 0 means an invariant response.
      change_after_moving: `[S]`, the same after the first response was moved by the whole number of
        strides, rounded down. 0 means an equivariant response.
      stride: 2^depth, the stride of the response in pixels.
    """

    shift: Int[np.ndarray, " S"]
    change: Float[np.ndarray, " S"]
    change_after_moving: Float[np.ndarray, " S"]
    stride: int


def shifted_responses(
    image: Float[Array | np.ndarray, "H W C"],
    kernel: Float[Array | np.ndarray, "F G"],
    depth: int,
    shifts: Sequence[int],
    kind: Kind = "max",
) -> ShiftedResponses:
    """Measures invariance: responses to an image at several places of a black canvas.

        change(s) = |y(x_s) - y(x_0)| / |y(x_0)|,    y = `pooled_response`

    A shift by a multiple of the stride 2^depth moves the response by whole positions, exactly. A
    smaller shift changes it, unless all maxima stay within their windows.

    Args:
      image: `[H, W, C]`.
      kernel: `[F, G]`.
      depth: number of poolings, at least 0.
      shifts: numbers of pixels to the right, at least 0.
      kind: "max" or "average".

    Returns:
      The changes by shift.

    Raises:
      InputError: no shifts or a negative one, a response of zeros only, or as for
        `pooled_response`.

    Example:
      >>> import jax.numpy as jnp
      >>> dot = jnp.zeros((8, 8, 1)).at[0, 0].set(1.0)
      >>> found = shifted_responses(dot, np.ones((1, 1)), 2, [0, 1, 3, 4])
      >>> found.change.round(2).tolist(), found.change_after_moving.tolist()
      ([0.0, 0.0, 0.0, 1.4...], [0.0, 0.0, 0.0, 0.0])

    Source: Zhang 2019, Making convolutional networks shift-invariant again.
    """
    at_least("depth", depth, 0)
    one_of("kind", kind, POOLING)
    image, kernel = checked(image, kernel)
    of_kind("shifts", shifts, Sequence | np.ndarray, "a list of numbers of pixels")
    if not len(shifts):
        raise InputError("shifts", [], "at least one number of pixels")
    for shift in shifts:
        at_least("shifts", shift, 0)
    stride = 2**depth
    # The margin is a multiple of the stride, so that windows keep their places in the image.
    reach = max(*np.shape(kernel), *shifts)
    margin = -(-reach // stride) * stride
    around = [(margin, margin + -size % stride) for size in np.shape(image)[:2]]
    canvas = np.pad(np.asarray(image), (*around, (0, 0)))
    moved = np.stack([np.roll(canvas, shift, 1) for shift in (0, *shifts)])
    first, *responses = np.asarray(_responses(moved, kernel, depth, kind), np.float64)
    norm = np.sqrt((first**2).sum())
    if norm == 0:
        raise InputError("image", "a response of zeros", "an image to which the kernel responds")
    changes = []
    for shift, found in zip(shifts, responses, strict=True):
        expected = (first, np.roll(first, shift // stride, 1))
        changes.append([np.sqrt(((found - each) ** 2).sum()) / norm for each in expected])
    change, after = np.array(changes).T
    return ShiftedResponses(np.array(shifts), change, after, stride)
