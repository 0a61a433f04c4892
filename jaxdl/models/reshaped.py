"""A network whose outputs are images."""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import InputError, integers
from jaxdl.nn.elementwise import activation
from jaxdl.nn.tap import named, train_kwargs


class Reshaped(nn.Module):
    """A network whose outputs are reshaped and put into a range.

    Attributes:
      body: module called as `body(x, train=bool)`, with as many outputs as `shape` has elements.
      shape: shape of one example, such as `(28, 28, 1)`.
      activation: name of the activation, see `jaxdl.nn.activation`. "sigmoid" gives pixels in
        [0, 1]; None leaves the outputs unchanged.

    Raises:
      InputError: a size below 1 or an unknown activation, raised when the module is created. Raised
        by a call: another number of outputs.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxdl.models import MLP
      >>> model = Reshaped(MLP((16,), 64), (8, 8, 1))
      >>> x = jnp.zeros((3, 2))
      >>> model.init_with_output(jax.random.key(0), x, train=False)[0].shape
      (3, 8, 8, 1)
    """

    body: nn.Module
    shape: tuple[int, ...]
    activation: str | None = None

    def __post_init__(self) -> None:
        allowed = "a sequence of sizes, such as (28, 28, 1)"
        self.shape = integers("shape", self.shape, None, allowed)
        if self.activation is not None:
            activation(self.activation)
        super().__post_init__()

    def __call__(self, x: Float[Array, "B ..."], train: bool) -> Float[Array, "B ..."]:
        """Returns the outputs of the body as `[B, *shape]`."""
        y = self.body(x, **train_kwargs(self.body, train))  # type: ignore[operator]
        if math.prod(y.shape[1:]) != math.prod(self.shape):
            raise InputError(
                "shape",
                self.shape,
                f"as many elements as the body has outputs, {math.prod(y.shape[1:])}",
            )
        y = y.reshape(y.shape[0], *self.shape)
        if self.activation is None:
            return y
        return named(self, "activation", activation(self.activation)(y))
