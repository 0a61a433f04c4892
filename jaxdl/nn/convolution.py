"""A convolution and its two gradients: three bilinear maps, each differentiated by the other two.

    conv_forward(x, kernel) = y    conv_input_grad(y, kernel) = x    conv_kernel_grad(x, y) = kernel

Accelerators use XLA's own gradients. A CPU has a fast routine for only one form of convolution,
and XLA rewrites other forms into it only outside of loops. Inside a loop, any other form is 9 to
100 times slower. So for a CPU this module writes all three maps in the fast form:
`[B, H, W, C]` by `[F, G, C, D]` gives `[B, I, J, D]`, without flipped kernels and without groups.
`jaxdl/nn/correlation.py` has this form, and those for groups.

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
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.nn.arrays import (
    match_varying_axes,
    shard_over_batch,
    sum_over_blocks,
)
from jaxdl.nn.correlation import (
    DIMENSION_NUMBERS,
    correlate,
    depthwise_kernel_grad,
    few_taps,
    over_groups,
    pad,
    sum_of_taps,
    transposed_kernel,
    under_tap,
)
from jaxdl.nn.linear import bilinear
from jaxdl.nn.sizes import Geometry, Pair

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


def conv_forward(
    x: Float[Array, "B H W C"], kernel: Float[Array, "F G C D"], geometry: Geometry
) -> Float[Array, "B I J D"]:
    """Computes the convolution.

        y[b,i,j,d] = sum_{f,g,c} x[b, i S + f L - P, j S + g L - P, c] kernel[f,g,c,d]

    With groups, the sum is over the channels of the group of d.

    Args:
      x: `[B, H, W, C]`, float.
      kernel: `[F, G, C / groups, D]`, of the same dtype.
      geometry: sizes, strides, padding, dilation and groups.

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

        x[b, i S + f L - P, j S + g L - P, c] += sum_d y[b,i,j,d] kernel[f,g,c,d]

    It is the adjoint of `conv_forward` in the images, and so also a transposed convolution.

    Args:
      y: `[B, I, J, D]`, float, the gradient of the result.
      kernel: `[F, G, C / groups, D]`, of the same dtype.
      geometry: that of the convolution; values outside the image are dropped.

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

        kernel[f,g,c,d] = sum_{b,i,j} x[b, i S + f L - P, j S + g L - P, c] y[b,i,j,d]

    It is the adjoint of `conv_forward` in the kernel.

    Args:
      x: `[B, H, W, C]`, the input of the convolution.
      y: `[B, I, J, D]`, the gradient of the result.
      geometry: that of the convolution.

    Returns:
      `[F, G, C / groups, D]`, of the dtype of `x`.

    Example:
      >>> geometry = Geometry((1, 4), (1, 2), (1, 2), ((0, 0), (0, 0)))
      >>> x = jnp.arange(4.0).reshape(1, 1, 4, 1)
      >>> conv_kernel_grad(x, jnp.ones((1, 1, 2, 1)), geometry).ravel().tolist()
      [2.0, 4.0]
    """
    return _conv_kernel_grad(*match_varying_axes(x, y), geometry)


def _xla_conv_forward(x: Array, kernel: Array, geometry: Geometry) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        geometry.strides,
        geometry.pads,
        rhs_dilation=geometry.dilation,
        dimension_numbers=DIMENSION_NUMBERS,
        feature_group_count=geometry.groups,
    )


def _xla_conv_input_grad(y: Array, kernel: Array, geometry: Geometry) -> Array:
    channels = kernel.shape[2] * geometry.groups
    x = jnp.zeros_like(y, shape=(y.shape[0], *geometry.size, channels))
    return jax.vjp(lambda x: _xla_conv_forward(x, kernel, geometry), x)[1](y)[0]


def _xla_conv_kernel_grad(x: Array, y: Array, geometry: Geometry) -> Array:
    channels = x.shape[-1] // geometry.groups
    kernel = jnp.zeros_like(x, shape=(*geometry.window, channels, y.shape[-1]))
    return jax.vjp(lambda kernel: _xla_conv_forward(x, kernel, geometry), kernel)[1](y)[0]


def _cpu_conv_forward(x: Array, kernel: Array, geometry: Geometry) -> Array:
    small_window = 0 < math.prod(kernel.shape[:3]) <= _MAX_SMALL_WINDOW
    if geometry.groups == 1 and small_window and 0 < kernel.shape[2] <= _MAX_FEW_CHANNELS:
        return sum_of_taps(x, kernel, geometry)
    return correlate(x, kernel, geometry)


def _cpu_conv_input_grad(y: Array, kernel: Array, geometry: Geometry) -> Array:
    """Computes `conv_input_grad` by one convolution for each phase r < S.

    The values at `n S + r` are a convolution of `y` with every S-th tap, flipped. This reaches 133
    GFLOP/s at 14x14x64 by 5x5x128 and strides 2. A convolution of `y` with inserted zeros reaches
    46.
    """
    f, g, c, d = kernel.shape
    groups = geometry.groups
    if groups == 1 and f * g * c <= _MAX_SMALL_WINDOW:
        columns = (y.reshape(-1, d) @ kernel.reshape(-1, d).T).reshape(*y.shape[:3], f * g, c)
        image = jnp.zeros_like(y, shape=(y.shape[0], *geometry.size, c))
        return jax.vjp(partial(_patches, geometry=geometry), image)[1](columns)[0]
    row_phases = _phases(geometry, 0)
    column_phases = _phases(geometry, 1)
    common = [math.gcd(*pair) for pair in zip(geometry.strides, geometry.dilation, strict=True)]
    down, right = (s // q for s, q in zip(geometry.strides, common, strict=True))
    gaps = tuple(gap // q for gap, q in zip(geometry.dilation, common, strict=True))
    rows = []
    for first_row, row_pads in row_phases:
        row = []
        for first_column, column_pads in column_phases:
            taps = kernel[first_row::down, first_column::right]
            # Without the barrier XLA would merge the flip into the convolution, and so change its
            # form.
            flipped = lax.optimization_barrier(transposed_kernel(taps[::-1, ::-1], groups))
            pads = (row_pads, column_pads)
            phase = Geometry(y.shape[1:3], taps.shape[:2], (1, 1), pads, gaps, groups)
            row.append(correlate(y, flipped, phase))
        rows.append(jnp.stack(row, 3))
    x = jnp.stack(rows, 2)
    batch, i, down, j, right, channels = x.shape
    x = x.reshape(batch, i * down, j * right, channels)
    return x[:, : geometry.size[0], : geometry.size[1]]


def _phases(geometry: Geometry, axis: int) -> list[tuple[int, Pair]]:
    """Returns for each r < S its first tap, and the padding of `y` that gives every `n S + r`.

    A tap f reads `n S + r` if S divides `r + P - f L`. These are every (S / q)-th tap, with
    q = gcd(S, L), and two of them are L / q positions of `y` apart.
    """
    size = geometry.size[axis]
    window = geometry.window[axis]
    stride = geometry.strides[axis]
    gap = geometry.dilation[axis]
    before = geometry.pads[axis][0]
    common = math.gcd(stride, gap)
    count = -(-size // stride)
    phases = []
    for r in range(stride):
        reading = (f for f in range(window) if (r + before - f * gap) % stride == 0)
        first = next(reading, window)
        shift = (r + before - first * gap) // stride
        taps = len(range(first, window, stride // common))
        reach = (taps - 1) * gap // common
        low = reach - shift
        phases.append((first, (low, count + reach - low - geometry.positions[axis])))
    return phases


def _cpu_conv_kernel_grad(x: Array, y: Array, geometry: Geometry) -> Array:
    """Computes `conv_kernel_grad` as a convolution of `x` with the kernel `y`.

    Batch and channels exchange their roles, so the convolution sums over the batch. Strides and
    dilation exchange theirs.
    """
    if geometry.groups > 1:
        if geometry.groups == x.shape[-1] and few_taps(geometry.window, 1):
            return depthwise_kernel_grad(x, y, geometry)
        single = partial(_cpu_conv_kernel_grad, geometry=geometry._replace(groups=1))
        return over_groups(single, geometry.groups, x, y)
    sizes = zip(
        geometry.positions, geometry.strides, geometry.window, geometry.dilation, strict=True
    )
    last = [(n - 1) * s + (f - 1) * gap + 1 for n, s, f, gap in sizes]
    pads = tuple(
        (low, n - size - low)
        for (low, _), n, size in zip(geometry.pads, last, geometry.size, strict=True)
    )
    exchanged = Geometry(
        geometry.size, geometry.positions, geometry.dilation, pads, geometry.strides
    )

    def block(x: Array, y: Array) -> Array:
        images, kernel = lax.optimization_barrier(
            (x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3))
        )
        return correlate(images, kernel, exchanged)

    return sum_over_blocks(block, x, y).transpose(1, 2, 0, 3)


def _patches(x: Array, geometry: Geometry) -> Array:
    """Returns the values under the kernel at each position, `[B, I, J, FG, C]`."""
    x = pad(x, geometry.pads)
    corners = itertools.product(*map(range, geometry.window))
    shifted = [x[:, *under_tap(geometry, f, g)] for f, g in corners]
    return jnp.stack(shifted, -2)


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
