"""A network whose outputs are the sum of a value and of advantages."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import InputError, of_kind
from jaxdl.nn.tap import train_kwargs


class Dueling(nn.Module):
    """The values of actions as the value of a state and the advantages of its actions.

        q_a = v + A_a - mean_b A_b,   (v, A) the outputs of a network

    In many states all actions are worth nearly the same, and v learns from each of them.

    Source: Wang et al. (2016), Dueling network architectures for deep reinforcement learning.

    Attributes:
      body: a network with one output more than actions, such as `MLP((64,), actions + 1)`.

    Raises:
      InputError: no module, raised when this one is created; fewer than two outputs.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxdl.models import MLP
      >>> model = Dueling(MLP((16,), 4))
      >>> x = jnp.ones((2, 4))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 3)
    """

    body: nn.Module

    def __post_init__(self) -> None:
        of_kind("body", self.body, nn.Module, "a module, such as MLP((64,), actions + 1)")
        super().__post_init__()

    def __call__(self, x: Float[Array, "B ..."], train: bool) -> Float[Array, "B A"]:
        """Returns the values of all actions, `[B, A]` for a body with A + 1 outputs."""
        y = self.body(x, **train_kwargs(self.body, train))  # type: ignore[operator]
        if y.shape[-1] < 2:
            raise InputError("outputs", y.shape[-1], "actions + 1, at least 2")
        advantage = y[:, 1:] - y[:, 1:].mean(-1, keepdims=True)
        return y[:, :1].repeat(advantage.shape[-1], -1) + advantage
