"""RISE: the mean score of randomly masked images, at the pixels that the masks keep."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, not_in_jit
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores, Target, check_target
from jaxdl.rng import check_single_key, fold, stream


def rise(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    key: Key[Array, ""],
    masks: int = 4000,
    cells: int = 7,
    probability: float = 0.5,
    baseline: Baseline = 0.0,
    batch_size: int = 64,
) -> Float[np.ndarray, "N H W 1"]:
    """Returns the mean score of masked images, weighted by the mask at each pixel.

        S(p) = sum_i f(m_i x + (1 - m_i) baseline) m_i(p) / sum_i m_i(p)

    A mask is a coarse grid of coins, enlarged bilinearly and moved by a random part of a cell. So
    its values are in [0, 1] with the mean `probability`. All pixels share the mean score as a
    constant: only differences between pixels have a meaning. The paper's scores are probabilities:
    `lambda x: jax.nn.softmax(f(x))`.

    The paper divides by M probability, the expectation of the last sum. With the sum, a constant
    score has a constant map, and a large mean score adds no noise. The error falls like
    1 / sqrt(M). The mask of a number follows from the key and the index of the image. Memory does
    not depend on M.

    Source: Petsiuk, Das, Saenko 2018, RISE: randomized input sampling for explanation.

    Args:
      f: scores of the classes as a function of images.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      key: root key of the random numbers.
      masks: M, number of masks for each image.
      cells: number of cells along each side of an image, at most its pixels.
      probability: of a coin to keep its cell, in (0, 1).
      baseline: a color, or an array that is broadcast over the images; see `baselines`.
      batch_size: number of masks that f computes at the same time.

    Returns:
      `[N, H, W, 1]`.

    Raises:
      InputError: bad images, target or baseline; an option out of its range; scores that are not
        finite.

    Example:
      >>> from jaxdl.rng import root
      >>> def f(images):
      ...     return images[:, :2, :2].sum((1, 2)) * jnp.array([[1.0, 0.0]])
      >>> images = np.ones((1, 8, 8, 1), np.float32)
      >>> maps = rise(f, images, 0, key=root(0), masks=500, cells=4)
      >>> bool(maps[0, :2, :2].min() > maps[0, 4:, 4:].max())
      True
    """
    not_in_jit("rise")
    check_single_key(key)
    at_least("masks", masks, 1)
    at_least("cells", cells, 1)
    at_least("batch_size", batch_size, 1)
    in_range("probability", probability, 1e-6, 1)
    classes = check_target(f, images, target, batch_size)
    images = np.asarray(images, np.float32)
    side = min(images.shape[1:3])
    if cells > side:
        raise InputError("cells", cells, f"at most {side}, the smallest side of the images")
    base = check_baseline(baseline, images)
    size = min(batch_size, masks)
    maps = []
    for n in range(len(images)):
        own = fold(stream(key, "rise"), n)
        sums = np.zeros((2, *images.shape[1:3]))
        for first in range(0, masks, size):
            numbers = np.arange(first, first + size, dtype=np.int32)
            counts = (numbers < masks).astype(np.float32)
            arguments = (images[n], base[n], own, numbers, counts, classes[n])
            sums += np.asarray(_weighted(as_partial(f), *arguments, cells, probability))
        # No mask keeps anything of a pixel whose sum is 0.
        maps.append(sums[0] / np.maximum(sums[1], 1e-12))
    if not np.isfinite(maps).all():
        raise InputError("scores", "NaN or infinity", "finite scores of masked images")
    return np.stack(maps).astype(np.float32)[..., None]


def mask(
    key: Key[Array, ""], shape: tuple[int, int], cells: int, probability: float | Float[Array, ""]
) -> Float[Array, "H W"]:
    """Returns a random mask of RISE; a pure function for `jax.jit` and `jax.vmap`.

        m(i, j) = sum_{a, b} hat((i + s) / h - a) hat((j + t) / w - b) g_{a, b}

    hat(u) = max(0, 1 - |u|). g are coins. (s, t) is a random shift by less than a cell, which has
    h x w pixels.

    Args:
      key: key of the random numbers.
      shape: height and width of the images.
      cells: number of cells along each side.
      probability: of a coin to be 1.

    Returns:
      `[H, W]` in [0, 1].

    Example:
      >>> mask(jax.random.key(0), (4, 6), 2, 0.5).shape
      (4, 6)
    """
    coins = jax.random.bernoulli(fold(key, 0), probability, (cells + 2, cells + 2))
    sides = []
    for axis, pixels in enumerate(shape):
        cell = -(-pixels // cells)
        shift = jax.random.randint(fold(key, 1 + axis), (), 0, cell)
        position = (jnp.arange(pixels, dtype=jnp.int32) + shift).astype(jnp.float32) / cell
        distance = position[:, None] - jnp.arange(cells + 2, dtype=jnp.float32)[None]
        sides.append(jnp.maximum(1 - jnp.abs(distance), 0))
    # Matrix products of a GPU would otherwise round their factors to ten bits.
    rows = jnp.matmul(sides[0], coins.astype(jnp.float32), precision="highest")
    return jnp.matmul(rows, sides[1].T, precision="highest")


@partial(jax.jit, static_argnames="cells")
def _weighted(
    f: Partial,
    image: Float[Array, "H W C"],
    baseline: Float[Array, "H W C"],
    key: Key[Array, ""],
    numbers: Int[Array, " B"],
    counts: Float[Array, " B"],
    target: Int[Array, ""],
    cells: int,
    probability: Float[Array, ""],
) -> Float[Array, "2 H W"]:
    """Returns the sum of the masks, each weighted by the score of its image, and their sum."""
    height, width, _ = image.shape
    keys = jax.vmap(lambda number: fold(key, number))(numbers)
    masks = jax.vmap(lambda key: mask(key, (height, width), cells, probability))(keys)
    kept = masks[..., None]
    scores = f(kept * image[None] + (1 - kept) * baseline[None])[:, target]
    factors = jnp.stack([scores * counts, counts])
    return jnp.tensordot(factors, masks, 1, precision="highest")
