"""Convolution that is fast on a CPU too, also inside a loop.

The gradients that JAX makes of XLA's convolution run 9 to 100 times slower inside a loop than outside it on a CPU.
Those of `jaxdl.nn.convolution` do not.
"""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.nn.arrays import add_bias
from jaxdl.nn.convolution import Geometry, conv_forward

Padding = Literal["SAME", "VALID"]


def out_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """How many positions a window takes along one axis: `(W - F + 2P)/S + 1`, rounded down.

    Args:
      size: W, the width (or height) of the image.
      window: F, the width of the window.
      stride: S.
      padding: "VALID": P = 0; "SAME": as much as keeps `ceil(W/S)`.

    Returns:
      The number of positions; 0 or less where the window does not fit.

    Example:
      >>> out_size(28, 5, 1, "VALID"), out_size(28, 5, 1, "SAME"), out_size(28, 2, 2, "VALID")
      (24, 28, 14)
    """
    return -(-size // stride) if padding == "SAME" else (size - window) // stride + 1


def conv2d(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "F G C D"],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> Float[Array, "B I J D"]:
    """Cross-correlation of images with a kernel, what deep learning calls a convolution.

        y[b,i,j,d] = sum_{f,g,c} x[b, i S + f - P, j S + g - P, c] kernel[f,g,c,d]

    Differentiable in reverse mode, in both arguments.

    Args:
      x: `[B, H, W, C]` images, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width.
      padding: "SAME" or "VALID", as in `out_size`.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: wrong rank, channels that differ, an unknown padding, a stride below 1, a
        kernel that does not fit.

    Example:
      >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
      >>> conv2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[8.0, 12.0], [20.0, 24.0]]
    """
    if x.ndim != 4:
        raise InputError("x", x.shape, "images [B, H, W, C]")
    if kernel.ndim != 4 or kernel.shape[2] != x.shape[3]:
        raise InputError("kernel", kernel.shape, f"[F, G, {x.shape[3]}, D]")
    one_of("padding", padding, ("SAME", "VALID"))
    at_least("strides", min(strides), 1)
    if padding == "VALID" and any(f > n for f, n in zip(kernel.shape, x.shape[1:3], strict=False)):
        raise InputError("kernel", kernel.shape, f"at most the image, {x.shape[1]}x{x.shape[2]}")
    size = x.shape[1:3]
    window = kernel.shape[:2]
    vertical, horizontal = lax.padtype_to_pads(size, window, strides, padding)
    return conv_forward(x, kernel, Geometry(size, window, tuple(strides), (vertical, horizontal)))


class Conv(nn.Module):
    """`flax.linen.Conv` for images: same parameters, same numbers, fast on a CPU inside loops.

    Source: LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.

    Attributes:
      features: D, how many kernels.
      kernel_size: height and width of each.
      strides: how far it moves.
      padding: "SAME" or "VALID".
      use_bias: whether to add one number per feature.
      dtype: of the computation; None: that of input and parameters.
      param_dtype: of the parameters.
      kernel_init: initializer of `kernel`, `[F, G, C, D]`.
      bias_init: initializer of `bias`, `[D]`.

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 28, 28, 1))
      >>> variables = Conv(32, (5, 5)).init(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, Conv(32, (5, 5)).apply(variables, x).shape
      ((5, 5, 1, 32), (2, 28, 28, 32))
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
        """The convolved images.

        Args:
          x: `[B, H, W, C]`, float.

        Returns:
          `[B, I, J, features]`.

        Raises:
          InputError: as `conv2d`.
        """
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = (
            self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            if self.use_bias
            else None
        )
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv2d(x, kernel, self.strides, self.padding)
        return y if bias is None else add_bias(y, bias)
