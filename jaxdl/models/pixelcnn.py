"""PixelCNN: a network of masked convolutions that predicts each pixel from the earlier ones."""

from dataclasses import KW_ONLY
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.models.pixel_net import PixelNet, gate, pushed
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.masked_conv import MaskedConv

Label = Int[Array | np.ndarray, " B"] | None


class GatedBlock(nn.Module):
    """One layer of the gated PixelCNN: a vertical and a horizontal stack.

        u = rows(v),    v' = v + gate(u + e)
        h' = h + gate(left(h) + link(u) + e) W

    `v` reads whole rows above, `h` also the pixels to the left. `h` may read `v`, and not the
    reverse, since `v` is a part of later pixels' inputs in all columns.

    Attributes:
      features: F, the width of both stacks.
      kernel_size: size of the window of `rows`, and the width of that of `left`.
      conditional: if True, e is a linear function of a class, one for each stack.
      dropout: dropout rate of the inputs of `rows` and `left`, in [0, 1).
      dtype: dtype of the computation.
    """

    features: int
    kernel_size: int
    conditional: bool
    dropout: float = 0.0
    dtype: Any = None

    def setup(self) -> None:
        double = 2 * self.features
        size = self.kernel_size
        self.rows = MaskedConv(double, size, rows=True, dtype=self.dtype)
        self.left = MaskedConv(double, (1, size), use_bias=False, dtype=self.dtype)
        self.link = nn.Dense(double, dtype=self.dtype)
        self.mix = nn.Dense(self.features, dtype=self.dtype)
        self.drop = Dropout(self.dropout)
        if self.conditional:
            self.shift = nn.Dense(2 * double, use_bias=False, dtype=self.dtype)

    def _shifts(self, e: Array | None) -> tuple[Array, Array] | None:
        """Returns the shifts of both stacks, `[B, 1, 1, 2F]` each, or None without classes."""
        if e is None:
            return None
        both = self.shift(e)[:, None, None]
        vertical, horizontal = jnp.split(both, 2, -1)
        return vertical, horizontal

    def __call__(self, v: Array, h: Array, e: Array | None, train: bool) -> tuple[Array, Array]:
        """Computes both stacks of whole images."""
        u = self.rows(self.drop(v, train))
        v, context = self._vertical(v, u, e)
        return v, self._horizontal(h, self.left(self.drop(h, train)), context)

    def above(self, rows: Array, e: Array | None) -> tuple[Array, Array]:
        """Computes the vertical stack of one row `[B, 1, W, F]`, and what it adds to `left`."""
        return self._vertical(rows[:, -1:], self.rows(rows, "above"), e)

    def own(self, window: Array, context: Array) -> Array:
        """Computes the horizontal stack of one pixel from the pixels `[B, 1, N, F]` it reads."""
        return self._horizontal(window[:, :, -1:], self.left(window, "own"), context)

    def _vertical(self, v: Array, u: Array, e: Array | None) -> tuple[Array, Array]:
        context = self.link(u)
        shifts = self._shifts(e)
        if shifts is not None:
            u = u + jnp.broadcast_to(shifts[0], u.shape)
            context = context + jnp.broadcast_to(shifts[1], context.shape)
        return v + gate(u), context

    def _horizontal(self, h: Array, left: Array, context: Array) -> Array:
        return h + self.mix(gate(left + context))


class PixelCNN(PixelNet):
    """A PixelCNN of one masked stack, or a gated one of two stacks without a blind spot.

        plain:    h_0 = conv_A(x) + p,    h_l = h_{l-1} + conv_B(relu(h_{l-1}))
        gated:    v_0 = rows_A(x),  h_0 = left_A(x) + p,    (v_l, h_l) = block_l(v_{l-1}, h_{l-1})
        logits = MLP(h_last)

    p is a trained number for each position. Mask A hides a pixel from its own output, mask B does
    not. The plain stack never reads the pixels in a triangle to the upper right, the blind spot.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel recurrent neural networks; van den
    Oord et al. 2016, Conditional image generation with PixelCNN decoders (gated).

    Attributes:
      gated: if True, the network has two stacks with gates.
      kernel_size: size of the windows of the hidden layers, odd, at least 3.
      first_size: size of the window of the first layer, odd, at least 3.
      dropout: dropout rate in the hidden layers, in [0, 1).

    The other attributes are those of `PixelNet`.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = PixelCNN((8, 8), features=4, layers=2)
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> logits, variables = model.init_with_output(jax.random.key(0), x, train=False)
      >>> logits.shape
      (3, 8, 8, 2)
    """

    _: KW_ONLY
    gated: bool = True
    kernel_size: int = 3
    first_size: int = 7
    dropout: float = 0.0

    def __post_init__(self) -> None:
        of_kind("gated", self.gated, bool, "True or False")
        in_range("dropout", self.dropout, 0, 1)
        for name in ("kernel_size", "first_size"):
            size = getattr(self, name)
            at_least(name, size, 3)
            if size % 2 == 0:
                raise InputError(name, size, "an odd number")
        super().__post_init__()

    @property
    def reach(self) -> int:
        """Number of rows above, and of columns to the left, that an output can depend on."""
        return self.first_size // 2 + self.layers * (self.kernel_size // 2)

    def setup(self) -> None:
        super().setup()
        if self.gated:
            self.first_rows = MaskedConv(
                self.features, self.first_size, rows=True, centre=False, dtype=self.dtype
            )
            self.first = self._masked((1, self.first_size), centre=False)
            self.blocks = [
                GatedBlock(
                    self.features,
                    self.kernel_size,
                    self.classes is not None,
                    self.dropout,
                    self.dtype,
                )
                for _ in range(self.layers)
            ]
            return
        self.first = self._masked(self.first_size, centre=False)
        self.convs = [self._masked(self.kernel_size) for _ in range(self.layers)]
        self.drop = Dropout(self.dropout)
        if self.classes is not None:
            self.shift = nn.Dense(self.features, use_bias=False, dtype=self.dtype)

    def _masked(self, size: int | tuple[int, int], centre: bool = True) -> MaskedConv:
        return MaskedConv(self.features, size, centre=centre, dtype=self.dtype)

    def __call__(
        self, x: Float[Array, "B H W 1"], train: bool, label: Label = None
    ) -> Float[Array, "B H W L"]:
        """Computes the logits of the levels of all pixels.

        Args:
          x: images `[B, H, W, 1]` in [0, 1].
          train: if True, applies dropout (random stream "dropout").
          label: `[B]` in [0, classes), for conditional networks. Any other integer gives NaN.

        Returns:
          `[B, H, W, levels]`, float32 or a wider dtype.

        Raises:
          InputError: images of another size, or a label that does not fit the network.
        """
        e = self.class_vector(label, x.shape[0])
        x = self.inputs(x)
        h = self.first(x) + self._at(e, x.shape[0], x.dtype)
        if not self.gated:
            for conv in self.convs:
                h = h + conv(self.drop(jax.nn.relu(h), train))
            return self.head(h)
        v = self.first_rows(x)
        for block in self.blocks:
            v, h = block(v, h, e, train)
        return self.head(h)

    def _at(self, e: Array | None, batch: int, dtype: Any) -> Float[Array, "B H W F"]:
        """Returns what is added at each position, for a plain network with that of the class."""
        shape = (batch, *self.position.shape)
        added = jnp.broadcast_to(self.position.astype(dtype)[None], shape)
        if e is not None and not self.gated:
            added = added + jnp.broadcast_to(self.shift(e)[:, None, None], shape)
        return added

    def start(self, batch: int) -> dict[str, Any]:
        """Returns rows of zeros, the inputs of every layer above the first row."""
        dtype = self.dtype or jnp.float32
        width = self.size[1]
        above = self.kernel_size // 2
        return {
            "image": jnp.zeros((batch, self.first_size // 2, width, 2), dtype),
            "layers": [jnp.zeros((batch, above, width, self.features), dtype)] * self.layers,
        }

    def row(self, state: Any, i: Int[Array, ""], label: Label = None) -> tuple[Any, Any, Any]:
        """Computes the vertical stack of a row, or the windows' shares of the rows above."""
        image = state["image"]
        batch = image.shape[0]
        e = self.class_vector(label, batch)
        at = jax.lax.dynamic_slice_in_dim(self._at(e, batch, image.dtype), i, 1, 1)
        rows = state["layers"]
        contexts = []
        if self.gated:
            v = self.first_rows(image, "above")
            rows = []
            for block, before in zip(self.blocks, state["layers"], strict=True):
                window = jnp.concatenate([before, v], 1)
                v, context = block.above(window, e)
                contexts.append(context)
                rows.append(window[:, 1:])
        else:
            at = at + self.first(image, "above")
            contexts = [
                conv(jax.nn.relu(before), "above")
                for conv, before in zip(self.convs, rows, strict=True)
            ]
        # `[B, 1, W, F]` becomes `[W, B, 1, 1, F]`, with an entry for each pixel.
        context = jax.tree.map(lambda each: each.swapaxes(0, 2)[:, :, :, None], [at, *contexts])
        context = jax.tree.map(lambda each: each.reshape(each.shape[0], batch, 1, 1, -1), context)
        left = self.kernel_size // 2
        empty = jnp.zeros((batch, 1, left, self.features), image.dtype)
        first = jnp.zeros((batch, 1, self.first_size // 2, 2), image.dtype)
        return {**state, "layers": rows}, context, [first, *[empty] * self.layers]

    def pixel(
        self, queues: Any, context: Any, before: Float[Array, "B 2"]
    ) -> tuple[Float[Array, "B L"], Any, Any]:
        """Computes the horizontal stack of one pixel."""
        first, *others = queues
        first = jnp.concatenate([first[:, :, 1:], before[:, None, None].astype(first.dtype)], 2)
        h = self.first(first, "own") + context[0]
        new = [first]
        kept = []
        for i, queue in enumerate(others):
            window = jnp.concatenate([queue, h], 2)
            new.append(window[:, :, 1:])
            if self.gated:
                h = self.blocks[i].own(window, context[i + 1])
            else:
                kept.append(h[:, 0, 0])
                h = h + self.convs[i](jax.nn.relu(window), "own") + context[i + 1]
        return self.head(h[:, 0, 0]), new, kept

    def end(self, state: Any, row: Float[Array, "B W 2"], kept: Any) -> Any:
        """Adds a finished row to the rows above."""
        rows = state["layers"]
        if not self.gated:
            rows = [
                pushed(before, each.swapaxes(0, 1)) for before, each in zip(rows, kept, strict=True)
            ]
        return {"image": pushed(state["image"], row.astype(state["image"].dtype)), "layers": rows}
