"""Likelihoods of pixels given a decoder's outputs: negative log-likelihood and mean image."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl import losses
from jaxdl.errors import one_of

LIKELIHOODS = ("bernoulli", "continuous_bernoulli", "gaussian")


class Likelihood(NamedTuple):
    """Distribution of an image given the outputs of a decoder.

    Attributes:
      nll: `nll(outputs, image) -> -log p(image | outputs)` of one image, in nats. It is NaN, which
        stops a run, for pixels outside [0, 1] if the likelihood is not defined there.
      mean: `mean(outputs) -> pixels`, elementwise.
    """

    nll: Callable[[Float[Array, "*D"], Float[Array, "*D"]], Float[Array, ""]]
    mean: Callable[[Float[Array, "*D"]], Float[Array, "*D"]]


def likelihood(name: str, sigma: float = 1.0) -> Likelihood:
    """Returns the likelihood with this name.

    Args:
      name: "bernoulli", "continuous_bernoulli" or "gaussian". For "bernoulli", outputs are logits
        of white pixels, and a grey pixel counts as a probability of white. For
        "continuous_bernoulli", outputs are logits of a density over [0, 1]. For "gaussian", outputs
        are the mean pixels.
      sigma: standard deviation of the Gaussian, above 0.

    Returns:
      A `Likelihood`.

    Raises:
      InputError: an unknown name, or a sigma that is not a finite number above 0.

    Example:
      >>> round(float(likelihood("bernoulli").mean(jnp.array(0.0))), 2)
      0.5
    """
    one_of("likelihood", name, LIKELIHOODS)
    losses.check_sigma(sigma)
    if name == "gaussian":
        return Likelihood(partial(losses.gaussian_nll, sigma=sigma), lambda y: y)
    if name == "bernoulli":
        nll = partial(_nan_outside_unit_interval, losses.binary_cross_entropy)
        return Likelihood(nll, jax.nn.sigmoid)
    nll = partial(_nan_outside_unit_interval, losses.continuous_bernoulli)
    return Likelihood(nll, _continuous_bernoulli_mean)


def _nan_outside_unit_interval(nll: Callable, outputs: Array, image: Array) -> Array:
    return jnp.where(((image >= 0) & (image <= 1)).all(), nll(outputs, image), jnp.nan)


def _continuous_bernoulli_mean(logits: Array) -> Array:
    """Returns the mean of a continuous Bernoulli distribution.

        l / (2 l - 1) + 1 / (2 atanh(1 - 2 l)) = sigmoid(x) / tanh(x / 2) - 1 / x,    l = sigmoid(x)

    A Taylor series replaces the quotients near x = 0.
    """
    near_zero = jnp.abs(logits) < 1e-1
    x = jnp.where(near_zero, 1.0, logits)
    small = jnp.where(near_zero, logits, 0.0)
    series = 0.5 + small / 12 - small**3 / 720
    return jnp.where(near_zero, series, jax.nn.sigmoid(x) / jnp.tanh(x / 2) - 1 / x)
