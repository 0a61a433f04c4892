"""Transposed convolution that is fast on a CPU, also inside a loop.

It is the gradient of a convolution with respect to its input, and uses the same implementation.
"""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import InputError, integers
from jaxdl.nn.arrays import batch_optional
from jaxdl.nn.conv import ConvLayer, check_arrays
from jaxdl.nn.convolution import conv_input_grad
from jaxdl.nn.correlation import transposed_kernel
from jaxdl.nn.sizes import PADDINGS, SIZES, Geometry, Padding, Pads, Pair, Sizes, pads_of


@batch_optional(4)
def conv_transpose2d(
    x: Float[Array, "*B H W C"],
    kernel: Float[Array, "F G C/groups D"],
    strides: Sizes = 1,
    padding: Padding | Pads = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    output_padding: Sizes = 0,
) -> Float[Array, "*B I J D"]:
    """Computes the convolution of `x` with S - 1 zeros inserted between its values.

        y[b, i S + (F-1-f) L - P, j S + (G-1-g) L - P, d] += sum_c x[b,i,j,c] kernel[f,g,c,d]

    The kernel is not flipped, as in `jax.lax.conv_transpose`. The adjoint of `conv2d` with the
    same strides and padding uses the kernel `kernel[::-1, ::-1].swapaxes(2, 3)`. The function is
    differentiable to any order in both arguments.

    PyTorch's `ConvTranspose2d(padding=P, output_padding=O)` is `padding=(F - 1) L - P` with the
    same `output_padding`, and its kernel `[C, D / groups, F, G]` is flipped.

    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

    Args:
      x: `[B, H, W, C]` images, float; or one image `[H, W, C]`, which gives `[I, J, D]`.
      kernel: `[F, G, C / groups, D]`, of the same dtype. Groups are those of `conv2d`.
      strides: S for height and width, the factors by which the images grow; or one number.
      padding: with E = (F - 1) L + 1, "VALID" means P = 0 and `I = H S + max(E - S, 0)`; "SAME"
        means P = max(E - S, 0) // 2 and `I = H S`. Numbers are zeros around the image with inserted
        zeros, as in Linen: P = E - 1 - before, `I = (H - 1) S + 2 + before + after - E`.
      dilation: L for height and width, the distance between two taps of the kernel; or one number.
      groups: number of groups, a divisor of C and of D.
      output_padding: numbers of rows and columns that are added to the end of the result; or one
        number. It is below S or L.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank or dtype, different numbers of channels, an unknown padding, a
        stride or dilation below 1, groups that do not divide, padding that leaves no output, or
        too much output padding.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
      >>> conv_transpose2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[0.0, 1.0, 1.0], [2.0, 6.0, 4.0], [2.0, 5.0, 3.0]]
    """
    check_arrays(x, kernel, "images [B, H, W, C]", "F, G", groups)
    stride = integers("strides", strides, 2, SIZES[2])
    gaps = integers("dilation", dilation, 2, SIZES[2])
    more = integers("output_padding", output_padding, 2, SIZES[2], low=0)
    pads: Any = pads_of(padding, PADDINGS, 2)
    if isinstance(pads, str):
        pads = (pads, pads)
    window = kernel.shape[:2]
    axes = zip(x.shape[1:3], window, stride, pads, gaps, more, strict=True)
    (height, vertical), (width, horizontal) = (larger_axis(*axis) for axis in axes)
    geometry = Geometry((height, width), window, stride, (vertical, horizontal), gaps, groups)
    return conv_input_grad(x, transposed_kernel(kernel[::-1, ::-1], groups), geometry)


def larger_axis(
    n: int, window: int, stride: int, padding: str | Pair, gap: int, more: int
) -> tuple[int, Pair]:
    """Returns size and padding of the larger images along one axis.

    The convolution of the larger images with this padding gives images of size `n`.

    Args:
      n: size of the smaller images.
      window: F, the number of taps.
      stride: S, the distance between two positions of the kernel.
      padding: "SAME", "VALID", or the zeros before and after the smaller images.
      gap: L, the distance between two taps.
      more: the output padding, below S or L.

    Raises:
      InputError: too much output padding, or padding that leaves no output.

    Example:
      >>> larger_axis(4, 3, 2, "SAME", 1, 0), larger_axis(4, 3, 2, (1, 1), 1, 1)
      ((8, (0, 1)), (8, (1, 0)))
    """
    if more >= max(stride, gap):
        allowed = f"less than strides or dilation, {max(stride, gap)}; padding adds more zeros"
        raise InputError("output_padding", more, allowed)
    spread = (window - 1) * gap + 1
    overlap = max(spread - stride, 0)
    if padding == "SAME":
        size = n * stride
        low = overlap // 2
    elif isinstance(padding, str):
        size = n * stride + overlap
        low = 0
    else:
        before, after = padding
        size = (n - 1) * stride + 2 + before + after - spread
        low = spread - 1 - before
    size += more
    if size < 1:
        raise InputError("padding", padding, "larger; the output would be empty")
    return size, (low, (n - 1) * stride + spread - size - low)


class ConvTranspose(ConvLayer):
    """Transposed convolution layer for images that is fast on a CPU, also inside loops.

    It has the same parameters and the same outputs as `flax.linen.ConvTranspose`. The fields of
    `jaxdl.nn.conv.ConvLayer` are keywords.

    Source: Zeiler et al. 2010, Deconvolutional networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of a kernel, or one number for both.
      strides: the factors by which height and width of the images grow.
      padding: "SAME", "VALID" or numbers of zeros, as in `conv_transpose2d`.
      dilation: the distance between two taps of the kernel, for height and width.
      output_padding: rows and columns that are added to the end of the result.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.zeros((2, 7, 7, 16))
      >>> y, variables = ConvTranspose(8, (5, 5), (2, 2)).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 5, 16, 8), (2, 14, 14, 8))
    """

    kernel_size: Sizes = (3, 3)
    strides: Sizes = (1, 1)
    padding: Padding | Pads = "SAME"
    dilation: Sizes = (1, 1)
    output_padding: Sizes = (0, 0)

    def __post_init__(self) -> None:
        value = self.output_padding
        self.output_padding = integers("output_padding", value, self.axes, SIZES[self.axes], low=0)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*B H W C"]) -> Float[Array, "*B I J D"]:
        """Enlarges images `[B, H, W, C]` to `[B, I, J, features]`, or one image `[H, W, C]`.

        Raises:
          InputError: as for `conv_transpose2d`.
        """
        options = (self.strides, self.padding, self.dilation, self.groups, self.output_padding)
        return self._convolve(conv_transpose2d, x, self.kernel_size, *options)
