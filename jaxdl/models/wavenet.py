"""WaveNet: gated dilated convolutions over time, with queues as the recurrent state."""

from dataclasses import KW_ONLY
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.models.pixel_net import gate
from jaxdl.nn.arrays import add_bias
from jaxdl.nn.conv1d import conv1d
from jaxdl.nn.sequences import mask_steps, zero_invalid

#: Step of each sequence, and the latest inputs of each layer as a ring, `[B, N, F]`.
Queues = tuple[Int[Array, " B"], tuple[Float[Array, "B N F"], ...]]


class DilatedConv(nn.Module):
    """A causal dilated convolution that can continue from a queue of its latest inputs.

        y_t = b + sum_k x_{t - (K-1-k) d} kernel_k

    The queue is a ring of the N = (K-1) d latest inputs: the one of step t is entry t mod N. A
    single step reads K-1 entries and writes one. Each sequence has its own step.

    Attributes:
      features: width of the outputs.
      kernel_size: K, at least 2.
      dilation: d.
      dtype: dtype of the computation.
    """

    features: int
    kernel_size: int = 2
    dilation: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T F"],
        queue: Float[Array, "B N F"] | None,
        steps: Int[Array, " B"],
    ) -> tuple[Float[Array, "B T D"], Float[Array, "B N F"]]:
        """Computes the outputs, and the queue after the last step.

        Args:
          x: `[B, T, F]`.
          queue: the queue before the first step; None means zeros.
          steps: `[B]`, number of the first step of each sequence.
        """
        shape = (self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        size = (self.kernel_size - 1) * self.dilation
        if queue is None:
            y = conv1d(x, kernel, self.dilation, padding="CAUSAL")
            zeros = jnp.zeros((x.shape[0], size, x.shape[-1]), x.dtype)
            return add_bias(y, bias), _ring(jnp.concatenate([zeros, x], 1)[:, -size:], steps, x)
        queue = queue.astype(x.dtype)
        if x.shape[1] == 1:
            # A product of the K inputs is all that one step needs.
            ago = self.dilation * np.arange(self.kernel_size - 1, 0, -1)
            taps = _entries(queue, steps[:, None] - ago[None]).reshape(x.shape[0], 1, -1)
            y = jnp.concatenate([taps, x], -1) @ kernel.reshape(-1, self.features)
            rows = jnp.arange(x.shape[0])
            return add_bias(y, bias), queue.at[rows, steps % size].set(x[:, 0])
        ordered = _entries(queue, steps[:, None] + np.arange(size)[None])
        known = jnp.concatenate([ordered, x], 1)
        y = conv1d(known, kernel, self.dilation, padding="VALID")
        return add_bias(y, bias), _ring(known[:, -size:], steps, x)


def _entries(ring: Float[Array, "B N F"], numbers: Int[Array, "B K"]) -> Float[Array, "B K F"]:
    """Returns the entries of each ring at the numbers of some steps."""
    return jnp.take_along_axis(ring, (numbers % ring.shape[1])[:, :, None], 1)


def _ring(latest: Float[Array, "B N F"], steps: Array, x: Array) -> Float[Array, "B N F"]:
    """Returns the latest inputs as rings, the oldest of them first in `latest`."""
    numbers = jnp.arange(latest.shape[1])[None] - steps[:, None]
    return _entries(latest, numbers - x.shape[1])


class WaveNet(nn.Module):
    """A stack of gated dilated convolutions with skip connections, a body of `SequenceNet`.

        z_l = tanh(x_l * A_l) s(x_l * B_l),    x_{l+1} = x_l + z_l R_l
        y = relu(W relu(sum_l z_l S_l))

    Layer l of a stack has the dilation 2^l. The outputs of a step depend on that step and earlier
    ones. The carry is the queue of the latest inputs of each layer. So a generator computes one
    step at a time, at a cost that does not depend on the receptive field.

    Source: van den Oord et al. 2016, WaveNet: A generative model for raw audio; Le Paine et al.
    2016, Fast WaveNet generation algorithm (queues).

    Attributes:
      features: F, the width of inputs and layers.
      skip: width of the skip sum and of the outputs.
      layers: number of layers of a stack.
      stacks: number of stacks, each of which begins with the dilation 1.
      kernel_size: K, number of taps of a convolution, at least 2.
      dtype: dtype of the computation; None means that of the input. Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = WaveNet(8, layers=3)
      >>> x = jnp.zeros((2, 20, 8))
      >>> (ys, carry), _ = model.init_with_output(jax.random.key(0), x, train=False)
      >>> ys.shape, model.receptive_field
      ((2, 20, 64), 8)
    """

    features: int = 32
    _: KW_ONLY
    skip: int = 64
    layers: int = 8
    stacks: int = 1
    kernel_size: int = 2
    dtype: Any = None

    def __post_init__(self) -> None:
        for name in ("features", "skip", "layers", "stacks"):
            at_least(name, getattr(self, name), 1)
        at_least("kernel_size", self.kernel_size, 2)
        super().__post_init__()

    @property
    def receptive_field(self) -> int:
        """Number of steps from the first to the last one that an output depends on."""
        return 1 + self.stacks * (self.kernel_size - 1) * (2**self.layers - 1)

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T F"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: Queues | None = None,
    ) -> tuple[Float[Array, "B T S"], Any]:
        """Computes the outputs of all steps, and the carry.

        Args:
          x: `[B, T, F]`, float.
          train: no effect.
          lengths: `[B]` in [1, T], number of valid steps of each sequence; None means T.
          carry: the carry that the call for the previous steps returned; None at the beginning.

        Returns:
          `(ys [B, T, skip], carry)`. With lengths, later outputs are 0, and the carry is `()`.

        Raises:
          InputError: a wrong rank or width, a carry of other shapes, or a carry with lengths.
        """
        if x.ndim != 3 or x.shape[-1] != self.features:
            allowed = f"sequences [B, T, {self.features}], as wide as the layers"
            raise InputError("x", list(x.shape), allowed)
        x, valid = mask_steps(x, lengths)
        steps, queues = self._started(x, lengths, carry)
        total: Any = 0.0
        new = []
        for i in range(self.stacks * self.layers):
            x, part, queue = self._layer(i, x, queues[i], steps)
            total = total + part
            new.append(queue)
        h = nn.Dense(self.skip, dtype=self.dtype, name="hidden")(jax.nn.relu(total))
        y = jax.nn.relu(h)
        if valid is not None:
            return zero_invalid(y, valid), ()
        return y, (steps + x.shape[1], tuple(new))

    def _layer(self, i: int, x: Array, queue: Any, steps: Array) -> tuple[Array, Array, Array]:
        """Returns the input of the next layer, a part of the skip sum, and the new queue."""
        dilation = 2 ** (i % self.layers)
        conv = DilatedConv(
            2 * self.features, self.kernel_size, dilation, self.dtype, name=f"conv_{i}"
        )
        a, queue = conv(x, queue, steps)
        both = nn.Dense(self.features + self.skip, dtype=self.dtype, name=f"mix_{i}")(gate(a))
        residual, part = jnp.split(both, [self.features], -1)
        return x + residual, part, queue

    def _started(self, x: Array, lengths: Any, carry: Queues | None) -> tuple[Array, Any]:
        """Returns the numbers of the first steps, and the queues before them, None for zeros."""
        count = self.stacks * self.layers
        if carry is None or (isinstance(carry, tuple) and not carry):
            return jnp.zeros(x.shape[0], jnp.int32), (None,) * count
        if lengths is not None:
            raise InputError("carry", "a carry with lengths", "None, for sequences with lengths")
        if not isinstance(carry, tuple) or len(carry) != 2:
            raise InputError("carry", type(carry).__name__, "a tuple (steps, queues)")
        steps, queues = carry
        if np.shape(steps) != x.shape[:1]:
            raise InputError("steps of the carry", np.shape(steps), f"[B], {x.shape[:1]}")
        shapes = [(x.shape[0], self._size(i), self.features) for i in range(count)]
        found = [np.shape(queue) for queue in queues]
        if found != shapes:
            raise InputError("carry", found, f"queues {shapes}")
        return jnp.asarray(steps, jnp.int32), queues

    def _size(self, i: int) -> int:
        return (self.kernel_size - 1) * 2 ** (i % self.layers)
