"""Temporal convolutional networks: causal convolutions whose dilation doubles with each block."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.nn.conv1d import Conv1D
from jaxdl.nn.dense import initializer
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.sequences import length_mask
from jaxdl.nn.tap import named


class TCN(nn.Module):
    """A stack of residual blocks of causal convolutions, block i with dilation 2^i.

        u = dropout(relu(h_{i-1} * K_i + b_i))
        v = dropout(relu(u * K'_i + b'_i))
        h_i = relu(v + h_{i-1} S_i)

    S_i is the identity unless the block changes the width; then it has a bias too. An output
    depends on its step and on the `receptive_field` - 1 steps before it. Dropout sets whole
    channels to 0, over all steps of a sequence.

    Source: Bai, Kolter, Koltun 2018, An empirical evaluation of generic convolutional and recurrent
    networks for sequence modeling.

    Attributes:
      features: width of each block, beginning at the input.
      kernel_size: K, number of steps under a kernel.
      dropout: dropout rate of channels after each convolution, in [0, 1).
      norm: "weight" for weight normalization of the blocks' convolutions, or None.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = TCN((8, 8), kernel_size=3)
      >>> x = jnp.zeros((2, 20, 5))
      >>> (ys, carry), _ = model.init_with_output(jax.random.key(0), x, train=False)
      >>> ys.shape, carry, model.receptive_field
      ((2, 20, 8), (), 13)
    """

    features: Sequence[int]
    kernel_size: int = 7
    dropout: float = 0.0
    norm: Literal["weight"] | None = "weight"
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.features, Sequence) or not self.features:
            raise InputError("features", self.features, "a sequence of widths, at least one")
        for width in self.features:
            at_least("features", width, 1)
        at_least("kernel_size", self.kernel_size, 1)
        in_range("dropout", self.dropout, 0, 1)
        initializer(self.kernel_init)
        if self.norm is not None:
            one_of("norm", self.norm, ("weight",))
        super().__post_init__()

    @property
    def causal(self) -> bool:
        """Always True, because no output depends on later steps."""
        return True

    @property
    def receptive_field(self) -> int:
        """Number of steps that an output depends on: `1 + 2 (K - 1) (2^n - 1)` for n blocks."""
        return 1 + 2 * (self.kernel_size - 1) * (2 ** len(self.features) - 1)

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple[()] | None = None,
    ) -> tuple[Float[Array, "B T H"], tuple[()]]:
        """Computes the outputs of the last block.

        Args:
          x: `[B, T, D]`, float.
          train: if True, applies dropout (random stream "dropout").
          lengths: `[B]` in [1, T], number of valid steps of each sequence; None means T. The output
            is 0 at invalid steps.
          carry: None or (), since convolutions have no carry.

        Returns:
          `(ys [B, T, H], ())`.

        Raises:
          InputError: a wrong rank, not float, lengths out of range, or a carry.
        """
        check_body(x, carry)
        for i, width in enumerate(self.features):
            x = self._block(i, width, x, train)
        if lengths is not None:
            x = jnp.where(length_mask(lengths, x.shape[1])[..., None], x, jnp.zeros_like(x))
        return x, ()

    def _block(self, i: int, width: int, x: Array, train: bool) -> Array:
        init = initializer(self.kernel_init)
        h = x
        for part in (f"{i}a", f"{i}b"):
            weight_norm = self.norm == "weight"
            conv = Conv1D(
                width,
                self.kernel_size,
                dilation=2**i,
                padding="CAUSAL",
                weight_norm=weight_norm,
                dtype=self.dtype,
                kernel_init=init,
                name=f"conv_{part}",
            )
            h = named(self, f"activation_{part}", jax.nn.relu(conv(h)))
            h = Dropout(self.dropout, shared=(1,))(h, train)
        if x.shape[-1] != width:
            x = Conv1D(width, 1, dtype=self.dtype, kernel_init=init, name=f"skip_{i}")(x)
        return named(self, f"activation_{i}", jax.nn.relu(h + x.astype(h.dtype)))


def check_body(x: Float[Array, "B T D"], carry: Any) -> None:
    """Raises `InputError` unless `x` is a batch of sequences and the carry is empty.

    Example:
      >>> check_body(jnp.zeros((2, 3)), None)
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got 'float32[2, 3]', allowed: floats [B, T, D]
    """
    if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("x", f"{x.dtype}{list(x.shape)}", "floats [B, T, D]")
    if carry is not None and not (isinstance(carry, tuple) and not carry):
        raise InputError("carry", type(carry), "None or (), since convolutions have no carry")
