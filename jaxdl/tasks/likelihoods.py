"""What a decoder's numbers say of pixels: for each likelihood the loss of one image, and the image that is expected."""

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
    """How outputs y and an image x belong together.

    Attributes:
      nll: `nll(outputs, image) -> -log p(image | outputs)` of one image, in nats; NaN, which stops a run, for pixels
        outside of [0, 1] where the likelihood has none.
      mean: `mean(outputs) -> pixels`, elementwise.
    """

    nll: Callable[[Float[Array, "*D"], Float[Array, "*D"]], Float[Array, ""]]
    mean: Callable[[Float[Array, "*D"]], Float[Array, "*D"]]


def likelihood(name: str, sigma: float = 1.0) -> Likelihood:
    """The likelihood called `name`.

    Args:
      name: bernoulli: outputs are logits of black or white, grey is a probability of white; continuous_bernoulli:
        logits of a density over [0, 1]; gaussian: outputs are the pixels, off by `sigma`.
      sigma: of a Gaussian, above 0.

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
        return Likelihood(partial(_within, losses.binary_cross_entropy), jax.nn.sigmoid)
    return Likelihood(partial(_within, losses.continuous_bernoulli), _continuous_mean)


def _within(nll: Callable, outputs: Array, image: Array) -> Array:
    return jnp.where(((image >= 0) & (image <= 1)).all(), nll(outputs, image), jnp.nan)


def _continuous_mean(logits: Array) -> Array:
    """`l / (2 l - 1) + 1 / (2 atanh(1 - 2 l))` of l = sigmoid(x): `sigmoid(x) / tanh(x / 2) - 1 / x`."""
    near = jnp.abs(logits) < 1e-1
    x = jnp.where(near, 1.0, logits)
    small = jnp.where(near, logits, 0.0)
    return jnp.where(
        near, 0.5 + small / 12 - small**3 / 720, jax.nn.sigmoid(x) / jnp.tanh(x / 2) - 1 / x
    )
