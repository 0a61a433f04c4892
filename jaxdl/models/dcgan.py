"""The two convolutional players of a deep convolutional GAN."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn

from jaxdl.errors import InputError
from jaxdl.models.cnn import CNN, Stage
from jaxdl.models.conv_decoder import ConvDecoder, UpStage
from jaxdl.models.reshaped import Reshaped


def dcgan(
    shape: Sequence[int],
    features: int = 64,
    dense: Sequence[int] = (),
    norm: Literal["batch"] | None = None,
    dtype: Any = None,
) -> tuple[nn.Module, nn.Module]:
    """A generator and a discriminator of images, one about the other turned around.

    The generator has BatchNorm, but not where the image comes out. A discriminator may have it, but not where the image
    comes in: the biases that stand there instead can tell how bright a batch is, else what is drawn may stay pale. A
    discriminator with BatchNorm cannot be trained with a gradient penalty.

    Args:
      shape: height, width and channels of the images; the sides are multiples of 4.
      features: kernels of the layer next to the image, in both; the layer behind it has twice as many.
      dense: widths of the hidden layers behind the discriminator's convolutions; the generator has the same, backwards.
      norm: the discriminator's, None or "batch".
      dtype: of the computation; None: that of the input.

    Returns:
      `(generator, discriminator)`: numbers `[B, Z]` to images in [0, 1], and images to scores `[B, 1]`.

    Raises:
      InputError: sides that do not fit, features or widths below 1, another norm.

    Source: Radford, Metz, Chintala 2016, Unsupervised representation learning with deep convolutional GANs; Chen et al.
    2016, InfoGAN (with hidden dense layers).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> generator, discriminator = dcgan((8, 8, 1), 4, dense=(16,))
      >>> drawn, _ = generator.init_with_output(jax.random.key(0), jnp.zeros((2, 5)), train=False)
      >>> drawn.shape, discriminator.init_with_output(jax.random.key(0), drawn, train=False)[0].shape
      ((2, 8, 8, 1), (2, 1))
    """
    height, width, channels = shape
    if height % 4 or width % 4:
        raise InputError("shape", tuple(shape), "sides that are multiples of 4")
    stages = Stage(features, 4, 2, pool=None, use_norm=False), Stage(2 * features, 4, 2, pool=None)
    drawn = ConvDecoder(
        (UpStage(features), UpStage(channels)),
        (height // 4, width // 4, 2 * features),
        dense[::-1],
        norm="batch",
        dtype=dtype,
    )
    return Reshaped(drawn, tuple(shape), "sigmoid"), CNN(
        stages, dense, 1, "leaky_relu", norm=norm, dtype=dtype
    )
