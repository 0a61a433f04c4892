"""A stack of convolutions over time that shortens a sequence."""

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
from jaxdl.nn.sequences import length_mask
from jaxdl.nn.tap import named, tapped


class Conv1DStack(nn.Module):
    """Stages of convolution and max pooling over time.

        h_0 = x,    h_i = dropout(relu(pool(h_{i-1} * K_i + b_i)))

    Each stage divides the number of steps by `pool`, rounded up. Padding has no effect: the output
    for a sequence does not depend on its batch, and it is 0 after the end of the sequence.

    Source: Waibel et al. 1989, Phoneme recognition using time-delay neural networks; Kim 2014,
    Convolutional neural networks for sentence classification.

    Attributes:
      features: width of each stage, beginning at the input.
      kernel_size: number of steps under a kernel, centred at the output's step.
      pool: P, window and stride of the pooling; 1 means no pooling.
      dropout: dropout rate of each stage, in [0, 1).
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = Conv1DStack((8, 16))
      >>> x = jnp.ones((2, 10, 5))
      >>> lengths = jnp.array([10, 3])
      >>> (ys, carry), _ = model.init_with_output(jax.random.key(0), x, False, lengths)
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
        """Always False, because an output depends on later steps too."""
        return False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple[()] | None = None,
    ) -> tuple[Float[Array, "B U H"], tuple[()]]:
        """Computes the outputs of the last stage.

        Args:
          x: `[B, T, D]`, float.
          train: if True, applies dropout (random stream "dropout").
          lengths: `[B]` in [1, T], number of valid steps of each sequence; None means T.
          carry: None or (), since convolutions have no carry.

        Returns:
          `(ys [B, U, H], ())`. U is T divided by P once per stage, rounded up each time. The valid
          steps of a sequence are those of a sequence of its length; later steps are 0.

        Raises:
          InputError: a wrong rank, not float, lengths out of range, or a carry.
        """
        check_body(x, carry)
        valid = None
        if lengths is not None:
            valid = length_mask(lengths, x.shape[1])
        x = _zero_invalid(x, valid)
        for i, width in enumerate(self.features):
            init = initializer(self.kernel_init)
            h = Conv1D(
                width, self.kernel_size, dtype=self.dtype, kernel_init=init, name=f"conv_{i}"
            )(x)
            # Zeros at invalid steps change no maximum after the ReLU.
            h = self._relu_and_pool(i, _zero_invalid(h, valid))
            if valid is not None:
                # A window is valid if its first step is.
                valid = valid[:, :: self.pool]
            x = Dropout(self.dropout)(h, train)
        return x, ()

    def _relu_and_pool(self, i: int, h: Array) -> Array:
        if not tapped(self):
            # Pooling first gives the same numbers with fewer evaluations of the ReLU.
            return jax.nn.relu(self._pooled(h))
        h = named(self, f"activation_{i}", jax.nn.relu(h))
        if self.pool == 1:
            return h
        return named(self, f"pool_{i}", self._pooled(h))

    def _pooled(self, h: Array) -> Array:
        if self.pool == 1:
            return h
        h = jnp.pad(h, ((0, 0), (0, -h.shape[1] % self.pool), (0, 0)))
        return max_pool(h[:, :, None], (self.pool, 1))[:, :, 0]


def _zero_invalid(x: Float[Array, "B T D"], valid: Any) -> Float[Array, "B T D"]:
    """Returns `x` with zeros at invalid steps."""
    if valid is None:
        return x
    return jnp.where(valid[..., None], x, jnp.zeros_like(x))
