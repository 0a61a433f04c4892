"""Convolution that is fast on a CPU too, also inside a loop.

XLA's own convolution on a CPU is 9 to 20 times slower inside `scan` than outside it; matrix
products are not. So a CPU gets products of image patches, every other platform the library's.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax import lax
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, one_of

Padding = Literal["SAME", "VALID"]
_Pads = tuple[tuple[int, int, int], ...]

# Measured on one core at 26x26x32: 107, 99, 89 GFLOP/s in blocks of 2, 4, 8 neighbours; 35 in one block.
_BLOCK = 2
# Up to so many values under the kernel one product of whole patches beats one product per kernel row.
_SMALL = 32


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
    (top, bottom), (left, right) = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return _conv(x, kernel, tuple(strides), ((top, bottom, 0), (left, right, 0)))


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
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv2d(x, kernel, self.strides, self.padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    products = partial(_products, strides=strides, pads=pads)
    return lax.platform_dependent(x, kernel, cpu=products, default=partial(_library, strides=strides, pads=pads))


def _conv_forward(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> tuple[Array, tuple[Array, Array]]:
    return _conv(x, kernel, strides, pads), (x, kernel)


def _conv_backward(strides: tuple[int, int], pads: _Pads, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return lax.platform_dependent(
        x,
        kernel,
        g,
        cpu=partial(_products_backward, strides=strides, pads=pads),
        default=lambda x, kernel, g: jax.vjp(partial(_library, strides=strides, pads=pads), x, kernel)[1](g),
    )


_conv.defvjp(_conv_forward, _conv_backward)


def _library(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    padding = [(low, high) for low, high, _ in pads]
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _products(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    """The convolution as matrix products, block by block."""
    y = _blocks(lambda x: _block(x, kernel, strides, pads), x)
    return y.reshape(x.shape[0], *y.shape[2:])


def _products_backward(x: Array, kernel: Array, g: Array, strides: tuple[int, int], pads: _Pads) -> tuple[Array, Array]:
    """The gradients of `_products` with respect to `x` and `kernel`, given that of its result.

    That of `x` is the same convolution, of the gradient spread by the strides with the kernel turned around.
    """

    def block(x: Array, g: Array) -> Array:
        return jax.vjp(lambda kernel: _block(x, kernel, strides, pads), kernel)[1](g)[0]

    def spread(size: int, result: int, window: int, stride: int, pad: tuple[int, int, int]) -> tuple[int, int, int]:
        return window - 1 - pad[0], size + pad[0] - (result - 1) * stride - 1, stride - 1

    around = tuple(map(spread, x.shape[1:3], g.shape[1:3], kernel.shape[:2], strides, pads))
    dx = _products(g, kernel[::-1, ::-1].swapaxes(2, 3), (1, 1), around)
    return dx, _blocks(block, x, g).sum(0)


def _block(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    padded = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))
    patches = _patches(padded, kernel.shape, strides)
    weights = kernel.reshape(len(patches), -1, kernel.shape[-1])
    # Rows are still to be added, so the products keep more digits than bfloat16.
    exact = jnp.float32 if x.dtype in (jnp.bfloat16, jnp.float16) else x.dtype
    flat = [p.reshape(-1, p.shape[-1]) for p in patches]
    rows = (jnp.matmul(p, weights[n], preferred_element_type=exact) for n, p in enumerate(flat))
    return reduce(jnp.add, rows).astype(x.dtype).reshape(*patches[0].shape[:3], -1)


def _blocks(f: Callable[..., Array], *images: Array) -> Array:
    """`f` of every block of a few neighbouring images, stacked in front."""
    batch = images[0].shape[0]
    if batch <= _BLOCK:
        return f(*images)[None]
    size = max(n for n in range(1, _BLOCK + 1) if batch % n == 0)
    return lax.map(lambda block: f(*block), [x.reshape(-1, size, *x.shape[1:]) for x in images])


def _patches(x: Array, shape: tuple[int, ...], strides: tuple[int, int]) -> list[Array]:
    """What lies under the kernel at every position: `[B, I, J, GC]` for each kernel row, or once `[B, I, J, FGC]`."""
    (f, g, c, _), (down, right) = shape, strides
    i, j = (out_size(*each, "VALID") for each in zip(x.shape[1:3], (f, g), strides, strict=True))
    wide = jnp.concatenate([x[:, :, n : n + (j - 1) * right + 1 : right] for n in range(g)], -1)
    rows = [wide[:, n : n + (i - 1) * down + 1 : down] for n in range(f)]
    return [jnp.concatenate(rows, -1)] if f * g * c <= _SMALL else rows
