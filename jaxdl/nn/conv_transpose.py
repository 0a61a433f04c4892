"""Transposed convolution that is fast on a CPU too, also inside a loop.

It is the gradient of a convolution in its images, and made as that one is.
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
    """Images made larger: a convolution of `x` with S - 1 zeros put between its values.

        y[b, i S + F-1-f - P, j S + G-1-g - P, d] += sum_c x[b,i,j,c] kernel[f,g,c,d]

    The kernel is not turned around, as in `jax.lax.conv_transpose`. The adjoint of `conv2d`, with equal
    strides and padding, has the kernel `kernel[::-1, ::-1].swapaxes(2, 3)`.
    Differentiable in reverse mode, in both arguments.

    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

    Args:
      x: `[B, H, W, C]` images, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width, how many times larger the result is.
      padding: "VALID": P = 0, `I = H S + max(F - S, 0)`; "SAME": P = max(F - S, 0) // 2, `I = H S`.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: wrong rank, channels that differ, an unknown padding, a stride below 1.

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
    return conv_input_grad(
        x, kernel[::-1, ::-1].swapaxes(2, 3), _geometry(x, kernel, strides, padding)
    )


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` for images: same parameters, same numbers, fast on a CPU inside loops.

    Source: Zeiler et al. 2010, Deconvolutional networks.

    Attributes:
      features: D, how many kernels.
      kernel_size: height and width of each.
      strides: how many times larger the images become.
      padding: "SAME" or "VALID", as in `conv_transpose2d`.
      use_bias: whether to add one number per feature.
      dtype: of the computation; None: that of input and parameters.
      param_dtype: of the parameters.
      kernel_init: initializer of `kernel`, `[F, G, C, D]`.
      bias_init: initializer of `bias`, `[D]`.

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 7, 7, 16))
      >>> variables = ConvTranspose(8, (5, 5), (2, 2)).init(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, ConvTranspose(8, (5, 5), (2, 2)).apply(variables, x).shape
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
        """The larger images.

        Args:
          x: `[B, H, W, C]`, float.

        Returns:
          `[B, I, J, features]`.

        Raises:
          InputError: as `conv_transpose2d`.
        """
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = (
            self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            if self.use_bias
            else None
        )
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose2d(x, kernel, self.strides, self.padding)
        return y if bias is None else add_bias(y, bias)


def _geometry(x: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> Geometry:
    """How the convolution moves that goes back from the result to `x`."""

    def along(n: int, window: int, stride: int) -> tuple[int, tuple[int, int]]:
        beyond = max(window - stride, 0)
        size, low = (n * stride, beyond // 2) if padding == "SAME" else (n * stride + beyond, 0)
        return size, (low, (n - 1) * stride + window - size - low)

    window = kernel.shape[:2]
    (height, vertical), (width, horizontal) = map(along, x.shape[1:3], window, strides)
    return Geometry((height, width), window, tuple(strides), (vertical, horizontal))
