"""Transposed convolution that is fast on a CPU, also inside a loop.

It is the gradient of a convolution with respect to its input, and uses the same implementation.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.nn.conv import ConvLayer, Padding, check_images
from jaxdl.nn.convolution import Geometry, conv_input_grad


def conv_transpose2d(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "F G C D"],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> Float[Array, "B I J D"]:
    """Computes the convolution of `x` with S - 1 zeros inserted between its values.

        y[b, i S + F-1-f - P, j S + G-1-g - P, d] += sum_c x[b,i,j,c] kernel[f,g,c,d]

    The kernel is not flipped, as in `jax.lax.conv_transpose`. The adjoint of `conv2d` with the
    same strides and padding uses the kernel `kernel[::-1, ::-1].swapaxes(2, 3)`. The function is
    differentiable in reverse mode, in both arguments.

    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

    Args:
      x: `[B, H, W, C]` images, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width, the factors by which the images grow.
      padding: "VALID" means P = 0 and `I = H S + max(F - S, 0)`; "SAME" means
        P = max(F - S, 0) // 2 and `I = H S`.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank, different numbers of channels, an unknown padding, or a stride
        below 1.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
      >>> conv_transpose2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[0.0, 1.0, 1.0], [2.0, 6.0, 4.0], [2.0, 5.0, 3.0]]
    """
    check_images(x, kernel, strides, padding)
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return conv_input_grad(x, flipped, _geometry(x, kernel, strides, padding))


class ConvTranspose(ConvLayer):
    """Transposed convolution layer for images that is fast on a CPU, also inside loops.

    It has the same parameters and the same outputs as `flax.linen.ConvTranspose`. The fields of
    `jaxdl.nn.conv.ConvLayer` are keywords.

    Source: Zeiler et al. 2010, Deconvolutional networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of a kernel.
      strides: the factors by which height and width of the images grow.
      padding: "SAME" or "VALID", as in `conv_transpose2d`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.zeros((2, 7, 7, 16))
      >>> y, variables = ConvTranspose(8, (5, 5), (2, 2)).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 5, 16, 8), (2, 14, 14, 8))
    """

    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J D"]:
        """Enlarges images `[B, H, W, C]` to `[B, I, J, features]`.

        Raises:
          InputError: as for `conv_transpose2d`.
        """
        return self._convolve(conv_transpose2d, x, self.kernel_size, self.strides, self.padding)


def _geometry(x: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Geometry:
    """Returns the geometry of the convolution that maps the larger images to the shape of `x`."""

    def along_axis(n: int, window: int, stride: int) -> tuple[int, tuple[int, int]]:
        overlap = max(window - stride, 0)
        if padding == "SAME":
            size = n * stride
            low = overlap // 2
        else:
            size = n * stride + overlap
            low = 0
        return size, (low, (n - 1) * stride + window - size - low)

    window = kernel.shape[:2]
    (height, vertical), (width, horizontal) = map(along_axis, x.shape[1:3], window, strides)
    return Geometry((height, width), window, tuple(strides), (vertical, horizontal))
