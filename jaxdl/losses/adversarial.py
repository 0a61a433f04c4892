"""Losses of a generator and a discriminator, as functions of the discriminator's scores."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu, softplus
from jaxtyping import Array, Float, Key

from jaxdl.errors import one_of

Score = Float[Array, "*B"]


class AdversarialLosses(NamedTuple):
    """The three losses of a GAN, each of which maps scores to losses of the same shape.

    Attributes:
      real: the discriminator's loss of the score of a real example.
      fake: the discriminator's loss of the score of a generated example.
      generator: the generator's loss of the score of a generated example.
    """

    real: Callable[[Score], Score]
    fake: Callable[[Score], Score]
    generator: Callable[[Score], Score]


_LOSSES = {
    "nonsaturating": AdversarialLosses(lambda d: softplus(-d), softplus, lambda d: softplus(-d)),
    "hinge": AdversarialLosses(lambda d: relu(1 - d), lambda d: relu(1 + d), lambda d: -d),
    "wasserstein": AdversarialLosses(lambda d: -d, lambda d: d, lambda d: -d),
    "least_squares": AdversarialLosses(lambda d: (d - 1) ** 2, jnp.square, lambda d: (d - 1) ** 2),
}


def adversarial_losses(name: str) -> AdversarialLosses:
    """Returns the losses of a GAN by their name.

        nonsaturating:  real softplus(-d),   fake softplus(d),   generator softplus(-d)
        hinge:          real (1 - d)_+,      fake (1 + d)_+,     generator -d
        wasserstein:    real -d,             fake d,             generator -d
        least_squares:  real (d - 1)^2,      fake d^2,           generator (d - 1)^2

    Args:
      name: "nonsaturating", "hinge", "wasserstein" or "least_squares".

    Raises:
      InputError: an unknown name.

    Source: Goodfellow et al. 2014; Lim, Ye 2017 (hinge); Arjovsky et al. 2017 (Wasserstein);
    Mao et al. 2017 (least squares).

    Example:
      >>> loss = adversarial_losses("hinge")
      >>> float(loss.real(jnp.array(0.2))), float(loss.generator(jnp.array(0.5)))
      (0.800000011920929, -0.5)
    """
    return _LOSSES[one_of("loss", name, _LOSSES)]


def squared_gradient_norm(
    score: Callable[[Array], Float[Array, "..."]], x: Float[Array, "B ..."]
) -> Float[Array, " B"]:
    """Computes the squared norm of the gradient of each score with respect to its input.

        |dD(x_i)/dx_i|^2

    Args:
      score: D, a function of a batch that computes each score from its own example alone. Batch
        normalization would mix the examples.
      x: inputs `[B, ...]`.

    Returns:
      `[B]`.

    Example:
      >>> squared_gradient_norm(lambda x: (x**2).sum(-1), jnp.array([[1.0, 2.0]])).tolist()
      [20.0]
    """
    gradient = jax.grad(lambda x: score(x).sum())(x)
    return (gradient**2).reshape(x.shape[0], -1).sum(-1)


def gradient_penalty(
    score: Callable[[Array], Float[Array, "..."]],
    real: Float[Array, "B ..."],
    fake: Float[Array, "B ..."],
    key: Key[Array, ""],
) -> Float[Array, " B"]:
    """Computes the penalty that keeps the gradient's norm at 1 between real and generated examples.

        (|dD/dx'| - 1)^2,   x' = u x + (1 - u) G(z),   u uniform in [0, 1)

    Args:
      score: D, as in `squared_gradient_norm`.
      real: real examples x, `[B, ...]`.
      fake: generated examples G(z), `[B, ...]`.
      key: PRNG key of u, one number per example.

    Returns:
      `[B]`.

    Source: Gulrajani et al. 2017, Improved training of Wasserstein GANs.

    Example:
      >>> import jaxdl
      >>> x = jnp.ones((3, 4))
      >>> gradient_penalty(lambda x: x.sum(-1), x, 0 * x, jaxdl.root(0)).round(4).tolist()
      [1.0, 1.0, 1.0]
    """
    u = jax.random.uniform(key, (real.shape[0],) + (1,) * (real.ndim - 1))
    # The square root has no finite derivative at 0.
    norm = jnp.sqrt(squared_gradient_norm(score, u * real + (1 - u) * fake) + 1e-12)
    return (norm - 1) ** 2
