"""The common part of the networks that predict an image pixel by pixel."""

from dataclasses import KW_ONLY
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.initializers import normal
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, integers
from jaxdl.metrics import wide
from jaxdl.models.sequence import OneHot

#: Largest number of grey levels, those of 8 bits.
MAX_LEVELS = 256


class PixelNet(nn.Module):
    """A network of images whose outputs for a pixel depend on earlier pixels only.

        logits_i = f(x_1, ..., x_{i-1}),    pixels numbered row by row

    A subclass has the layers, and their computation in two ways. `__call__` computes all logits of
    known images. `start`, `row`, `pixel` and `end` compute them pixel by pixel, at the same cost:

        state = start(B)
        for each row:     context = row(state),  queues = empty
          for each pixel:   logits, queues, kept = pixel(queues, context_j, pixel before)
          state = end(state, the row's pixels, everything that was kept)

    Attributes:
      size: H and W, height and width of the images.
      levels: L, number of grey levels, in [2, 256]: 2 for 1 bit, 256 for 8 bits.
      features: F, the width of the hidden layers.
      layers: number of hidden layers.
      classes: number of classes of a conditional network; None: it takes no label.
      dtype: dtype of the computation; None means that of the input. Parameters are float32.

    Raises:
      InputError: an invalid field, raised when the module is created.
    """

    size: tuple[int, int]
    _: KW_ONLY
    levels: int = 2
    features: int = 32
    layers: int = 5
    classes: int | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        self.size = integers("size", self.size, 2, "height and width of the images")
        at_least("levels", self.levels, 2)
        if self.levels > MAX_LEVELS:
            raise InputError("levels", self.levels, f"at most {MAX_LEVELS}")
        for name in ("features", "layers"):
            at_least(name, getattr(self, name), 1)
        if self.classes is not None:
            at_least("classes", self.classes, 2)
        super().__post_init__()

    def setup(self) -> None:
        """Makes the layers that all networks have."""
        self.position = self.param(
            "position", normal(0.02), (*self.size, self.features), jnp.float32
        )
        if self.classes is not None:
            self.one_hot = OneHot(self.classes, self.dtype or jnp.float32)
        self.hidden = nn.Dense(2 * self.features, dtype=self.dtype)
        self.out = nn.Dense(self.levels, dtype=self.dtype)

    def inputs(self, x: Float[Array, "B H W 1"]) -> Float[Array, "B H W 2"]:
        """Returns the pixels in [-1, 1] with a plane of ones, which shows the border.

        Raises:
          InputError: images of another size, or with several channels.
        """
        shape = (*self.size, 1)
        if x.shape[1:] != shape:
            raise InputError("images", list(x.shape), f"grey images [B, {str(shape)[1:-1]}]")
        # Scaled before it is rounded to the dtype, as the pixels of a sample are.
        x = 2 * x - 1
        x = x.astype(self.dtype or x.dtype)
        return jnp.concatenate([x, jnp.ones_like(x)], -1)

    def class_vector(
        self, label: Int[Array | np.ndarray, " B"] | None, batch: int
    ) -> Float[Array, "B C"] | None:
        """Returns the one-hot vector of each class, or None for a network without classes.

        Raises:
          InputError: a label for a network without classes, or no label for one with classes.
        """
        if self.classes is None:
            if label is not None:
                raise InputError("label", "an array", "None, for a network without classes")
            return None
        if label is None:
            raise InputError("label", None, f"the class of each image, in [0, {self.classes})")
        label = jnp.asarray(label)
        if label.shape != (batch,):
            raise InputError("label", list(label.shape), f"[{batch}], one per image")
        return self.one_hot(label, False)

    def head(self, h: Float[Array, "*B F"]) -> Float[Array, "*B L"]:
        """Computes the logits of the levels from the last features."""
        h = self.hidden(jax.nn.relu(h))
        return wide(self.out(jax.nn.relu(h)))

    def start(self, batch: int) -> Any:
        """Returns the state above the first row of `batch` images."""
        raise NotImplementedError

    def row(self, state: Any, i: Int[Array, ""], label: Any = None) -> tuple[Any, Any, Any]:
        """Computes everything that a row needs from the rows above.

        Args:
          state: the state above the row.
          i: index of the row.
          label: `[B]`, the class of each image of a conditional network.

        Returns:
          `(state, context, queues)`: the state; arrays `[W, ...]` with an entry for each pixel; and
          the queues before the first pixel.
        """
        raise NotImplementedError

    def pixel(
        self, queues: Any, context: Any, before: Float[Array, "B 2"]
    ) -> tuple[Float[Array, "B L"], Any, Any]:
        """Computes the logits of one pixel.

        Args:
          queues: the queues after the pixel before.
          context: entry of this pixel of the context of `row`.
          before: input of the pixel to the left; zeros at the first pixel of a row.

        Returns:
          `(logits, queues, kept)`; `end` gets what all pixels of the row have kept, `[W, ...]`.
        """
        raise NotImplementedError

    def end(self, state: Any, row: Float[Array, "B W 2"], kept: Any) -> Any:
        """Returns the state below a row, from its inputs and what its pixels have kept."""
        raise NotImplementedError


def pushed(rows: Float[Array, "B N ..."], row: Float[Array, "B ..."]) -> Float[Array, "B N ..."]:
    """Returns the newest N entries: without the first one, and with a new one at the end.

    Example:
      >>> pushed(jnp.array([[1, 2, 3]]), jnp.array([4])).tolist()
      [[2, 3, 4]]
    """
    return jnp.concatenate([rows[:, 1:], row[:, None]], 1)


def gate(x: Float[Array, "*B 2F"]) -> Float[Array, "*B F"]:
    """Computes tanh(a) s(b) for the two halves of the features, s the logistic function.

    Example:
      >>> gate(jnp.array([0.0, 3.0])).tolist()
      [0.0]
    """
    size = x.shape[-1] // 2
    # Both are one tanh of a whole array, because s(b) = (1 + tanh(b / 2)) / 2.
    factors = np.repeat([1.0, 0.5], size)
    scale = jnp.broadcast_to(jnp.asarray(factors, x.dtype), x.shape)
    a, b = jnp.split(jnp.tanh(x * scale), 2, -1)
    return a * (0.5 + 0.5 * b)
