"""One convolution in a form that is fast on a CPU: dense, with groups, or per channel.

`jaxdl.nn.convolution` writes a convolution and its gradients with these functions. XLA's own
convolution with groups has no fast routine on a CPU. Few channels per group become a sum over
taps, which is one loop over the result. More channels become a loop over groups, each of which
is a convolution without groups.

The table has the time in ms inside a loop, compiled with `jit`, at batch 32 for 3x3 windows and
stride 1. Its rounds alternated on two cores of an AMD EPYC that were busy with other programs, so
only ratios count. A pair is `conv_forward` and `conv_kernel_grad`.

                                     56x56x32         14x14x128      28x28x64
                                     in 32 groups     in 32 groups   in 4 groups
    this file                          15,    68        11, 18         28,  25
    loop over groups                  504,   218        41, 14         32,  24
    an operation for each group       437,   197        31, 19         30,  60
    a dense kernel with zeros          51,   361        38, 92         47, 220
    XLA's convolution with groups     384, 13900        69,  -        180,   -

A dilated convolution takes as long as one without: 26 and 28 ms for 28x28x64 by 3x3x64x64.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.nn.arrays import sum_over_blocks
from jaxdl.nn.sizes import Geometry, Pair
from jaxdl.xla import noinline

#: The axes of images, kernels and results.
DIMENSION_NUMBERS = ("NHWC", "HWIO", "NHWC")

# The largest number of channels of a group, and of values under the kernel, for a sum over taps.
_MAX_GROUP_CHANNELS = 4
_MAX_GROUP_WINDOW = 256

# The number of examples whose products are added before they are stored. In alternating rounds, the
# kernel gradient of the first column took 18 ms in blocks of 8 examples, 45 ms in blocks of 16, and
# 57 ms for all examples at once.
_PRODUCTS = 8


def pad(x: Float[Array, "B H W C"], pads: Sequence[Pair]) -> Array:
    """Pads height and width with zeros; negative numbers crop.

    Example:
      >>> pad(jnp.ones((1, 1, 3, 1)), ((0, 0), (1, -1))).ravel().tolist()
      [0.0, 1.0, 1.0]
    """
    config = ((0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0))
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def under_tap(geometry: Geometry, f: int, g: int) -> tuple[slice, slice]:
    """Returns the rows and columns of the padded image that a tap reads, one for each position.

    Example:
      >>> under_tap(Geometry((5, 5), (2, 2), (2, 1), ((0, 0), (0, 0))), 1, 0)
      (slice(1, 4, 2), slice(0, 4, 1))
    """
    axes = zip((f, g), geometry.positions, geometry.strides, geometry.dilation, strict=True)
    rows, columns = (slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in axes)
    return rows, columns


@partial(noinline, static_argnums=2)
def sum_of_taps(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Sums the shifted images, each multiplied by one tap of the kernel, without groups."""
    x = pad(x, geometry.pads)
    taps = kernel[:, :, :, None, None, None]
    total = jnp.zeros((1, 1, 1, 1), x.dtype)
    for f, g, c in itertools.product(*map(range, kernel.shape[:3])):
        total += x[:, *under_tap(geometry, f, g), c : c + 1] * taps[f, g, c]
    return total


def correlate(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Computes a convolution in the form that is fast on a CPU; an empty kernel gives zeros.

    Args:
      x: `[B, H, W, C]`, float.
      kernel: `[F, G, C / groups, D]`, of the same dtype. Features of a group are neighbours.
      geometry: sizes, strides, padding, dilation and groups.

    Returns:
      `[B, I, J, D]`.

    Example:
      >>> geometry = Geometry((1, 3), (1, 2), (1, 1), ((0, 0), (0, 0)), groups=2)
      >>> x = jnp.arange(6.0).reshape(1, 1, 3, 2)
      >>> correlate(x, jnp.array([[[[1.0, 2.0]]] * 2]).reshape(1, 2, 1, 2), geometry)[0, 0].tolist()
      [[2.0, 8.0], [6.0, 16.0]]
    """
    pads = geometry.pads
    kept = [
        n + min(low, 0) + min(high, 0) for n, (low, high) in zip(x.shape[1:3], pads, strict=True)
    ]
    if 0 in kernel.shape or 0 in x.shape or min(kept) <= 0:
        return jnp.zeros_like(x, shape=(x.shape[0], *geometry.positions, kernel.shape[-1]))
    x = pad(x, [(min(low, 0), min(high, 0)) for low, high in pads])
    pads = tuple((max(low, 0), max(high, 0)) for low, high in pads)
    if geometry.groups == 1:
        return _without_groups(pads, geometry.strides, geometry.dilation)(x, kernel)
    geometry = geometry._replace(size=x.shape[1:3], pads=pads)
    if few_taps(geometry.window, kernel.shape[2]):
        return _sum_of_group_taps(x, kernel, geometry)
    single = partial(correlate, geometry=geometry._replace(groups=1))
    return over_groups(single, geometry.groups, x, kernel)


def transposed_kernel(kernel: Array, groups: int) -> Array:
    """Exchanges inputs and outputs in each group of a kernel: `[F, G, C / groups, D]` of both.

    Example:
      >>> transposed_kernel(jnp.zeros((3, 3, 2, 12)), 4).shape
      (3, 3, 3, 8)
    """
    if groups == 1:
        return kernel.swapaxes(2, 3)
    f, g, c, d = kernel.shape
    size = d // groups
    grouped = kernel.reshape(f, g, c, groups, size)
    return grouped.swapaxes(2, 4).reshape(f, g, size, groups * c)


def few_taps(window: Sequence[int], channels: int) -> bool:
    """Returns True if a sum over the taps of a group is faster than a convolution per group."""
    return channels <= _MAX_GROUP_CHANNELS and math.prod(window) * channels <= _MAX_GROUP_WINDOW


@partial(noinline, static_argnums=2)
def _sum_of_group_taps(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Sums the shifted images, each multiplied by the taps of one channel of every group."""
    x = pad(x, geometry.pads)
    x = x.reshape(*x.shape[:3], geometry.groups, -1)
    taps = kernel.reshape(*kernel.shape[:3], 1, 1, 1, geometry.groups, -1)
    total = jnp.zeros((1,) * 5, x.dtype)
    for f, g, c in itertools.product(*map(range, kernel.shape[:3])):
        total += x[:, *under_tap(geometry, f, g), :, c : c + 1] * taps[f, g, c]
    return total.reshape(*total.shape[:3], -1)


def over_groups(f: Callable[[Array, Array], Array], groups: int, a: Array, b: Array) -> Array:
    """Computes `f` for each group of the last axes of two arrays with four axes."""
    parts = [_split(each, groups) for each in (a, b)]
    return _merged(jax.vmap(f, in_axes=3, out_axes=3)(*parts))


def _split(x: Array, groups: int) -> Array:
    """Divides the last axis into groups; an empty array has no size for -1."""
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def _merged(x: Array) -> Array:
    """Reverses `_split`."""
    return x.reshape(*x.shape[:-2], math.prod(x.shape[-2:]))


def depthwise_kernel_grad(x: Array, y: Array, geometry: Geometry) -> Array:
    """Computes the kernel gradient of a convolution in which each channel is a group.

        kernel[f,g,0,d] = sum_{b,i,j} x[b, i S + f L - P, j S + g L - P, d // M] y[b,i,j,d]

    XLA's sum over all axes but the last is slow. So the products of a few examples are added
    first, and a product with ones adds the rest.

    Args:
      x: `[B, H, W, C]`, the input of the convolution.
      y: `[B, I, J, D]` with D = M C, the gradient of the result.
      geometry: sizes, strides, padding and dilation.

    Returns:
      `[F, G, 1, D]`.
    """
    x = jnp.repeat(pad(x, geometry.pads), y.shape[-1] // x.shape[-1], -1)
    if x.shape[0] == 0:
        return jnp.zeros_like(x, shape=(*geometry.window, 1, y.shape[-1]))

    def block(x: Array, y: Array) -> Array:
        products = _products(x, y, geometry)
        ones = jnp.ones_like(x, shape=(1, products[0].shape[0]))
        return jnp.stack([ones @ each for each in products])

    sums = sum_over_blocks(block, x, y, examples=_PRODUCTS)
    return sums.reshape(*geometry.window, 1, -1)


@partial(noinline, static_argnums=2)
def _products(x: Array, y: Array, geometry: Geometry) -> tuple[Array, ...]:
    """Returns for each tap the products `[I J, D]` of image and gradient, added over examples."""
    sums = []
    for f, g in itertools.product(*map(range, geometry.window)):
        places = under_tap(geometry, f, g)
        total = sum(x[n, *places] * y[n] for n in range(x.shape[0]))
        sums.append(jnp.reshape(total, (-1, y.shape[-1])))
    return tuple(sums)


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
            dimension_numbers=DIMENSION_NUMBERS,
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
