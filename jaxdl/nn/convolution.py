"""A convolution and its two gradients: three bilinear maps, each differentiated by the other two.

    conv_forward(x, kernel) = y    conv_input_grad(y, kernel) = x    conv_kernel_grad(x, y) = kernel

Accelerators use XLA's own gradients. A CPU has a fast routine for only one form of convolution,
and XLA rewrites other forms into it only outside of loops. Inside a loop, any other form is 9 to
100 times slower. So for a CPU this module writes all three maps in the fast form:
`[B, H, W, C]` by `[F, G, C, D]` gives `[B, I, J, D]`, without flipped kernels and without groups.

The table has GFLOP/s inside a loop at batch 128, on two cores of an AMD EPYC and, in parentheses,
on one core. Its matrix products reach 210 (105). The first number of each pair is for 26x26x32 by
3x3x64 without padding, the second for 14x14x32 by 5x5x64 with padding.

                                              conv_forward   conv_input_grad   conv_kernel_grad
    this file, compiled as in `train`             171, 180          132, 184           107, 165
                                                  (89, 92)          (70, 88)           (70, 84)
    this file, compiled with `jit`                 33,  99          130,  97            30,  89
    JAX's gradients, compiled with `jit`           33,  97           46,  37             1,   3
    products of patches, blocks of 2 images        80 (80)          122 (92)           110 (69)

`jaxdl/xla.py` has the compiler options of `train` and `evaluate`.
"""

import itertools
import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.nn.arrays import (
    match_varying_axes,
    shard_over_batch,
    sum_over_blocks,
)
from jaxdl.nn.linear import bilinear
from jaxdl.xla import noinline

Pair = tuple[int, int]

# With at most this many values F G C under the kernel, `conv_input_grad` is one product and a sum
# of shifted columns. From 14x14x64 to 28x28x1 by 5x5, with strides 2 and batch 128, this takes
# 1.5 ms. Convolutions with so few features take 5.4 ms.
_MAX_SMALL_WINDOW = 32

# With at most this many channels and such a small window, `conv_forward` is a sum over taps. Its
# time in ms and that of the CPU's routine, at batch 128:
#   28x28x1 by 3x3x32: 0.28 and 2.2
#   28x28x1 by 5x5x32: 1.4 and 5.3
#   32x32x3 by 3x3x32: 3.3 and 6.1
#   28x28x32 by 1x1x64: 10.0 and 6.1
_MAX_FEW_CHANNELS = 3

_DIMENSION_NUMBERS = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """Sizes, strides and padding of a convolution.

    Attributes:
      size: H and W of the image.
      window: F and G of the kernel.
      strides: S for height and width, at least 1.
      pads: numbers of zeros before (P) and after, for height and width; negative numbers crop.
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[Pair, ...]

    @property
    def positions(self) -> tuple[int, int]:
        """I and J, the numbers of kernel positions along height and width."""
        axes = zip(self.size, self.window, self.strides, self.pads, strict=True)
        down, right = (1 + (n + sum(pad) - f) // s for n, f, s, pad in axes)
        return down, right


def conv_forward(
    x: Float[Array, "B H W C"], kernel: Float[Array, "F G C D"], geometry: Geometry
) -> Float[Array, "B I J D"]:
    """Computes the convolution.

        y[b,i,j,d] = sum_{f,g,c} x[b, i S + f - P, j S + g - P, c] kernel[f,g,c,d]

    Args:
      x: `[B, H, W, C]`, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      geometry: sizes, strides and padding.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Example:
      >>> geometry = Geometry((1, 4), (1, 2), (1, 2), ((0, 0), (0, 0)))
      >>> x = jnp.arange(4.0).reshape(1, 1, 4, 1)
      >>> conv_forward(x, jnp.ones((1, 2, 1, 1)), geometry).ravel().tolist()
      [1.0, 5.0]
    """
    return shard_over_batch(
        lambda *a: _conv_forward(*match_varying_axes(*a), geometry), (0, None), 0, x, kernel
    )


def conv_input_grad(
    y: Float[Array, "B I J D"], kernel: Float[Array, "F G C D"], geometry: Geometry
) -> Float[Array, "B H W C"]:
    """Computes the gradient of a convolution with respect to its input.

        x[b, i S + f - P, j S + g - P, c] += sum_d y[b,i,j,d] kernel[f,g,c,d]

    It is the adjoint of `conv_forward` in the images, and so also a transposed convolution.

    Args:
      y: `[B, I, J, D]`, float, the gradient of the result.
      kernel: `[F, G, C, D]`, of the same dtype.
      geometry: sizes, strides and padding of the convolution; values outside the image are dropped.

    Returns:
      `[B, H, W, C]`, of the dtype of `y`.

    Example:
      >>> geometry = Geometry((1, 7), (1, 3), (1, 2), ((0, 0), (0, 0)))
      >>> kernel = jnp.arange(1.0, 4.0).reshape(1, 3, 1, 1)
      >>> conv_input_grad(jnp.ones((1, 1, 3, 1)), kernel, geometry).ravel().tolist()
      [1.0, 2.0, 4.0, 2.0, 4.0, 2.0, 3.0]
    """
    return shard_over_batch(
        lambda *a: _conv_input_grad(*match_varying_axes(*a), geometry), (0, None), 0, y, kernel
    )


def conv_kernel_grad(
    x: Float[Array, "B H W C"], y: Float[Array, "B I J D"], geometry: Geometry
) -> Float[Array, "F G C D"]:
    """Computes the gradient of a convolution with respect to its kernel.

        kernel[f,g,c,d] = sum_{b,i,j} x[b, i S + f - P, j S + g - P, c] y[b,i,j,d]

    It is the adjoint of `conv_forward` in the kernel.

    Args:
      x: `[B, H, W, C]`, the input of the convolution.
      y: `[B, I, J, D]`, the gradient of the result.
      geometry: sizes, strides and padding of the convolution.

    Returns:
      `[F, G, C, D]`, of the dtype of `x`.

    Example:
      >>> geometry = Geometry((1, 4), (1, 2), (1, 2), ((0, 0), (0, 0)))
      >>> x = jnp.arange(4.0).reshape(1, 1, 4, 1)
      >>> conv_kernel_grad(x, jnp.ones((1, 1, 2, 1)), geometry).ravel().tolist()
      [2.0, 4.0]
    """
    return _conv_kernel_grad(*match_varying_axes(x, y), geometry)


def _xla_conv_forward(x: Array, kernel: Array, geometry: Geometry) -> Array:
    return lax.conv_general_dilated(
        x, kernel, geometry.strides, geometry.pads, dimension_numbers=_DIMENSION_NUMBERS
    )


def _xla_conv_input_grad(y: Array, kernel: Array, geometry: Geometry) -> Array:
    x = jnp.zeros_like(y, shape=(y.shape[0], *geometry.size, kernel.shape[2]))
    return jax.vjp(lambda x: _xla_conv_forward(x, kernel, geometry), x)[1](y)[0]


def _xla_conv_kernel_grad(x: Array, y: Array, geometry: Geometry) -> Array:
    kernel = jnp.zeros_like(x, shape=(*geometry.window, x.shape[-1], y.shape[-1]))
    return jax.vjp(lambda kernel: _xla_conv_forward(x, kernel, geometry), kernel)[1](y)[0]


def _cpu_conv_forward(x: Array, kernel: Array, geometry: Geometry) -> Array:
    small_window = 0 < math.prod(kernel.shape[:3]) <= _MAX_SMALL_WINDOW
    if small_window and 0 < kernel.shape[2] <= _MAX_FEW_CHANNELS:
        return _sum_of_taps(x, kernel, geometry)
    return _correlate(x, kernel, geometry.pads, geometry.strides)


@partial(noinline, static_argnums=2)
def _sum_of_taps(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Sums the shifted images, each multiplied by one tap of the kernel."""
    down, right = geometry.strides
    i, j = geometry.positions
    x = _pad(x, geometry.pads)
    taps = kernel[:, :, :, None, None, None]
    total = jnp.zeros((1, 1, 1, 1), x.dtype)
    for f, g, c in itertools.product(*map(range, kernel.shape[:3])):
        rows = slice(f, f + (i - 1) * down + 1, down)
        columns = slice(g, g + (j - 1) * right + 1, right)
        total += x[:, rows, columns, c : c + 1] * taps[f, g, c]
    return total


def _cpu_conv_input_grad(y: Array, kernel: Array, geometry: Geometry) -> Array:
    """Computes `conv_input_grad` by one convolution for each phase r < S.

    The values at `n S + r` are a convolution of `y` with every S-th tap, flipped. This reaches 133
    GFLOP/s at 14x14x64 by 5x5x128 and strides 2. A convolution of `y` with inserted zeros reaches
    46.
    """
    f, g, c, d = kernel.shape
    if f * g * c <= _MAX_SMALL_WINDOW:
        columns = (y.reshape(-1, d) @ kernel.reshape(-1, d).T).reshape(*y.shape[:3], f * g, c)
        image = jnp.zeros_like(y, shape=(y.shape[0], *geometry.size, c))
        return jax.vjp(partial(_patches, geometry=geometry), image)[1](columns)[0]
    row_phases = _phases(geometry, 0)
    column_phases = _phases(geometry, 1)
    rows = []
    for first_row, row_pads in row_phases:
        row = []
        for first_column, column_pads in column_phases:
            taps = kernel[first_row :: geometry.strides[0], first_column :: geometry.strides[1]]
            # Without the barrier XLA would merge the flip into the convolution, and so change its
            # form.
            flipped = lax.optimization_barrier(taps[::-1, ::-1].swapaxes(2, 3))
            row.append(_correlate(y, flipped, (row_pads, column_pads)))
        rows.append(jnp.stack(row, 3))
    x = jnp.stack(rows, 2)
    _, i, down, j, right, _ = x.shape
    return x.reshape(-1, i * down, j * right, c)[:, : geometry.size[0], : geometry.size[1]]


def _phases(geometry: Geometry, axis: int) -> list[tuple[int, Pair]]:
    """Returns for each r < S its first tap, and the padding of `y` that gives every `n S + r`."""
    size = geometry.size[axis]
    window = geometry.window[axis]
    stride = geometry.strides[axis]
    before = geometry.pads[axis][0]
    count = -(-size // stride)
    phases = []
    for r in range(stride):
        first = (r + before) % stride
        shift = (r + before) // stride
        taps = len(range(first, window, stride))
        low = taps - 1 - shift
        phases.append((first, (low, count + taps - 1 - low - geometry.positions[axis])))
    return phases


def _cpu_conv_kernel_grad(x: Array, y: Array, geometry: Geometry) -> Array:
    """Computes `conv_kernel_grad` as a convolution of `x` with the kernel `y`.

    Batch and channels exchange their roles, so the convolution sums over the batch.
    """
    sizes = zip(geometry.positions, geometry.strides, geometry.window, strict=True)
    last = [(n - 1) * s + f for n, s, f in sizes]
    pads = tuple(
        (low, n - size - low)
        for (low, _), n, size in zip(geometry.pads, last, geometry.size, strict=True)
    )

    def block(x: Array, y: Array) -> Array:
        images, kernel = lax.optimization_barrier(
            (x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3))
        )
        return _correlate(images, kernel, pads, dilation=geometry.strides)

    return sum_over_blocks(block, x, y).transpose(1, 2, 0, 3)


def _patches(x: Array, geometry: Geometry) -> Array:
    """Returns the values under the kernel at each position, `[B, I, J, FG, C]`."""
    x = _pad(x, geometry.pads)
    down, right = geometry.strides
    i, j = geometry.positions
    corners = itertools.product(*map(range, geometry.window))
    shifted = [
        x[:, f : f + (i - 1) * down + 1 : down, g : g + (j - 1) * right + 1 : right]
        for f, g in corners
    ]
    return jnp.stack(shifted, -2)


def _pad(x: Array, pads: Any) -> Array:
    """Pads height and width with zeros; negative numbers crop."""
    config = ((0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _correlate(
    x: Array,
    kernel: Array,
    pads: Any,
    strides: tuple[int, ...] = (1, 1),
    dilation: tuple[int, ...] = (1, 1),
) -> Array:
    """Computes a convolution in the form that is fast on a CPU; an empty kernel gives zeros."""
    pads = tuple(pads)
    x = _pad(x, [(min(low, 0), min(high, 0)) for low, high in pads])
    pads = tuple((max(low, 0), max(high, 0)) for low, high in pads)
    if 0 in kernel.shape or 0 in x.shape:
        axes = zip(x.shape[1:3], pads, kernel.shape[:2], strides, dilation, strict=True)
        size = (1 + (n + sum(pad) - (f - 1) * d - 1) // s for n, pad, f, s, d in axes)
        return jnp.zeros_like(x, shape=(x.shape[0], *size, kernel.shape[-1]))
    return _without_groups(pads, strides, dilation)(x, kernel)


@cache
def _without_groups(
    pads: tuple[Pair, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Callable[[Array, Array], Array]:
    """Returns a convolution that becomes a loop over kernels under `vmap`.

    Without this rule JAX would batch kernels by a convolution with groups, which is slow on a CPU.
    """

    @jax.custom_batching.custom_vmap
    def convolve(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            pads,
            rhs_dilation=dilation,
            dimension_numbers=_DIMENSION_NUMBERS,
        )

    @convolve.def_vmap
    def convolve_batch(
        count: int, batched: list[bool], x: Array, kernel: Array
    ) -> tuple[Array, bool]:
        if batched == [True, False]:
            y = convolve(x.reshape(-1, *x.shape[2:]), kernel)
            return y.reshape(count, -1, *y.shape[1:]), True
        if batched == [False, True]:
            return lax.map(lambda kernel: convolve(x, kernel), kernel), True
        return lax.map(lambda pair: convolve(*pair), (x, kernel)), True

    return convolve


_conv_forward = bilinear(
    _cpu_conv_forward,
    _xla_conv_forward,
    lambda x, kernel, g, geometry: (
        conv_input_grad(g, kernel, geometry),
        conv_kernel_grad(x, g, geometry),
    ),
)
_conv_input_grad = bilinear(
    _cpu_conv_input_grad,
    _xla_conv_input_grad,
    lambda y, kernel, g, geometry: (
        conv_forward(g, kernel, geometry),
        conv_kernel_grad(g, y, geometry),
    ),
)
_conv_kernel_grad = bilinear(
    _cpu_conv_kernel_grad,
    _xla_conv_kernel_grad,
    lambda x, y, g, geometry: (
        conv_input_grad(y, g, geometry),
        conv_forward(x, g, geometry),
    ),
)
