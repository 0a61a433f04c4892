"""Networks from images to images: a U-Net, and a discriminator that scores patches."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, integers, of_kind
from jaxdl.metrics import wide
from jaxdl.models.cnn import CNN
from jaxdl.models.mlp import normalize
from jaxdl.models.stage import Stage
from jaxdl.nn.conv import Conv
from jaxdl.nn.dense import initializer
from jaxdl.nn.elementwise import Dropout, activation
from jaxdl.nn.norm import Norm, check_norm, replaces_bias
from jaxdl.nn.tap import named, train_kwargs


class UNet(nn.Module):
    """A network from images to images with skip connections between equal sizes.

        h_0 = g(x * K_0),    h_i = g(h_{i-1} * K_i) with stride 2            i = 1, ..., n
        u_n = h_n,           u_{i-1} = g([enlarged(u_i), h_{i-1}] * L_{i-1}),   y = f(u_0 * K)

    g stands for the norm and the activation. An enlarged map repeats its nearest values, so that
    every pixel is covered equally often: transposed convolutions would leave checkerboards. Sides
    need not be even.

    Source: Ronneberger et al. 2015, U-Net; Odena et al. 2016, Deconvolution and checkerboard
    artifacts.

    Attributes:
      features: number of kernels of h_0, ..., h_n, at least two numbers.
      outputs: number of channels of y.
      last: name of the activation f; None for no activation.
      activation: name of the activation of all other layers, see `jaxdl.nn.activation`.
      norm: None, a `jaxdl.nn.Norm` or its kind, of all layers but the first and the last.
      dropout: dropout rate of u_{n-1}, in [0, 1).
      kernel_init: name of the kernel initializer, see `jaxdl.nn.initializer`.
      dtype: dtype of the computation, such as `jnp.bfloat16`; None means the dtype of the input.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> model = UNet((8, 16, 32))
      >>> x = jnp.zeros((2, 14, 14, 3))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False).shape
      (2, 14, 14, 1)
    """

    features: Sequence[int] = (32, 64, 128)
    outputs: int = 1
    last: str | None = "sigmoid"
    activation: str = "relu"
    norm: Norm | str | None = None
    dropout: float = 0.0
    kernel_init: str = "he_normal"
    dtype: Any = None

    def __post_init__(self) -> None:
        allowed = "a sequence of at least two widths, such as (32, 64)"
        self.features = integers("features", self.features, None, allowed)
        if len(self.features) < 2:
            raise InputError("features", self.features, allowed)
        at_least("outputs", self.outputs, 1)
        for name in (self.activation, self.last):
            if name is not None:
                activation(name)
        check_norm(self.norm)
        initializer(self.kernel_init)
        in_range("dropout", self.dropout, 0, 1)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B H W D"]:
        """Computes images from images.

        Args:
          x: `[B, H, W, C]`, float.
          train: if True, applies dropout (random stream "dropout") and uses the statistics of the
            batch.

        Returns:
          `[B, H, W, outputs]`, float32.

        Raises:
          InputError: a wrong rank, not float, or an image that is too small for the strides.
        """
        self._check(x)
        maps = []
        h = x
        for i, width in enumerate(self.features):
            h = self._layer(h, width, f"down_{i}", train, strides=min(i, 1) + 1, norm=i > 0)
            maps.append(h)
        for i, width in reversed(list(enumerate(self.features[:-1]))):
            skip = maps[i]
            shape = (*skip.shape[:3], h.shape[-1])
            h = jnp.concatenate([jax.image.resize(h, shape, "nearest"), skip], -1)
            h = self._layer(h, width, f"up_{i}", train)
            if i == len(self.features) - 2:
                h = Dropout(self.dropout)(h, train)
        y = wide(self._conv(self.outputs, "out", 1, True)(h))
        if self.last is None:
            return y
        return named(self, "activation_out", activation(self.last)(y))

    def _check(self, x: Array) -> None:
        least = 2 ** (len(self.features) - 1)
        if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating) or min(x.shape[1:3]) < least:
            allowed = f"float images [B, H, W, C], H and W at least {least}"
            raise InputError("input", f"{x.dtype}{list(x.shape)}", allowed)

    def _layer(
        self, h: Array, width: int, name: str, train: bool, strides: int = 1, norm: bool = True
    ) -> Array:
        kind = self.norm if norm else None
        h = self._conv(width, name, strides, not replaces_bias(kind))(h)
        h = normalize(h, kind, f"norm_{name}", train)
        return named(self, f"activation_{name}", activation(self.activation)(h))

    def _conv(self, width: int, name: str, strides: int, use_bias: bool) -> Conv:
        init = initializer(self.kernel_init)
        return Conv(
            width,
            (3, 3),
            (strides, strides),
            use_bias=use_bias,
            dtype=self.dtype,
            kernel_init=init,
            name=name,
        )


class PatchDiscriminator(nn.Module):
    """A discriminator with a score for each patch of an image.

        y = body(x) * K + b

    Each score depends on the pixels in the receptive field of one position. So it sees textures and
    strokes, and leaves the whole picture to another loss.

    Source: Isola et al. 2017, Image-to-image translation with conditional adversarial networks.

    Attributes:
      body: a network with feature maps as outputs, such as a `CNN` with `outputs=None`.
      dtype: dtype of the computation; None means that of the feature maps.

    Raises:
      InputError: no module, raised when this one is created; a body without feature maps.

    Example:
      >>> model = patch_discriminator((8, 16))
      >>> x = jnp.zeros((2, 16, 16, 2))
      >>> model.init_with_output(jax.random.key(0), x, train=False)[0].shape
      (2, 4, 4, 1)
    """

    body: nn.Module
    dtype: Any = None

    def __post_init__(self) -> None:
        of_kind("body", self.body, nn.Module, "a module, such as CNN((Stage(32),), outputs=None)")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], train: bool) -> Float[Array, "B I J 1"]:
        """Returns the scores of all patches, float32."""
        h = self.body(x, **train_kwargs(self.body, train))  # type: ignore[operator]
        if h.ndim != 4:
            raise InputError("body", list(h.shape), "feature maps [B, I, J, D]; use outputs=None")
        return wide(Conv(1, (3, 3), dtype=self.dtype, name="out")(h))


def patch_discriminator(
    features: Sequence[int] = (32, 64), norm: Norm | str | None = None, dtype: Any = None
) -> PatchDiscriminator:
    """Returns the discriminator of patches with strided convolutions.

    Args:
      features: number of kernels of each layer. Each one halves height and width.
      norm: None, a `jaxdl.nn.Norm` or its kind, of all layers but the first.
      dtype: dtype of the computation; None means that of the input.

    Raises:
      InputError: no layer, or a number below 1.

    Example:
      >>> len(patch_discriminator((8, 16, 32)).body.stages)
      3
    """
    widths = integers("features", features, None, "a sequence of widths, such as (32, 64)")
    if not widths:
        raise InputError("features", features, "at least one width")
    stages = tuple(Stage(width, 4, 2, pool=None, use_norm=i > 0) for i, width in enumerate(widths))
    body = CNN(stages, (), None, "leaky_relu(0.2)", norm=norm, dtype=dtype)
    return PatchDiscriminator(body, dtype)
