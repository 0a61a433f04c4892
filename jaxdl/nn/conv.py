"""Two-dimensional convolution with gradients that are fast on a CPU, also inside a loop.

JAX differentiates XLA's convolution into operations that a CPU runs 9 to 100 times slower inside
a loop than outside. The gradients of `jaxdl.nn.convolution` have no such slowdown.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, integers, of_kind
from jaxdl.nn.arrays import add_bias, batch_optional
from jaxdl.nn.convolution import conv_forward
from jaxdl.nn.dense import normalize_weights
from jaxdl.nn.sizes import PADDINGS, SIZES, Padding, Pads, Sizes, geometry_of, pads_of


@batch_optional(4)
def conv2d(
    x: Float[Array, "*B H W C"],
    kernel: Float[Array, "F G C/groups D"],
    strides: Sizes = 1,
    padding: Padding | Pads = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
) -> Float[Array, "*B I J D"]:
    """Computes the cross-correlation of images with a kernel, usually called a convolution.

        y[b,i,j,d] = sum_{f,g,c} x[b, i S + f L - P, j S + g L - P, c] kernel[f,g,c,d]

    With groups, channels and features are divided into as many consecutive parts. The sum is over
    the channels of the part of d. With one channel per group the convolution is depthwise.

    The function is differentiable to any order in both arguments.

    Args:
      x: `[B, H, W, C]` images, float; or one image `[H, W, C]`, which gives `[I, J, D]`.
      kernel: `[F, G, C / groups, D]`, of the same dtype.
      strides: S for height and width, or one number for both.
      padding: "SAME" or "VALID", as in `out_size`; or numbers of zeros: one for all sides, or for
        each of height and width one number P or a pair (before, after).
      dilation: L for height and width, the distance between two taps of the kernel; or one number.
      groups: number of groups, a divisor of C and of D.

    Returns:
      `[B, I, J, D]`, of the dtype of `x`.

    Raises:
      InputError: a wrong rank or dtype, different numbers of channels, an unknown padding, a stride
        or dilation below 1, groups that do not divide, or a kernel that does not fit.

    Example:
      >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
      >>> conv2d(x, jnp.ones((2, 2, 1, 1)), padding="VALID")[0, :, :, 0].tolist()
      [[8.0, 12.0], [20.0, 24.0]]
      >>> conv2d(jnp.ones((8, 8, 6)), jnp.ones((3, 3, 1, 12)), dilation=2, groups=6).shape
      (8, 8, 12)
    """
    check_arrays(x, kernel, "images [B, H, W, C]", "F, G", groups)
    geometry = geometry_of(x.shape[1:3], kernel.shape[:2], strides, padding, dilation, groups)
    return conv_forward(x, kernel, geometry)


def check_arrays(x: Array, kernel: Array, inputs: str, window: str, groups: int = 1) -> None:
    """Raises `InputError` unless the arrays of a convolution are valid.

    Args:
      x: the inputs, channels last.
      kernel: the kernel, `[*window, C / groups, D]`.
      inputs: name and axes of the inputs, such as "images [B, H, W, C]".
      window: axes of the window, such as "F, G".
      groups: number of groups.

    Example:
      >>> check_arrays(jnp.zeros((1, 3, 2)), jnp.zeros((5, 1, 1)), "sequences [B, T, C]", "K")
      Traceback (most recent call last):
      jaxdl.errors.InputError: kernel: got (5, 1, 1), allowed: [K, 2, D]
    """
    if x.ndim != inputs.count(",") + 1:
        raise InputError("x", x.shape, f"{inputs} or [{inputs.partition('B, ')[2]}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("x dtype", x.dtype.name, "floats, such as x.astype(jnp.float32)")
    check_groups(groups, x.shape[-1], "channels")
    channels = x.shape[-1] // groups
    if kernel.ndim != x.ndim or kernel.shape[-2] != channels:
        raise InputError("kernel", kernel.shape, f"[{window}, {channels}, D]")
    check_groups(groups, kernel.shape[-1], "features")
    if kernel.dtype != x.dtype:
        raise InputError("kernel dtype", kernel.dtype.name, f"that of x, {x.dtype.name}")
    if 0 in kernel.shape[:-2]:
        raise InputError("kernel", kernel.shape, "at least 1 value along each axis of the window")


def check_groups(groups: Any, count: int, name: str) -> None:
    """Raises `InputError` unless the number of groups divides that of channels or features.

    Example:
      >>> check_groups(4, 6, "channels")
      Traceback (most recent call last):
      jaxdl.errors.InputError: groups: got 4, allowed: a divisor of the 6 channels: 1, 2, 3, 6
    """
    at_least("groups", groups, 1)
    if count % groups:
        divisors = ", ".join(str(n) for n in range(1, count + 1) if count % n == 0)
        raise InputError("groups", groups, f"a divisor of the {count} {name}: {divisors}")


class ConvLayer(nn.Module):
    """The common part of the layers `Conv`, `Conv1D`, `ConvTranspose` and `ConvTranspose1D`.

        y = convolve(x, w) + b,    w_d = kernel_d
        with weight normalization:    w_d = scale_d kernel_d / ||kernel_d||

    Source: Salimans, Kingma 2016, Weight normalization.

    Attributes:
      features: D, the number of kernels.
      groups: number of groups of channels, each with as many features; a divisor of C and of D.
        The number of channels itself makes the convolution depthwise.
      use_bias: if True, adds one number per feature.
      weight_norm: if True, the norm of the weights is a separate parameter, `scale`, `[D]`, which
        starts at `||kernel_d||`.
      dtype: dtype of the computation; None means that of input and parameters.
      param_dtype: dtype of the parameters.
      kernel_init: initializer of `kernel`, `[*kernel_size, C / groups, D]`.
      bias_init: initializer of `bias`, `[D]`.
      size_fields: names of the fields with one size per axis; a constant of the class.
      axes: number of axes of the window; a constant of the class.
      paddings: names of the paddings; a constant of the class.
    """

    features: int
    _: KW_ONLY
    groups: int = 1
    use_bias: bool = True
    weight_norm: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    size_fields: ClassVar[tuple[str, ...]] = ("kernel_size", "strides", "dilation")
    axes: ClassVar[int] = 2
    paddings: ClassVar[tuple[str, ...]] = PADDINGS

    def __post_init__(self) -> None:
        fields: Any = self
        at_least("features", self.features, 1)
        check_groups(self.groups, self.features, "features")
        for name in self.size_fields:
            setattr(self, name, integers(name, getattr(self, name), self.axes, SIZES[self.axes]))
        pads_of(fields.padding, self.paddings, self.axes)
        for name in ("use_bias", "weight_norm"):
            of_kind(name, getattr(self, name), bool, "True or False")
        super().__post_init__()

    def _convolve(
        self, convolve: Callable[..., Array], x: Array, window: Any, *args: Any, biased: bool = True
    ) -> Array:
        """Computes `convolve(x, w, *args)` with a kernel of this window, and adds the bias."""
        if 0 in x.shape[-1:]:
            raise InputError("x", x.shape, "at least 1 channel")
        for count in x.shape[-1:]:
            check_groups(self.groups, count, "channels")
        shape = (*window, *(count // self.groups for count in x.shape[-1:]), self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        if self.weight_norm:
            kernel = normalize_weights(self, kernel)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve(x, kernel, *args)
        if bias is None or not biased:
            return y
        return add_bias(y, bias)


class Conv(ConvLayer):
    """Convolution layer for images, a replacement of `flax.linen.Conv` that is fast on a CPU.

    It has the same parameters and the same outputs, and is also fast inside loops. The fields of
    `ConvLayer` are keywords.

    Source: LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.

    Attributes:
      features: D, the number of kernels.
      kernel_size: height and width of a kernel, or one number for both.
      strides: the distance between two positions of the kernel, for height and width.
      padding: "SAME", "VALID" or numbers of zeros, as in `conv2d`.
      dilation: the distance between two taps of the kernel, for height and width.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> x = jnp.zeros((2, 28, 28, 1))
      >>> y, variables = Conv(32, (5, 5)).init_with_output(jax.random.key(0), x)
      >>> variables["params"]["kernel"].shape, y.shape
      ((5, 5, 1, 32), (2, 28, 28, 32))
    """

    kernel_size: Sizes = (3, 3)
    strides: Sizes = (1, 1)
    padding: Padding | Pads = "SAME"
    dilation: Sizes = (1, 1)

    @nn.compact
    def __call__(self, x: Float[Array, "*B H W C"]) -> Float[Array, "*B I J D"]:
        """Convolves images `[B, H, W, C]` to `[B, I, J, features]`, or one image `[H, W, C]`.

        Raises:
          InputError: as for `conv2d`.
        """
        options = (self.strides, self.padding, self.dilation, self.groups)
        return self._convolve(conv2d, x, self.kernel_size, *options)
