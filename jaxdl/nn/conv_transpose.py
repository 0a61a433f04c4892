"""Transposed convolution that is fast on a CPU, also inside a loop.

It is the gradient of a convolution with respect to its input, and uses the same implementation.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.nn.arrays import add_bias
from jaxdl.nn.conv import Padding
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
      >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
      >>> conv_transpose2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[0.0, 1.0, 1.0], [2.0, 6.0, 4.0], [2.0, 5.0, 3.0]]
    """
    if x.ndim != 4:
        raise InputError("x", x.shape, "images [B, H, W, C]")
    if kernel.ndim != 4 or kernel.shape[2] != x.shape[3]:
        raise InputError("kernel", kernel.shape, f"[F, G, {x.shape[3]}, D]")
    one_of("padding", padding, ("SAME", "VALID"))
    at_least("strides", min(strides), 1)
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return conv_input_grad(x, flipped, _geometry(x, kernel, strides, padding))


class ConvTranspose(nn.Module):
    """Transposed convolution layer for images that is fast on a CPU, also inside loops.

    It has the same parameters and the same outputs as `flax.linen.ConvTranspose`.

    Source: Zeiler et al. 2010, Deconvolutional networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of a kernel.
      strides: the factors by which height and width of the images grow.
      padding: "SAME" or "VALID", as in `conv_transpose2d`.
      use_bias: if True, adds one number per feature.
      dtype: dtype of the computation; None means that of input and parameters.
      param_dtype: dtype of the parameters.
      kernel_init: initializer of `kernel`, `[F, G, C, D]`.
      bias_init: initializer of `bias`, `[D]`.

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 7, 7, 16))
      >>> y, variables = ConvTranspose(8, (5, 5), (2, 2)).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 5, 16, 8), (2, 14, 14, 8))
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J D"]:
        """Enlarges the images with the layer's kernels.

        Args:
          x: `[B, H, W, C]`, float.

        Returns:
          `[B, I, J, features]`.

        Raises:
          InputError: as for `conv_transpose2d`.
        """
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose2d(x, kernel, self.strides, self.padding)
        if bias is None:
            return y
        return add_bias(y, bias)


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
