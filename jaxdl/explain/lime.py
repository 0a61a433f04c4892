"""LIME: a linear model of the score in terms of the segments that an image keeps."""

import itertools
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, not_in_jit
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.images import batches
from jaxdl.explain.layers import as_partial
from jaxdl.explain.occlusion import check_segments
from jaxdl.explain.scores import Scores, Target, check_target
from jaxdl.explain.segments import superpixels
from jaxdl.rng import check_single_key, fold, stream

#: Independent parts of the samples. There are ten ways to divide six parts into two halves.
PARTS = 6

#: Number of the strongest segments that two explanations are compared by.
STRONGEST = 5

#: Coefficients count as equal if they differ by less than this part of the largest one, or by less
#: than the rounding, as a part of the largest score.
TIE = 1e-4
ROUNDING = 1e-6


class Lime(NamedTuple):
    """Local linear models of the scores of images.

    Attributes:
      maps: `[N, H, W, 1]`, at each pixel the coefficient of its segment.
      coefficients: `[N, S]` by the number of the segment; 0 for numbers without pixels.
      r2: `[N]`, weighted R^2 of the linear model, at most 1. It is 1 for a constant score.
      agreement: `[N]` in [0, 1], common part of the strongest segments of independent samples.
      samples: `[N]`, number of samples; 0 for an image that equals the baseline.

    Example: see `lime`.
    """

    maps: Float[np.ndarray, "N H W 1"]
    coefficients: Float[np.ndarray, "N S"]
    r2: Float[np.ndarray, " N"]
    agreement: Float[np.ndarray, " N"]
    samples: Int[np.ndarray, " N"]


def lime(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    key: Key[Array, ""],
    segments: Int[np.ndarray, "..."] | None = None,
    baseline: Baseline | None = None,
    samples: int = 1000,
    most_samples: int | None = None,
    agreement: float = 0.8,
    width: float = 0.25,
    batch_size: int = 64,
) -> Lime:
    """Returns the effect of each segment on the score, by a weighted linear model.

        min_{a, c}  sum_i p_i (f(x_i) - a - c . z_i)^2,    p_i = exp(-d_i^2 / (2 width^2))

    z_i in {0, 1}^S are fair coins, one for each segment. The image x_i has the pixels of x in
    segments with z = 1, and the baseline elsewhere. d_i = 1 - sqrt(|z_i| / S) is the cosine
    distance between z_i and ones. Without regularization the coefficients of a linear score w . x
    are exactly the sums of w (x - baseline) over the segments.

    Segments that equal the baseline cannot have an effect. They have the coefficient 0 and no
    coins.

    The samples have six independent parts, which give ten pairs of halves. `agreement` is the mean
    common part of the five strongest segments of two halves, or of all segments if there are fewer.
    The number of samples is doubled until the agreement is reached. A half has fewer samples than
    the result, so two results from two keys usually agree better.

    The result of an image depends on the key, the image and its index. Other images and the size of
    a batch change it by the rounding of f at most.

    Source: Ribeiro, Singh, Guestrin 2016, "Why should I trust you?".

    Args:
      f: scores of the classes as a function of images, such as `explain.logits(...)`.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      key: root key of the random numbers.
      segments: `[H, W]` or `[N, H, W]`, integers from 0. None means `superpixels(images)`.
      baseline: a color, or an array that is broadcast over the images; see `baselines`. None means
        the mean color of the segment.
      samples: number of samples, at least twice the number of segments with coins plus 2.
      most_samples: largest number of samples. None means eight times `samples`.
      agreement: smallest agreement in [0, 1]. With 0 no samples are added.
      width: width of the kernel.
      batch_size: number of samples that f computes at the same time.

    Returns:
      Maps, coefficients, and the numbers that show if they can be relied on.

    Raises:
      InputError: bad images, target, segments or baseline; an option out of its range; scores that
        are not finite.

    Example:
      >>> from jaxdl.explain import grid
      >>> from jaxdl.rng import root
      >>> def f(images):
      ...     return images[:, :2, :2].sum((1, 2)) * jnp.array([[1.0, 0.0]])
      >>> images = np.ones((1, 4, 4, 1), np.float32)
      >>> found = lime(f, images, 0, key=root(0), segments=grid((4, 4), 2), baseline=0.0)
      >>> found.coefficients.round(4) + 0.0
      array([[4., 0., 0., 0.]])
      >>> found.r2.round(4).tolist(), found.agreement.tolist(), found.samples.tolist()
      ([1.0], [1.0], [1000])
    """
    not_in_jit("lime")
    check_single_key(key)
    at_least("samples", samples, 2)
    if most_samples is None:
        most_samples = 8 * samples
    at_least("most_samples", most_samples, samples)
    at_least("batch_size", batch_size, 1)
    in_range("width", width, 1e-3, float("inf"))
    if not isinstance(agreement, Real) or not 0 <= agreement <= 1:
        raise InputError("agreement", agreement, "a number in [0, 1]")
    classes = check_target(f, images, target, batch_size)
    images = np.asarray(images, np.float32)
    if segments is None:
        segments = superpixels(images)
    labels = check_segments(segments, images)
    fill = _mean_colors(images, labels) if baseline is None else check_baseline(baseline, images)
    names = [
        np.unique(label[(image != other).any(-1)])
        for image, other, label in zip(images, fill, labels, strict=True)
    ]
    least = 2 * (max(map(len, names)) + 1)
    if samples < least:
        raise InputError("samples", samples, f"at least {least}, twice the segments plus 2")
    coefficients = np.zeros((len(images), labels.max() + 1))
    numbers = []
    for n in range(len(images)):
        if not len(names[n]):
            numbers.append((1.0, 1.0, 0))
            continue
        # The other segments equal the baseline, so that any place is right for them.
        places = np.searchsorted(names[n], labels[n]).clip(0, len(names[n]) - 1).astype(np.int32)
        score = partial(_score_of, f, images[n], fill[n], places, classes[n], batch_size)
        coin = partial(_coins, fold(stream(key, "lime"), n), len(names[n]))
        fitted = _explain(score, coin, samples, most_samples, agreement, width)
        coefficients[n, names[n]] = fitted[0]
        numbers.append(fitted[1:])
    maps = np.take_along_axis(coefficients, labels.reshape(len(images), -1), 1)
    r2, agreements, counts = map(np.array, zip(*numbers, strict=True))
    maps = maps.reshape(*labels.shape, 1).astype(np.float32)
    return Lime(maps, coefficients, r2, agreements, counts)


def _explain(
    score: Any, coin: Any, samples: int, most: int, agreement: float, width: float
) -> tuple[Float[np.ndarray, " S"], float, float, int]:
    """Returns coefficients, R^2, agreement and the number of samples of one image."""
    z = coin(0, samples)
    y = score(z)
    while True:
        count = len(z)
        weight = _kernel(z, width)
        coefficients, r2 = _fit(z, y, weight)
        found = _agreement(z, y, weight)
        if found >= agreement or count >= most:
            return coefficients, r2, found, count
        more = coin(count, min(2 * count, most))
        z = np.concatenate([z, more])
        y = np.concatenate([y, score(more)])


def _kernel(z: Bool[np.ndarray, "M S"], width: float) -> Float[np.ndarray, " M"]:
    distance = 1 - np.sqrt(z.mean(1))
    return np.exp(-(distance**2) / (2 * width**2))


def _gram(
    z: Bool[np.ndarray, "M S"], y: Float[np.ndarray, " M"], weight: Float[np.ndarray, " M"]
) -> tuple[Float[np.ndarray, "S+1 S+1"], Float[np.ndarray, " S+1"]]:
    """Returns both sides of the normal equations."""
    design = np.concatenate([np.ones((len(z), 1)), z], 1)
    weighted = design * weight[:, None]
    return weighted.T @ design, weighted.T @ y


def _solve(
    left: Float[np.ndarray, "S+1 S+1"], right: Float[np.ndarray, " S+1"]
) -> Float[np.ndarray, " S+1"]:
    """Returns the solution, the shortest one if segments were never switched separately."""
    return np.linalg.lstsq(left, right, 1e-12)[0]


def _fit(
    z: Bool[np.ndarray, "M S"], y: Float[np.ndarray, " M"], weight: Float[np.ndarray, " M"]
) -> tuple[Float[np.ndarray, " S"], float]:
    """Returns the coefficients and the weighted R^2."""
    solution = _solve(*_gram(z, y, weight))
    rest = y - solution[0] - z @ solution[1:]
    spread = y - np.average(y, weights=weight)
    total = (weight * spread**2).sum()
    if total <= weight.sum() * (ROUNDING * np.abs(y).max()) ** 2:
        return solution[1:], 1.0
    return solution[1:], float(1 - (weight * rest**2).sum() / total)


def _agreement(
    z: Bool[np.ndarray, "M S"], y: Float[np.ndarray, " M"], weight: Float[np.ndarray, " M"]
) -> float:
    """Returns the mean common part of the strongest segments of two halves of the samples."""
    parts = [_gram(z[k::PARTS], y[k::PARTS], weight[k::PARTS]) for k in range(PARTS)]
    left = np.stack([each for each, _ in parts])
    right = np.stack([each for _, each in parts])
    tie = ROUNDING * np.abs(y).max()
    common = []
    for others in itertools.combinations(range(1, PARTS), PARTS // 2):
        half = np.isin(np.arange(PARTS), others)
        first = _solve(left[half].sum(0), right[half].sum(0))[1:]
        second = _solve(left[~half].sum(0), right[~half].sum(0))[1:]
        common.append((_common(first, second, tie) + _common(second, first, tie)) / 2)
    return float(np.mean(common))


def _common(first: Float[np.ndarray, " S"], second: Float[np.ndarray, " S"], tie: float) -> float:
    """Returns the part of the strongest segments of one half that are so in the other, too."""
    kept = min(STRONGEST, len(first))
    chosen = np.argsort(-np.abs(first), kind="stable")[:kept]
    size = np.abs(second)
    limit = np.sort(size)[-kept] - max(TIE * size.max(), tie)
    return float((size[chosen] >= limit).mean())


def _mean_colors(
    images: Float[np.ndarray, "N H W C"], labels: Int[np.ndarray, "N H W"]
) -> Float[np.ndarray, "N H W C"]:
    """Returns images whose pixels have the mean color of their segment."""
    filled = []
    for image, label in zip(images, labels, strict=True):
        place = label.ravel()
        pixels = np.maximum(np.bincount(place), 1)
        channels = image.reshape(-1, image.shape[-1]).T
        means = [np.bincount(place, channel) / pixels for channel in channels]
        filled.append(np.stack([mean[label] for mean in means], -1))
    return np.stack(filled).astype(np.float32)


def _coins(key: Key[Array, ""], segments: int, first: int, end: int) -> Bool[np.ndarray, "M S"]:
    """Returns the coins of some samples; a sample's coins follow from its number."""
    # A few sizes for all images need a few programs only.
    size = 2 ** max(segments - 1, 15).bit_length()
    block = 1024
    found = []
    for start in range(first // block, (end - 1) // block + 1):
        numbers = np.arange(start * block, (start + 1) * block, dtype=np.int32)
        inside = (numbers >= first) & (numbers < end)
        found.append(np.asarray(_flip(key, numbers, size))[inside, :segments])
    return np.concatenate(found)


@partial(jax.jit, static_argnames="size")
def _flip(key: Key[Array, ""], numbers: Int[Array, " M"], size: int) -> Bool[Array, "M S"]:
    keys = jax.vmap(lambda number: fold(key, number))(numbers)
    return jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (size,)))(keys)


def _score_of(
    f: Scores,
    image: Float[np.ndarray, "H W C"],
    fill: Float[np.ndarray, "H W C"],
    labels: Int[np.ndarray, "H W"],
    target: Int[np.ndarray, ""],
    batch_size: int,
    z: Bool[np.ndarray, "M S"],
) -> Float[np.ndarray, " M"]:
    """Returns the score of an image with only some of its segments, for each sample."""
    size = 2 ** max(z.shape[1] - 1, 15).bit_length()
    wide = np.pad(z, ((0, 0), (0, size - z.shape[1])))
    found = []
    # Few widths and equal batches need few programs.
    for _, rows, batch in batches(wide, batch_size):
        found.append(np.asarray(_kept(as_partial(f), image, fill, labels, batch, target))[:rows])
    scores = np.concatenate(found).astype(np.float64)
    if not np.isfinite(scores).all():
        allowed = "finite scores of images without some segments"
        raise InputError("scores", "NaN or infinity", allowed)
    return scores


@jax.jit
def _kept(
    f: Partial,
    image: Float[Array, "H W C"],
    fill: Float[Array, "H W C"],
    labels: Int[Array, "H W"],
    z: Bool[Array, "B S"],
    target: Int[Array, ""],
) -> Float[Array, " B"]:
    shown = jnp.where(z[:, labels][..., None], image[None], fill[None])
    return f(shown)[:, target]
