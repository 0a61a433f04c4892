"""Gradients of a class's score with respect to the pixels."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, not_in_jit
from jaxdl.explain.scores import Scores, Target, check_scores, check_target, in_batches, select
from jaxdl.rng import check_single_key, fold, stream

#: Most points of one image in a batch, such as steps of a path or noisy copies.
POINTS = 16


def gradient(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    batch_size: int = 128,
) -> Float[np.ndarray, "N H W C"]:
    """Returns the gradient of a class's score with respect to the pixels.

        maps = df_c / dx

    A small change of the pixels changes the score by its inner product with this map. The map is
    signed; its absolute value is the usual saliency map.

    Source: Simonyan, Vedaldi and Zisserman 2014, Deep inside convolutional networks.

    Args:
      f: scores of the classes as a function of images, such as `explain.logits(...)`.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      batch_size: number of images in a batch.

    Returns:
      `[N, H, W, C]`, float32.

    Raises:
      InputError: bad images, or a class that does not exist; a gradient that is zero for every
        image, or not finite.

    Example:
      >>> weights = jnp.array([[1.0, -2.0], [0.5, 3.0]])
      >>> images = np.full((1, 1, 2, 1), 0.5, np.float32)
      >>> gradient(lambda x: x.reshape(1, 2) @ weights, images, 1).ravel().tolist()
      [-2.0, 3.0]
    """
    not_in_jit("gradient")
    at_least("batch_size", batch_size, 1)
    chosen = _chosen(f, images, target)
    maps = in_batches(_gradient, f, (images, chosen), batch_size)
    check_gradients(maps, maps.any((1, 2, 3)))
    return maps


def gradient_times_input(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    batch_size: int = 128,
) -> Float[np.ndarray, "N H W C"]:
    """Returns the product of each pixel with its gradient.

        maps = x df_c / dx

    Black pixels get 0. For a linear network without biases the map adds up to the score.

    Source: Shrikumar et al. 2016, Not just a black box.

    Args:
      f: see `gradient`.
      images: `[N, H, W, C]` in [0, 1].
      target: see `gradient`.
      batch_size: number of images in a batch.

    Returns:
      `[N, H, W, C]`, float32.

    Raises:
      InputError: see `gradient`.

    Example:
      >>> weights = jnp.array([[1.0, -2.0], [0.5, 3.0]])
      >>> images = np.full((1, 1, 2, 1), 0.5, np.float32)
      >>> gradient_times_input(lambda x: x.reshape(1, 2) @ weights, images, 1).ravel().tolist()
      [-1.0, 1.5]
    """
    not_in_jit("gradient_times_input")
    maps = gradient(f, images, target, batch_size=batch_size)
    return np.asarray(images, np.float32) * maps


def smooth_gradient(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    key: Key[Array, ""],
    samples: int = 50,
    noise: float = 0.15,
    batch_size: int = 128,
) -> Float[np.ndarray, "N H W C"]:
    """Returns the mean gradient over noisy copies of each image, SmoothGrad.

        maps = 1/S sum_s df_c/dx (x + sigma e_s),    e_s ~ N(0, 1)

    The noisy pixels are not clipped. The target is the class of the image without noise. The noise
    of an image depends on the key and on the index of the image only.

    Source: Smilkov et al. 2017, SmoothGrad: removing noise by adding noise.

    Args:
      f: see `gradient`.
      images: `[N, H, W, C]` in [0, 1].
      target: see `gradient`.
      key: root key of the noise.
      samples: S, number of noisy copies.
      noise: sigma, in units of pixels. The paper uses 0.1 to 0.2.
      batch_size: number of noisy images in a batch.

    Returns:
      `[N, H, W, C]`, float32.

    Raises:
      InputError: see `gradient`.

    Example:
      >>> from jaxdl.rng import root
      >>> images = np.full((1, 2, 2, 1), 0.5, np.float32)
      >>> maps = smooth_gradient(lambda x: (x**2).sum((1, 2)), images, 0, key=root(0), noise=0.1)
      >>> bool((abs(maps - 1) < 0.1).all())
      True
    """
    not_in_jit("smooth_gradient")
    check_single_key(key)
    at_least("samples", samples, 1)
    in_range("noise", noise, 0, float("inf"))
    at_least("batch_size", batch_size, 1)
    chosen = check_target(f, images, target, batch_size)
    points = min(samples, POINTS, batch_size)
    own = stream(key, "smooth")
    weights = padded(np.full(samples, 1 / samples, np.float32), points)

    def program(f: Partial, images: Any, target: Any, rows: Any) -> Any:
        keys = jax.vmap(partial(fold, own))(rows)
        total = (jnp.zeros(images.shape, jnp.float32), jnp.zeros(len(images), bool))
        for first in range(0, weights.size, points):
            numbers = np.arange(first, first + points, dtype=np.uint32)
            part = weights[first : first + points]
            total = _add_noisy(f, total, images, target, keys, np.float32(noise), numbers, part)
        return total

    rows = np.arange(len(images), dtype=np.uint32)
    maps, is_live = in_batches(program, f, (images, chosen, rows), batch_size // points)
    check_gradients(maps, is_live)
    return maps


def gradients_at(
    f: Partial, points: Float[Array, "B M H W C"], target: Int[Array, " B"]
) -> Float[Array, "B M H W C"]:
    """Returns the gradients at several points of each image; a pure function.

    Example:
      >>> points = jnp.full((1, 3, 2, 2, 1), 0.5)
      >>> f = Partial(lambda x: (x**2).sum((1, 2)))
      >>> gradients_at(f, points, jnp.array([0])).mean((2, 3, 4)).tolist()
      [[1.0, 1.0, 1.0]]
    """
    count = points.shape[1]
    flat = points.reshape(-1, *points.shape[2:])

    def score(flat: Float[Array, "P H W C"]) -> Float[Array, ""]:
        # Images are independent, so the gradient of the sum is that of each score.
        return select(f(flat), jnp.repeat(target, count)).sum()

    return jax.grad(score)(flat).reshape(points.shape)


def padded(weights: Float[np.ndarray, " S"], size: int) -> Float[np.ndarray, " P"]:
    """Returns weights with zeros at the end, so that their number is a multiple of `size`.

    Example:
      >>> padded(np.ones(3), 2).tolist()
      [1.0, 1.0, 1.0, 0.0]
    """
    return np.pad(weights, (0, -len(weights) % size))


def check_gradients(maps: Float[np.ndarray, "N ..."], is_live: Bool[np.ndarray, " N"]) -> None:
    """Raises for gradients that are zero for every image, or not finite.

    Args:
      maps: the gradients or what was computed from them.
      is_live: False for an image whose gradient is zero everywhere.

    Example:
      >>> check_gradients(np.zeros((2, 4, 4, 1)), np.array([False, False]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: scores: got 'a gradient of zero for every image', allowed: logits ...
    """
    is_finite = np.isfinite(maps).all(tuple(range(1, maps.ndim)))
    if not is_finite.all():
        shown = f"NaN or infinity in the gradient of image {int(is_finite.argmin())}"
        allowed = "finite weights, and a function that is differentiable for these images"
        raise InputError("scores", shown, allowed)
    if not is_live.any():
        allowed = (
            "logits in place of probabilities, labels or other steps; target=1 for a single logit; "
            "or explain.occlusion(...), which needs no gradient"
        )
        raise InputError("scores", "a gradient of zero for every image", allowed)


def _chosen(f: Scores, images: Any, target: Target) -> Int[np.ndarray, " N"]:
    """Returns the targets; -1 means the class with the largest score, without a forward pass."""
    if target is None:
        check_scores(f, images)
        return np.full(len(images), -1, np.int32)
    return check_target(f, images, target)


@jax.jit
def _gradient(
    f: Partial, images: Float[Array, "B H W C"], target: Int[Array, " B"]
) -> Float[Array, "B H W C"]:
    images = images.astype(jnp.float32)
    scores, pull = jax.vjp(f, images)
    target = jnp.where(target < 0, scores.argmax(1).astype(jnp.int32), target)
    return pull(jax.nn.one_hot(target, scores.shape[1], dtype=scores.dtype))[0]


@partial(jax.jit, donate_argnums=1)
def _add_noisy(
    f: Partial,
    total: tuple[Float[Array, "B H W C"], Bool[Array, " B"]],
    images: Float[Array, "B H W C"],
    target: Int[Array, " B"],
    keys: Key[Array, " B"],
    noise: Float[Array, ""],
    numbers: Int[Array, " M"],
    weights: Float[Array, " M"],
) -> Any:
    """Returns the sum so far with the gradients of some noisy copies."""
    images = images.astype(jnp.float32)

    def sample(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "M H W C"]:
        return jax.vmap(lambda s: image + noise * jax.random.normal(fold(key, s), image.shape))(
            numbers
        )

    found = gradients_at(f, jax.vmap(sample)(keys, images), target)
    return add_weighted(total, found, weights)


def add_weighted(
    total: tuple[Float[Array, "B H W C"], Bool[Array, " B"]],
    gradients: Float[Array, "B M H W C"],
    weights: Float[Array, " M"],
) -> Any:
    """Returns a weighted sum of gradients, added to the one so far, and the images with any.

    Example:
      >>> total = (jnp.zeros((1, 1, 1, 1)), jnp.array([False]))
      >>> total = add_weighted(total, jnp.ones((1, 2, 1, 1, 1)), jnp.array([0.5, 0.25]))
      >>> total[0].item(), total[1].item()
      (0.75, True)
    """
    maps, is_live = total
    maps = maps + jnp.einsum("m,bm...->b...", weights, gradients, precision="highest")
    return maps, is_live | (gradients != 0).any((1, 2, 3, 4))
