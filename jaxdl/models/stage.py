"""Stages of convolutional networks: convolutions, skip connections and pooling."""

import dataclasses
import string
from typing import Any, Literal

from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.nn.pool import avg_pool, max_pool
from jaxdl.nn.sizes import PADDINGS, Padding, Pads, out_size, pads_of

#: Letters of the convolutions of one stage, as in `conv_0a` and `conv_0b`.
LETTERS = string.ascii_lowercase


@dataclasses.dataclass(frozen=True)
class Stage:
    """Convolutions with norm and activation, followed by pooling and dropout.

        u_0 = x,    u_j = f(norm(u_{j-1} * K_j + b_j)),    y = dropout(pool(u_n))

    With `residual`, a skip connection leads around the convolutions:

        u_n = f(norm(u_{n-1} * K_n + b_n) + S(x))

    S is the identity if the convolutions keep the shape. Otherwise it is a 1x1 convolution with the
    stage's strides, followed by the norm.

    Source: Simonyan, Zisserman 2015, Very deep convolutional networks (several convolutions per
    stage); He et al. 2016, Deep residual learning for image recognition.

    Attributes:
      features: number of kernels, at least 1.
      kernel: height and width of the kernels.
      strides: stride of the first convolution in both directions; the others have 1.
      padding: "SAME", "VALID" or numbers of zeros, as in `jaxdl.nn.conv2d`.
      pool: "max", "average" or None.
      window: height and width of the windows of the pooling.
      dropout: dropout rate of the result, in [0, 1).
      use_norm: if False, this stage has a bias instead of the network's `norm`.
      convs: n, the number of convolutions, from 1 to 26.
      residual: if True, adds a skip connection. The convolutions then must keep height and width,
        up to the strides.
      pool_strides: distance between two windows of the pooling; None means `window`.
      pool_padding: "VALID", "SAME" or numbers of values, as in `jaxdl.nn.max_pool`. They must be
        smaller than the window.
      dilation: L, the distance between two taps of a kernel, which spans (F - 1) L + 1 values.
      groups: number of groups of channels of every convolution but the projection, as in
        `jaxdl.nn.conv2d`; a divisor of `features` and of the number of channels before.

    Raises:
      InputError: an invalid field.

    Example:
      >>> Stage(32).size(28), Stage(32, 5, padding="VALID", pool=None).size(28)
      (14, 24)
      >>> Stage(32, strides=2, pool=None, convs=2, residual=True).size(28)
      14
    """

    features: int
    kernel: int = 3
    strides: int = 1
    padding: Padding | Pads = "SAME"
    pool: Literal["max", "average"] | None = "max"
    window: int = 2
    dropout: float = 0.0
    use_norm: bool = True
    convs: int = 1
    residual: bool = False
    pool_strides: int | None = None
    pool_padding: Padding | Pads = "VALID"
    dilation: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        for name in ("features", "kernel", "strides", "window", "convs", "dilation", "groups"):
            at_least(name, getattr(self, name), 1)
        if self.pool_strides is not None:
            at_least("pool_strides", self.pool_strides, 1)
        for name in ("padding", "pool_padding"):
            padding = getattr(self, name)
            pads = pads_of(padding, PADDINGS, 2, name)
            if not isinstance(padding, str | int):
                # Tuples can be hashed and compared, unlike lists and arrays.
                object.__setattr__(self, name, pads)
        if not isinstance(pads, str) and max(map(max, pads)) >= self.window:
            raise InputError("pool_padding", padding, f"less than the window, {self.window}")
        in_range("dropout", self.dropout, 0, 1)
        for name in ("use_norm", "residual"):
            of_kind(name, getattr(self, name), bool, "True or False")
        if self.pool is not None:
            one_of("pool", self.pool, ("max", "average"))
        if self.convs > len(LETTERS):
            raise InputError("convs", self.convs, f"at most {len(LETTERS)}")
        if self.features % self.groups:
            raise InputError("groups", self.groups, f"a divisor of the {self.features} features")
        if self.residual and not self._keeps_size:
            allowed = f"'SAME', or numbers of zeros that add up to {self._span - 1} along each axis"
            raise InputError("padding", self.padding, f"{allowed}, with residual=True")

    @property
    def _span(self) -> int:
        """Number of values from the first to the last tap of a kernel."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def _keeps_size(self) -> bool:
        """True if a convolution of stride 1 has as many positions as its input."""
        pads = pads_of(self.padding, PADDINGS, 2)
        if isinstance(pads, str):
            return pads == "SAME" or self.kernel == 1
        return all(before + after == self._span - 1 for before, after in pads)

    def size(self, size: int, axis: int = 0) -> int:
        """Returns the height or width after the stage, below 1 if the input is too small.

        The formula `(W - F + 2P)/S + 1` applies to each convolution and to the pooling.

        Args:
          size: the height or width of the input.
          axis: 0 for the height, 1 for the width; it matters for a `padding` of pairs.
        """
        for j in range(self.convs):
            stride = self.strides if j == 0 else 1
            padding = _along(self.padding, axis)
            size = out_size(size, self.kernel, stride, padding, self.dilation)
            if size < 1:
                return size
        if self.pool is None:
            return size
        stride = self.pool_strides or self.window
        return out_size(size, self.window, stride, _along(self.pool_padding, axis))

    def pooled(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J C"]:
        """Applies the stage's pooling."""
        if self.pool is None:
            return x
        if self.pool == "max":
            return max_pool(x, self.window, self.pool_strides, self.pool_padding)
        return avg_pool(x, self.window, self.pool_strides, self.pool_padding)

    def names(self, i: int) -> list[str]:
        """Returns the names of the convolutions of stage `i`, in their order.

        Example:
          >>> Stage(8).names(0), Stage(8, convs=2).names(1)
          (['0'], ['1a', '1b'])
        """
        if self.convs == 1:
            return [str(i)]
        return [f"{i}{letter}" for letter in LETTERS[: self.convs]]


def _along(padding: Padding | Pads, axis: int) -> Any:
    """Returns the padding of one axis, as `out_size` takes it."""
    pads = pads_of(padding, PADDINGS, 2)
    if isinstance(pads, str):
        return pads
    return pads[axis : axis + 1]
