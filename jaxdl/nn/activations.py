"""Activations that JAX lacks, or that have other arguments there."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def step(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Computes the binary threshold `1 if x >= 0 else 0`, with a straight-through gradient.

    The true gradient is 0 everywhere, so nothing could be trained with it. This function replaces
    it by the gradient of the identity where `|x| <= 1`, and by 0 elsewhere.

    Source: Hinton 2012, Neural networks for machine learning, lecture 9; Bengio, Léonard,
    Courville 2013, Estimating or propagating gradients through stochastic neurons.

    Args:
      x: any shape, float.

    Returns:
      An array with the shape and dtype of `x`.

    Example:
      >>> step(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [0.0, 1.0, 1.0]
      >>> jax.vmap(jax.grad(step))(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [1.0, 1.0, 0.0]
    """
    return (x >= 0).astype(x.dtype)


@jax.custom_jvp
def sign(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Returns `-1`, `0` or `1`, with the straight-through gradient of `step`.

    Source: as for `step`; Rosenblatt 1958, The perceptron.

    Args:
      x: any shape, float.

    Returns:
      An array with the shape and dtype of `x`.

    Example:
      >>> sign(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [-1.0, 0.0, 1.0]
    """
    return jnp.sign(x)


step.defjvps(lambda dx, y, x: _straight_through(dx, x))
sign.defjvps(lambda dx, y, x: _straight_through(dx, x))


def linear(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Returns `x` unchanged.

    Example:
      >>> linear(2.0)
      2.0
    """
    return x


def piecewise_linear(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Computes `clip((x + 1) / 2, 0, 1)`, a sigmoid of three straight pieces.

    Args:
      x: any shape, float.

    Returns:
      An array with the shape and dtype of `x`, in [0, 1].

    Example:
      >>> piecewise_linear(jnp.array([-2.0, 0.0, 0.5, 3.0])).tolist()
      [0.0, 0.5, 0.75, 1.0]
    """
    return jnp.clip((x + 1) / 2, 0, 1)


def gelu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Computes `x Phi(x)`, where Phi is the normal distribution function.

    This is the exact function, not its tanh approximation.

    Source: Hendrycks, Gimpel 2016, Gaussian error linear units.

    Args:
      x: any shape, float.

    Returns:
      An array with the shape and dtype of `x`.

    Example:
      >>> round(float(gelu(jnp.array(1.0))), 4)
      0.8413
    """
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Computes the approximation `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2` of `gelu`.

    Example:
      >>> round(float(gelu_tanh(jnp.array(1.0))), 4)
      0.8412
    """
    return jax.nn.gelu(x, approximate=True)


def silu(x: Float[Array, "*S"], beta: float = 1.0) -> Float[Array, "*S"]:
    """Computes `x / (1 + exp(-beta x))`, also called swish.

    Source: Ramachandran, Zoph, Le 2017, Searching for activation functions.

    Example:
      >>> round(float(silu(jnp.array(1.0), 2.0)), 4)
      0.8808
    """
    if beta == 1:
        return jax.nn.silu(x)
    return x * jax.nn.sigmoid(beta * x)


def selu(
    x: Float[Array, "*S"], alpha: float = 1.6732632423543772, scale: float = 1.0507009873554805
) -> Float[Array, "*S"]:
    """Computes `scale elu(x, alpha)`.

    With its default numbers, the outputs of a layer keep mean 0 and variance 1.

    Source: Klambauer et al. 2017, Self-normalizing neural networks.

    Example:
      >>> round(float(selu(jnp.array(1.0))), 4)
      1.0507
    """
    return scale * jax.nn.elu(x, alpha)


def hard_sigmoid(
    x: Float[Array, "*S"], slope: float = 1 / 6, offset: float = 0.5
) -> Float[Array, "*S"]:
    """Computes `clip(slope x + offset, 0, 1)`.

    Example:
      >>> hard_sigmoid(jnp.array([-4.0, 0.0, 4.0])).tolist()
      [0.0, 0.5, 1.0]
    """
    return jnp.clip(slope * x + offset, 0, 1)


def thresholded_relu(x: Float[Array, "*S"], threshold: float = 1.0) -> Float[Array, "*S"]:
    """Computes `x if x > threshold else 0`.

    Source: Konda, Memisevic, Krueger 2015, Zero-bias autoencoders and the benefits of co-adapting
    features.

    Example:
      >>> thresholded_relu(jnp.array([-2.0, 0.5, 2.0])).tolist()
      [0.0, 0.0, 2.0]
    """
    return jnp.where(x > threshold, x, jnp.zeros_like(x))


def _straight_through(dx: Array, x: Array) -> Array:
    """Returns the tangent where `|x| <= 1`, and 0 elsewhere."""
    return jnp.where(jnp.abs(x) <= 1, dx, jnp.zeros_like(dx))
