"""PixelRNN: recurrent networks over the rows or the diagonals of an image."""

from dataclasses import KW_ONLY
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import initializers
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models.pixel_net import PixelNet, pushed
from jaxdl.nn.arrays import match_varying_axes
from jaxdl.nn.conv import conv2d
from jaxdl.nn.masked_conv import MaskedConv
from jaxdl.nn.recurrence import lstm_cell

Label = Int[Array | np.ndarray, " B"] | None


class RowLSTM(nn.Module):
    """A layer whose recurrent state moves from row to row.

        a_i = left(x_i) + h_{i-1} * K,    (c_i, h_i) = lstm(a_i, c_{i-1}),    y_i = x_i + h_i

    The convolution K of 3 pixels reads the row above, `left` the own pixel and the one to its left.

    Attributes:
      features: F, the width of inputs and state.
      dtype: dtype of the computation.
    """

    features: int
    dtype: Any = None

    def setup(self) -> None:
        self.left = MaskedConv(4 * self.features, (1, 3), dtype=self.dtype)
        shape = (1, 3, self.features, 4 * self.features)
        self.recurrent = self.param("recurrent", initializers.lecun_normal(), shape, jnp.float32)

    def __call__(
        self, x: Float[Array, "B H W F"], pixels: Float[Array, "B H W 2"]
    ) -> Float[Array, "B H W F"]:
        """Computes the outputs of whole images; `pixels` are the network's own inputs."""
        a = self.left(x).swapaxes(0, 1)
        zeros = jnp.zeros_like(x[:, 0])
        start, a = match_varying_axes((zeros, zeros), a)

        def step(carry: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], Array]:
            carry = self.cell(a + self._up(carry[1]), carry)
            return carry, carry[1]

        _, h = lax.scan(step, start, a)
        return x + h.swapaxes(0, 1)

    def _up(self, h: Float[Array, "B W F"]) -> Float[Array, "B W 4F"]:
        """Returns the share of the row above in the gates of a row."""
        return conv2d(h[:, None], self.recurrent.astype(h.dtype))[:, 0]

    def cell(self, a: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        """Computes one step of the LSTM for all pixels `[..., 4F]`."""
        shape = carry[0].shape
        flat = [each.reshape(-1, each.shape[-1]) for each in (a, *carry)]
        c, h = lstm_cell(flat[0], (flat[1], flat[2]))
        return c.reshape(shape), h.reshape(shape)

    def start(self, zeros: Float[Array, "B W F"]) -> Any:
        """Returns the state above the first row."""
        return zeros, zeros

    def above(self, state: Any) -> Any:
        """Returns what a row needs from the rows above, for each pixel, `[B, W, ...]`."""
        c, h = state
        return self._up(h), c

    def own(self, queue: Array, context: Any, x: Float[Array, "B F"]) -> tuple[Array, Any, Any]:
        """Returns the output of one pixel, the queue after it, and what it keeps."""
        window = jnp.stack([queue, x], 1)[:, None]
        a, c = context
        c, h = self.cell(self.left(window, "own")[:, 0, 0] + a, (c, jnp.zeros_like(c)))
        return x + h, x, (c, h)

    def queue(self, zeros: Float[Array, "B F"]) -> Any:
        """Returns the queue before the first pixel of a row."""
        return zeros

    def below(self, state: Any, kept: Any, row: Float[Array, "B W 2"]) -> Any:
        """Returns the state below a row, from what its pixels `[B, W, F]` have kept."""
        return kept


class DiagonalLSTM(nn.Module):
    """A layer with two recurrent states that move along the diagonals of an image.

        a_ij = x_ij W + h_{i,j-1} R + h_{i-1,j} U + b,    (c_ij, h_ij) = lstm(a_ij, c_{i,j-1})
        y_ij = x_ij + h_ij + g_{i-1,j}

    g is the same from right to left, with its own weights. It is read one row later, since it has
    seen the pixels to the right. So it may also read the own pixel, which is not in x_ij. All
    pixels of a diagonal are computed at once.

    Attributes:
      features: F, the width of inputs and states.
      dtype: dtype of the computation.
    """

    features: int
    dtype: Any = None

    def setup(self) -> None:
        self.inputs = nn.Dense(4 * self.features, dtype=self.dtype)
        self.back = nn.Dense(4 * self.features, dtype=self.dtype)
        # Both directions, both neighbours: of the same row, and of the row above.
        shape = (2, 2 * self.features, 4 * self.features)
        self.recurrent = self.param("recurrent", initializers.orthogonal(), shape, jnp.float32)

    def __call__(
        self, x: Float[Array, "B H W F"], pixels: Float[Array, "B H W 2"]
    ) -> Float[Array, "B H W F"]:
        """Computes the outputs of whole images; `pixels` are the network's own inputs."""
        b = self.back(jnp.concatenate([x, pixels], -1))
        h = self._diagonals(self.inputs(x), 0)
        g = self._diagonals(b[:, :, ::-1], 1)[:, :, ::-1]
        return x + h + jnp.pad(g[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))

    def _diagonals(self, a: Float[Array, "B H W 4F"], direction: int) -> Float[Array, "B H W F"]:
        """Runs one LSTM from the left over all diagonals."""
        batch, height, width, _ = a.shape
        steps = height + width - 1
        columns = np.arange(steps)[:, None] - np.arange(height)[None]
        inside = jnp.asarray((columns >= 0) & (columns < width))
        # Row i is shifted to the right by i, so that a diagonal becomes a column.
        padded = jnp.pad(a, ((0, 0), (0, 0), (0, height), (0, 0)))
        flat = padded.reshape(batch, -1, a.shape[-1])[:, :-height]
        skewed = flat.reshape(batch, height, steps, -1).transpose(2, 0, 1, 3)
        zeros = jnp.zeros((batch, height, self.features), a.dtype)
        start, skewed = match_varying_axes((zeros, zeros), skewed)

        def step(carry: tuple[Array, Array], inputs: tuple) -> tuple[tuple[Array, Array], Array]:
            a, inside = inputs
            c, h = carry
            above = jnp.pad(h[:, :-1], ((0, 0), (1, 0), (0, 0)))
            c, h = self.cell(a, c, h, above, direction)
            valid = jnp.broadcast_to(inside[None, :, None], h.shape)
            c, h = (jnp.where(valid, each, jnp.zeros_like(each)) for each in (c, h))
            return (c, h), h

        _, h = lax.scan(step, start, (skewed, inside))
        flat = h.transpose(1, 2, 0, 3).reshape(batch, -1, self.features)
        flat = jnp.pad(flat, ((0, 0), (0, height), (0, 0)))
        return flat.reshape(batch, height, -1, self.features)[:, :, :width]

    def cell(self, a: Array, c: Array, left: Array, above: Array, direction: int) -> Any:
        """Computes one step of the LSTM for all pixels `[..., 4F]`."""
        both = jnp.concatenate([left, above], -1)
        a = a + both @ self.recurrent[direction].astype(a.dtype)
        flat = [each.reshape(-1, each.shape[-1]) for each in (a, c, left)]
        c, h = lstm_cell(flat[0], (flat[1], flat[2]))
        return c.reshape(left.shape), h.reshape(left.shape)

    def start(self, zeros: Float[Array, "B W F"]) -> Any:
        """Returns the state above the first row."""
        return zeros, zeros

    def above(self, state: Any) -> Any:
        """Returns what a row needs from the rows above, for each pixel, `[B, W, ...]`."""
        return state

    def own(self, queue: Any, context: Any, x: Float[Array, "B F"]) -> tuple[Array, Any, Any]:
        """Returns the output of one pixel, the queue after it, and what it keeps."""
        above, g = context
        c, h = queue
        c, h = self.cell(self.inputs(x), c, h, above, 0)
        return x + h + g, (c, h), (h, x)

    def queue(self, zeros: Float[Array, "B F"]) -> Any:
        """Returns the queue before the first pixel of a row."""
        return zeros, zeros

    def below(self, state: Any, kept: Any, row: Float[Array, "B W 2"]) -> Any:
        """Returns the state below a row; the second LSTM runs over it from right to left."""
        h, x = kept
        _, above = state
        b = self.back(jnp.concatenate([x, row.astype(x.dtype)], -1))
        zeros = jnp.zeros_like(h[:, 0])

        def step(carry: tuple[Array, Array], inputs: tuple) -> tuple[tuple[Array, Array], Array]:
            a, above = inputs
            carry = self.cell(a, *carry, above, 1)
            return carry, carry[1]

        inputs = (b.swapaxes(0, 1), above.swapaxes(0, 1))
        _, g = lax.scan(step, (zeros, zeros), inputs, reverse=True)
        return h, g.swapaxes(0, 1)


class PixelRNN(PixelNet):
    """A PixelRNN: LSTM layers over the rows of an image, or over its diagonals.

        x_0 = conv_A(pixels) + p,    x_l = layer_l(x_{l-1}),    logits = MLP(x_last)

    The state of a row LSTM has seen a triangle above a pixel. Those of a diagonal LSTM have seen
    all earlier pixels.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel recurrent neural networks.

    Attributes:
      kind: "row" or "diagonal".
      first_size: size of the window of the first layer, odd, at least 3.

    The other attributes are those of `PixelNet`.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = PixelRNN((4, 4), features=4, layers=1, kind="diagonal")
      >>> x = jnp.zeros((3, 4, 4, 1))
      >>> logits, variables = model.init_with_output(jax.random.key(0), x, train=False)
      >>> logits.shape
      (3, 4, 4, 2)
    """

    _: KW_ONLY
    kind: Literal["row", "diagonal"] = "row"
    first_size: int = 5

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("row", "diagonal"))
        at_least("first_size", self.first_size, 3)
        if self.first_size % 2 == 0:
            raise InputError("first_size", self.first_size, "an odd number")
        super().__post_init__()

    def setup(self) -> None:
        super().setup()
        self.first = MaskedConv(self.features, self.first_size, centre=False, dtype=self.dtype)
        layer = {"row": RowLSTM, "diagonal": DiagonalLSTM}[self.kind]
        self.lstms = [layer(self.features, self.dtype) for _ in range(self.layers)]
        if self.classes is not None:
            self.shift = nn.Dense(self.features, use_bias=False, dtype=self.dtype)

    def __call__(
        self, x: Float[Array, "B H W 1"], train: bool, label: Label = None
    ) -> Float[Array, "B H W L"]:
        """Computes the logits of the levels of all pixels.

        Args:
          x: images `[B, H, W, 1]` in [0, 1].
          train: no effect.
          label: `[B]` in [0, classes), for conditional networks. Any other integer gives NaN.

        Returns:
          `[B, H, W, levels]`, float32 or a wider dtype.

        Raises:
          InputError: images of another size, or a label that does not fit the network.
        """
        e = self.class_vector(label, x.shape[0])
        pixels = self.inputs(x)
        x = self.first(pixels) + self._at(e, x.shape[0], pixels.dtype)
        for layer in self.lstms:
            x = layer(x, pixels)
        return self.head(x)

    def _at(self, e: Array | None, batch: int, dtype: Any) -> Float[Array, "B H W F"]:
        """Returns what is added at each position, with that of the class."""
        shape = (batch, *self.position.shape)
        added = jnp.broadcast_to(self.position.astype(dtype)[None], shape)
        if e is not None:
            added = added + jnp.broadcast_to(self.shift(e)[:, None, None], shape)
        return added

    def start(self, batch: int) -> dict[str, Any]:
        """Returns the state of zeros above the first row."""
        dtype = self.dtype or jnp.float32
        width = self.size[1]
        zeros = jnp.zeros((batch, width, self.features), dtype)
        return {
            "image": jnp.zeros((batch, self.first_size // 2, width, 2), dtype),
            "layers": [layer.start(zeros) for layer in self.lstms],
        }

    def row(self, state: Any, i: Int[Array, ""], label: Label = None) -> tuple[Any, Any, Any]:
        """Computes the share of the rows above in the layers' inputs of a row."""
        image = state["image"]
        batch = image.shape[0]
        e = self.class_vector(label, batch)
        at = lax.dynamic_index_in_dim(self._at(e, batch, image.dtype), i, 1, keepdims=False)
        at = at + self.first(image, "above")[:, 0]
        above = [layer.above(each) for layer, each in zip(self.lstms, state["layers"], strict=True)]
        context = jax.tree.map(lambda each: each.swapaxes(0, 1), [at, *above])
        zeros = jnp.zeros((batch, self.features), image.dtype)
        first = jnp.zeros((batch, 1, self.first_size // 2, 2), image.dtype)
        return state, context, [first, *(layer.queue(zeros) for layer in self.lstms)]

    def pixel(
        self, queues: Any, context: Any, before: Float[Array, "B 2"]
    ) -> tuple[Float[Array, "B L"], Any, Any]:
        """Computes the layers of one pixel."""
        first, *others = queues
        first = jnp.concatenate([first[:, :, 1:], before[:, None, None].astype(first.dtype)], 2)
        x = self.first(first, "own")[:, 0, 0] + context[0]
        new = [first]
        kept = []
        for layer, queue, above in zip(self.lstms, others, context[1:], strict=True):
            x, queue, keep = layer.own(queue, above, x)
            new.append(queue)
            kept.append(keep)
        return self.head(x), new, kept

    def end(self, state: Any, row: Float[Array, "B W 2"], kept: Any) -> Any:
        """Adds a finished row to the states."""
        kept = jax.tree.map(lambda each: each.swapaxes(0, 1), kept)
        layers = [
            layer.below(before, keep, row)
            for layer, before, keep in zip(self.lstms, state["layers"], kept, strict=True)
        ]
        return {"image": pushed(state["image"], row.astype(state["image"].dtype)), "layers": layers}
