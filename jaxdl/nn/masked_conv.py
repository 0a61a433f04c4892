"""Masked convolutions of images: no output depends on a later pixel.

Pixels are ordered row by row, from left to right. A sampler computes the same convolution in two
parts: that of the rows above once per row, and that of the own row pixel by pixel.
"""

from dataclasses import KW_ONLY
from functools import partial
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, of_kind, one_of
from jaxdl.nn.conv import ConvLayer, conv2d
from jaxdl.nn.sizes import Sizes

#: The parts of a masked convolution that a call computes.
Part = Literal["all", "above", "own"]


class MaskedConv(ConvLayer):
    """A convolution of images whose outputs depend on earlier pixels only.

        y_ij = b + sum_{fg} x_{i-f, j+g} kernel_fg,    (f, g) before the centre (0, 0)

    The pixels before (i, j) are those of the rows above, and those to its left. With `centre`, its
    own value counts, too. This is mask "B" of the paper, and without `centre` mask "A".

    With `rows`, y_ij depends on the rows above, in both directions, and with `centre` also on the
    whole own row.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu 2016, Pixel recurrent neural networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of the window that is masked, odd numbers, or one for both.
      centre: if True, the own pixel counts; with `rows` the own row.
      rows: if True, only whole rows count.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> layer = MaskedConv(1, 3, centre=False)
      >>> ones = {"params": {"kernel": jnp.ones((2, 3, 1, 1)), "bias": jnp.zeros(1)}}
      >>> layer.apply(ones, jnp.ones((1, 2, 3, 1)))[0, :, :, 0].tolist()
      [[0.0, 1.0, 1.0], [2.0, 4.0, 3.0]]
    """

    kernel_size: Sizes = (3, 3)
    _: KW_ONLY
    centre: bool = True
    rows: bool = False
    padding: Literal["SAME"] = "SAME"

    size_fields = ("kernel_size",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("centre", "rows"):
            of_kind(name, getattr(self, name), bool, "True or False")
        one_of("padding", self.padding, ("SAME",))
        if self.groups != 1:
            raise InputError("groups", self.groups, "1, for a masked convolution")
        if not all(size % 2 for size in self._sizes):
            raise InputError("kernel_size", self._sizes, "odd numbers")
        if self.rows and not self.centre and self._sizes[0] == 1:
            raise InputError("kernel_size", self._sizes, "a height of at least 3 with rows")
        if not self.centre and self._sizes == (1, 1):
            raise InputError("kernel_size", self._sizes, "a side of at least 3 without centre")

    @property
    def _sizes(self) -> tuple[int, int]:
        height, width = self.kernel_size  # type: ignore[misc]
        return height, width

    @property
    def above(self) -> int:
        """Number of rows above that an output depends on."""
        return self._sizes[0] // 2

    @property
    def left(self) -> int:
        """Number of pixels of the own row that an output depends on, with the own pixel."""
        if self.rows:
            return 0
        return self._sizes[1] // 2 + self.centre

    @nn.compact
    def __call__(
        self, x: Float[Array, "B H W C"], part: Part = "all"
    ) -> Float[Array, "B H W D"] | Float[Array, "B 1 W D"] | Float[Array, "B 1 1 D"]:
        """Convolves images, or computes one part of the outputs of a row.

        Args:
          x: images `[B, H, W, C]` for "all". For "above" the rows that a row depends on,
            `[B, above, W, C]`, with `rows` and `centre` also the own one. For "own" the pixels of
            the own row that an output depends on, `[B, 1, left, C]`.
          part: "all" for all outputs; "above" for the outputs `[B, 1, W, D]` of one row without
            those of "own"; "own" for the share `[B, 1, 1, D]` of the own row, with the bias.

        Returns:
          The outputs. "above" has the bias only with `rows`.

        Raises:
          InputError: a wrong shape or dtype, an unknown part, or one that the layer does not have.
        """
        one_of("part", part, ("all", "above", "own"))
        if x.ndim != 4:
            raise InputError("x", x.shape, "images [B, H, W, C]")
        self._check_part(x, part)
        height, width = self._sizes
        shape = (height // 2 + 1, width)
        if self.rows:
            shape = (height // 2 + self.centre, width)
        elif height == 1:
            # No row above needs the columns to the right.
            shape = (1, width // 2 + self.centre)
        biased = part != "above" or self.rows
        return self._convolve(partial(self._masked, part=part), x, shape, biased=biased)

    def _check_part(self, x: Array, part: Part) -> None:
        """Raises InputError for another number of rows or pixels than a part needs."""
        if part == "above":
            needed = self.above + (self.rows and self.centre)
            if not needed:
                raise InputError("part", part, "'own', for a window of one row")
            if x.shape[1] != needed:
                raise InputError("x", x.shape, f"a height of {needed}, [B, {needed}, W, C]")
        if part == "own":
            if not self.left:
                raise InputError("part", part, "'above', as no pixel of the own row counts")
            if x.shape[1:3] != (1, self.left):
                raise InputError("x", x.shape, f"a width of {self.left}, [B, 1, {self.left}, C]")

    def _masked(self, x: Array, kernel: Array, *, part: Part) -> Array:
        """Computes a part of the convolution with a kernel of the shape of the window."""
        height, width = kernel.shape[:2]
        side = self._sizes[1] // 2
        if part == "own":
            return conv2d(x, kernel[-1:, : self.left], padding="VALID")
        if part == "above" and self.rows:
            return conv2d(x, kernel, padding=((0, 0), (side, side)))
        if part == "above":
            return conv2d(x, kernel[:-1], padding=((0, 0), (side, side)))
        if self.rows:
            if not self.centre:
                x = jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))
            return conv2d(x, kernel, padding=((height - 1, 0), (side, side)))
        if height == 1:
            if not self.centre:
                x = jnp.pad(x[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
            return conv2d(x, kernel, padding=((0, 0), (width - 1, 0)))
        mask = np.ones(kernel.shape)
        mask[-1, self.left :] = 0
        kernel = kernel * mask.astype(kernel.dtype)
        return conv2d(x, kernel, padding=((height - 1, 0), (side, side)))
