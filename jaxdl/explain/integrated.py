"""Integrated gradients along the line from a baseline to an image."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int
from scipy.special import roots_legendre

from jaxdl.errors import at_least, in_range, not_in_jit
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.gradients import (
    POINTS,
    add_weighted,
    check_gradients,
    gradients_at,
    padded,
)
from jaxdl.explain.images import check_images
from jaxdl.explain.scores import Scores, Target, check_target, in_batches, select

#: Error below which an image counts as complete without a tolerance, 5 % as in the paper.
COMPLETE = 0.05

#: Smallest change of the score that an error is divided by, as a fraction of all that is compared.
FLOOR = 1e-3


class Integrated(NamedTuple):
    """Integrated gradients, with a measure of their error.

    Attributes:
      maps: `[N, H, W, C]`.
      completeness_error: `[N]`, the relative difference between the sum of a map and the change of
        the score, see `integrated_gradients`.
      steps: `[N]`, number of gradients along the line.
      is_complete: `[N]`, True where the error is at most the tolerance, or 0.05 without one.

    Example: see `integrated_gradients`.
    """

    maps: Float[np.ndarray, "N H W C"]
    completeness_error: Float[np.ndarray, " N"]
    steps: Int[np.ndarray, " N"]
    is_complete: Bool[np.ndarray, " N"]


def integrated_gradients(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    baseline: Baseline = 0.0,
    steps: int = 64,
    tolerance: float | None = None,
    most_steps: int = 4096,
    batch_size: int = 128,
) -> Integrated:
    """Returns integrated gradients: the contribution of each pixel to the change of the score.

        maps = (x - x') integral_0^1 df_c/dx (x' + a (x - x')) da
        sum(maps) = f_c(x) - f_c(x')    (completeness)

    The integral is a Gauss-Legendre sum over the steps. Networks of ReLUs have kinks, so that the
    error falls like 1 / steps. It is measured by completeness:

        error = |sum(maps) - d| / max(|d|, 10^-3 s),    d = f_c(x) - f_c(x')
        s = sum(|maps|) + |f_c(x)| + |f_c(x')|

    The second term of the maximum is for images whose score hardly differs from that of the
    baseline. Without it, rounding divided by zero would be their error. An image that equals its
    baseline has the error 0.

    The memory does not depend on the number of steps. A pixel that equals the baseline gets 0.

    Source: Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks.

    Args:
      f: scores of the classes as a function of images, such as `explain.logits(...)`.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      baseline: x', a color, or an array that is broadcast over the images; see `baselines`.
      steps: number of gradients for each image.
      tolerance: largest error. Images above it are computed again with twice the steps. The error
        need not fall in each doubling.
      most_steps: number of steps at which doubling ends.
      batch_size: number of gradients that are computed at the same time.

    Returns:
      The maps, and for each image the error and the steps.

    Raises:
      InputError: bad images, a class that does not exist, or a baseline of another shape; a
        gradient that is zero for every image, or not finite.

    Example:
      >>> images = np.array([0.2, 0.8], np.float32).reshape(1, 1, 2, 1)
      >>> found = integrated_gradients(lambda x: (x**2).sum((1, 2)), images, 0, steps=4)
      >>> found.maps.ravel().astype(float).round(4).tolist()
      [0.04, 0.64]
      >>> bool(found.completeness_error[0] < 1e-5), found.steps.tolist()
      (True, [4])
    """
    not_in_jit("integrated_gradients")
    at_least("steps", steps, 1)
    at_least("batch_size", batch_size, 1)
    if tolerance is not None:
        in_range("tolerance", tolerance, 0, float("inf"))
        at_least("most_steps", most_steps, steps)
    check_images(images)
    start = check_baseline(baseline, images)
    chosen = check_target(f, images, target, batch_size)
    changes = [in_batches(_score, f, (x, chosen), batch_size) for x in (start, images)]
    result = Integrated(
        np.zeros(np.shape(images), np.float32),
        np.zeros(len(images)),
        np.zeros(len(images), np.int64),
        np.zeros(len(images), bool),
    )
    is_live = np.zeros(len(images), bool)
    todo = np.arange(len(images))
    while todo.size:
        arrays = (images[todo], start[todo], chosen[todo])
        maps, is_live[todo] = _integrate(f, arrays, steps, batch_size)
        error = _error(maps, *(score[todo] for score in changes))
        result.maps[todo] = maps
        result.completeness_error[todo] = error
        result.steps[todo] = steps
        result.is_complete[todo] = error <= (COMPLETE if tolerance is None else tolerance)
        if tolerance is None or steps >= most_steps:
            break
        steps = min(2 * steps, most_steps)
        todo = todo[~result.is_complete[todo]]
    check_gradients(result.maps, is_live)
    return result


@cache
def nodes_and_weights(steps: int) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, " S"]]:
    """Returns the nodes and weights of the Gauss-Legendre sum over [0, 1].

        integral_0^1 g(a) da = sum_s w_s g(a_s)    for polynomials of degree below 2 S

    Example:
      >>> nodes, weights = nodes_and_weights(3)
      >>> round(float(weights @ nodes**5), 6)
      0.166667
    """
    nodes, weights = roots_legendre(steps)
    return 0.5 * (1 + nodes), 0.5 * weights


def _integrate(f: Scores, arrays: Any, steps: int, batch_size: int) -> Any:
    """Returns the maps, and for each image if a gradient is not zero."""
    points = min(steps, POINTS, batch_size)
    nodes, weights = (padded(x.astype(np.float32), points) for x in nodes_and_weights(steps))

    def program(f: Partial, images: Any, start: Any, target: Any) -> Any:
        images = jnp.asarray(images, jnp.float32)
        total = (jnp.zeros_like(images), jnp.zeros(len(images), bool))
        # One program for any number of steps.
        for first in range(0, weights.size, points):
            part = slice(first, first + points)
            total = add_steps(f, total, images, start, target, nodes[part], weights[part])
        return total[0] * (images - start), total[1]

    return in_batches(program, f, arrays, max(1, batch_size // points))


@partial(jax.jit, donate_argnums=1)
def add_steps(
    f: Partial,
    total: tuple[Float[Array, "B H W C"], Bool[Array, " B"]],
    images: Float[Array, "B H W C"],
    start: Float[Array, "B H W C"],
    target: Int[Array, " B"],
    nodes: Float[Array, " M"],
    weights: Float[Array, " M"],
) -> Any:
    """Returns the sum so far with the gradients at some nodes of each line; a compiled function.

    Example: see `integrated_gradients`, which calls it.
    """

    def line(start: Float[Array, "H W C"], image: Float[Array, "H W C"]) -> Any:
        return jax.vmap(lambda a: start + a * (image - start))(nodes)

    found = gradients_at(f, jax.vmap(line)(start, images), target)
    return add_weighted(total, found, weights)


def _error(
    maps: Float[np.ndarray, "N H W C"],
    before: Float[np.ndarray, " N"],
    after: Float[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """Returns the relative errors of completeness."""
    wide = maps.astype(np.float64)
    before = before.astype(np.float64)
    after = after.astype(np.float64)
    size = np.abs(wide).sum((1, 2, 3)) + np.abs(before) + np.abs(after)
    change = after - before
    difference = np.abs(wide.sum((1, 2, 3)) - change)
    scale = np.maximum(np.abs(change), FLOOR * size)
    return np.divide(difference, scale, out=np.zeros_like(scale), where=scale > 0)


@jax.jit
def _score(
    f: Partial, images: Float[Array, "B H W C"], target: Int[Array, " B"]
) -> Float[Array, " B"]:
    return select(f(images.astype(jnp.float32)), target).astype(jnp.float32)
