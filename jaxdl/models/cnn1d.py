"""Convolutional networks over time: stages that shorten a sequence, and residual blocks."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxdl.errors import InputError, at_least, in_range, integers, one_of
from jaxdl.models.mlp import normalize
from jaxdl.nn.conv1d import Conv1D
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.norm import Norm, norm_of
from jaxdl.nn.pool import max_pool
from jaxdl.nn.sequences import mask_steps, zero_invalid
from jaxdl.nn.tap import named, tapped


class CNN1D(nn.Module):
    """Blocks of convolution and max pooling over time.

        h_0 = x,    h_i = dropout(relu(pool(h_{i-1} * K_i + b_i)))

    With `residual`, a block has two convolutions and a skip connection:

        u = dropout(relu(h_{i-1} * K_i + b_i))
        v = dropout(relu(u * K'_i + b'_i))
        h_i = relu(pool(v + h_{i-1} S_i))

    S_i is the identity unless the block changes the width; then it has a bias too.

    Each block divides the number of steps by `pool`, rounded up. Padding has no effect: the output
    for a sequence does not depend on its batch, and it is 0 after the end of the sequence.

    Source: Waibel et al. 1989, Phoneme recognition using time-delay neural networks; Kim 2014,
    Convolutional neural networks for sentence classification; Lea et al. 2016, Temporal
    convolutional networks.

    Attributes:
      features: width of each block, beginning at the input.
      kernel_size: K, number of steps under a kernel.
      pool: P, window and stride of the pooling; 1 means no pooling.
      causal: if True, no output depends on later steps; this needs `pool=1`. Else kernels are
        centred at the output's step.
      dilated: if True, the taps of a kernel in block i are 2^i steps apart; else one step.
      residual: if True, each block has two convolutions and a skip connection.
      norm: norm of the blocks' convolutions: "weight" for weight normalization, "layer" or "rms"
        for statistics over the features of a step, a `jaxdl.nn.Norm` of these kinds, or None. The
        statistics of the other kinds would depend on padding.
      dropout: dropout rate, in [0, 1). With `residual` it applies to whole channels, over all steps
        of a sequence.
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.
        Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = CNN1D((8, 16))
      >>> x = jnp.ones((2, 10, 5))
      >>> lengths = jnp.array([10, 3])
      >>> (ys, carry), _ = model.init_with_output(jax.random.key(0), x, False, lengths)
      >>> ys.shape, carry, bool((ys[1, 1:] == 0).all())
      ((2, 3, 16), (), True)
    """

    features: Sequence[int]
    kernel_size: int = 5
    pool: int = 2
    causal: bool = False
    dilated: bool = False
    residual: bool = False
    norm: Norm | str | None = None
    dropout: float = 0.0
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        allowed = "a sequence of widths, at least one"
        self.features = integers("features", self.features, None, allowed)
        if not self.features:
            raise InputError("features", self.features, allowed)
        at_least("kernel_size", self.kernel_size, 1)
        at_least("pool", self.pool, 1)
        if self.causal and self.pool > 1:
            raise InputError("pool", self.pool, "1, for a causal network")
        if self.norm is not None:
            kind = self.norm.kind if isinstance(self.norm, Norm) else self.norm
            one_of("norm", kind, ("layer", "rms", "weight"))
        in_range("dropout", self.dropout, 0, 1)
        initializer(self.kernel_init)
        super().__post_init__()

    @property
    def receptive_field(self) -> int:
        """Number of steps from the first to the last one that an output depends on.

        For n blocks of a `tcn` it is `1 + 2 (K - 1) (2^n - 1)`.
        """
        layers = 2 if self.residual else 1
        size = 1
        stride = 1
        for i in range(len(self.features)):
            size += stride * (layers * (self.kernel_size - 1) * self._dilation(i) + self.pool - 1)
            stride *= self.pool
        return size

    def _dilation(self, i: int) -> int:
        return 2**i if self.dilated else 1

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple[()] | None = None,
    ) -> tuple[Float[Array, "B U H"], tuple[()]]:
        """Computes the outputs of the last block.

        Args:
          x: `[B, T, D]`, float.
          train: if True, applies dropout (random stream "dropout").
          lengths: `[B]` in [1, T], number of valid steps of each sequence; None means T.
          carry: None or (), since convolutions have no carry.

        Returns:
          `(ys [B, U, H], ())`. U is T divided by P once per block, rounded up each time. The valid
          steps of a sequence are those of a sequence of its length; later steps are 0. A traced
          length out of range gives NaN.

        Raises:
          InputError: a wrong rank, not float, lengths out of range, or a carry.
        """
        if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "floats [B, T, D]")
        if carry is not None and not (isinstance(carry, tuple) and not carry):
            raise InputError("carry", type(carry), "None or (), since convolutions have no carry")
        x, valid = mask_steps(x, lengths)
        for i in range(len(self.features)):
            if self.residual:
                h = self._residual_sum(i, x, valid, train)
            else:
                h = self._conv(f"conv_{i}", i, x, valid)
            # Zeros at invalid steps change no maximum after the ReLU.
            x = self._relu_and_pool(i, h)
            if valid is not None:
                # A window is valid if its first step is.
                valid = valid[:, :: self.pool]
            if not self.residual:
                x = Dropout(self.dropout)(x, train)
        return x, ()

    def _conv(self, name: str, i: int, x: Array, valid: Array | None) -> Array:
        """Applies a convolution of block `i` and its norm; the result is 0 at invalid steps."""
        layer = Conv1D(
            self.features[i],
            self.kernel_size,
            dilation=self._dilation(i),
            padding="CAUSAL" if self.causal else "SAME",
            weight_norm=self.norm == "weight",
            dtype=self.dtype,
            kernel_init=initializer(self.kernel_init),
            name=name,
        )
        h = layer(x)
        if norm_of(self.norm) is not None:
            h = normalize(h, self.norm, name.replace("conv", "norm"), train=False)
        return _zero_invalid(h, valid)

    def _residual_sum(self, i: int, x: Array, valid: Array | None, train: bool) -> Array:
        """Returns the sum of the two convolutions of block `i` and its skip connection."""
        h = x
        for part in (f"{i}a", f"{i}b"):
            h = jax.nn.relu(self._conv(f"conv_{part}", i, h, valid))
            h = named(self, f"activation_{part}", h)
            h = Dropout(self.dropout, shared=(1,))(h, train)
        width = self.features[i]
        if x.shape[-1] != width:
            init = initializer(self.kernel_init)
            skip = Conv1D(width, 1, dtype=self.dtype, kernel_init=init, name=f"skip_{i}")
            x = _zero_invalid(skip(x), valid)
        return h + x.astype(h.dtype)

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


def _zero_invalid(
    x: Float[Array, "B T D"], valid: Bool[Array, "B T"] | None
) -> Float[Array, "B T D"]:
    """Returns `x` with zeros at invalid steps."""
    if valid is None:
        return x
    return zero_invalid(x, valid)


def tcn(
    features: Sequence[int],
    kernel_size: int = 7,
    norm: Norm | str | None = "weight",
    **fields: Any,
) -> CNN1D:
    """Returns a temporal convolutional network: causal residual blocks, block i with dilation 2^i.

    Source: Bai, Kolter, Koltun 2018, An empirical evaluation of generic convolutional and recurrent
    networks for sequence modeling.

    Args:
      features: width of each block, beginning at the input.
      kernel_size: number of steps under a kernel.
      norm: as for `CNN1D`.
      **fields: other fields of `CNN1D`, such as `dropout`.

    Returns:
      A `CNN1D` with as many outputs as steps.

    Raises:
      InputError: as for `CNN1D`.

    Example:
      >>> model = tcn((8, 8), kernel_size=3)
      >>> x = jnp.zeros((2, 20, 5))
      >>> (ys, _), _ = model.init_with_output(jax.random.key(0), x, train=False)
      >>> ys.shape, model.receptive_field
      ((2, 20, 8), 13)
    """
    return CNN1D(
        features, kernel_size, 1, causal=True, dilated=True, residual=True, norm=norm, **fields
    )
