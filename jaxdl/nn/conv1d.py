"""Convolution over time with gradients that are fast on a CPU, also inside a loop.

A sequence becomes an image whose rows hold `dilation` steps each, so that step t and step
t + dilation are in the same column. This reshape moves nothing in memory. The functions of
`jaxdl.nn.convolution` then compute the convolution and its gradients.

The table has the processor time of forward and both gradients in ms, inside a loop, for causal
padding and float32 on one core. Times are medians of alternating rounds (jax 0.10.2). The first
two columns are for 32x600x32 by 7x32x32, the last one is for 128x128x64 by 5x64x128.

                                                dilation 1   dilation 16   128x128x64
    this file, compiled as in `train`                 12.8          11.9         39.0
    this file, compiled with `jit`                    18.9          15.5         75.5
    one product per tap, in blocks of 4 sequences     13.9          14.4         39.8
    one product per tap                               20.4          21.4         60.4
    one product of all values under the kernel        28.9          28.7         66.8
    XLA's convolution and its gradients                410           381         4220
"""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.nn.arrays import batch_optional
from jaxdl.nn.conv import ConvLayer, check_arrays
from jaxdl.nn.convolution import conv_forward
from jaxdl.nn.sizes import Geometry, Pads, Sizes, geometry_of

Padding1D = Literal["SAME", "VALID", "CAUSAL"]

PADDINGS = ("SAME", "VALID", "CAUSAL")


@batch_optional(3)
def conv1d(
    x: Float[Array, "*B T C"],
    kernel: Float[Array, "K C/groups D"],
    dilation: Sizes = 1,
    strides: Sizes = 1,
    padding: Padding1D | Pads = "SAME",
    groups: int = 1,
) -> Float[Array, "*B U D"]:
    """Computes the cross-correlation of sequences with a kernel, usually called a convolution.

        y[b,t,d] = sum_{k,c} x[b, t S + k L - P, c] kernel[k,c,d]

    Groups are those of `jaxdl.nn.conv2d`.

    The function is differentiable to any order in both arguments.

    Source: van den Oord et al. 2016, WaveNet (causal and dilated).

    Args:
      x: `[B, T, C]` sequences, float, or one sequence `[T, C]`; steps outside count as 0.
      kernel: `[K, C / groups, D]`, of the same dtype.
      dilation: L, the distance in steps between two taps of the kernel.
      strides: S, the distance in steps between two positions of the kernel.
      padding: "VALID" means P = 0 and no step outside. "SAME" gives ceil(T/S) outputs, with half
        of the padding before the sequence. "CAUSAL" means P = (K - 1) L, so that y_t depends on x
        up to step t S. A number is P, also after the sequence; `[(before, after)]` has both.
      groups: number of groups, a divisor of C and of D.

    Returns:
      `[B, U, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank or dtype, different numbers of channels, an unknown padding, a
        dilation or stride below 1, groups that do not divide, or a kernel that does not fit.

    Example:
      >>> x = jnp.arange(1.0, 6.0).reshape(1, 5, 1)
      >>> conv1d(x, jnp.ones((2, 1, 1)), dilation=2, padding="CAUSAL").ravel().tolist()
      [1.0, 2.0, 4.0, 6.0, 8.0]
    """
    check_arrays(x, kernel, "sequences [B, T, C]", "K", groups)
    size = x.shape[1:2]
    window = kernel.shape[:1]
    geometry = geometry_of(size, window, strides, padding, dilation, groups, names=PADDINGS)
    return _conv_as_image(x, kernel, geometry)


class Conv1D(ConvLayer):
    """Convolution layer for sequences, a replacement of `flax.linen.Conv` that is fast on a CPU.

    It has the same parameters and the same outputs, and is also fast inside loops. The fields of
    `jaxdl.nn.conv.ConvLayer` are keywords.

    Source: Waibel et al. 1989, Phoneme recognition using time-delay neural networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: K, the number of taps of a kernel.
      dilation: the distance in steps between two taps.
      strides: the distance in steps between two positions of the kernel.
      padding: "SAME", "VALID", "CAUSAL" or numbers of zeros, as in `conv1d`.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 100, 8))
      >>> y, variables = Conv1D(32, 5, strides=2).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 8, 32), (2, 50, 32))
    """

    kernel_size: Sizes
    dilation: Sizes = 1
    strides: Sizes = 1
    padding: Padding1D | Pads = "SAME"

    size_fields = ("kernel_size", "dilation", "strides")
    axes = 1
    paddings = PADDINGS

    @nn.compact
    def __call__(self, x: Float[Array, "*B T C"]) -> Float[Array, "*B U D"]:
        """Convolves sequences `[B, T, C]` to `[B, U, features]`, or one sequence `[T, C]`.

        Raises:
          InputError: as for `conv1d`.
        """
        options = (self.dilation, self.strides, self.padding, self.groups)
        return self._convolve(conv1d, x, self.kernel_size, *options)


def _conv_as_image(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Convolves images of `dilation` steps per row with a kernel that is one column wide."""
    batch, size, channels = x.shape
    taps, _, features = kernel.shape
    (dilation,) = geometry.dilation
    (strides,) = geometry.strides
    ((before, after),) = geometry.pads
    count = size + before + after - (taps - 1) * dilation
    low, lead = divmod(before, dilation)
    rows = -(-(lead + size) // dilation)
    used = -(-count // dilation)
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), (lead, rows * dilation - lead - size, 0), (0, 0, 0)))
    # Strides over dilated outputs would cross the rows, so they are applied to the result.
    row_stride = 1
    if dilation == 1:
        row_stride = strides
    row_pads = (low, used - rows - low + taps - 1)
    image = Geometry(
        (rows, dilation),
        (taps, 1),
        (row_stride, 1),
        (row_pads, (0, 0)),
        groups=geometry.groups,
    )
    y = conv_forward(x.reshape(batch, rows, dilation, channels), kernel[:, None], image)
    y = y.reshape(batch, y.shape[1] * dilation, features)[:, :count]
    if dilation == 1:
        return y
    return y[:, ::strides]
