"""The plain and the variational autoencoder."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, integers, one_of
from jaxdl.models.cnn import CNN
from jaxdl.models.conditional import label_kwargs, num_classes
from jaxdl.models.conv_decoder import ConvDecoder, UpStage, three_sizes
from jaxdl.models.mlp import MLP
from jaxdl.models.reshaped import Reshaped
from jaxdl.models.stage import Stage
from jaxdl.nn.tap import train_kwargs

Labels = Int[Array, " B"] | None


class Autoencoder(nn.Module):
    """An encoder followed by a decoder.

        z = encoder(x),    y = decoder(z)

    Source: Hinton, Salakhutdinov 2006, Reducing the dimensionality of data with neural networks.

    Attributes:
      encoder: module called as `encoder(x, train=bool)`. An `MLP` returns a vector, a `CNN` without
        outputs returns feature maps.
      decoder: module called as `decoder(z, train=bool)`, with outputs of the shape of the inputs,
        such as a `Reshaped` MLP or a `ConvDecoder`.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP, Reshaped
      >>> model = Autoencoder(MLP((16,), 2), Reshaped(MLP((16,), 64), (8, 8, 1)))
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False, method="encode").shape
      (3, 2)
      >>> model.apply(variables, x, train=False).shape
      (3, 8, 8, 1)
    """

    encoder: nn.Module
    decoder: nn.Module

    @property
    def classes(self) -> int | None:
        """Number of classes of the `Conditional` parts; None if neither part is conditional."""
        return num_classes(self.encoder, self.decoder)

    def __call__(
        self, x: Float[Array, "B ..."], train: bool, label: Labels = None
    ) -> Float[Array, "B ..."]:
        """Returns the reconstruction; the arguments are those of `encode`."""
        return self.decode(self.encode(x, train, label), train, label)

    def encode(self, x: Float[Array, "B ..."], train: bool, label: Labels = None) -> Any:
        """Returns the code of each example.

        Args:
          x: `[B, ...]`.
          train: passed to the encoder.
          label: `[B]`, for parts that are `Conditional`.

        Returns:
          The encoder's output: `[B, Z]`, or feature maps.
        """
        encoder: Any = self.encoder
        kwargs = {**train_kwargs(encoder, train), **label_kwargs(encoder, label)}
        return encoder(x, **kwargs)

    def decode(
        self, z: Float[Array, "B ..."], train: bool, label: Labels = None
    ) -> Float[Array, "B ..."]:
        """Returns the reconstructions of codes, as logits if the likelihood takes logits.

        The arguments are those of `encode`.
        """
        decoder: Any = self.decoder
        kwargs = {**train_kwargs(decoder, train), **label_kwargs(decoder, label)}
        return decoder(z, **kwargs)


class VAE(Autoencoder):
    """An autoencoder whose code is a Gaussian.

        (mean, log s^2) = encoder(x),    z = mean + s e,   e ~ N(0, I),    y = decoder(z)

    Source: Kingma, Welling 2014, Auto-encoding variational Bayes.

    Attributes:
      encoder: module with `2 latent` outputs, the mean and log s^2.
      decoder: module called with `z [B, latent]`.
      latent: number of latent dimensions, at least 1.

    Raises:
      InputError: a `latent` below 1, raised when the module is created. Raised by a call: another
        number of outputs of the encoder.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP, Reshaped
      >>> model = VAE(MLP((16,), 4), Reshaped(MLP((16,), 64), (8, 8, 1)), latent=2)
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> [part.shape for part in model.apply(variables, x, train=False, method="encode")]
      [(3, 2), (3, 2)]
    """

    latent: int = 2

    def __post_init__(self) -> None:
        at_least("latent", self.latent, 1)
        super().__post_init__()

    def __call__(
        self, x: Float[Array, "B ..."], train: bool, label: Labels = None
    ) -> Float[Array, "B ..."]:
        """Returns the reconstruction from the mean of the code."""
        return self.decode(self.encode(x, train, label)[0], train, label)

    def encode(self, x: Float[Array, "B ..."], train: bool, label: Labels = None) -> Any:
        """Returns the code's mean and log s^2, `[B, latent]` each."""
        code = super().encode(x, train, label)
        if code.ndim != 2 or code.shape[-1] != 2 * self.latent:
            raise InputError(
                "encoder",
                list(code.shape),
                f"[B, {2 * self.latent}], a mean and a log variance per latent dimension",
            )
        return tuple(jnp.split(code, 2, -1))


def encoder_decoder(
    shape: Sequence[int],
    outputs: int,
    kind: Literal["dense", "conv"] = "dense",
    hidden: Sequence[int] = (500, 500),
    activation: str = "relu",
    dtype: Any = None,
) -> tuple[nn.Module, nn.Module]:
    """Returns an encoder of images and a decoder with the same layers in reverse.

    Args:
      shape: height, width and channels of the images. For "conv" height and width are multiples
        of 4.
      outputs: number of outputs of the encoder: the length of a code, or twice that for a VAE.
      kind: "dense" for dense layers only. "conv" adds two convolutions with 32 and 64 kernels to
        the encoder, each with stride 2, and two transposed ones to the decoder.
      hidden: widths of the encoder's hidden dense layers. The decoder has them in reverse order.
      activation: name of the activation of the hidden layers, see `jaxdl.nn.activation`.
      dtype: dtype of the computation; None means the dtype of the input.

    Returns:
      `(encoder, decoder)`. The encoder maps images to `[B, outputs]`. The decoder maps codes
      `[B, Z]` to images, or to logits if the likelihood takes logits.

    Raises:
      InputError: another kind, or sides that are not multiples of 4.

    Example:
      >>> import jax
      >>> model = Autoencoder(*encoder_decoder((8, 8, 1), 3, "conv"))
      >>> x = jnp.zeros((2, 8, 8, 1))
      >>> model.init_with_output(jax.random.key(0), x, train=False)[0].shape
      (2, 8, 8, 1)
    """
    one_of("kind", kind, ("dense", "conv"))
    height, width, channels = three_sizes("shape", shape, "height, width and channels")
    hidden = integers("hidden", hidden, None, "a sequence of widths, () for none")
    more: Any = {"activation": activation, "dtype": dtype}
    if kind == "dense":
        decoder = Reshaped(MLP(hidden[::-1], math.prod(shape), **more), tuple(shape))
        return MLP(hidden, outputs, **more), decoder
    if height % 4 or width % 4:
        raise InputError("shape", tuple(shape), "sides that are multiples of 4")
    stages = (Stage(32, 4, 2, pool=None), Stage(64, 4, 2, pool=None))
    up_stages = (UpStage(32), UpStage(channels))
    start = (height // 4, width // 4, 64)
    return CNN(stages, hidden, outputs, **more), ConvDecoder(up_stages, start, hidden[::-1], **more)


def conv_autoencoder(
    channels: int, features: int = 32, extra_layers: int = 0, dtype: Any = None
) -> Autoencoder:
    """Returns an autoencoder with convolutions only, whose codes are maps.

    Two convolutions with poolings encode 28x28 images as 7x7 maps. The decoder reverses that.

    Args:
      channels: channels of the images, whose sides are multiples of 4.
      features: kernels of every convolution.
      extra_layers: further convolutions of the maps, in encoder and decoder. They enlarge the
        receptive field.
      dtype: dtype of the computation; None means the dtype of the input.

    Returns:
      The autoencoder. Its outputs are logits if the likelihood takes logits.

    Example:
      >>> import jax
      >>> model = conv_autoencoder(1, features=8)
      >>> x = jnp.zeros((2, 28, 28, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False, method="encode").shape
      (2, 7, 7, 8)
    """
    at_least("extra_layers", extra_layers, 0)
    stages = [Stage(features), Stage(features)]
    stages += [Stage(features, pool=None)] * extra_layers
    up_stages = [UpStage(features, 3, 1)] * extra_layers
    up_stages += [UpStage(features), UpStage(features), UpStage(channels, 3, 1)]
    encoder = CNN(tuple(stages), outputs=None, dtype=dtype)
    return Autoencoder(encoder, ConvDecoder(tuple(up_stages), dtype=dtype))
