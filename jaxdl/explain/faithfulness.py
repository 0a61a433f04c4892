"""Deletion and insertion: the score while the most important pixels disappear or appear."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, not_in_jit, one_of
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.images import batches, check_images
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores, Target, check_scores, check_target, select
from jaxdl.rng import check_single_key, fold, root, stream

Score = Literal["probability", "raw"]


class Curves(NamedTuple):
    """Scores while pixels are exchanged, and the areas below.

    Attributes:
      area: `[N]`, mean score over the share of exchanged pixels, by the trapezoidal rule.
      scores: `[N, S+1]`, from no pixel to all pixels.
      share: `[S+1]`, share of exchanged pixels, from 0 to 1.

    Example: see `deletion`.
    """

    area: Float[np.ndarray, " N"]
    scores: Float[np.ndarray, "N S+1"]
    share: Float[np.ndarray, " S+1"]


def deletion(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    maps: Float[np.ndarray, "N H W D"],
    target: Target = None,
    *,
    baseline: Baseline = 0.0,
    steps: int = 50,
    score: Score = "probability",
    key: Key[Array, ""] | None = None,
    batch_size: int = 128,
) -> Curves:
    """Returns the score while pixels are deleted, the most important ones first.

        area = int_0^1 P(c | x with the share s of its pixels at the baseline) ds

    A small area means that the map found pixels which the network needs. Pixels are ordered by the
    sum of the map over its channels. Equal values are in a pseudo-random order: a map with large
    regions of 0 gains nothing from the order of rows. Compare the area with that of
    `random_order(images, key)`, and with several baselines, as images with deleted pixels differ
    from those of the training.

    Source: Petsiuk, Das, Saenko 2018, RISE: randomized input sampling for explanation.

    Args:
      f: scores of the classes as a function of images, such as logits.
      images: `[N, H, W, C]` in [0, 1].
      maps: `[N, H, W, C]` or `[N, H, W, 1]`, the importance of pixels with its sign.
      target: a class, one for each image, or None for the class with the largest score.
      baseline: a color, or an array that is broadcast over the images; see `baselines`.
      steps: S, at most the number of pixels.
      score: "probability", the softmax of the scores, or "raw", the scores of f.
      key: root key of the order of equal values. None means `root(0)`.
      batch_size: number of images in a batch.

    Returns:
      Areas and curves.

    Raises:
      InputError: bad images, target or baseline; maps of another shape, or not finite; an option
        out of its range.

    Example:
      >>> def f(images):
      ...     return images[:, 0, 0] * jnp.array([[4.0, 0.0]])
      >>> images = np.ones((1, 2, 2, 1), np.float32)
      >>> maps = np.zeros((1, 2, 2, 1))
      >>> maps[0, 0, 0] = 1.0
      >>> deletion(f, images, maps, 0, steps=4).scores.round(2)
      array([[0.98, 0.5 , 0.5 , 0.5 , 0.5 ]], dtype=float32)
      >>> insertion(f, images, maps, 0, steps=4).scores.round(2)
      array([[0.5 , 0.98, 0.98, 0.98, 0.98]], dtype=float32)
    """
    options = (target, baseline, steps, score, key, batch_size)
    return _curves("deletion", f, images, maps, *options)


def insertion(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    maps: Float[np.ndarray, "N H W D"],
    target: Target = None,
    *,
    baseline: Baseline = 0.0,
    steps: int = 50,
    score: Score = "probability",
    key: Key[Array, ""] | None = None,
    batch_size: int = 128,
) -> Curves:
    """Returns the score while pixels are inserted into the baseline, the most important ones first.

        area = int_0^1 P(c | baseline with the share s of the pixels of x) ds

    A large area means that few pixels suffice. The order, the arguments and the errors are those of
    `deletion`.

    Returns:
      Areas and curves. The first score is that of the baseline, the last one that of the image.
    """
    options = (target, baseline, steps, score, key, batch_size)
    return _curves("insertion", f, images, maps, *options)


def random_order(
    images: Float[np.ndarray, "N H W C"], key: Key[Array, ""]
) -> Float[np.ndarray, "N H W 1"]:
    """Returns maps of random numbers: a useful map has better areas than these.

    Args:
      images: `[N, H, W, C]`.
      key: root key. The map of an image follows from the key and the index of the image.

    Returns:
      `[N, H, W, 1]` in [0, 1).

    Example:
      >>> from jaxdl.rng import root
      >>> random_order(np.zeros((2, 4, 4, 3), np.float32), root(0)).shape
      (2, 4, 4, 1)
    """
    check_images(images)
    return _noise(key, images, "random_order").astype(np.float32)


def ranks(
    maps: Float[np.ndarray, "N H W D"], key: Key[Array, ""] | None = None
) -> Int[np.ndarray, "N H W"]:
    """Returns the place of each pixel in the order of a map, 0 for the most important one.

    Args:
      maps: `[N, H, W, D]`; the values are summed over the last axis.
      key: root key of the order of equal values. None means `root(0)`.

    Example:
      >>> ranks(np.array([[3.0, 1.0, 2.0]]).reshape(1, 1, 3, 1)).tolist()
      [[[0, 2, 1]]]
    """
    if key is None:
        key = root(0)
    value = np.asarray(maps, np.float64).sum(-1)
    flat = -value.reshape(len(value), -1)
    noise = _noise(key, maps, "faithfulness").reshape(flat.shape)
    order = np.lexsort((noise, flat))
    return np.argsort(order).astype(np.int32).reshape(value.shape)


def check_maps(maps: Any, images: Float[np.ndarray, "N H W C"]) -> None:
    """Raises unless maps are finite numbers `[N, H, W, 1]` or `[N, H, W, C]`.

    Example:
      >>> check_maps(np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 3)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: maps: got [2, 4, 4], allowed: [2, 4, 4, 1] or [2, 4, 4, 3], one ...
    """
    given = np.asarray(maps)
    shape = np.shape(images)
    if given.shape not in (shape, (*shape[:3], 1)):
        allowed = f"{[*shape[:3], 1]} or {list(shape)}, one map for each image"
        raise InputError("maps", list(given.shape), allowed)
    if given.dtype == bool or not np.issubdtype(given.dtype, np.number):
        raise InputError("maps", f"{given.dtype}", "numbers; write maps.astype(np.float32)")
    if not np.isfinite(given).all():
        raise InputError("maps", "NaN or infinity", "finite numbers")


def _noise(key: Key[Array, ""], images: Any, name: str) -> Float[np.ndarray, "N H W 1"]:
    """Returns a random number for each pixel, with a key for each image."""
    check_single_key(key)
    count, height, width = np.shape(images)[:3]
    keys = jax.vmap(lambda n: fold(stream(key, name), n))(jnp.arange(count, dtype=jnp.int32))
    noise = jax.vmap(lambda key: jax.random.uniform(key, (height, width, 1)))(keys)
    return np.asarray(noise)


def _curves(
    kind: str,
    f: Scores,
    images: Any,
    maps: Any,
    target: Target,
    baseline: Baseline,
    steps: int,
    score: Score,
    key: Key[Array, ""] | None,
    batch_size: int,
) -> Curves:
    not_in_jit(kind)
    at_least("steps", steps, 1)
    at_least("batch_size", batch_size, 1)
    one_of("score", score, ("probability", "raw"))
    classes = check_target(f, images, target, batch_size)
    check_maps(maps, images)
    if score == "probability" and check_scores(f, images) < 2:
        raise InputError("score", score, "'raw' for a single score, whose softmax is 1")
    images = np.asarray(images, np.float32)
    pixels = images.shape[1] * images.shape[2]
    if steps > pixels:
        raise InputError("steps", steps, f"at most {pixels}, the number of pixels")
    base = check_baseline(baseline, images)
    order = ranks(maps, key)
    counts = (np.arange(steps + 1) * pixels // steps).astype(np.int32)
    start = images
    end = base
    if kind == "insertion":
        start = base
        end = images
    found = []
    rows = np.repeat(np.arange(len(images)), steps + 1)
    pairs = np.stack([rows, np.tile(counts, len(images))], 1)
    for _, valid, batch in batches(pairs, batch_size):
        n = batch[:, 0]
        exchanged = order[n] < batch[:, 1, None, None]
        arguments = (start[n], end[n], exchanged, classes[n])
        found.append(np.asarray(_scores(as_partial(f), *arguments, score == "raw"))[:valid])
    scores = np.concatenate(found).reshape(len(images), steps + 1)
    if not np.isfinite(scores).all():
        raise InputError("scores", "NaN or infinity", "finite scores of changed images")
    share = counts / pixels
    area = np.trapezoid(scores.astype(np.float64), share, axis=1)
    return Curves(area, scores, share)


@jax.jit
def _scores(
    f: Partial,
    start: Float[Array, "B H W C"],
    end: Float[Array, "B H W C"],
    exchanged: Bool[Array, "B H W"],
    target: Int[Array, " B"],
    is_raw: Bool[Array, ""],
) -> Float[Array, " B"]:
    scores = f(jnp.where(exchanged[..., None], end, start)).astype(jnp.float32)
    chosen = jnp.where(is_raw, select(scores, target), select(jax.nn.softmax(scores), target))
    # On a CPU the softmax of NaN may be finite.
    return jnp.where((scores < jnp.inf).all(1), chosen, jnp.nan)
