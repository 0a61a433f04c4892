"""What a network says as images."""

import math
from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least
from jaxdl.nn.activations import activation


class Reshaped(nn.Module):
    """A network whose numbers are put into a shape, and a range.

    Attributes:
      body: called as `body(x, train=bool)`, giving as many numbers as `shape` has.
      shape: of one thing, such as `(28, 28, 1)`.
      activation: its name, see `jaxdl.nn.activation`: "sigmoid" gives pixels in [0, 1]; None: the numbers as they are.

    Raises:
      InputError: when built, for a shape with a size below 1 or an unknown activation; when called, for another number
        of numbers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxdl.models import MLP
      >>> model, x = Reshaped(MLP((16,), 64), (8, 8, 1)), jnp.zeros((3, 2))
      >>> model.init_with_output(jax.random.key(0), x, train=False)[0].shape
      (3, 8, 8, 1)
    """

    body: nn.Module
    shape: tuple[int, ...]
    activation: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.shape, Sequence):
            raise InputError("shape", self.shape, "a sequence of sizes, such as (28, 28, 1)")
        for size in self.shape:
            at_least("shape", size, 1)
        if self.activation is not None:
            activation(self.activation)
        super().__post_init__()

    def __call__(self, x: Float[Array, "B ..."], train: bool) -> Float[Array, "B ..."]:
        """The body's numbers, `[B, *shape]`."""
        y = self.body(x, train=train)  # type: ignore[operator]
        if math.prod(y.shape[1:]) != math.prod(self.shape):
            raise InputError(
                "shape", self.shape, f"as many numbers as the body says, {math.prod(y.shape[1:])}"
            )
        y = y.reshape(y.shape[0], *self.shape)
        return y if self.activation is None else activation(self.activation)(y)
