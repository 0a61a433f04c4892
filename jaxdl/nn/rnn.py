"""Stacks of recurrent layers, in one or in both directions."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.recurrent import GRU, LSTM, SimpleRNN
from jaxdl.nn.sequences import mask_steps

CELLS = {"simple": SimpleRNN, "lstm": LSTM, "gru": GRU}

#: Factors of the initial kernels of deeper layers. The outputs h of a layer start small. This
#: factor brings their mean square to 1, the value that the next layer's initializer assumes.
GAINS = {"simple": 1.0, "lstm": 3.0, "gru": 2.0}


class RNN(nn.Module):
    """A stack of recurrent layers.

        y^0 = x,    y^i_t, c^i_t = cell_i(dropout(y^{i-1}_t), c^i_{t-1})

    With two directions `y^i_t = (forward, backward)`, and the backward layer runs from the last
    step to the first. Padding has no effect: a sequence in a batch has the same outputs and
    gradients as alone, and 0 after its end.

    Source: Elman 1990; Schuster, Paliwal 1997 (both directions); Gal, Ghahramani 2016 (variational
    dropout).

    Attributes:
      cell: "simple", "lstm" or "gru", for `jaxdl.nn.SimpleRNN`, `LSTM` or `GRU`.
      features: H, the size of h in each layer and direction.
      layers: number of layers, at least 1.
      bidirectional: if True, each layer also has a backward direction.
      return_sequences: if True, returns h at every step; else the final h of each direction.
      dropout: dropout rate between two layers in training, in [0, 1).
      variational: if True, all steps of a sequence share one dropout mask; else each step has a
        new one.
      dtype: dtype of the computation; None means that of input and parameters.
      kernel_init: initializer of the first layer's `kernel`, `[D, ...]`, or its name. The default
        assumes inputs of mean square 1. A one-hot vector has only one of D numbers that is not 0,
        and with `normal(0.5)` it trains several times as fast.
      reset_after: a field of `jaxdl.nn.GRU`; False needs the cell "gru".

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = RNN("gru", 3, layers=2, bidirectional=True)
      >>> x = jnp.ones((2, 5, 4))
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
    reset_after: bool = True

    def __post_init__(self) -> None:
        one_of("cell", self.cell, CELLS)
        at_least("features", self.features, 1)
        at_least("layers", self.layers, 1)
        in_range("dropout", self.dropout, 0, 1)
        initializer(self.kernel_init)
        of_kind("reset_after", self.reset_after, bool, "True or False")
        if not self.reset_after and self.cell != "gru":
            raise InputError("reset_after", False, 'True; only the cell "gru" has a reset gate')
        super().__post_init__()

    @property
    def causal(self) -> bool:
        """True if the output at a step does not depend on later steps."""
        return not self.bidirectional

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B T D"],
        train: bool,
        lengths: Int[Array, " B"] | None = None,
        carry: tuple | None = None,
    ) -> tuple[Float[Array, "B T H"] | Float[Array, "B H"], tuple]:
        """Computes h of the last layer, and the final carry of each layer.

        Args:
          x: `[B, T, D]`, float.
          train: if True, applies dropout (random stream "dropout").
          lengths: `[B]` in [1, T], the number of valid steps of each sequence; None means T.
            `jaxdl.nn.lengths_of(mask)` computes them from a mask.
          carry: the carry that an earlier call returned. It is a tuple with one carry per layer,
            or one pair with two directions. None means zeros.

        Returns:
          `(y, carry)`, where y is `[B, T, H]`, or `[B, H]` without `return_sequences`. The last
          axis is 2 H with two directions. A traced length out of range gives NaN.

        Raises:
          InputError: a wrong rank, lengths out of range, or a carry of another shape or number.
        """
        if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "sequences of floats [B, T, D]")
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != self.layers):
            raise InputError("carry", type(carry), f"a tuple of {self.layers}, one per layer")
        x, mask = mask_steps(x, lengths)
        shared = (1,) if self.variational else ()
        ends = []
        for i, start in enumerate(carry or (None,) * self.layers):
            rate = self.dropout if i else 0.0
            x, end = self._layer(i, Dropout(rate, shared=shared)(x, train), start, mask)
            ends.append(end)
        if self.return_sequences:
            return x, tuple(ends)
        return self._final_output(ends[-1]), tuple(ends)

    def _layer(self, i: int, x: Array, carry: Any, mask: Array | None) -> tuple[Array, Any]:
        """Runs layer `i`; returns its outputs and its final carry."""
        fields: dict[str, Any] = {"dtype": self.dtype, "kernel_init": self._kernel_init(i)}
        if self.cell == "gru":
            fields["reset_after"] = self.reset_after
        make: Any = partial(CELLS[self.cell], self.features, **fields)
        if not self.bidirectional:
            return make(name=f"{self.cell}_{i}")(x, carry, mask)
        if carry is not None and (not isinstance(carry, tuple) or len(carry) != 2):
            raise InputError("carry", type(carry), "a pair for each layer: forward, backward")
        forward_start, backward_start = carry or (None, None)
        forward = make(name=f"{self.cell}_{i}")
        backward = make(reverse=True, name=f"{self.cell}_{i}_backward")
        forward_ys, forward_end = forward(x, forward_start, mask)
        backward_ys, backward_end = backward(x, backward_start, mask)
        return jnp.concatenate([forward_ys, backward_ys], -1), (forward_end, backward_end)

    def _kernel_init(self, i: int) -> Initializer:
        """Returns the kernel initializer of layer `i`."""
        if i == 0:
            return initializer(self.kernel_init)
        gain = GAINS[self.cell]
        return jax.nn.initializers.variance_scaling(gain**2, "fan_avg", "uniform")

    def _final_output(self, end: Any) -> Array:
        """Returns h of the final step of each direction."""
        directions = end if self.bidirectional else (end,)
        # The last array of a carry is h.
        return jnp.concatenate([jax.tree.leaves(carry)[-1] for carry in directions], -1)
