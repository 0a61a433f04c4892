"""Transposed convolution over time that is fast on a CPU, also inside a loop.

Sequences become images that are one column wide, for the function of `jaxdl.nn.convolution`.
"""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from jaxdl.errors import integers
from jaxdl.nn.arrays import batch_optional
from jaxdl.nn.conv import ConvLayer, check_arrays
from jaxdl.nn.conv_transpose import larger_axis
from jaxdl.nn.convolution import conv_input_grad
from jaxdl.nn.correlation import transposed_kernel
from jaxdl.nn.sizes import PADDINGS, SIZES, Geometry, Padding, Pads, Sizes, pads_of


@batch_optional(3)
def conv_transpose1d(
    x: Float[Array, "*B T C"],
    kernel: Float[Array, "K C/groups D"],
    strides: Sizes = 1,
    padding: Padding | Pads = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    output_padding: Sizes = 0,
) -> Float[Array, "*B U D"]:
    """Computes the convolution of sequences with S - 1 zeros inserted between their steps.

        y[b, t S + (K-1-k) L - P, d] += sum_c x[b,t,c] kernel[k,c,d]

    Everything else is as in `jaxdl.nn.conv_transpose2d`, also the relation to PyTorch.

    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning.

    Args:
      x: `[B, T, C]` sequences, float; or one sequence `[T, C]`, which gives `[U, D]`.
      kernel: `[K, C / groups, D]`, of the same dtype.
      strides: S, the factor by which the sequences grow.
      padding: "SAME", which gives `U = T S`; "VALID"; or numbers of zeros around the sequence with
        inserted zeros.
      dilation: L, the distance in steps between two taps of the kernel.
      groups: number of groups, a divisor of C and of D.
      output_padding: number of steps that are added to the end of the result, below S or L.

    Returns:
      `[B, U, D]`, of the dtype of `x`.

    Raises:
      InputError: as for `conv_transpose2d`.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.arange(1.0, 4.0).reshape(1, 3, 1)
      >>> conv_transpose1d(x, jnp.ones((3, 1, 1)), 2, "VALID").ravel().tolist()
      [1.0, 1.0, 3.0, 2.0, 5.0, 3.0, 3.0]
    """
    check_arrays(x, kernel, "sequences [B, T, C]", "K", groups)
    (stride,) = integers("strides", strides, 1, SIZES[1])
    (gap,) = integers("dilation", dilation, 1, SIZES[1])
    (more,) = integers("output_padding", output_padding, 1, SIZES[1], low=0)
    pads: Any = pads_of(padding, PADDINGS, 1)
    if not isinstance(pads, str):
        (pads,) = pads
    taps = kernel.shape[0]
    size, around = larger_axis(x.shape[1], taps, stride, pads, gap, more)
    geometry = Geometry((size, 1), (taps, 1), (stride, 1), (around, (0, 0)), (gap, 1), groups)
    flipped = transposed_kernel(kernel[::-1, None], groups)
    return conv_input_grad(x[:, :, None], flipped, geometry)[:, :, 0]


class ConvTranspose1D(ConvLayer):
    """Transposed convolution layer for sequences that is fast on a CPU, also inside loops.

    It has the same parameters and the same outputs as `flax.linen.ConvTranspose`. The fields of
    `jaxdl.nn.conv.ConvLayer` are keywords.

    Source: Zeiler et al. 2010, Deconvolutional networks.

    Attributes:
      features: D, the number of kernels.
      kernel_size: K, the number of taps of a kernel.
      strides: the factor by which the sequences grow.
      padding: "SAME", "VALID" or numbers of zeros, as in `conv_transpose1d`.
      dilation: the distance in steps between two taps.
      output_padding: number of steps that are added to the end of the result.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.zeros((2, 50, 8))
      >>> y, variables = ConvTranspose1D(4, 5, 2).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 8, 4), (2, 100, 4))
    """

    kernel_size: Sizes
    strides: Sizes = 1
    padding: Padding | Pads = "SAME"
    dilation: Sizes = 1
    output_padding: Sizes = 0

    axes = 1

    def __post_init__(self) -> None:
        value = self.output_padding
        self.output_padding = integers("output_padding", value, self.axes, SIZES[self.axes], low=0)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*B T C"]) -> Float[Array, "*B U D"]:
        """Enlarges sequences `[B, T, C]` to `[B, U, features]`, or one sequence `[T, C]`.

        Raises:
          InputError: as for `conv_transpose1d`.
        """
        options = (self.strides, self.padding, self.dilation, self.groups, self.output_padding)
        return self._convolve(conv_transpose1d, x, self.kernel_size, *options)
