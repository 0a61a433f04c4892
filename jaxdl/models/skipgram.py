"""Word vectors: two tables, one vector of each word as a centre and one as a context."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, one_of

#: Names of the tables of vectors.
TABLES = ("input", "output")


class SkipGram(nn.Module):
    """Two vectors of each word: `input`, which is its word vector, and `output`, of its contexts.

        score(w, c) = v_w . u_c   (+ b_w + b_c with biases)

    The task `jaxdl.tasks.embed` trains the tables by pairs of words in windows of a text, and
    `jaxdl.tasks.glove` by counts of such pairs.

    Source: Mikolov et al. 2013, Distributed representations of words and phrases and their
    compositionality; Pennington, Socher, Manning 2014, GloVe.

    Attributes:
      vocabulary: V, the number of ids.
      features: D, the size of each vector.
      biases: if True, each word has two biases too, as in GloVe.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = SkipGram(5, 3)
      >>> ids = jnp.array([4, 0])
      >>> variables = model.init(jax.random.key(0), ids)
      >>> model.apply(variables, ids).shape, sorted(variables["params"])
      ((2, 3), ['input', 'output'])
    """

    vocabulary: int
    features: int
    biases: bool = False

    def __post_init__(self) -> None:
        at_least("vocabulary", self.vocabulary, 3)
        at_least("features", self.features, 1)
        super().__post_init__()

    def setup(self) -> None:
        shape = self.vocabulary, self.features
        self.input = self.param("input", _small, shape)
        # With biases the loss is a square, whose gradient at 0 would be 0 in both tables.
        self.output = self.param("output", _small if self.biases else nn.initializers.zeros, shape)
        if self.biases:
            zeros = nn.initializers.zeros
            self.input_bias = self.param("input_bias", zeros, (self.vocabulary,))
            self.output_bias = self.param("output_bias", zeros, (self.vocabulary,))

    def __call__(
        self, ids: Int[Array, "*B"], train: bool = False, table: str = "input"
    ) -> Float[Array, "*B D"]:
        """Looks up the vectors of words.

        Args:
          ids: any shape, integers in [0, vocabulary). Any other integer gives NaN.
          train: not used; it makes the layer callable like a model.
          table: input or output.

        Returns:
          `[..., features]`.

        Raises:
          InputError: ids that are not integers.
        """
        ids = jnp.asarray(ids)
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError("ids dtype", ids.dtype.name, "integers")
        known = (ids >= 0) & (ids < self.vocabulary)
        whole = {"input": self.input, "output": self.output}[one_of("table", table, TABLES)]
        rows = jnp.asarray(whole).at[jnp.where(known, ids, 0)].get(mode="clip")
        return jnp.where(known[..., None], rows, jnp.nan)


def _small(key: Key[Array, ""], shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """Returns uniform numbers in [-1/2D, 1/2D), as word2vec does."""
    return jax.random.uniform(key, shape, dtype, -0.5, 0.5) / shape[1]
