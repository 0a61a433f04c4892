"""Baselines: images without the content that an explanation of another image looks for."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.errors import InputError, not_in_jit, one_of
from jaxdl.explain.images import as_array, check_images, check_pixels
from jaxdl.rng import check_single_key, fold, stream

#: Names of the kinds of baselines.
Kind = Literal["black", "white", "grey", "mean", "blurred", "noise"]

#: A color of all pixels, or an array that is broadcast over images, such as one image for each.
Baseline = float | Float[np.ndarray, "..."]

#: Standard deviation of "blurred", as a fraction of the smaller side of the images.
BLUR = 0.1


def baselines(
    kind: Kind,
    images: Float[np.ndarray, "N H W C"],
    key: Key[Array, ""] | None = None,
) -> Float[np.ndarray, "N H W C"]:
    """Returns a baseline for each image.

    An explanation relative to a baseline gives nothing to pixels that equal it. So black strokes
    on white need another baseline than black, and the choice belongs into the caption.

    | kind | image |
    |---|---|
    | "black", "white", "grey" | 0, 1 or 0.5 in all pixels |
    | "mean" | the mean color of the image |
    | "blurred" | the image after a Gaussian blur, with 1/10 of the smaller side as deviation |
    | "noise" | uniform noise in [0, 1) |

    Args:
      kind: name of the kind.
      images: `[N, H, W, C]` in [0, 1].
      key: root key, for "noise" only. The noise of an image depends on the key and its index.

    Returns:
      `[N, H, W, C]`, float32, in [0, 1].

    Raises:
      InputError: an unknown kind; bad images; "noise" without a key.

    Example:
      >>> images = np.array([0.0, 1.0], np.float32).reshape(1, 1, 2, 1)
      >>> baselines("mean", images).ravel().tolist()
      [0.5, 0.5]
      >>> baselines("noise", images)
      Traceback (most recent call last):
      jaxdl.errors.InputError: key: got None, allowed: root(seed), which "noise" depends on
    """
    not_in_jit("baselines")
    one_of("kind", kind, KINDS)
    check_images(images)
    check_pixels(images)
    found = KINDS[kind](np.asarray(images, np.float32), key)
    return np.broadcast_to(found, np.shape(images))


def check_baseline(
    baseline: Baseline, images: Float[np.ndarray, "N H W C"]
) -> Float[np.ndarray, "N H W C"]:
    """Returns a baseline for each image; raises for one of another shape or range.

    Args:
      baseline: a color in [0, 1], or an array that is broadcast over the images.
      images: `[N, H, W, C]`, checked before.

    Returns:
      `[N, H, W, C]`, float32; not a copy.

    Example:
      >>> check_baseline(np.zeros((3, 4, 1)), np.zeros((2, 4, 4, 1), np.float32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: baseline: got [3, 4, 1], allowed: a color, or an array that ...
    """
    shape = np.shape(images)
    allowed = "a color in [0, 1], or images, such as explain.baselines('grey', images)"
    given = as_array("baseline", baseline, allowed)
    if given.dtype == bool or not np.issubdtype(given.dtype, np.number):
        raise InputError("baseline", baseline, allowed)
    try:
        whole = np.broadcast_to(given.astype(np.float32), shape)
    except ValueError:
        allowed = f"a color, or an array that is broadcast to the images, {list(shape)}"
        raise InputError("baseline", list(given.shape), allowed) from None
    low = given.min()
    high = given.max()
    if not (low >= 0 and high <= 1):
        allowed = "pixels in [0, 1], as in the images"
        raise InputError("baseline", f"pixels in [{low:.4g}, {high:.4g}]", allowed)
    return whole


def _constant(value: float) -> Callable[..., Any]:
    return lambda images, key: np.full((1, 1, 1, 1), value, np.float32)


def _mean(images: Float[np.ndarray, "N H W C"], key: Any) -> Float[np.ndarray, "N 1 1 C"]:
    return images.mean((1, 2), np.float64, keepdims=True).astype(np.float32)


def _blurred(images: Float[np.ndarray, "N H W C"], key: Any) -> Float[np.ndarray, "N H W C"]:
    height, width = images.shape[1:3]
    deviation = BLUR * min(height, width)
    rows = _blur_matrix(height, deviation)
    columns = _blur_matrix(width, deviation)
    blurred = np.einsum("yi,nijc,xj->nyxc", rows, images, columns, optimize=True)
    return np.clip(blurred, 0, 1)


def _blur_matrix(size: int, deviation: float) -> Float[np.ndarray, "S S"]:
    """Returns the weights of a blur along one axis. Inside of the image they add up to 1."""
    place = np.arange(size)
    weights = np.exp(-0.5 * ((place[:, None] - place) / deviation) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _noise(images: Float[np.ndarray, "N H W C"], key: Any) -> Float[np.ndarray, "N H W C"]:
    if key is None:
        raise InputError("key", key, 'root(seed), which "noise" depends on')
    check_single_key(key)
    own = stream(key, "baseline")
    keys = jax.vmap(lambda index: fold(own, index))(np.arange(len(images), dtype=np.uint32))
    return np.asarray(jax.vmap(lambda key: jax.random.uniform(key, images.shape[1:]))(keys))


KINDS: dict[str, Callable[..., Any]] = {
    "black": _constant(0.0),
    "white": _constant(1.0),
    "grey": _constant(0.5),
    "mean": _mean,
    "blurred": _blurred,
    "noise": _noise,
}
