"""Convolutions over time that shorten the sequence, as a body of sequence networks."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models.tcn import check_body
from jaxdl.nn.conv1d import Conv1D
from jaxdl.nn.dense import initializer
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.pool import max_pool
from jaxdl.nn.sequences import steps


class Conv1DStack(nn.Module):
    """Stages of convolution and max pooling over time.

        h_0 = x,    h_i = dropout(relu(pool(h_{i-1} * K_i + b_i)))

    Each stage leaves 1/pool of the steps, rounded up. Padding does nothing: a sequence in a batch gives what it gives
    alone, and 0 behind its end.

    Source: Waibel et al. 1989, Phoneme recognition using time-delay neural networks; Kim 2014, Convolutional neural
    networks for sentence classification.

    Attributes:
      features: the width of each stage, from the input on.
      kernel_size: how many steps each convolution sees, around its own.
      pool: P, window and stride of the pooling; 1: none.
      dropout: the share of each stage that training drops, in [0, 1).
      kernel_init: the initializer's name, see `jaxdl.nn.initializer`.
      dtype: of the computation (`jnp.bfloat16`); None: that of the input. Parameters are float32.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> model, x = Conv1DStack((8, 16)), jnp.ones((2, 10, 5))
      >>> (ys, carry), variables = model.init_with_output(jax.random.key(0), x, False, jnp.array([10, 3]))
      >>> ys.shape, carry, bool((ys[1, 1:] == 0).all())
      ((2, 3, 16), (), True)
    """

    features: Sequence[int]
    kernel_size: int = 5
    pool: int = 2
    dropout: float = 0.0
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.features, Sequence) or not self.features:
            raise InputError("features", self.features, "a sequence of widths, at least one")
        for width in self.features:
            at_least("features", width, 1)
        at_least("kernel_size", self.kernel_size, 1)
        at_least("pool", self.pool, 1)
        in_range("dropout", self.dropout, 0, 1)
        initializer(self.kernel_init)
        super().__post_init__()

    @property
    def causal(self) -> bool:
        """What comes out at a step depends on later ones too."""
        return False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple[()] | None = None,
    ) -> tuple[Float[Array, "B U H"], tuple[()]]:
        """The last stage's outputs.

        Args:
          x: `[B, T, D]`, float.
          train: whether to drop (random stream "dropout").
          lengths: `[B]` in [1, T], how many steps of each sequence count; None: all.
          carry: nothing is carried: None or ().

        Returns:
          `(ys [B, U, H], ())`: U is T divided by P as often as there are stages, rounded up each time. Of a
          sequence with a length as many steps count as a sequence of that length has; behind them is 0.

        Raises:
          InputError: wrong rank, not float, lengths out of range, a carry.
        """
        check_body(x, carry)
        here = None if lengths is None else steps(lengths, x.shape[1])
        x = _within(x, here)
        for i, width in enumerate(self.features):
            init = initializer(self.kernel_init)
            h = Conv1D(
                width, self.kernel_size, dtype=self.dtype, kernel_init=init, name=f"conv_{i}"
            )(x)
            # After the ReLU a 0 is never the larger one, so windows may hold zeros that stand for nothing.
            h = jax.nn.relu(self._pooled(_within(h, here)))
            # A window counts where its first step does.
            here = None if here is None else here[:, :: self.pool]
            x = Dropout(self.dropout)(h, train)
        return x, ()

    def _pooled(self, h: Array) -> Array:
        if self.pool == 1:
            return h
        h = jnp.pad(h, ((0, 0), (0, -h.shape[1] % self.pool), (0, 0)))
        return max_pool(h[:, :, None], (self.pool, 1))[:, :, 0]


def _within(x: Float[Array, "B T D"], here: Any) -> Float[Array, "B T D"]:
    """`x`, 0 in steps that do not count."""
    return x if here is None else jnp.where(here[..., None], x, jnp.zeros_like(x))
