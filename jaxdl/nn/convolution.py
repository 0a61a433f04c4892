"""A convolution and its two gradients: three bilinear maps, each differentiated by the other two.

    conv_forward(x, kernel) = y      conv_input_grad(y, kernel) = x      conv_kernel_grad(x, y) = kernel

Accelerators get XLA's own gradients. XLA rewrites a convolution into the form that a CPU has a fast routine
for only outside of loops; what stays in any other form runs there 9 to 100 times slower. So on a CPU all three
are written in that form: `[B, H, W, C]` by `[F, G, C, D]` gives `[B, I, J, D]`, no kernel turned around, no groups.

GFLOP/s inside a loop, batch 128, two cores (one core) of an AMD EPYC whose matrix products reach 210 (105), for
26x26x32 by 3x3x64 without and 14x14x32 by 5x5x64 with padding:

                                             conv_forward          spread            conv_kernel_grad
    this file, as `train` compiles           171, 180          132, 184          107, 165
                                              (89, 92)          (70, 88)          (70, 84)
    this file, as `jit` compiles              33, 99           130, 97            30, 89
    JAX's gradients, as `jit` compiles        33, 97            46, 37             1, 3
    products of patches, blocks of 2 images   80 (80)          122 (92)          110 (69)

How `train` and `evaluate` compile is in `jaxdl/training/program.py`.
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
    accumulation_dtype,
    match_varying_axes,
    shard_over_batch,
    sum_over_blocks,
)
from jaxdl.xla import materialize, noinline

Pair = tuple[int, int]

# Up to so many values under the kernel `spread` is one product and a sum of shifted columns: 1.5 ms where
# convolutions with so few features take 5.4 (14x14x64 to 28x28x1 by 5x5, strides 2, batch 128). With so few channels
# besides, a convolution is a sum over taps: 0.28 ms where the routine takes 2.2 (28x28x1 by 3x3x32, batch 128), 1.4
# and 5.3 (by 5x5x32), 3.3 and 6.1 (32x32x3 by 3x3x32); 10.0 and 6.1 with 32 channels (28x28x32 by 1x1x64).
_FEW = 32
_COLOURS = 3
_ORDER = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """How a kernel moves over an image.

    Attributes:
      size: H and W of the image.
      window: F and G of the kernel.
      strides: S for height and width, at least 1.
      pads: zeros before and after for height and width, P of them before; less than 0 cuts off.
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[Pair, ...]

    @property
    def positions(self) -> tuple[int, int]:
        """I and J, how many places the kernel takes."""
        axes = zip(self.size, self.window, self.strides, self.pads, strict=True)
        down, right = (1 + (n + sum(pad) - f) // s for n, f, s, pad in axes)
        return down, right


def conv_forward(
    x: Float[Array, "B H W C"], kernel: Float[Array, "F G C D"], at: Geometry
) -> Float[Array, "B I J D"]:
    """`y[b,i,j,d] = sum_{f,g,c} x[b, i S + f - P, j S + g - P, c] kernel[f,g,c,d]`.

    Args:
      x: `[B, H, W, C]`, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      at: how the kernel moves.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Example:
      >>> x, kernel = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.ones((1, 2, 1, 1))
      >>> conv_forward(x, kernel, Geometry((1, 4), (1, 2), (1, 2), ((0, 0), (0, 0)))).ravel().tolist()
      [1.0, 5.0]
    """
    return shard_over_batch(
        lambda *a: _convolve(*match_varying_axes(*a), at), (0, None), 0, x, kernel
    )


def conv_input_grad(
    y: Float[Array, "B I J D"], kernel: Float[Array, "F G C D"], at: Geometry
) -> Float[Array, "B H W C"]:
    """What every position gives back to the values under the kernel, added up where they overlap.

        x[b, i S + f - P, j S + g - P, c] += sum_d y[b,i,j,d] kernel[f,g,c,d]

    The adjoint of `conv_forward` in the images, and so a transposed convolution too.

    Args:
      y: `[B, I, J, D]`, float.
      kernel: `[F, G, C, D]`, of the same dtype.
      at: how the kernel moved; what lies outside of the image is lost.

    Returns:
      `[B, H, W, C]`, of the dtype of `y`.

    Example:
      >>> y, kernel = jnp.ones((1, 1, 3, 1)), jnp.arange(1.0, 4.0).reshape(1, 3, 1, 1)
      >>> conv_input_grad(y, kernel, Geometry((1, 7), (1, 3), (1, 2), ((0, 0), (0, 0)))).ravel().tolist()
      [1.0, 2.0, 4.0, 2.0, 4.0, 2.0, 3.0]
    """
    return shard_over_batch(
        lambda *a: _spread(*match_varying_axes(*a), at), (0, None), 0, y, kernel
    )


def conv_kernel_grad(
    x: Float[Array, "B H W C"], y: Float[Array, "B I J D"], at: Geometry
) -> Float[Array, "F G C D"]:
    """`kernel[f,g,c,d] = sum_{b,i,j} x[b, i S + f - P, j S + g - P, c] y[b,i,j,d]`.

    The adjoint of `conv_forward` in the kernel.

    Args:
      x: `[B, H, W, C]`, what was convolved.
      y: `[B, I, J, D]`, the gradient of the result.
      at: how the kernel moved.

    Returns:
      `[F, G, C, D]`, of the dtype of `x`.

    Example:
      >>> x, y = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.ones((1, 1, 2, 1))
      >>> conv_kernel_grad(x, y, Geometry((1, 4), (1, 2), (1, 2), ((0, 0), (0, 0)))).ravel().tolist()
      [2.0, 4.0]
    """
    return _kernel_gradient(*match_varying_axes(x, y), at)


def _map(cpu: Callable, default: Callable, gradients: Callable) -> Callable:
    """`f(a, b, at)` with a lowering for a CPU and one for the rest, and `gradients(a, b, g, at)` of `a` and `b`."""

    @partial(jax.custom_vjp, nondiff_argnums=(2,))
    def f(a: Array, b: Array, at: Geometry) -> Array:
        return lax.platform_dependent(
            a, b, cpu=partial(widened, at=at), default=partial(default, at=at)
        )

    def widened(a: Array, b: Array, at: Geometry) -> Array:
        # A CPU's routine is for float32.
        wide = accumulation_dtype(a.dtype)
        return cpu(a.astype(wide), b.astype(wide), at).astype(a.dtype)

    def forward(a: Array, b: Array, at: Geometry) -> tuple[Array, tuple[Array, Array]]:
        return f(a, b, at), (a, b)

    f.defvjp(forward, lambda at, saved, g: gradients(*saved, materialize(g), at))
    return f


def _library(x: Array, kernel: Array, at: Geometry) -> Array:
    return lax.conv_general_dilated(x, kernel, at.strides, at.pads, dimension_numbers=_ORDER)


def _librarys_spread(y: Array, kernel: Array, at: Geometry) -> Array:
    x = jnp.zeros_like(y, shape=(y.shape[0], *at.size, kernel.shape[2]))
    return jax.vjp(lambda x: _library(x, kernel, at), x)[1](y)[0]


def _librarys_gradient(x: Array, y: Array, at: Geometry) -> Array:
    kernel = jnp.zeros_like(x, shape=(*at.window, x.shape[-1], y.shape[-1]))
    return jax.vjp(lambda kernel: _library(x, kernel, at), kernel)[1](y)[0]


def _cpu_convolve(x: Array, kernel: Array, at: Geometry) -> Array:
    if 0 < kernel.shape[2] <= _COLOURS and 0 < math.prod(kernel.shape[:3]) <= _FEW:
        return _sum_of_taps(x, kernel, at)
    return _correlate(x, kernel, at.pads, at.strides)


@partial(noinline, static_argnums=2)
def _sum_of_taps(x: Array, kernel: Array, at: Geometry) -> Array:
    """A moved image times one tap, added up over all of them."""
    (down, right), (i, j) = at.strides, at.positions
    x = lax.pad(
        x,
        jnp.zeros((), x.dtype),
        ((0, 0, 0), *((low, high, 0) for low, high in at.pads), (0, 0, 0)),
    )
    taps = kernel[:, :, :, None, None, None]
    total = jnp.zeros((1, 1, 1, 1), x.dtype)
    for f, g, c in itertools.product(*map(range, kernel.shape[:3])):
        rows = slice(f, f + (i - 1) * down + 1, down)
        columns = slice(g, g + (j - 1) * right + 1, right)
        total += x[:, rows, columns, c : c + 1] * taps[f, g, c]
    return total


def _cpu_spread(y: Array, kernel: Array, at: Geometry) -> Array:
    """The values at `n S + r` are, for each r < S, a convolution with every S-th tap, turned around.

    133 GFLOP/s at 14x14x64 by 5x5x128 and strides 2, where a convolution of `y` with zeros between reaches 46.
    """
    f, g, c, d = kernel.shape
    if f * g * c <= _FEW:
        columns = (y.reshape(-1, d) @ kernel.reshape(-1, d).T).reshape(*y.shape[:3], f * g, c)
        image = jnp.zeros_like(y, shape=(y.shape[0], *at.size, c))
        return jax.vjp(partial(_patches, at=at), image)[1](columns)[0]
    phases = [_phases(at, axis) for axis in range(2)]
    rows = []
    for start, pad in phases[0]:
        line = []
        for left, sides in phases[1]:
            taps = kernel[start :: at.strides[0], left :: at.strides[1]]
            # Without the barrier XLA would put the turn into the convolution, which makes it another form.
            turned = lax.optimization_barrier(taps[::-1, ::-1].swapaxes(2, 3))
            line.append(_correlate(y, turned, (pad, sides)))
        rows.append(jnp.stack(line, 3))
    x = jnp.stack(rows, 2)
    _, count, down, counts, right, _ = x.shape
    return x.reshape(-1, count * down, counts * right, c)[:, : at.size[0], : at.size[1]]


def _phases(at: Geometry, axis: int) -> list[tuple[int, Pair]]:
    """For each r < S: the first of its taps, and the zeros around `y` with which they give every `n S + r`."""
    size = at.size[axis]
    window = at.window[axis]
    stride = at.strides[axis]
    before = at.pads[axis][0]
    count = -(-size // stride)
    phases = []
    for r in range(stride):
        start = (r + before) % stride
        moved = (r + before) // stride
        taps = len(range(start, window, stride))
        low = taps - 1 - moved
        phases.append((start, (low, count + taps - 1 - low - at.positions[axis])))
    return phases


def _cpu_kernel_gradient(x: Array, y: Array, at: Geometry) -> Array:
    """A convolution over the batch: channels are its images, images its channels, `y` is its kernel."""
    last = [(n - 1) * s + f for n, s, f in zip(at.positions, at.strides, at.window, strict=True)]
    pads = tuple(
        (low, n - size - low) for (low, _), n, size in zip(at.pads, last, at.size, strict=True)
    )

    def block(x: Array, y: Array) -> Array:
        images, kernel = lax.optimization_barrier(
            (x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3))
        )
        return _correlate(images, kernel, pads, dilation=at.strides)

    return sum_over_blocks(block, x, y).transpose(1, 2, 0, 3)


def _patches(x: Array, at: Geometry) -> Array:
    """What lies under the kernel, `[B, I, J, FG, C]`."""
    x = lax.pad(
        x,
        jnp.zeros((), x.dtype),
        ((0, 0, 0), *((low, high, 0) for low, high in at.pads), (0, 0, 0)),
    )
    (down, right), (i, j) = at.strides, at.positions
    corners = itertools.product(*map(range, at.window))
    taken = [
        x[:, f : f + (i - 1) * down + 1 : down, g : g + (j - 1) * right + 1 : right]
        for f, g in corners
    ]
    return jnp.stack(taken, -2)


def _correlate(
    x: Array,
    kernel: Array,
    pads: Any,
    strides: tuple[int, ...] = (1, 1),
    dilation: tuple[int, ...] = (1, 1),
) -> Array:
    """A convolution in the CPU's form; no taps at all give zeros."""
    pads = tuple(pads)
    cut = tuple((min(low, 0), min(high, 0), 0) for low, high in pads)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *cut, (0, 0, 0)))
    pads = tuple((max(low, 0), max(high, 0)) for low, high in pads)
    if 0 in kernel.shape or 0 in x.shape:
        axes = zip(x.shape[1:3], pads, kernel.shape[:2], strides, dilation, strict=True)
        size = (1 + (n + sum(pad) - (f - 1) * d - 1) // s for n, pad, f, s, d in axes)
        return jnp.zeros_like(x, shape=(x.shape[0], *size, kernel.shape[-1]))
    return _one_by_one(pads, strides, dilation)(x, kernel)


@cache
def _one_by_one(
    pads: tuple[Pair, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Callable[[Array, Array], Array]:
    """A convolution that under `vmap` over kernels is a loop over them: XLA would make groups of it."""

    @jax.custom_batching.custom_vmap
    def one(x: Array, kernel: Array) -> Array:
        return lax.conv_general_dilated(
            x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=_ORDER
        )

    @one.def_vmap
    def many(count: int, batched: list[bool], x: Array, kernel: Array) -> tuple[Array, bool]:
        if batched == [True, False]:
            y = one(x.reshape(-1, *x.shape[2:]), kernel)
            return y.reshape(count, -1, *y.shape[1:]), True
        if batched == [False, True]:
            return lax.map(lambda kernel: one(x, kernel), kernel), True
        return lax.map(lambda each: one(*each), (x, kernel)), True

    return one


_convolve = _map(
    _cpu_convolve,
    _library,
    lambda x, kernel, g, at: (conv_input_grad(g, kernel, at), conv_kernel_grad(x, g, at)),
)
_spread = _map(
    _cpu_spread,
    _librarys_spread,
    lambda y, kernel, g, at: (conv_forward(g, kernel, at), conv_kernel_grad(g, y, at)),
)
_kernel_gradient = _map(
    _cpu_kernel_gradient,
    _librarys_gradient,
    lambda x, y, g, at: (conv_input_grad(y, g, at), conv_forward(x, g, at)),
)
