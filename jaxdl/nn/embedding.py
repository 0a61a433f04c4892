"""Embeddings: a vector for each id, drawn or known beforehand, trained or not."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.linen.initializers import Initializer
from jaxtyping import Array, Bool, Float, Int

from jaxdl.errors import InputError, at_least, one_of


class Embedding(nn.Module):
    """A row of a table for each id.

        y_i = E[id_i]

    Rows that no gradient moves stand in the collection `constants`, which travels in a task's `extra`; `params` has
    the others alone. So what decays or averages parameters finds nothing that has to stay as it is.

    Source: Bengio et al. 2003, A neural probabilistic language model.

    Attributes:
      vocabulary: V, how many ids there are.
      features: D, how many numbers each gets.
      padding: an id whose row is 0 and gets no gradient; None: there is none.
      vectors: what rows start at, `[V, D]`, float; a row of NaN: there is no vector for that id, and it is drawn.
        None: all are drawn.
      train_rows: which rows are trained: "all", "none", or "unknown", those without a vector.
      dtype: of the output; None: that of the table.
      param_dtype: of the table.
      embedding_init: initializer of `embedding`, `[V, D]`. The default, as Linen's, is normal with deviation
        1/sqrt(D): rows have a length of about 1 however many numbers they are, and so have their products.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> import jax
      >>> layer, ids = Embedding(5, 3, padding=0), jnp.array([[4, 0]])
      >>> variables = layer.init(jax.random.key(0), ids)
      >>> layer.apply(variables, ids).shape, layer.apply(variables, ids)[0, 1].tolist()
      ((1, 2, 3), [0.0, 0.0, 0.0])
      >>> known = np.array([[1.0], [2.0], [np.nan]], np.float32)
      >>> layer = Embedding(3, 1, vectors=known, train_rows="unknown")
      >>> jax.tree.map(jnp.shape, layer.init(jax.random.key(0), ids))
      {'constants': {'embedding': (2, 1)}, 'params': {'embedding': (1, 1)}}
    """

    vocabulary: int
    features: int
    padding: int | None = None
    vectors: Any = None
    train_rows: Literal["all", "none", "unknown"] = "all"
    dtype: Any = None
    param_dtype: Any = jnp.float32
    embedding_init: Initializer = nn.linear.default_embed_init

    def __post_init__(self) -> None:
        at_least("vocabulary", self.vocabulary, 1)
        at_least("features", self.features, 1)
        one_of("train_rows", self.train_rows, ("all", "none", "unknown"))
        if self.padding is not None:
            at_least("padding", self.padding, 0)
            if self.padding >= self.vocabulary:
                raise InputError("padding", self.padding, f"an id below {self.vocabulary}")
        if self.vectors is not None and not isinstance(self.vectors, _Vectors):
            self.vectors = _Vectors(self.vectors, (self.vocabulary, self.features))
        if self.vectors is None and self.train_rows == "unknown":
            raise InputError("train_rows", "unknown", "all or none, without vectors")
        super().__post_init__()

    @nn.compact
    def __call__(self, ids: Int[Array, "*B"], train: bool = False) -> Float[Array, "*B D"]:
        """The rows.

        Args:
          ids: any shape, integers in [0, vocabulary). Any other integer, -1 too, gives NaN, which stops a run.
          train: changes nothing; what embeds is called with it.

        Returns:
          `[..., features]`.

        Raises:
          InputError: ids that are not integers.
        """
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError("ids dtype", ids.dtype.name, "integers")
        rows = self._rows(ids)
        if self.padding is not None:
            rows = jnp.where((ids == self.padding)[..., None], jnp.zeros_like(rows), rows)
        return rows if self.dtype is None else rows.astype(self.dtype)

    def _rows(self, ids: Array) -> Array:
        trained = self._trained()
        if trained.all():
            return _looked_up(self.param("embedding", self._start, trained), ids)
        fixed = self.variable(
            "constants", "embedding", lambda: self._start(self.make_rng("params"), ~trained)
        )
        if not trained.any():
            return _looked_up(fixed.value, ids)
        table = self.param("embedding", self._start, trained)
        # Each id's place among those of its kind; one out of range has none in either table.
        place = jnp.asarray(np.where(trained, trained.cumsum(), (~trained).cumsum()) - 1, jnp.int32)
        here = place.at[ids].get(
            mode="fill", fill_value=self.vocabulary, wrap_negative_indices=False
        )
        moves = (
            jnp.asarray(trained)
            .at[ids]
            .get(mode="fill", fill_value=True, wrap_negative_indices=False)
        )
        return jnp.where(moves[..., None], _looked_up(table, here), _looked_up(fixed.value, here))

    def _trained(self) -> Bool[np.ndarray, " V"]:
        """Which rows are."""
        if self.train_rows != "unknown":
            return np.full(self.vocabulary, self.train_rows == "all")
        return ~self.vectors.known & (
            np.arange(self.vocabulary) != (-1 if self.padding is None else self.padding)
        )

    def _start(self, key: Array, rows: Bool[np.ndarray, " V"]) -> Float[Array, "R D"]:
        """What some rows start at: their vectors, drawn where there are none, 0 for padding."""
        table = self.embedding_init(key, (self.vocabulary, self.features), self.param_dtype)
        if self.vectors is not None:
            known = jnp.asarray(self.vectors.known)[:, None]
            table = jnp.where(known, jnp.asarray(self.vectors.array, self.param_dtype), table)
        if self.padding is not None:
            table = table.at[self.padding].set(0)
        return table[np.flatnonzero(rows)]


class _Vectors:
    """An array that is compared by what object it is: modules are compared and hashed with their fields."""

    def __init__(self, array: Any, shape: tuple[int, int]) -> None:
        self.array = np.asarray(array)
        if self.array.shape != shape or not jnp.issubdtype(self.array.dtype, jnp.floating):
            raise InputError(
                "vectors", f"{self.array.dtype}{list(self.array.shape)}", f"floats {list(shape)}"
            )
        missing = np.isnan(self.array)
        self.known = ~missing.all(1)
        bad = np.isinf(self.array).any(1) | (missing.any(1) & self.known)
        if bad.any():
            row = int(bad.argmax())
            raise InputError(
                f"vectors[{row}]", self.array[row].tolist(), "finite numbers, or all of them NaN"
            )


def _looked_up(table: Array, ids: Array) -> Array:
    """`table[ids]`, NaN for ids out of range; NumPy would count negative ones from the end.

    With its gradient, which adds to one row after the other, and Adam's step: 0.12 ms of one core inside a loop at
    32x300 ids, V 100, D 64 (V 1,000: 0.18; 20,000: 3.5, of which Adam takes 1.9). As a product with one-hot vectors 3.2
    (24), with one for the gradient alone 2.1 (23), with a sum over sorted ids 1.8 (2.1; 5.9).
    """
    return (
        jnp.asarray(table).at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
    )
