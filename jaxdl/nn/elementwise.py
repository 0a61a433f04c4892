"""Elementwise layers: activations by name; dropout with half as many random bits as Linen's."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import elu, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxtyping import Array, Float

from jaxdl.errors import InputError, in_range, integers, is_zero, one_of

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


# The rate is rounded to multiples of 1 / _LEVELS.
_LEVELS = 2**16


class Dropout(nn.Module):
    """Dropout with the distribution of `flax.linen.Dropout`.

        y = m x / (1 - p),    m = 1 with probability 1 - p, else 0

    It uses 16 random bits per number instead of 32. A Python number as rate is a constant of the
    program, and the rate 0 costs nothing. An array is an input of the program, so that the runs of
    one program can have different rates (`jaxdl.sweep`).

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from
    overfitting.

    Attributes:
      rate: p, in [0, 1), rounded to a multiple of 2^-16; a number or a scalar array.
      shared: axes along which all numbers share a mask, or one axis; `(1,)` gives the same mask at
        every step of a sequence `[B, T, D]`. Negative axes count from the end.

    Raises:
      InputError: a rate out of range, raised when the module is created. Raised by a call: an axis
        that the input lacks, or an input of integers.

    Example:
      >>> y = Dropout(0.25).apply({}, jnp.ones(10_000), True, rngs={"dropout": jax.random.key(0)})
      >>> sorted({round(float(v), 3) for v in y}), abs(float(y.mean()) - 1) < 0.02
      ([0.0, 1.333], True)
    """

    rate: float | Float[Array, ""]
    shared: int | Sequence[int] = ()

    def __post_init__(self) -> None:
        in_range("rate", self.rate, 0, 1)
        shared: Any = self.shared
        if isinstance(shared, Integral):
            shared = (shared,)
        self.shared = integers("shared", shared, None, "axes, such as (1,)", low=None)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*N"], train: bool) -> Float[Array, "*N"]:
        """Sets random numbers of the input to 0 and scales up the others.

        Args:
          x: any shape, float.
          train: if True, applies dropout with the random stream "dropout"; else returns `x`.

        Returns:
          An array with the shape and dtype of `x`.

        Raises:
          InputError: an axis in `shared` that the input lacks, or an input of integers.
        """
        shared = _shared_axes(self.shared, x)
        if not train or is_zero(self.rate):
            return x
        keep_rate = 1 - jnp.asarray(self.rate, jnp.float32)
        levels = jnp.clip(jnp.round(keep_rate * _LEVELS), 1, _LEVELS)
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(x.shape))
        *outer, width = shape or (1,)
        # Two numbers share 32 bits. Both belong to the same example, so a batch can be divided.
        bits = jax.random.bits(self.make_rng("dropout"), (*outer, -(-width // 2)), jnp.uint32)
        halves = jnp.concatenate([bits & (_LEVELS - 1), bits >> 16], -1)[..., :width]
        halves = jnp.broadcast_to(halves.reshape(shape), x.shape)
        scale = (_LEVELS / levels).astype(x.dtype)
        return jnp.where(halves < levels.astype(jnp.uint32), x * scale, jnp.zeros_like(x))


def _shared_axes(shared: Any, x: Array) -> set[int]:
    """Checks the input; returns the shared axes as numbers from 0."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("x dtype", x.dtype.name, "floats, such as x.astype(jnp.float32)")
    for axis in shared:
        if not -x.ndim <= axis < x.ndim:
            raise InputError("shared", axis, f"an axis of the input {list(x.shape)}")
    return {axis % x.ndim for axis in shared}
