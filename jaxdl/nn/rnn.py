"""Recurrent layers on top of each other, in one or in both directions."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.nn.dense import initializer
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.recurrent import GRU, LSTM, SimpleRNN
from jaxdl.nn.sequences import steps

CELLS = {"simple": SimpleRNN, "lstm": LSTM, "gru": GRU}

#: A layer's h starts small; times this it has a mean square of 1, as the next one's initializer expects.
GAINS = {"simple": 1.0, "lstm": 3.0, "gru": 2.0}


class RNN(nn.Module):
    """A stack of recurrent layers.

        y^0 = x,    y^i_t, c^i_t = cell_i(dropout(y^{i-1}_t), c^i_{t-1})

    and with two directions `y^i_t = (forward, backward)`, the backward one from the last step to the first.
    Padding does nothing: a sequence in a batch gives what it gives alone, and 0 behind its end.

    Source: Elman 1990; Schuster, Paliwal 1997 (both directions); Gal, Ghahramani 2016 (variational dropout).

    Attributes:
      cell: "simple", "lstm" or "gru": `jaxdl.nn.SimpleRNN`, `LSTM`, `GRU`.
      features: H, how many numbers each layer carries in each direction.
      layers: how many, at least 1.
      bidirectional: whether each layer also reads backwards.
      return_sequences: h at every step; else the last one of each sequence, of both directions the last that each
        has computed.
      dropout: the share of what goes from one layer into the next that training drops, in [0, 1).
      variational: one dropout mask for all steps of a sequence; else a new one at every step.
      dtype: of the computation; None: that of input and parameters.
      kernel_init: initializer of the first layer's `kernel`, `[D, ...]`, or its name. The default is for inputs of mean
        square 1; of one-hot vectors one number of D is not 0, and `normal(0.5)` learns several times as fast.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> model, x = RNN("gru", 3, layers=2, bidirectional=True), jnp.ones((2, 5, 4))
      >>> (ys, carry), _ = model.init_with_output(jax.random.key(0), x, False, jnp.array([5, 2]))
      >>> ys.shape, bool((ys[1, 2:] == 0).all()), len(carry)
      ((2, 5, 6), True, 2)
    """

    cell: Literal["simple", "lstm", "gru"] = "lstm"
    features: int = 128
    layers: int = 1
    bidirectional: bool = False
    return_sequences: bool = True
    dropout: float = 0.0
    variational: bool = False
    dtype: Any = None
    kernel_init: str | Initializer = "glorot_uniform"

    def __post_init__(self) -> None:
        one_of("cell", self.cell, CELLS)
        at_least("features", self.features, 1)
        at_least("layers", self.layers, 1)
        in_range("dropout", self.dropout, 0, 1)
        initializer(self.kernel_init)
        super().__post_init__()

    @property
    def causal(self) -> bool:
        """Whether what comes out at a step depends on no later one."""
        return not self.bidirectional

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple | None = None,
    ) -> tuple[Float[Array, "B T H"] | Float[Array, "B H"], tuple]:
        """The last layer's h, and what each layer carries at the end.

        Args:
          x: `[B, T, D]`, float.
          train: whether to drop (random stream "dropout").
          lengths: `[B]` in [1, T], how many steps of each sequence count; None: all. `jaxdl.nn.lengths_of(mask)`
            makes them from a mask.
          carry: what an earlier call returned: a tuple with the carry of each layer, of two directions a pair;
            None: zeros.

        Returns:
          `(y, carry)`: y `[B, T, H]`, or `[B, H]` without `return_sequences`; two directions have 2 H.

        Raises:
          InputError: wrong rank, lengths out of range, a carry of another shape or number.
        """
        if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "sequences of floats [B, T, D]")
        if lengths is not None and lengths.shape != x.shape[:1]:
            raise InputError("length", lengths.shape, f"[B], {x.shape[:1]}")
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != self.layers):
            raise InputError("carry", type(carry), f"a tuple of {self.layers}, one per layer")
        mask = None if lengths is None else steps(lengths, x.shape[1])
        ends = []
        for i in range(self.layers):
            drop = Dropout(self.dropout if i else 0.0, shared=(1,) if self.variational else ())
            x, end = self._layer(i, drop(x, train), None if carry is None else carry[i], mask)
            ends.append(end)
        return (x if self.return_sequences else self._last(ends[-1])), tuple(ends)

    def _layer(self, i: int, x: Array, carry: Any, mask: Array | None) -> tuple[Array, Any]:
        make: Any = partial(
            CELLS[self.cell], self.features, dtype=self.dtype, kernel_init=self._kernel_init(i)
        )
        if not self.bidirectional:
            return make(name=f"{self.cell}_{i}")(x, carry, mask)
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != 2):
            raise InputError("carry", type(carry), "a pair for each layer: forward, backward")
        starts = (None, None) if carry is None else carry
        forward = make(name=f"{self.cell}_{i}")
        backward = make(reverse=True, name=f"{self.cell}_{i}_backward")
        (there, end), (back, start) = forward(x, starts[0], mask), backward(x, starts[1], mask)
        return jnp.concatenate([there, back], -1), (end, start)

    def _kernel_init(self, i: int) -> Initializer:
        gain = GAINS[self.cell]
        deeper = jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform")
        return deeper if i else initializer(self.kernel_init)

    def _last(self, end: Any) -> Array:
        """h of the last step that each direction has computed."""
        one = (lambda carry: carry[1]) if self.cell == "lstm" else (lambda carry: carry)
        return jnp.concatenate([one(end[0]), one(end[1])], -1) if self.bidirectional else one(end)
