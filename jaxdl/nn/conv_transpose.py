"""Transposed convolution that is fast on a CPU, also inside a loop.

It is the gradient of a convolution with respect to its input, and uses the same implementation.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import InputError, integers
from jaxdl.nn.conv import SIZES, ConvLayer, Padding, Pads, Sizes, check_arrays, pads_of
from jaxdl.nn.convolution import Geometry, Pair, conv_input_grad


def conv_transpose2d(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "F G C D"],
    strides: Sizes = 1,
    padding: Padding | Pads = "SAME",
) -> Float[Array, "B I J D"]:
    """Computes the convolution of `x` with S - 1 zeros inserted between its values.

        y[b, i S + F-1-f - P, j S + G-1-g - P, d] += sum_c x[b,i,j,c] kernel[f,g,c,d]

    The kernel is not flipped, as in `jax.lax.conv_transpose`. The adjoint of `conv2d` with the
    same strides and padding uses the kernel `kernel[::-1, ::-1].swapaxes(2, 3)`. The function is
    differentiable to any order in both arguments.

    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

    Args:
      x: `[B, H, W, C]` images, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width, the factors by which the images grow; or one number.
      padding: "VALID" means P = 0 and `I = H S + max(F - S, 0)`; "SAME" means
        P = max(F - S, 0) // 2 and `I = H S`. Numbers are zeros around the image with inserted
        zeros, as in Linen: P = F - 1 - before, `I = (H - 1) S + 2 + before + after - F`.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank or dtype, different numbers of channels, an unknown padding, a
        stride below 1, or padding that leaves no output.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
      >>> conv_transpose2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[0.0, 1.0, 1.0], [2.0, 6.0, 4.0], [2.0, 5.0, 3.0]]
    """
    check_arrays(x, kernel, "images [B, H, W, C]", "F, G")
    stride = integers("strides", strides, 2, SIZES[2])
    pads = pads_of(padding, ("SAME", "VALID"), 2)
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return conv_input_grad(x, flipped, _geometry(x, kernel, stride, pads))


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

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J D"]:
        """Enlarges images `[B, H, W, C]` to `[B, I, J, features]`.

        Raises:
          InputError: as for `conv_transpose2d`.
        """
        return self._convolve(conv_transpose2d, x, self.kernel_size, self.strides, self.padding)


def _geometry(x: Array, kernel: Array, strides: Pair, pads: str | tuple[Pair, ...]) -> Geometry:
    """Returns the geometry of the convolution that maps the larger images to the shape of `x`."""

    def along_axis(axis: int) -> tuple[int, Pair]:
        n = x.shape[axis + 1]
        window = kernel.shape[axis]
        stride = strides[axis]
        overlap = max(window - stride, 0)
        if pads == "SAME":
            size = n * stride
            low = overlap // 2
        elif isinstance(pads, str):
            size = n * stride + overlap
            low = 0
        else:
            before, after = pads[axis]
            size = (n - 1) * stride + 2 + before + after - window
            low = window - 1 - before
        if size < 1:
            raise InputError("padding", pads, "larger; the output would be empty")
        return size, (low, (n - 1) * stride + window - size - low)

    (height, vertical), (width, horizontal) = map(along_axis, range(2))
    return Geometry((height, width), kernel.shape[:2], strides, (vertical, horizontal))
