"""Occlusion and ablation: the fall of a class's score when a part of the image is replaced."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from jaxdl.errors import InputError, at_least, integers, not_in_jit
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.images import as_array, check_images
from jaxdl.explain.scores import Scores, Target, check_target, in_batches, select

#: Segments of one image for all, or of each.
Segments = Int[np.ndarray, "H W"] | Int[np.ndarray, "N H W"]


def occlusion(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    window: int | Sequence[int] = 3,
    stride: int | Sequence[int] = 1,
    baseline: Baseline = 0.0,
    batch_size: int = 128,
) -> Float[np.ndarray, "N H W 1"]:
    """Returns the fall of a class's score when a window around each pixel is replaced.

        maps[p] = mean of  f_c(x) - f_c(x with x' inside of w)  over the windows w that contain p

    Windows start at multiples of the stride. The last ones along an axis are cut at the border. No
    gradient is computed, so f may be any function.

    Source: Zeiler and Fergus 2014, Visualizing and understanding convolutional networks.

    Args:
      f: scores of the classes as a function of images, such as `explain.logits(...)`.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      window: height and width of the windows, at most those of the images.
      stride: rows and columns between two windows, at most the window.
      baseline: x', a color, or an array that is broadcast over the images; see `baselines`.
      batch_size: number of changed images in a batch.

    Returns:
      `[N, H, W, 1]`, float32.

    Raises:
      InputError: bad images, a class that does not exist, a baseline of another shape, a window
        larger than the images, or a stride larger than the window.

    Example:
      >>> images = np.array([0.2, 0.4, 0.6], np.float32).reshape(1, 1, 3, 1)
      >>> maps = occlusion(lambda x: x.sum((1, 2)), images, 0, window=(1, 2))
      >>> maps.ravel().astype(float).round(4).tolist()
      [0.6, 0.8, 1.0]
    """
    not_in_jit("occlusion")
    at_least("batch_size", batch_size, 1)
    check_images(images)
    shape = np.shape(images)[1:3]
    sizes = integers("window", window, 2, "one integer or a pair")
    strides = integers("stride", stride, 2, "one integer or a pair")
    _check_windows(sizes, strides, shape)
    base = check_baseline(baseline, images)
    chosen = check_target(f, images, target, batch_size)
    rows, columns = (
        np.arange(0, length - size + step, step)
        for length, size, step in zip(shape, sizes, strides, strict=True)
    )
    inside_rows = _inside(rows, sizes[0], shape[0])
    inside_columns = _inside(columns, sizes[1], shape[1])

    def masks(numbers: Int[np.ndarray, " M"]) -> Bool[np.ndarray, "1 M H W"]:
        y = inside_rows[numbers // columns.size]
        x = inside_columns[numbers % columns.size]
        return (y[:, :, None] & x[:, None, :])[None]

    def program(f: Partial, images: Any, base: Any, target: Any) -> Any:
        return _falls(f, images, base, target, rows.size * columns.size, masks, batch_size)

    size = _images_at_once(rows.size * columns.size, batch_size)
    falls = in_batches(program, f, (images, base, chosen), size)
    check_falls(falls)
    grid = falls.astype(np.float64).reshape(-1, rows.size, columns.size)
    total = np.einsum("nij,ih,jw->nhw", grid, inside_rows, inside_columns, optimize=True)
    count = np.outer(inside_rows.sum(0), inside_columns.sum(0))
    return (total / count)[..., None].astype(np.float32)


def ablation(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    segments: Segments,
    target: Target = None,
    *,
    baseline: Baseline = 0.0,
    batch_size: int = 128,
) -> Float[np.ndarray, "N H W 1"]:
    """Returns the fall of a class's score when the segment of each pixel is replaced.

        maps[p] = f_c(x) - f_c(x with x' inside of s),    s the segment of p

    No gradient is computed, so f may be any function.

    Args:
      f: see `occlusion`.
      images: `[N, H, W, C]` in [0, 1].
      segments: `[H, W]` or `[N, H, W]`, the number of each pixel's segment, from 0.
      target: see `occlusion`.
      baseline: x', see `occlusion`.
      batch_size: number of changed images in a batch.

    Returns:
      `[N, H, W, 1]`, float32. All pixels of a segment have the same value.

    Raises:
      InputError: as `occlusion`; segments of another shape or that are not integers from 0.

    Example:
      >>> images = np.array([0.2, 0.4, 0.6], np.float32).reshape(1, 1, 3, 1)
      >>> maps = ablation(lambda x: x.sum((1, 2)), images, np.array([[0, 1, 1]]), 0)
      >>> maps.ravel().astype(float).round(4).tolist()
      [0.2, 1.0, 1.0]
    """
    not_in_jit("ablation")
    at_least("batch_size", batch_size, 1)
    check_images(images)
    whole = check_segments(segments, images)
    base = check_baseline(baseline, images)
    chosen = check_target(f, images, target, batch_size)
    count = int(whole.max()) + 1

    def program(f: Partial, images: Any, base: Any, target: Any, segments: Any) -> Any:
        def masks(numbers: Int[np.ndarray, " M"]) -> Bool[np.ndarray, "B M H W"]:
            return segments[:, None] == numbers[:, None, None]

        return _falls(f, images, base, target, count, masks, batch_size)

    size = _images_at_once(count, batch_size)
    falls = in_batches(program, f, (images, base, chosen, whole), size)
    check_falls(falls)
    flat = whole.reshape(len(whole), -1)
    maps = np.take_along_axis(falls, flat, 1)
    return maps.reshape(*whole.shape, 1)


def check_segments(
    segments: Segments, images: Float[np.ndarray, "N H W C"]
) -> Int[np.ndarray, "N H W"]:
    """Returns the segments of each image; raises for another shape or other numbers.

    Example:
      >>> check_segments(np.zeros((2, 2)), np.zeros((1, 2, 2, 1), np.float32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: segments: got 'float64[2, 2]', allowed: integers [2, 2] or ...
    """
    shape = np.shape(images)[:3]
    allowed = f"integers {list(shape[1:])} or {list(shape)}, such as explain.grid(...)"
    given = as_array("segments", segments, allowed)
    is_integer = np.issubdtype(given.dtype, np.integer)
    if not is_integer or given.shape not in (shape, shape[1:]):
        raise InputError("segments", f"{given.dtype}{list(given.shape)}", allowed)
    pixels = shape[1] * shape[2]
    outside = given[(given < 0) | (given >= pixels)]
    if outside.size:
        allowed = f"numbers of segments from 0, below {pixels}, the number of pixels"
        raise InputError("segments", int(outside.flat[0]), allowed)
    return np.broadcast_to(given, shape).astype(np.int32)


def check_falls(falls: Float[np.ndarray, "N P"]) -> None:
    """Raises for scores that are not finite.

    Example:
      >>> check_falls(np.array([[0.0, np.nan]]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: scores: got 'NaN or infinity for image 0', allowed: finite ...
    """
    is_finite = np.isfinite(falls).all(1)
    if not is_finite.all():
        shown = f"NaN or infinity for image {int(is_finite.argmin())}"
        allowed = "finite weights, and a function that is finite for these images"
        raise InputError("scores", shown, allowed)


def _check_windows(sizes: Any, strides: Any, shape: tuple[int, ...]) -> None:
    for size, step, length in zip(sizes, strides, shape, strict=True):
        if size > length:
            raise InputError("window", sizes, f"at most the images, {shape}")
        if step > size:
            raise InputError("stride", strides, f"at most the window, {sizes}")


def _inside(starts: Int[np.ndarray, " P"], size: int, length: int) -> Bool[np.ndarray, "P L"]:
    """Returns the rows, or columns, of each window."""
    place = np.arange(length)
    return (place >= starts[:, None]) & (place < starts[:, None] + size)


def _images_at_once(parts: int, batch_size: int) -> int:
    """Returns the number of images whose parts are replaced in one batch."""
    return max(1, batch_size // (parts + 1))


def _falls(
    f: Partial,
    images: Float[np.ndarray, "B H W C"],
    base: Float[np.ndarray, "B H W C"],
    target: Int[np.ndarray, " B"],
    count: int,
    masks: Callable[[Int[np.ndarray, " M"]], Bool[np.ndarray, "... M H W"]],
    batch_size: int,
) -> Float[np.ndarray, "B P"]:
    """Returns the fall of the score for each replaced part of each image."""
    images = jax.device_put(np.asarray(images, np.float32))
    base = jax.device_put(base)
    batches = -(-count // max(1, batch_size // len(images) - 1))
    size = -(-count // batches)
    parts = []
    for first in range(0, count, size):
        # The last part is repeated, so that all batches have the same size.
        numbers = np.minimum(np.arange(first, first + size, dtype=np.int32), count - 1)
        parts.append(_fall(f, images, base, target, masks(numbers)))
    return np.concatenate([np.asarray(part) for part in parts], 1)[:, :count]


@jax.jit
def _fall(
    f: Partial,
    images: Float[Array, "B H W C"],
    base: Float[Array, "B H W C"],
    target: Int[Array, " B"],
    masks: Bool[Array, "... M H W"],
) -> Float[Array, "B M"]:
    wide = jnp.expand_dims(masks, -1)
    changed = jnp.where(wide, base[:, None], images[:, None])
    # The image itself is in the same batch, so that parts without effect have exactly 0.
    points = jnp.concatenate([images[:, None], changed], 1)
    flat = points.reshape(-1, *images.shape[1:])
    scores = select(f(flat), jnp.repeat(target, points.shape[1])).astype(jnp.float32)
    rows = scores.reshape(points.shape[:2])
    return rows[:, :1] - rows[:, 1:]
