"""Dropout whose rate may be an array, at half the cost in random bits."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import in_range, is_zero

# The rate is rounded to multiples of 1 / _LEVELS.
_LEVELS = 2**16


class Dropout(nn.Module):
    """`flax.linen.Dropout`: the same distribution, from 16 random bits per number instead of 32.

        y = m x / (1 - p),    m = 1 with probability 1 - p, else 0

    A rate given as a number is a constant of the program, and 0 costs nothing; an array is an input, so that
    several runs of one program can differ in it (`jaxdl.sweep`).

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from overfitting.

    Attributes:
      rate: p, in [0, 1), rounded to a multiple of 2^-16; a number or a scalar array.
      shared: axes along which all numbers are kept or dropped together: `(1,)` for one mask at every step of a
        sequence `[B, T, D]`.

    Raises:
      InputError: when built, for another rate.

    Example:
      >>> y = Dropout(0.25).apply({}, jnp.ones(10_000), True, rngs={"dropout": jax.random.key(0)})
      >>> sorted({round(float(v), 3) for v in y}), abs(float(y.mean()) - 1) < 0.02
      ([0.0, 1.333], True)
    """

    rate: float | Float[Array, ""]
    shared: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        in_range("rate", self.rate, 0, 1)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*N"], train: bool) -> Float[Array, "*N"]:
        """The input with some numbers 0 and the others larger.

        Args:
          x: any shape, float.
          train: whether to drop (random stream "dropout"); else `x` comes back.

        Returns:
          Of the shape and dtype of `x`.
        """
        if not train or is_zero(self.rate):
            return x
        kept = jnp.clip(jnp.round((1 - jnp.asarray(self.rate, jnp.float32)) * _LEVELS), 1, _LEVELS)
        shape = tuple(1 if axis in self.shared else size for axis, size in enumerate(x.shape)) or (
            1,
        )
        # Two numbers share 32 bits; both are of the same example, so that a batch can be divided.
        bits = jax.random.bits(
            self.make_rng("dropout"), (*shape[:-1], -(-shape[-1] // 2)), jnp.uint32
        )
        halves = jnp.concatenate([bits & (_LEVELS - 1), bits >> 16], -1)[..., : shape[-1]]
        halves = jnp.broadcast_to(halves.reshape(shape if x.ndim else ()), x.shape)
        scale = (_LEVELS / kept).astype(x.dtype)
        return jnp.where(halves < kept.astype(jnp.uint32), x * scale, jnp.zeros_like(x))
