"""Dropout with half as many random bits as Linen's, and a rate that may be an array."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, in_range, integers, is_zero

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
