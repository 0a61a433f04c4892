"""Networks over sequences: what reads a step, what goes over time, what says the answer."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.nn.dropout import Dropout
from jaxdl.nn.sequences import Pool, pool_steps


class OneHot(nn.Module):
    """Each id as a vector with a single 1.

        x_btv = 1 if ids_bt = v else 0

    Attributes:
      vocabulary: V, how many ids there are; one outside [0, V) becomes NaN, which stops a run.
      dtype: of the vectors.

    Example:
      >>> OneHot(3).apply({}, jnp.array([[2, 0]]), False).tolist()
      [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """

    vocabulary: int
    dtype: Any = jnp.float32

    def __call__(self, ids: Int[Array, "*B"], train: bool) -> Float[Array, "*B V"]:
        """The vectors; `train` changes nothing."""
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError("ids dtype", ids.dtype.name, "integers")
        known = (ids >= 0) & (ids < self.vocabulary)
        hot = jax.nn.one_hot(ids, self.vocabulary, dtype=self.dtype)
        return jnp.where(known[..., None], hot, jnp.full_like(hot, jnp.nan))


class SequenceNet(nn.Module):
    """A network over sequences.

        x_t = embed(input_t),    y_{1..T}, carry = body(x_{1..T}, carry),    logits = dropout(pool(y)) W + b

    With `pool` (or a body that gives one vector per sequence) it answers once per sequence, else at every step. The
    parts are modules, so an RNN and a convolutional network differ in one word.

    Attributes:
      embed: called as `embed(inputs, train) -> [B, T, D]`: `jaxdl.nn.Embedding`, `OneHot`, `TimeDistributed(CNN)`;
        None: the inputs are vectors already.
      body: called as `body(x [B, T, D], train, lengths, carry) -> (y, carry)`: `jaxdl.nn.RNN`, `TCN`, `Conv1DStack`.
      outputs: how many numbers per answer.
      pool: "last", "mean" or "max" over the steps that count; None: what the body gives.
      dropout: the share of the body's output that training drops, in [0, 1).
      dtype: of the last layer's computation; None: that of its input.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> from jaxdl.nn import RNN
      >>> model, ids = SequenceNet(OneHot(5), RNN("gru", 8), 5), jnp.array([[1, 2, 3]])
      >>> variables = model.init(jax.random.key(0), ids, train=False)
      >>> model.apply(variables, ids, train=False).shape
      (1, 3, 5)
    """

    embed: nn.Module | None
    body: nn.Module
    outputs: int
    pool: Pool | None = None
    dropout: float = 0.0
    dtype: Any = None

    def __post_init__(self) -> None:
        at_least("outputs", self.outputs, 1)
        in_range("dropout", self.dropout, 0, 1)
        if self.pool is not None:
            one_of("pool", self.pool, ("last", "mean", "max"))
        super().__post_init__()

    def setup(self) -> None:
        self.out = nn.Dense(self.outputs, dtype=self.dtype)
        self.drop = Dropout(self.dropout)

    def __call__(
        self, inputs: Num[Array, "B T ..."], train: bool, lengths: Int[Array, " B"] | None = None
    ) -> Float[Array, "B K"] | Float[Array, "B T K"]:
        """The answers, for a classifier or a language model its logits.

        Args:
          inputs: `[B, T]` ids or `[B, T, ...]` vectors, images, as `embed` takes them.
          train: whether to drop (random stream "dropout").
          lengths: `[B]` in [1, T], how many steps of each sequence count; None: all.

        Returns:
          `[B, outputs]` or `[B, T, outputs]`, float32; NaN for a sequence whose length is out of range.

        Raises:
          InputError: what the parts refuse.
        """
        return self.resume(inputs, train, lengths=lengths)[0]

    def resume(
        self,
        inputs: Num[Array, "B T ..."],
        train: bool,
        carry: Any = None,
        lengths: Int[Array, " B"] | None = None,
    ) -> tuple[Float[Array, "..."], Any]:
        """The same, going on from what an earlier part of the sequences left: `(answers, carry)`.

        Args:
          inputs: as above.
          train: as above.
          carry: what `resume` returned for the steps before; None: the beginning.
          lengths: as above.

        Returns:
          The answers, and what the body carries at the end.
        """
        x = inputs if self.embed is None else self.embed(inputs, train)
        y, carry = self.body(x, train, lengths, carry)
        if self.pool is not None:
            self._check_pool(y, x, lengths)
            y = pool_steps(y, self.pool, lengths if y.shape[1] == x.shape[1] else None)
        y = self.out(self.drop(y, train)).astype(jnp.float32)
        if lengths is not None:
            here = (lengths >= 1) & (lengths <= x.shape[1])
            y = jnp.where(here.reshape(-1, *[1] * (y.ndim - 1)), y, jnp.nan)
        return y, carry

    def _check_pool(self, y: Array, x: Array, lengths: Array | None) -> None:
        if y.ndim != 3:
            raise InputError(
                "pool", self.pool, "None, for a body that gives one vector per sequence"
            )
        if lengths is not None and y.shape[1] != x.shape[1] and self.pool != "max":
            raise InputError(
                "pool", self.pool, "max, for sequences with lengths and a body that shortens them"
            )
