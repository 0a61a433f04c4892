"""Recurrent layers over whole sequences, as fast on a CPU as its matrix products allow."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.linen.initializers import Initializer
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.nn.lstm_cudnn import lstm_cudnn, nvidia_gpus, obstacle
from jaxdl.nn.recurrence import Carry, Cell, Weights, gru_cell, lstm_cell, rnn_cell, scan_cell

Mask = Float[Array, "B T"] | Bool[Array, "B T"]


class SimpleRNN(nn.Module):
    """Elman's recurrent layer.

        h_t = tanh(x_t W + h_{t-1} R + b)

    Differentiable in reverse mode only. Initializers are those of Keras.

    Source: Elman 1990, Finding structure in time.

    Attributes:
      features: H, how many numbers are carried.
      reverse: from the last step to the first; outputs stay at their steps.
      dtype: of the computation, carry included; None: that of input and parameters.
      param_dtype: of the parameters.
      kernel_init: initializer of `kernel`, W, `[D, H]`.
      recurrent_init: initializer of `recurrent_kernel`, R, `[H, H]`.
      bias_init: initializer of `bias`, b, `[H]`.

    Example:
      >>> layer, x = SimpleRNN(3), jnp.ones((2, 5, 4))
      >>> (ys, h), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, h.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
    """

    features: int
    reverse: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Initializer = jax.nn.initializers.glorot_uniform()
    recurrent_init: Initializer = jax.nn.initializers.orthogonal()
    bias_init: Initializer = jax.nn.initializers.zeros

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        carry: Float[Array, "B H"] | None = None,
        mask: Mask | None = None,
    ) -> tuple[Float[Array, "B T H"], Float[Array, "B H"]]:
        """h at every step, and the last one.

        Args:
          x: `[B, T, D]`, float.
          carry: h before the first step, `[B, H]`; None: zeros.
          mask: `[B, T]`; where it is 0 (or false) h stands still and the output is 0. None: 1 everywhere.

        Returns:
          `(ys [B, T, H], h [B, H])`; passing h on continues the sequence.

        Raises:
          InputError: wrong rank, a carry or mask of another shape, features below 1.
        """
        x, weights = _parameters(self, x, 1)
        ys, (h,) = _scan(
            rnn_cell, weights, x, _start(self, x, [carry]), _steps(x, mask), self.reverse
        )
        return ys, h


class LSTM(nn.Module):
    """Long short-term memory.

        (i, f, g, o) = x_t W + h_{t-1} R + b
        c_t = s(f) c_{t-1} + s(i) tanh(g),    h_t = s(o) tanh(c_t),    s(a) = 1 / (1 + exp(-a))

    Gates lie in this order in W, R and b: with PyTorch's parameters W and R are the transposed
    `weight_ih` and `weight_hh`, and b is the sum of its two biases. Differentiable in reverse mode
    only. Initializers are those of Keras.

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers et al. 2000; Jozefowicz et al.
    2015 (the bias of the forget gate).

    Attributes:
      features: H, how many numbers c and h have.
      unit_forget_bias: the forget gate's bias starts at 1, the others at 0; else all at 0.
      reverse: from the last step to the first; outputs stay at their steps.
      implementation: "scan", a loop of ours; "cudnn", that of an NVIDIA GPU, for float32 without mask
        or reverse; "auto": cuDNN where it applies and one GPU does all the work (a batch divided over
        several by `jit` would be gathered for it), else the loop.
      dtype: of the computation, carry included; None: that of input and parameters.
      param_dtype: of the parameters.
      kernel_init: initializer of `kernel`, W, `[D, 4 H]`.
      recurrent_init: initializer of `recurrent_kernel`, R, `[H, 4 H]`.

    Example:
      >>> layer, x = LSTM(3), jnp.ones((2, 5, 4))
      >>> (ys, (c, h)), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, c.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
      >>> variables["params"]["bias"].reshape(4, 3)[1].tolist()
      [1.0, 1.0, 1.0]
    """

    features: int
    unit_forget_bias: bool = True
    reverse: bool = False
    implementation: Literal["auto", "scan", "cudnn"] = "auto"
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Initializer = jax.nn.initializers.glorot_uniform()
    recurrent_init: Initializer = jax.nn.initializers.orthogonal()

    def bias_init(self, key: Array, shape: tuple[int], dtype: Any) -> Float[Array, "4H"]:
        """Ones for the forget gate if asked for, else zeros."""
        forget = jnp.arange(shape[0]) // self.features == 1
        return (forget & self.unit_forget_bias).astype(dtype)

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T D"], carry: Carry | None = None, mask: Mask | None = None
    ) -> tuple[Float[Array, "B T H"], Carry]:
        """h at every step, and the last c and h.

        Args:
          x: `[B, T, D]`, float.
          carry: `(c, h)` before the first step, `[B, H]` each; None: zeros.
          mask: `[B, T]`; where it is 0 (or false) c and h stand still and the output is 0. None: 1 everywhere.

        Returns:
          `(ys [B, T, H], (c, h))`; passing `(c, h)` on continues the sequence.

        Raises:
          InputError: wrong rank, a carry or mask of another shape, features below 1, an unknown
            implementation, "cudnn" where it does not apply.
        """
        one_of("implementation", self.implementation, ("auto", "scan", "cudnn"))
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != 2):
            raise InputError("carry", type(carry).__name__, "a tuple (c, h)")
        x, weights = _parameters(self, x, 4)
        start = _start(self, x, [None, None] if carry is None else carry)
        steps = _steps(x, mask)
        by_scan = partial(_scan, lstm_cell, mask=steps, reverse=self.reverse)
        blocked = obstacle(x.dtype, mask, self.reverse)
        if self.implementation == "cudnn" and blocked:
            raise InputError(*blocked)
        if (
            blocked
            or self.implementation == "scan"
            or (self.implementation == "auto" and nvidia_gpus() > 1)
        ):
            return by_scan(weights, x, start)
        # The GPU is there, but this may be compiled for the CPU beside it.
        return lax.platform_dependent(weights, x, start, cuda=lstm_cudnn, default=by_scan)


class GRU(nn.Module):
    """Gated recurrent unit, in the form of PyTorch and cuDNN: the reset gate acts after the product.

        (r, z, n) = x_t W + b,    (r', z', n') = h_{t-1} R
        u_t = tanh(n + s(r + r') (n' + b')),    h_t = (1 - s(z + z')) u_t + s(z + z') h_{t-1}

    Gates lie in this order in W, R and b: with PyTorch's parameters W and R are the transposed
    `weight_ih` and `weight_hh`, b is `bias_ih` plus the first two thirds of `bias_hh`, and b' is
    the last third. Differentiable in reverse mode only. Initializers are those of Keras.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Attributes:
      features: H, how many numbers are carried.
      reverse: from the last step to the first; outputs stay at their steps.
      dtype: of the computation, carry included; None: that of input and parameters.
      param_dtype: of the parameters.
      kernel_init: initializer of `kernel`, W, `[D, 3 H]`.
      recurrent_init: initializer of `recurrent_kernel`, R, `[H, 3 H]`.
      bias_init: initializer of `bias`, b, `[3 H]`, and of `recurrent_bias`, b', `[H]`.

    Example:
      >>> layer, x = GRU(3), jnp.ones((2, 5, 4))
      >>> (ys, h), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, h.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
    """

    features: int
    reverse: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Initializer = jax.nn.initializers.glorot_uniform()
    recurrent_init: Initializer = jax.nn.initializers.orthogonal()
    bias_init: Initializer = jax.nn.initializers.zeros

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        carry: Float[Array, "B H"] | None = None,
        mask: Mask | None = None,
    ) -> tuple[Float[Array, "B T H"], Float[Array, "B H"]]:
        """h at every step, and the last one.

        Args:
          x: `[B, T, D]`, float.
          carry: h before the first step, `[B, H]`; None: zeros.
          mask: `[B, T]`; where it is 0 (or false) h stands still and the output is 0. None: 1 everywhere.

        Returns:
          `(ys [B, T, H], h [B, H])`; passing h on continues the sequence.

        Raises:
          InputError: wrong rank, a carry or mask of another shape, features below 1.
        """
        x, (kernel, recurrent_kernel, bias) = _parameters(self, x, 3)
        second = self.param(
            "recurrent_bias", self.bias_init, (self.features,), self.param_dtype
        ).astype(x.dtype)
        # Pre-activations are (n, r, z, n'), so that what W and R reach are neighbours: the first and the last 3 H.
        kernel, bias = (jnp.roll(a, self.features, -1) for a in (kernel, bias))
        weights = Weights(kernel, recurrent_kernel, jnp.concatenate([bias, second]))
        ys, (h,) = _scan(
            gru_cell, weights, x, _start(self, x, [carry]), _steps(x, mask), self.reverse
        )
        return ys, h


def _parameters(layer: Any, x: Array, gates: int) -> tuple[Array, Weights]:
    """The input and the layer's parameters, in the dtype of the computation."""
    at_least("features", layer.features, 1)
    if x.ndim != 3:
        raise InputError("x", x.shape, "sequences [B, T, D]")
    size = layer.features
    width = gates * layer.features
    kernel = layer.param("kernel", layer.kernel_init, (x.shape[-1], width), layer.param_dtype)
    recurrent = layer.param(
        "recurrent_kernel", layer.recurrent_init, (size, width), layer.param_dtype
    )
    bias = layer.param("bias", layer.bias_init, (width,), layer.param_dtype)
    x, *weights = promote_dtype(x, kernel, recurrent, bias, dtype=layer.dtype)
    return x, Weights(*weights)


def _start(layer: Any, x: Array, carry: Any) -> Carry:
    """What the sequence starts from: the given parts, zeros for None."""
    shape = x.shape[0], layer.features
    for part in carry:
        if part is not None and part.shape != shape:
            raise InputError("carry", part.shape, f"[B, H], {shape}")
    return tuple(
        jnp.zeros_like(x, shape=shape) if part is None else part.astype(x.dtype) for part in carry
    )


def _steps(x: Array, mask: Array | None) -> Bool[Array, "T B"] | None:
    """Which steps are taken, time first."""
    if mask is None:
        return None
    if mask.shape != x.shape[:2]:
        raise InputError("mask", mask.shape, f"[B, T], {x.shape[:2]}")
    return mask.astype(bool).T


def _scan(
    cell: Cell, weights: Weights, x: Array, carry: Carry, mask: Array | None, reverse: bool
) -> tuple[Array, Carry]:
    """`scan_cell`, batch first."""
    ys, end = scan_cell(cell, weights, x.swapaxes(0, 1), carry, mask, reverse)
    return ys.swapaxes(0, 1), end
