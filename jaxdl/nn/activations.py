"""The activations of the lectures, elementwise, and `activation(name)` to choose one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import elu, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxtyping import Array, Float

from jaxdl.errors import one_of

Activation = Callable[[Float[Array, "*S"]], Float[Array, "*S"]]

#: The activations of which `max(f(x)) == f(max(x))` to the last bit, with the same gradient where no two are equal.
#: Rounding lets others (tanh, elu, softplus) fall by a digit here and there; step and sign make all values equal.
KEEPS_LARGEST = frozenset({"leaky_relu", "linear", "piecewise_linear", "relu"})


@jax.custom_jvp
def step(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """The binary threshold neuron: `1 if x >= 0 else 0`, with a straight-through gradient.

    Its true gradient is 0 everywhere, which trains nothing. The gradient here is that of the
    identity where `|x| <= 1`, and 0 elsewhere: not the gradient of this function.

    Source: Hinton 2012, Neural networks for machine learning, lecture 9; Bengio, Léonard,
    Courville 2013, Estimating or propagating gradients through stochastic neurons.

    Args:
      x: any shape, float.

    Returns:
      The same shape and dtype.

    Example:
      >>> step(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [0.0, 1.0, 1.0]
      >>> jax.vmap(jax.grad(step))(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [1.0, 1.0, 0.0]
    """
    return (x >= 0).astype(x.dtype)


@jax.custom_jvp
def sign(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """`-1`, `0` or `1`, with the straight-through gradient of `step`.

    Source: as `step`; Rosenblatt 1958, The perceptron.

    Args:
      x: any shape, float.

    Returns:
      The same shape and dtype.

    Example:
      >>> sign(jnp.array([-0.5, 0.0, 3.0])).tolist()
      [-1.0, 0.0, 1.0]
    """
    return jnp.sign(x)


step.defjvps(lambda dx, y, x: _straight_through(dx, x))
sign.defjvps(lambda dx, y, x: _straight_through(dx, x))


def linear(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """`x`: no activation.

    Example:
      >>> linear(2.0)
      2.0
    """
    return x


def piecewise_linear(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """A sigmoid of three straight pieces: `clip((x + 1) / 2, 0, 1)`.

    Args:
      x: any shape, float.

    Returns:
      The same shape and dtype, in [0, 1].

    Example:
      >>> piecewise_linear(jnp.array([-2.0, 0.0, 0.5, 3.0])).tolist()
      [0.0, 0.5, 0.75, 1.0]
    """
    return jnp.clip((x + 1) / 2, 0, 1)


def gelu(x: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """`x Phi(x)` with the normal distribution function Phi, exact, not its tanh approximation.

    Source: Hendrycks, Gimpel 2016, Gaussian error linear units.

    Args:
      x: any shape, float.

    Returns:
      The same shape and dtype.

    Example:
      >>> round(float(gelu(jnp.array(1.0))), 4)
      0.8413
    """
    return jax.nn.gelu(x, approximate=False)


def activation(name: str) -> Activation:
    """The activation called `name`.

    Args:
      name: step, sign, linear, piecewise_linear, sigmoid, tanh, relu, leaky_relu (slope 0.01),
        elu (alpha 1), gelu, silu or softplus.

    Returns:
      An elementwise function.

    Raises:
      InputError: an unknown name; names the nearest.

    Example:
      >>> activation("relu")(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
    """
    known: list[Any] = [step, sign, linear, piecewise_linear, sigmoid, tanh]
    known += [relu, leaky_relu, elu, gelu, silu, softplus]
    names = [function.__name__ for function in known]
    return known[names.index(one_of("activation", name, names))]


def _straight_through(dx: Array, x: Array) -> Array:
    return jnp.where(jnp.abs(x) <= 1, dx, jnp.zeros_like(dx))
