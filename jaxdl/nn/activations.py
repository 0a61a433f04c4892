"""Elementwise activations, and `activation(name)`, which returns one by name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import elu, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxtyping import Array, Float

from jaxdl.errors import one_of

Activation = Callable[[Float[Array, "*S"]], Float[Array, "*S"]]

#: Activations with `max(f(x)) == f(max(x))` exactly, and the same gradient if all values differ.
#: The computed values of tanh, elu and softplus are not monotonic, because of rounding.
#: step and sign map different values to equal ones, which changes the gradient.
MONOTONIC = frozenset({"leaky_relu", "linear", "piecewise_linear", "relu"})


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


def activation(name: str) -> Activation:
    """Returns the activation called `name`.

    Args:
      name: step, sign, linear, piecewise_linear, sigmoid, tanh, relu, leaky_relu (slope 0.01),
        elu (alpha 1), gelu, silu or softplus.

    Returns:
      An elementwise function.

    Raises:
      InputError: an unknown name; the message has the nearest known one.

    Example:
      >>> activation("relu")(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
    """
    known: list[Any] = [step, sign, linear, piecewise_linear, sigmoid, tanh]
    known += [relu, leaky_relu, elu, gelu, silu, softplus]
    names = [function.__name__ for function in known]
    return known[names.index(one_of("activation", name, names))]


def _straight_through(dx: Array, x: Array) -> Array:
    """Returns the tangent where `|x| <= 1`, and 0 elsewhere."""
    return jnp.where(jnp.abs(x) <= 1, dx, jnp.zeros_like(dx))
