"""Convolution that is fast on a CPU too, also inside a loop.

XLA's own convolution on a CPU is 9 to 20 times slower inside `scan` than outside it; matrix
products are not. So a CPU gets products of image patches, every other platform the library's.
"""

import itertools
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
    """The gradients of `_products` with respect to `x` and `kernel`, given that of its result."""
    dx = _blocks(lambda g: _spread(g, kernel, x.shape[1:3], strides, pads), g)
    return dx.reshape(x.shape), _kernel_gradient(x, kernel, g, strides, pads)


def _spread(
    g: Array, kernel: Array, size: tuple[int, ...], strides: tuple[int, int], pads: _Pads
) -> Float[Array, "B H W C"]:
    """What every position's gradient gives back to the values under the kernel, added up where they overlap.

    At 26x26x32 110 GFLOP/s; the same as a convolution of the gradient with the kernel turned around 62.
    """
    f, g_width, c, d = kernel.shape
    columns = _matmul(g.reshape(-1, d), kernel.reshape(-1, d).T).reshape(*g.shape[:3], f, g_width, c)

    def edges(axis: int, offset: int) -> tuple[int, int, int]:
        low, stride = offset - pads[axis][0], strides[axis]
        return low, size[axis] - low - (g.shape[1 + axis] - 1) * stride - 1, stride - 1

    zero = jnp.zeros((), columns.dtype)
    taps = itertools.product(range(f), range(g_width))
    placed = (lax.pad(columns[:, :, :, i, j], zero, ((0, 0, 0), edges(0, i), edges(1, j), (0, 0, 0))) for i, j in taps)
    return reduce(jnp.add, placed).astype(g.dtype)


def _kernel_gradient(x: Array, kernel: Array, g: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    """`sum patches^T g`, added up block by block; the smaller of the two is turned around before the product.

    A product whose left side is transposed runs at half the rate (78 for 170 GFLOP/s at 288x1152x64).
    """
    f, g_width, c, d = kernel.shape
    few = f * g_width * c <= _SMALL

    def add(total: list[Array], block: list[Array]) -> tuple[list[Array], None]:
        x, g = block
        g = g.reshape(-1, d)
        patches = [p.reshape(-1, p.shape[-1]) for p in _patches(_padded(x, pads), kernel.shape, strides)]
        # Without the barrier the transposition becomes part of the product again.
        turned = lax.optimization_barrier([p.T for p in patches] if few else [g.T])
        products = [_matmul(t, g) for t in turned] if few else [_matmul(turned[0], p) for p in patches]
        return [t + p for t, p in zip(total, products, strict=True)], None

    shapes = [(f * g_width * c, d)] if few else [(d, g_width * c)] * f
    # Inside shard_map a sum starts from a zero that varies over the devices as what is added to it does, and the
    # gradient of what does not vary, such as the kernel, is the sum over them: that of adding such a zero to it.
    zero = (x.ravel()[0] == g.ravel()[0]) & False
    start = [jnp.broadcast_to(zero.astype(_exact(x.dtype)), shape) for shape in shapes]
    sums, _ = lax.scan(add, start, [_in_blocks(x), _in_blocks(g)])
    rows = sums if few else [s.T for s in sums]
    total = jnp.stack(rows).reshape(kernel.shape).astype(kernel.dtype)
    return jax.vjp(lambda kernel: kernel + zero.astype(kernel.dtype), kernel)[1](total)[0]


def _block(x: Array, kernel: Array, strides: tuple[int, int], pads: _Pads) -> Array:
    patches = _patches(_padded(x, pads), kernel.shape, strides)
    weights = kernel.reshape(len(patches), -1, kernel.shape[-1])
    flat = [p.reshape(-1, p.shape[-1]) for p in patches]
    rows = (_matmul(p, weights[n]) for n, p in enumerate(flat))
    return reduce(jnp.add, rows).astype(x.dtype).reshape(*patches[0].shape[:3], -1)


def _padded(x: Array, pads: _Pads) -> Array:
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *pads, (0, 0, 0)))


def _matmul(a: Array, b: Array) -> Array:
    """Results are still to be added, so they keep more digits than bfloat16."""
    return jnp.matmul(a, b, preferred_element_type=_exact(a.dtype))


def _exact(dtype: Any) -> Any:
    return jnp.float32 if dtype in (jnp.bfloat16, jnp.float16) else dtype


def _blocks(f: Callable[..., Array], *images: Array) -> Array:
    """`f` of every block of a few neighbouring images, stacked in front."""
    if images[0].shape[0] <= _BLOCK:
        return f(*images)[None]
    return lax.map(lambda block: f(*block), [_in_blocks(x) for x in images])


def _in_blocks(x: Array) -> Array:
    """`[B, ...] -> [B / n, n, ...]`, n as large as divides B and is at most `_BLOCK`."""
    size = max(n for n in range(1, _BLOCK + 1) if x.shape[0] % n == 0)
    return x.reshape(-1, size, *x.shape[1:])


def _patches(x: Array, shape: tuple[int, ...], strides: tuple[int, int]) -> list[Array]:
    """What lies under the kernel at every position: `[B, I, J, GC]` for each kernel row, or once `[B, I, J, FGC]`."""
    (f, g, c, _), (down, right) = shape, strides
    i, j = (out_size(*each, "VALID") for each in zip(x.shape[1:3], (f, g), strides, strict=True))
    wide = jnp.concatenate([x[:, :, n : n + (j - 1) * right + 1 : right] for n in range(g)], -1)
    rows = [wide[:, n : n + (i - 1) * down + 1 : down] for n in range(f)]
    return [jnp.concatenate(rows, -1)] if f * g * c <= _SMALL else rows
