"""Two-dimensional convolution with gradients that are fast on a CPU, also inside a loop.

JAX differentiates XLA's convolution into operations that a CPU runs 9 to 100 times slower inside
a loop than outside. The gradients of `jaxdl.nn.convolution` have no such slowdown.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.nn.arrays import add_bias
from jaxdl.nn.convolution import Geometry, conv_forward
from jaxdl.nn.dense import normalize_weights

Padding = Literal["SAME", "VALID"]


def out_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """Returns the number of window positions along one axis.

        (W - F + 2P)/S + 1,    rounded down

    Args:
      size: W, the width (or height) of the image.
      window: F, the width of the window.
      stride: S, the distance between two positions.
      padding: "VALID" means P = 0; "SAME" means the padding that gives `ceil(W/S)` positions.

    Returns:
      The number of positions; 0 or less if the window does not fit.

    Example:
      >>> out_size(28, 5, 1, "VALID"), out_size(28, 5, 1, "SAME"), out_size(28, 2, 2, "VALID")
      (24, 28, 14)
    """
    if padding == "SAME":
        return -(-size // stride)
    return (size - window) // stride + 1


def conv2d(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "F G C D"],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "SAME",
) -> Float[Array, "B I J D"]:
    """Computes the cross-correlation of images with a kernel, usually called a convolution.

        y[b,i,j,d] = sum_{f,g,c} x[b, i S + f - P, j S + g - P, c] kernel[f,g,c,d]

    The function is differentiable in reverse mode, in both arguments.

    Args:
      x: `[B, H, W, C]` images, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width.
      padding: "SAME" or "VALID", as in `out_size`.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank, different numbers of channels, an unknown padding, a stride below
        1, or a kernel that does not fit.

    Example:
      >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
      >>> conv2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[8.0, 12.0], [20.0, 24.0]]
    """
    check_images(x, kernel, strides, padding)
    if padding == "VALID" and any(f > n for f, n in zip(kernel.shape, x.shape[1:3], strict=False)):
        size = f"{x.shape[1]}x{x.shape[2]}"
        raise InputError("kernel", kernel.shape, f"at most the image size, {size}")
    pads = tuple(lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding))
    geometry = Geometry(x.shape[1:3], kernel.shape[:2], tuple(strides), pads)
    return conv_forward(x, kernel, geometry)


def check_images(x: Array, kernel: Array, strides: tuple[int, int], padding: Padding) -> None:
    """Raises `InputError` unless the arguments of a convolution of images are valid.

    Example:
      >>> check_images(jnp.zeros((1, 3, 3, 2)), jnp.zeros((2, 2, 1, 1)), (1, 1), "SAME")
      Traceback (most recent call last):
      jaxdl.errors.InputError: kernel: got (2, 2, 1, 1), allowed: [F, G, 2, D]
    """
    if x.ndim != 4:
        raise InputError("x", x.shape, "images [B, H, W, C]")
    if kernel.ndim != 4 or kernel.shape[2] != x.shape[3]:
        raise InputError("kernel", kernel.shape, f"[F, G, {x.shape[3]}, D]")
    one_of("padding", padding, ("SAME", "VALID"))
    at_least("strides", min(strides), 1)


class ConvLayer(nn.Module):
    """The common part of `Conv`, `ConvTranspose` and `Conv1D`.

        y = convolve(x, w) + b,    w_d = kernel_d
        with weight normalization:    w_d = scale_d kernel_d / ||kernel_d||

    Source: Salimans, Kingma 2016, Weight normalization.

    Attributes:
      features: D, the number of kernels.
      use_bias: if True, adds one number per feature.
      weight_norm: if True, the norm of the weights is a separate parameter, `scale`, `[D]`, which
        starts at `||kernel_d||`.
      dtype: dtype of the computation; None means that of input and parameters.
      param_dtype: dtype of the parameters.
      kernel_init: initializer of `kernel`, `[*kernel_size, C, D]`.
      bias_init: initializer of `bias`, `[D]`.
    """

    features: int
    _: KW_ONLY
    use_bias: bool = True
    weight_norm: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    def _convolve(
        self, convolve: Callable[..., Array], x: Array, window: tuple[int, ...], *args: Any
    ) -> Array:
        """Computes `convolve(x, w, *args)` plus the bias, with a kernel of this window."""
        shape = (*window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        if self.weight_norm:
            kernel = normalize_weights(self, kernel)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve(x, kernel, *args)
        if bias is None:
            return y
        return add_bias(y, bias)


class Conv(ConvLayer):
    """Convolution layer for images, a replacement of `flax.linen.Conv` that is fast on a CPU.

    It has the same parameters and the same outputs, and is also fast inside loops. The fields of
    `ConvLayer` are keywords.

    Source: LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of a kernel.
      strides: the distance between two positions of the kernel, for height and width.
      padding: "SAME" or "VALID".

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 28, 28, 1))
      >>> y, variables = Conv(32, (5, 5)).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 5, 1, 32), (2, 28, 28, 32))
    """

    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B I J D"]:
        """Convolves images `[B, H, W, C]` to `[B, I, J, features]`.

        Raises:
          InputError: as for `conv2d`.
        """
        return self._convolve(conv2d, x, self.kernel_size, self.strides, self.padding)
