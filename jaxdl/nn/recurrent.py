"""Recurrent layers over whole sequences, almost as fast on a CPU as their matrix products."""

from collections.abc import Callable
from dataclasses import KW_ONLY
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from flax.linen.initializers import Initializer
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.errors import InputError, at_least, of_kind, one_of
from jaxdl.nn.arrays import match_varying_axes
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
from jaxdl.nn.sequences import zero_invalid
from jaxdl.nn.tap import named_scan, tapped

Mask = Float[Array, "B T"] | Bool[Array, "B T"]


class CellKind(NamedTuple):
    """The differences between the recurrent layers.

    Attributes:
      cell: one step, a function of `jaxdl.nn.recurrence`.
      gates: G, the number of gates.
      parts: names of the arrays of a carry. A carry of one part is that array, and not a tuple.
    """

    cell: Cell
    gates: int
    parts: tuple[str, ...] = ("h",)


class RecurrentLayer(nn.Module):
    """The common part of `SimpleRNN`, `LSTM` and `GRU`.

        carry_t = cell(x_t W + h_{t-1} R + b, carry_{t-1}),    y_t = h_t

    The initializers are those of Keras.

    Attributes:
      features: H, the size of h.
      reverse: if True, runs from the last step to the first; outputs keep their positions.
      dtype: dtype of the computation and the carry; None means that of input and parameters.
      param_dtype: dtype of the parameters.
      kernel_init: initializer of `kernel`, W, `[D, G H]` for G gates.
      recurrent_init: initializer of `recurrent_kernel`, R, `[H, G H]`.
      bias_init: initializer of `bias`, b, `[G H]`.
      kind: the cell, its gates and its carry; a constant of the class.
    """

    features: int
    _: KW_ONLY
    reverse: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Initializer = jax.nn.initializers.glorot_uniform()
    recurrent_init: Initializer = jax.nn.initializers.orthogonal()
    bias_init: Initializer = jax.nn.initializers.zeros

    kind: ClassVar[CellKind]

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T D"], carry: Any = None, mask: Mask | None = None
    ) -> tuple[Float[Array, "B T H"], Any]:
        """Computes h at every step, and the final carry.

        Args:
          x: `[B, T, D]`, float.
          carry: the carry before the first step: h, `[B, H]`, or `(c, h)` of an LSTM; None means
            zeros.
          mask: `[B, T]`; where it is 0 or False, the carry does not change, the output is 0, and
            the input has no effect, not even a NaN. None means 1 everywhere.

        Returns:
          `(ys [B, T, H], carry)`; pass the carry as `carry` to continue the sequence.

        Raises:
          InputError: a wrong rank, a carry or mask of another shape, or features below 1.
        """
        at_least("features", self.features, 1)
        if x.ndim != 3 or not x.shape[2]:
            raise InputError("x", x.shape, "sequences [B, T, D]")
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x dtype", x.dtype.name, "floats, such as x.astype(jnp.float32)")
        if mask is not None:
            mask = jnp.asarray(mask).astype(bool)
            if mask.shape != x.shape[:2]:
                raise InputError("mask", mask.shape, f"[B, T], {x.shape[:2]}")
            x = zero_invalid(x, mask)
            mask = mask.T
        x, weights = self._weights(x)
        start = self._start(x, carry)
        ys, end = self._run(weights, x, start, mask)
        if len(self.kind.parts) == 1:
            return ys, end[0]
        return ys, end

    def _weights(self, x: Array) -> tuple[Array, Weights]:
        """Returns the input and the weights, in the dtype of the computation."""
        width = self.kind.gates * self.features
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], width), self.param_dtype)
        shape = (self.features, width)
        recurrent = self.param("recurrent_kernel", self.recurrent_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, (width,), self.param_dtype)
        x, *weights = promote_dtype(x, kernel, recurrent, bias, dtype=self.dtype)
        return x, Weights(*weights)

    def _start(self, x: Array, carry: Any) -> Carry:
        """Returns the carry before the first step as a tuple, with zeros for None."""
        shape = (x.shape[0], self.features)
        parts = self.kind.parts
        if carry is None or len(parts) == 1:
            carry = (carry,) * len(parts)
        if len(parts) == 1 and isinstance(carry[0], tuple | list):
            raise InputError("carry", type(carry[0]).__name__, f"one array, {parts[0]}")
        if not isinstance(carry, tuple) or len(carry) != len(parts):
            raise InputError("carry", type(carry).__name__, f"a tuple ({', '.join(parts)})")
        for part in carry:
            if part is not None and np.shape(part) != shape:
                raise InputError("carry", np.shape(part), f"[B, H], {shape}")
        zeros = jnp.zeros_like(x, shape=shape)
        return tuple(zeros if part is None else jnp.asarray(part, x.dtype) for part in carry)

    def _run(
        self, weights: Weights, x: Array, carry: Carry, mask: Bool[Array, "T B"] | None
    ) -> tuple[Array, Carry]:
        """Runs the cell, with the batch as first axis of all arrays except the mask."""
        run: Any = scan_cell
        if tapped(self):
            run = partial(scan_named_cell, self)
        ys, end = run(self.kind.cell, weights, x.swapaxes(0, 1), carry, mask, self.reverse)
        return ys.swapaxes(0, 1), end


class SimpleRNN(RecurrentLayer):
    """Elman's recurrent layer.

        h_t = tanh(x_t W + h_{t-1} R + b)

    Its carry is h. The fields and the call are those of `RecurrentLayer`.

    Source: Elman 1990, Finding structure in time.

    Example:
      >>> layer = SimpleRNN(3)
      >>> x = jnp.ones((2, 5, 4))
      >>> (ys, h), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, h.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
    """

    kind = CellKind(rnn_cell, 1)


def unit_forget_bias(key: Array, shape: tuple[int], dtype: Any = jnp.float32) -> Float[Array, "4H"]:
    """Returns the initial bias of an LSTM: 1 for the forget gate, and 0 for the other gates.

    Source: Jozefowicz et al. 2015, An empirical exploration of recurrent network architectures.

    Example:
      >>> unit_forget_bias(jax.random.key(0), (8,)).tolist()
      [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    return (jnp.arange(shape[0]) * 4 // shape[0] == 1).astype(dtype)


class LSTM(RecurrentLayer):
    """A long short-term memory layer.

        (i, f, g, o) = x_t W + h_{t-1} R + b
        c_t = s(f) c_{t-1} + s(i) tanh(g),    h_t = s(o) tanh(c_t),    s(a) = 1 / (1 + exp(-a))

    Its carry is `(c, h)`. W, R and b hold the gates in this order. With PyTorch's parameters, W and
    R are the transposed `weight_ih` and `weight_hh`, and b is the sum of its two biases. The other
    fields and the call are those of `RecurrentLayer`.

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers et al. 2000 (the forget
    gate).

    Attributes:
      bias_init: initializer of `bias`, b, `[4 H]`. By default, the bias of the forget gate is 1.
      implementation: "scan" is a loop in JAX. "cudnn" is that of an NVIDIA GPU, for float32
        without mask or reverse. "auto" chooses cuDNN where it applies and only one GPU is visible,
        else the loop. With several GPUs, `jit` would gather a divided batch for cuDNN.

    Raises:
      InputError: an unknown implementation, or "cudnn" where it does not apply, raised by a call.

    Example:
      >>> layer = LSTM(3)
      >>> x = jnp.ones((2, 5, 4))
      >>> (ys, (c, h)), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, c.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
      >>> variables["params"]["bias"].reshape(4, 3)[1].tolist()
      [1.0, 1.0, 1.0]
    """

    _: KW_ONLY
    bias_init: Initializer = unit_forget_bias
    implementation: Literal["auto", "scan", "cudnn"] = "auto"

    kind = CellKind(lstm_cell, 4, ("c", "h"))

    def _run(
        self, weights: Weights, x: Array, carry: Carry, mask: Bool[Array, "T B"] | None
    ) -> tuple[Array, Carry]:
        one_of("implementation", self.implementation, ("auto", "scan", "cudnn"))
        loop = partial(super()._run, mask=mask)
        reason = unsupported_reason(x.shape, x.dtype, mask, self.reverse)
        if self.implementation == "cudnn" and reason:
            raise InputError(*reason)
        use_loop = reason or self.implementation == "scan" or tapped(self)
        if use_loop or (self.implementation == "auto" and count_nvidia_gpus() > 1):
            return loop(weights, x, carry)
        # A process with a GPU may still compile this program for the CPU.
        return lax.platform_dependent(weights, x, carry, cuda=lstm_cudnn, default=loop)


class GRU(RecurrentLayer):
    """A gated recurrent unit layer, by default in the form of PyTorch and cuDNN.

        (r, z, n) = x_t W + b,    (r', z', n') = h_{t-1} R
        u_t = tanh(n + s(r + r') (n' + b')),    h_t = (1 - s(z + z')) u_t + s(z + z') h_{t-1}

    In this form the reset gate multiplies the product with R. With `reset_after=False` it
    multiplies h, as in the paper: n' = (s(r + r') h_{t-1}) R, and b' = 0.

    Its carry is h. W, R and b hold the gates in this order. With PyTorch's parameters, W and R are
    the transposed `weight_ih` and `weight_hh`. b is `bias_ih` plus the first two thirds of
    `bias_hh`, and b' is the last third. The other fields and the call are those of
    `RecurrentLayer`.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Attributes:
      bias_init: initializer of `bias`, b, `[3 H]`, and of `recurrent_bias`, b', `[H]`.
      reset_after: if False, the reset gate multiplies h before the product, and there is no
        `recurrent_bias`. This loop is differentiated by JAX. Training takes more time and memory.

    Raises:
      InputError: a field `reset_after` that is no bool, raised when the module is created.

    Example:
      >>> layer = GRU(3)
      >>> x = jnp.ones((2, 5, 4))
      >>> (ys, h), variables = layer.init_with_output(jax.random.key(0), x)
      >>> ys.shape, h.shape, bool((ys[:, -1] == h).all())
      ((2, 5, 3), (2, 3), True)
    """

    _: KW_ONLY
    reset_after: bool = True

    kind = CellKind(gru_cell, 3)

    def __post_init__(self) -> None:
        of_kind("reset_after", self.reset_after, bool, "True or False")
        super().__post_init__()

    def _weights(self, x: Array) -> tuple[Array, Weights]:
        x, (kernel, recurrent_kernel, bias) = super()._weights(x)
        if not self.reset_after:
            return x, Weights(kernel, recurrent_kernel, bias)
        recurrent_bias = self.param(
            "recurrent_bias", self.bias_init, (self.features,), self.param_dtype
        ).astype(x.dtype)
        # The cell's order is (n, r, z, n'). W then fills the first 3 H pre-activations, and R the
        # last 3 H.
        kernel, bias = (jnp.roll(a, self.features, -1) for a in (kernel, bias))
        return x, Weights(kernel, recurrent_kernel, jnp.concatenate([bias, recurrent_bias]))

    def _run(
        self, weights: Weights, x: Array, carry: Carry, mask: Bool[Array, "T B"] | None
    ) -> tuple[Array, Carry]:
        if self.reset_after:
            return super()._run(weights, x, carry, mask)
        weights, x, carry = match_varying_axes(weights, x, carry)
        step = partial(_reset_before_step, weights)
        inputs = x.swapaxes(0, 1), mask
        if tapped(self):
            end, ys = named_scan(self, step, carry, inputs, mask, self.reverse)
        else:
            plain = partial(step, lambda name, value: value)
            end, ys = lax.scan(plain, carry, inputs, reverse=self.reverse)
        return ys.swapaxes(0, 1), end


def _reset_before_step(
    weights: Weights,
    name: Callable[[str, Array], Array],
    carry: Carry,
    inputs: tuple[Float[Array, "B D"], Bool[Array, " B"] | None],
) -> tuple[Carry, Float[Array, "B H"]]:
    """Computes one step of a GRU whose reset gate multiplies h; returns the carry and y."""
    x, valid = inputs
    (h,) = carry
    size = h.shape[-1]
    p = x @ weights.kernel + weights.bias[None]
    u = h @ weights.recurrent_kernel[:, : 2 * size]
    r, z = jnp.split(jax.nn.sigmoid(p[:, : 2 * size] + u), 2, -1)
    kept = name("reset", r) * h
    n = jnp.tanh(p[:, 2 * size :] + kept @ weights.recurrent_kernel[:, 2 * size :])
    n = name("candidate", n)
    new = name("h", n + name("update", z) * (h - n))
    if valid is None:
        return (new,), new
    y = jnp.where(valid[:, None], new, jnp.zeros_like(new))
    return (jnp.where(valid[:, None], new, h),), y
