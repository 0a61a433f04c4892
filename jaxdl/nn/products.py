"""A convolution and its two gradients as products of matrices, in blocks of images that stay in a CPU's cache.

`spread` is the adjoint of `convolve` in the images, and so a transposed convolution too.
"""

import itertools
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

#: Before and after, for height and width; less than 0 cuts off.
Pads = tuple[tuple[int, int], tuple[int, int]]

# Measured on one core at 26x26x32: 107, 99, 89 GFLOP/s in blocks of 2, 4, 8 neighbours; 35 in one block.
_BLOCK = 2
# Up to so many values under the kernel one product of whole patches beats one product per kernel row.
_SMALL = 32


def convolve(
    x: Float[Array, "B H W C"], kernel: Float[Array, "F G C D"], strides: tuple[int, int], pads: Pads
) -> Float[Array, "B I J D"]:
    """`y[b,i,j,d] = sum_{f,g,c} x[b, i S + f - P, j S + g - P, c] kernel[f,g,c,d]`.

    Args:
      x: `[B, H, W, C]`, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      strides: S for height and width, at least 1.
      pads: zeros around `x`, P of them in front.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Example:
      >>> x, kernel = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.ones((1, 2, 1, 1))
      >>> convolve(x, kernel, (1, 2), ((0, 0), (0, 0))).ravel().tolist()
      [1.0, 5.0]
    """
    return _blocks(lambda x: _convolve_block(x, kernel, strides, pads), x)


def spread(
    g: Float[Array, "B I J D"],
    kernel: Float[Array, "F G C D"],
    size: tuple[int, int],
    strides: tuple[int, int],
    pads: Pads,
) -> Float[Array, "B H W C"]:
    """What every position gives back to the values under the kernel, added up where they overlap.

        x[b, i S + f - P, j S + g - P, c] += sum_d g[b,i,j,d] kernel[f,g,c,d]

    Args:
      g: `[B, I, J, D]`, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      size: H and W.
      strides: S for height and width, at least 1.
      pads: P in front; what lies outside of `size` is lost.

    Returns:
      `[B, H, W, C]`, of the dtype of `g`.

    Example:
      >>> g, kernel = jnp.ones((1, 1, 3, 1)), jnp.arange(1.0, 4.0).reshape(1, 3, 1, 1)
      >>> spread(g, kernel, (1, 7), (1, 2), ((0, 0), (0, 0))).ravel().tolist()
      [1.0, 2.0, 4.0, 2.0, 4.0, 2.0, 3.0]
    """
    return _blocks(lambda g: _spread_block(g, kernel, size, strides, pads), g)


def kernel_gradient(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "F G C D"],
    g: Float[Array, "B I J D"],
    strides: tuple[int, int],
    pads: Pads,
) -> Float[Array, "F G C D"]:
    """`sum patches^T g`, added up block by block; the smaller of the two is turned around before the product.

    A product whose left side is transposed runs at half the rate (78 for 170 GFLOP/s at 288x1152x64).

    Args:
      x: `[B, H, W, C]`, what was convolved.
      kernel: `[F, G, C, D]`; only its kind matters: shape, dtype, the mesh axes over which it varies.
      g: `[B, I, J, D]`, the gradient of the result.
      strides: as in `convolve`.
      pads: as in `convolve`.

    Returns:
      `[F, G, C, D]`.

    Example:
      >>> x, g = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.ones((1, 1, 2, 1))
      >>> kernel_gradient(x, jnp.ones((1, 2, 1, 1)), g, (1, 2), ((0, 0), (0, 0))).ravel().tolist()
      [2.0, 4.0]
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
    start = [jnp.broadcast_to(zero.astype(accumulator(x.dtype)), shape) for shape in shapes]
    sums, _ = lax.scan(add, start, [_in_blocks(x), _in_blocks(g)])
    rows = sums if few else [s.T for s in sums]
    total = jnp.stack(rows).reshape(kernel.shape).astype(kernel.dtype)
    return jax.vjp(lambda kernel: kernel + zero.astype(kernel.dtype), kernel)[1](total)[0]


def lowered(products: Callable, gradients: Callable, library: Callable) -> Callable[..., Array]:
    """`f(x, kernel, strides, padding)`: on a CPU products with gradients of their own, elsewhere the library's.

    Args:
      products: of `(x, kernel, strides, padding)`.
      gradients: of `(x, kernel, g, strides, padding)`: those of `x` and `kernel`, given that of the result.
      library: as `products`; JAX differentiates it.
    """

    @partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def f(x: Array, kernel: Array, strides: Any, padding: Any) -> Array:
        cpu, default = (lambda x, kernel, of=of: of(x, kernel, strides, padding) for of in (products, library))
        return lax.platform_dependent(x, kernel, cpu=cpu, default=default)

    def forward(x: Array, kernel: Array, strides: Any, padding: Any) -> tuple[Array, tuple[Array, Array]]:
        return f(x, kernel, strides, padding), (x, kernel)

    def backward(strides: Any, padding: Any, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
        def default(x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
            return jax.vjp(lambda x, kernel: library(x, kernel, strides, padding), x, kernel)[1](g)

        def cpu(x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
            return gradients(x, kernel, g, strides, padding)

        return lax.platform_dependent(*saved, g, cpu=cpu, default=default)

    f.defvjp(forward, backward)
    return f


def accumulator(dtype: Any) -> Any:
    """The dtype in which numbers are added up: float32 for those of half its size.

    Example:
      >>> accumulator(jnp.bfloat16) == jnp.float32, accumulator(jnp.float64) == jnp.float64
      (True, True)
    """
    return jnp.float32 if dtype in (jnp.bfloat16, jnp.float16) else dtype


def _convolve_block(x: Array, kernel: Array, strides: tuple[int, int], pads: Pads) -> Array:
    patches = _patches(_padded(x, pads), kernel.shape, strides)
    weights = kernel.reshape(len(patches), -1, kernel.shape[-1])
    flat = [p.reshape(-1, p.shape[-1]) for p in patches]
    rows = (_matmul(p, weights[n]) for n, p in enumerate(flat))
    return reduce(jnp.add, rows).astype(x.dtype).reshape(*patches[0].shape[:3], -1)


def _spread_block(g: Array, kernel: Array, size: tuple[int, int], strides: tuple[int, int], pads: Pads) -> Array:
    """Columns by one product, then sums of them shifted.

    Only every S-th tap meets a value, so the values at `n S + r` are summed for each r < S apart and interleaved:
    115 GFLOP/s at 7x7x128 with 4x4x64 and strides 2, where sums over all values with zeros between reach 67.
    At 26x26x32 110 GFLOP/s; the same as a convolution of the gradient with the kernel turned around 62.
    """
    (f, g_width, c, d), (down, right) = kernel.shape, strides
    columns = _matmul(g.reshape(-1, d), kernel.reshape(-1, d).T).reshape(*g.shape[:3], f, g_width, c)
    height, width = (-(-n // s) for n, s in zip(size, strides, strict=True))
    zero = jnp.zeros((), columns.dtype)

    def summed(r: int, q: int) -> Array:
        taps = itertools.product(
            range((r + pads[0][0]) % down, f, down), range((q + pads[1][0]) % right, g_width, right)
        )
        total = jnp.zeros((g.shape[0], height, width, c), columns.dtype)
        for i, j in taps:
            (top, left), (rows, cols) = ((i - pads[0][0]) // down, (j - pads[1][0]) // right), g.shape[1:3]
            edges = (0, 0, 0), (top, height - top - rows, 0), (left, width - left - cols, 0), (0, 0, 0)
            total = total + lax.pad(columns[:, :, :, i, j], zero, edges)
        return total

    lines = [jnp.concatenate([summed(r, q) for q in range(right)], -1) for r in range(down)]
    x = jnp.stack(lines, 2).reshape(g.shape[0], height * down, width * right, c)
    return x[:, : size[0], : size[1]].astype(g.dtype)


def _padded(x: Array, pads: Pads) -> Array:
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)))


def _matmul(a: Array, b: Array) -> Array:
    """Results are still to be added, so they keep more digits than bfloat16."""
    return jnp.matmul(a, b, preferred_element_type=accumulator(a.dtype))


def _blocks(f: Callable[[Array], Array], x: Array) -> Array:
    """`f` of a few neighbouring images at a time."""
    if x.shape[0] <= _BLOCK:
        return f(x)
    y = lax.map(f, _in_blocks(x))
    return y.reshape(x.shape[0], *y.shape[2:])


def _in_blocks(x: Array) -> Array:
    """`[B, ...] -> [B / n, n, ...]`, n as large as divides B and is at most `_BLOCK`."""
    size = max(n for n in range(1, _BLOCK + 1) if x.shape[0] % n == 0)
    return x.reshape(-1, size, *x.shape[1:])


def _patches(x: Array, shape: tuple[int, ...], strides: tuple[int, int]) -> list[Array]:
    """What lies under the kernel at every position: `[B, I, J, GC]` for each kernel row, or once `[B, I, J, FGC]`."""
    (f, g, c, _), (down, right) = shape, strides
    i, j = (1 + (n - k) // s for n, k, s in zip(x.shape[1:3], (f, g), strides, strict=True))
    wide = jnp.concatenate([x[:, :, n : n + (j - 1) * right + 1 : right] for n in range(g)], -1)
    rows = [wide[:, n : n + (i - 1) * down + 1 : down] for n in range(f)]
    return [jnp.concatenate(rows, -1)] if f * g * c <= _SMALL else rows
