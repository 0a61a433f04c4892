"""Recurrent layers over whole sequences, almost as fast on a CPU as their matrix products."""

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
from jaxdl.nn.lstm_cudnn import count_nvidia_gpus, lstm_cudnn, unsupported_reason
from jaxdl.nn.recurrence import (
    Carry,
    Cell,
    Weights,
    gru_cell,
    lstm_cell,
    rnn_cell,
    scan_cell,
    scan_named_cell,
)
from jaxdl.nn.tap import tapped

Mask = Float[Array, "B T"] | Bool[Array, "B T"]


class SimpleRNN(nn.Module):
    """Elman's recurrent layer.

        h_t = tanh(x_t W + h_{t-1} R + b)

    It is differentiable in reverse mode only. The initializers are those of Keras.

    Source: Elman 1990, Finding structure in time.

    Attributes:
      features: H, the size of the carry.
      reverse: if True, runs from the last step to the first; outputs keep their positions.
      dtype: dtype of the computation and the carry; None means that of input and parameters.
      param_dtype: dtype of the parameters.
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
        """Computes h at every step, and the final h.

        Args:
          x: `[B, T, D]`, float.
          carry: h before the first step, `[B, H]`; None means zeros.
          mask: `[B, T]`; where it is 0 or False, h does not change and the output is 0. None
            means 1 everywhere.

        Returns:
          `(ys [B, T, H], h [B, H])`; pass h as `carry` to continue the sequence.

        Raises:
          InputError: a wrong rank, a carry or mask of another shape, or features below 1.
        """
        x, weights = _parameters(self, x, 1)
        start = _initial_carry(self, x, [carry])
        ys, (h,) = _scan(self, rnn_cell, weights, x, start, _time_first(x, mask))
        return ys, h


class LSTM(nn.Module):
    """A long short-term memory layer.

        (i, f, g, o) = x_t W + h_{t-1} R + b
        c_t = s(f) c_{t-1} + s(i) tanh(g),    h_t = s(o) tanh(c_t),    s(a) = 1 / (1 + exp(-a))

    W, R and b hold the gates in this order. With PyTorch's parameters, W and R are the transposed
    `weight_ih` and `weight_hh`, and b is the sum of its two biases. The layer is differentiable in
    reverse mode only. The initializers are those of Keras.

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers et al. 2000; Jozefowicz et
    al. 2015 (the bias of the forget gate).

    Attributes:
      features: H, the size of c and of h.
      unit_forget_bias: if True, the bias of the forget gate starts at 1 instead of 0.
      reverse: if True, runs from the last step to the first; outputs keep their positions.
      implementation: "scan" is a loop in JAX. "cudnn" is that of an NVIDIA GPU, for float32
        without mask or reverse. "auto" chooses cuDNN where it applies and only one GPU is visible,
        else the loop. With several GPUs, `jit` would gather a divided batch for cuDNN.
      dtype: dtype of the computation and the carry; None means that of input and parameters.
      param_dtype: dtype of the parameters.
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
        """Returns zeros, or with `unit_forget_bias` ones for the forget gate."""
        forget = jnp.arange(shape[0]) // self.features == 1
        return (forget & self.unit_forget_bias).astype(dtype)

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T D"], carry: Carry | None = None, mask: Mask | None = None
    ) -> tuple[Float[Array, "B T H"], Carry]:
        """Computes h at every step, and the final c and h.

        Args:
          x: `[B, T, D]`, float.
          carry: `(c, h)` before the first step, `[B, H]` each; None means zeros.
          mask: `[B, T]`; where it is 0 or False, c and h do not change and the output is 0. None
            means 1 everywhere.

        Returns:
          `(ys [B, T, H], (c, h))`; pass `(c, h)` as `carry` to continue the sequence.

        Raises:
          InputError: a wrong rank, a carry or mask of another shape, features below 1, an unknown
            implementation, or "cudnn" where it does not apply.
        """
        one_of("implementation", self.implementation, ("auto", "scan", "cudnn"))
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != 2):
            raise InputError("carry", type(carry).__name__, "a tuple (c, h)")
        x, weights = _parameters(self, x, 4)
        start = _initial_carry(self, x, carry or (None, None))
        loop = partial(_scan, self, lstm_cell, mask=_time_first(x, mask))
        reason = unsupported_reason(x.dtype, mask, self.reverse)
        if self.implementation == "cudnn" and reason:
            raise InputError(*reason)
        use_loop = reason or self.implementation == "scan" or tapped(self)
        if use_loop or (self.implementation == "auto" and count_nvidia_gpus() > 1):
            return loop(weights, x, start)
        # A process with a GPU may still compile this program for the CPU.
        return lax.platform_dependent(weights, x, start, cuda=lstm_cudnn, default=loop)


class GRU(nn.Module):
    """A gated recurrent unit layer, in the form of PyTorch and cuDNN.

        (r, z, n) = x_t W + b,    (r', z', n') = h_{t-1} R
        u_t = tanh(n + s(r + r') (n' + b')),    h_t = (1 - s(z + z')) u_t + s(z + z') h_{t-1}

    In this form the reset gate multiplies the product with R. W, R and b hold the gates in this
    order. With PyTorch's parameters, W and R are the transposed `weight_ih` and `weight_hh`. b is
    `bias_ih` plus the first two thirds of `bias_hh`, and b' is the last third. The layer is
    differentiable in reverse mode only. The initializers are those of Keras.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Attributes:
      features: H, the size of the carry.
      reverse: if True, runs from the last step to the first; outputs keep their positions.
      dtype: dtype of the computation and the carry; None means that of input and parameters.
      param_dtype: dtype of the parameters.
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
        """Computes h at every step, and the final h.

        Args:
          x: `[B, T, D]`, float.
          carry: h before the first step, `[B, H]`; None means zeros.
          mask: `[B, T]`; where it is 0 or False, h does not change and the output is 0. None
            means 1 everywhere.

        Returns:
          `(ys [B, T, H], h [B, H])`; pass h as `carry` to continue the sequence.

        Raises:
          InputError: a wrong rank, a carry or mask of another shape, or features below 1.
        """
        x, (kernel, recurrent_kernel, bias) = _parameters(self, x, 3)
        recurrent_bias = self.param(
            "recurrent_bias", self.bias_init, (self.features,), self.param_dtype
        ).astype(x.dtype)
        # The cell's order is (n, r, z, n'). W then fills the first 3 H pre-activations, and R the
        # last 3 H.
        kernel, bias = (jnp.roll(a, self.features, -1) for a in (kernel, bias))
        weights = Weights(kernel, recurrent_kernel, jnp.concatenate([bias, recurrent_bias]))
        start = _initial_carry(self, x, [carry])
        ys, (h,) = _scan(self, gru_cell, weights, x, start, _time_first(x, mask))
        return ys, h


def _parameters(layer: Any, x: Array, gates: int) -> tuple[Array, Weights]:
    """Returns the input and the layer's parameters, in the dtype of the computation."""
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


def _initial_carry(layer: Any, x: Array, carry: Any) -> Carry:
    """Returns the carry before the first step: the given parts, and zeros for None."""
    shape = x.shape[0], layer.features
    for part in carry:
        if part is not None and part.shape != shape:
            raise InputError("carry", part.shape, f"[B, H], {shape}")
    return tuple(
        jnp.zeros_like(x, shape=shape) if part is None else part.astype(x.dtype) for part in carry
    )


def _time_first(x: Array, mask: Array | None) -> Bool[Array, "T B"] | None:
    """Checks a mask and transposes it, so that time is the first axis."""
    if mask is None:
        return None
    if mask.shape != x.shape[:2]:
        raise InputError("mask", mask.shape, f"[B, T], {x.shape[:2]}")
    return mask.astype(bool).T


def _scan(
    layer: Any, cell: Cell, weights: Weights, x: Array, carry: Carry, mask: Array | None
) -> tuple[Array, Carry]:
    """Runs a cell with the batch as first axis."""
    run: Any = scan_cell
    if tapped(layer):
        run = partial(scan_named_cell, layer)
    ys, end = run(cell, weights, x.swapaxes(0, 1), carry, mask, layer.reverse)
    return ys.swapaxes(0, 1), end
