"""Networks over sequences: an embedding of steps, a body over time, and an output layer."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.metrics import wide
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.embedding import Embedding
from jaxdl.nn.sequences import Pool, lengths_array, pool_steps
from jaxdl.nn.tap import named, train_kwargs


class OneHot(nn.Module):
    """A layer that maps ids to one-hot vectors.

        x_btv = 1 if ids_bt = v else 0

    Attributes:
      vocabulary: V, number of ids. An id outside [0, V) becomes NaN, which stops a run.
      dtype: dtype of the vectors.

    Raises:
      InputError: a vocabulary below 1, raised when the module is created.

    Example:
      >>> OneHot(3).apply({}, jnp.array([[2, 0]]), False).tolist()
      [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """

    vocabulary: int
    dtype: Any = jnp.float32

    def __post_init__(self) -> None:
        at_least("vocabulary", self.vocabulary, 1)
        super().__post_init__()

    def __call__(self, ids: Int[Array, "*B"], train: bool) -> Float[Array, "*B V"]:
        """Returns the vectors; `train` has no effect."""
        ids = jnp.asarray(ids)
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError("ids dtype", ids.dtype.name, "integers")
        valid = (ids >= 0) & (ids < self.vocabulary)
        hot = jax.nn.one_hot(ids, self.vocabulary, dtype=self.dtype)
        return jnp.where(valid[..., None], hot, jnp.full_like(hot, jnp.nan))


class SequenceNet(nn.Module):
    """A network over sequences.

        x_t = embed(input_t)
        y_{1..T}, carry = body(x_{1..T}, carry)
        logits = dropout(pool(y)) W + b

    With `pool`, or a body that returns one vector per sequence, there is one output per sequence.
    Otherwise there is one per step. The parts are modules: replacing an RNN by a convolutional
    network changes one argument.

    Attributes:
      embed: module called as `embed(inputs, train) -> [B, T, D]`, such as `jaxdl.nn.Embedding`,
        `OneHot` or `TimeDistributed(CNN)`; None if the inputs are vectors.
      body: module called as `body(x [B, T, D], train, lengths, carry) -> (y, carry)`, such as
        `jaxdl.nn.RNN`, `CNN1D` or `tcn(...)`.
      outputs: number of outputs per sequence or step.
      pool: "last", "mean" or "max" over the valid steps; None means the output of the body.
      dropout: dropout rate of the body's output, in [0, 1).
      dtype: dtype of the output layer's computation; None means the dtype of its input.
      tied: if True, W is the transposed table of `embed`, a `jaxdl.nn.Embedding`, and there is no
        b. Each output is then the score of an id, and the body has as many features as the table.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> from jaxdl.nn import RNN
      >>> model = SequenceNet(OneHot(5), RNN("gru", 8), 5)
      >>> ids = jnp.array([[1, 2, 3]])
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
    tied: bool = False

    def __post_init__(self) -> None:
        at_least("outputs", self.outputs, 1)
        of_kind("tied", self.tied, bool, "True or False")
        if self.tied and not isinstance(self.embed, Embedding):
            raise InputError("tied", True, "False, or a jaxdl.nn.Embedding as embed")
        if self.tied and self.outputs != self.embed.vocabulary:  # type: ignore[union-attr]
            allowed = f"{self.embed.vocabulary}, the vocabulary"  # type: ignore[union-attr]
            raise InputError("outputs", self.outputs, f"{allowed} of the tied embedding")
        in_range("dropout", self.dropout, 0, 1)
        if self.pool is not None:
            one_of("pool", self.pool, ("last", "mean", "max"))
        super().__post_init__()

    def setup(self) -> None:
        if not self.tied:
            self.out = nn.Dense(self.outputs, dtype=self.dtype)
        self.drop = Dropout(self.dropout)

    def __call__(
        self, inputs: Num[Array, "B T ..."], train: bool, lengths: Int[Array, " B"] | None = None
    ) -> Float[Array, "B K"] | Float[Array, "B T K"]:
        """Computes the outputs, which are the logits of a classifier or language model.

        Args:
          inputs: ids `[B, T]`, or vectors or images `[B, T, ...]`, as `embed` takes them.
          train: if True, applies dropout (random stream "dropout").
          lengths: `[B]` in [1, T], number of valid steps of each sequence; None means T.

        Returns:
          `[B, outputs]` or `[B, T, outputs]`, float32 or a wider dtype. A length out of range gives
          NaN.

        Raises:
          InputError: an input that one of the parts does not accept.
        """
        return self.resume(inputs, train, lengths=lengths)[0]

    def resume(
        self,
        inputs: Num[Array, "B T ..."],
        train: bool,
        carry: Any = None,
        lengths: Int[Array, " B"] | None = None,
    ) -> tuple[Float[Array, "..."], Any]:
        """Computes the outputs from the carry of an earlier part of the sequences.

        Args:
          inputs: as for `__call__`.
          train: as for `__call__`.
          carry: the carry that `resume` returned for the previous steps; None at the beginning.
          lengths: as for `__call__`.

        Returns:
          `(outputs, carry)`, with the carry after the last step.
        """
        if lengths is not None:
            lengths = lengths_array(lengths)
        x = inputs
        if self.embed is not None:
            x = self.embed(inputs, **train_kwargs(self.embed, train))
        y, carry = self.body(x, train, lengths, carry)
        if self.pool is not None:
            self._check_pool(y, x, lengths)
            # A body that shortens the sequence has already set its invalid steps to 0.
            same_steps = y.shape[1] == x.shape[1]
            y = named(self, "pool", pool_steps(y, self.pool, lengths if same_steps else None))
        y = wide(self._output(self.drop(y, train)))
        if lengths is not None:
            valid = (lengths >= 1) & (lengths <= x.shape[1])
            y = jnp.where(valid.reshape(-1, *[1] * (y.ndim - 1)), y, jnp.nan)
        return y, carry

    def _output(self, y: Array) -> Array:
        """Applies the output layer."""
        if not self.tied:
            return self.out(y)
        assert isinstance(self.embed, Embedding)
        if y.shape[-1] != self.embed.features:
            allowed = f"{y.shape[-1]}, the features of the body, if the outputs are tied"
            raise InputError("embed features", self.embed.features, allowed)
        return self.embed.attend(y, self.dtype)

    def _check_pool(self, y: Array, x: Array, lengths: Array | None) -> None:
        if y.ndim != 3:
            raise InputError(
                "pool", self.pool, "None, for a body that returns one vector per sequence"
            )
        if lengths is not None and y.shape[1] != x.shape[1] and self.pool != "max":
            raise InputError(
                "pool", self.pool, "max, for sequences with lengths and a body that shortens them"
            )
