"""An active test of an attack: a network that certainly has an adversarial example to find."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxdl.explain.attacks import Attack, begin, noise, perturb, projection
from jaxdl.rng import fold

#: Place of the threshold between the largest score of the samples, 0, and that of the hidden point.
THRESHOLD = 0.9


class Active(NamedTuple):
    """The result of an active test.

    Attributes:
      is_found: `[B]`, True if the attack has found a point beyond the threshold.
      is_possible: `[B]`, True if the hidden point is separable from the samples. Other images have
        no test.

    Example: see `active_test`.
    """

    is_found: Bool[Array, " B"]
    is_possible: Bool[Array, " B"]


def active_test(
    f: Callable[[Float[Array, "B ..."]], Float[Array, "B K"]],
    images: Float[Array, "B ..."],
    keys: Key[Array, " B"],
    attack: Attack,
    *,
    samples: int = 200,
) -> Active:
    """Returns the images for which an attack finds an example that certainly exists.

        s(x) = w . f(x),    w = C^-1 (f(x*) - m),    class 1 where s(x) > t,   t < s(x*)

    x* is one random point of the surface of the ball. Mean m and covariance C are those of f at
    random points of the ball. The threshold t separates x* from all of these points. So noise does
    not find class 1, although it exists. The new logits (0, a (s - t)) have the margin of f at the
    image, so that a masked gradient stays masked.

    Source: Zimmermann, Brendel, Tramer, Carlini 2022, Increasing confidence in adversarial
    robustness evaluations. There the readout is trained on inner features; here it is a closed form
    on the scores, so that f alone is enough.

    Args:
      f: logits as a function of images.
      images: `[B, ...]` with pixels in the range of the attack.
      keys: one key for each image.
      attack: options.
      samples: number of random points around each image.

    Returns:
      Flags of each image.

    Example:
      >>> from jaxdl.rng import root
      >>> weights = jax.random.normal(root(1), (100, 3))
      >>> result = active_test(lambda x: x @ weights, jnp.full((2, 100), 0.5), root([2, 3]),
      ...     Attack(0.1, steps=10))
      >>> result.is_found.tolist()
      [True, True]
    """
    inside = Attack(attack.epsilon, attack.norm, low=attack.low, high=attack.high)
    project = projection(images, inside)

    def sample(number: Array) -> Float[Array, "B K"]:
        return f(begin(images, fold(keys, number), inside, project)).astype(jnp.float32)

    features = jax.lax.map(sample, jnp.arange(samples, dtype=jnp.int32))
    surface = noise(attack.epsilon, norm=attack.norm, low=attack.low, high=attack.high)
    hidden = f(begin(images, fold(keys, samples), surface, project)).astype(jnp.float32)
    scores = f(images).astype(jnp.float32)
    readout = jax.vmap(_readout, (1, 0, 0))(features, hidden, scores)
    top = jax.lax.top_k(scores, 2)[0]
    margin = jnp.maximum(top[:, 0] - top[:, 1], 1e-6)

    def changed(x: Float[Array, "B ..."]) -> Float[Array, "B 2"]:
        z = margin * jax.vmap(_score)(readout, f(x).astype(jnp.float32))
        return jnp.stack([jnp.zeros_like(z), z], -1)

    label = jnp.zeros(len(images), jnp.int32)
    found = perturb(changed, images, label, fold(keys, samples + 1), attack)
    return Active(changed(found)[:, 1] > 0, readout.is_possible)


class _Readout(NamedTuple):
    """The function `score = (w . (f - m)) / scale - offset`, with -1 at the image."""

    weights: Float[Array, " K"]
    mean: Float[Array, " K"]
    threshold: Float[Array, ""]
    scale: Float[Array, ""]
    is_possible: Bool[Array, ""]


def _readout(
    features: Float[Array, "S K"], hidden: Float[Array, " K"], image: Float[Array, " K"]
) -> _Readout:
    mean = features.mean(0)
    deviation = jnp.maximum(features.std(0), 1e-20)
    scaled = jax.vmap(lambda each: (each - mean) / deviation)(features)
    covariance = scaled.T @ scaled / len(features)
    ridge = 1e-3 * jnp.eye(len(mean))
    weights = jnp.linalg.solve(covariance + ridge, (hidden - mean) / deviation) / deviation
    known = jax.vmap(lambda each: weights @ (each - mean))(features).max()
    largest = jnp.maximum(known, weights @ (image - mean))
    gap = weights @ (hidden - mean) - largest
    threshold = largest + THRESHOLD * gap
    scale = threshold - weights @ (image - mean)
    return _Readout(weights, mean, threshold, jnp.maximum(scale, 1e-20), gap > 0)


def _score(readout: _Readout, scores: Float[Array, " K"]) -> Float[Array, ""]:
    return (readout.weights @ (scores - readout.mean) - readout.threshold) / readout.scale
