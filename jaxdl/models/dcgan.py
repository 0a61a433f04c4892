"""The two networks of a deep convolutional GAN."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from jaxdl.errors import InputError, integers
from jaxdl.models.cnn import CNN
from jaxdl.models.conv_decoder import ConvDecoder, UpStage, three_sizes
from jaxdl.models.reshaped import Reshaped
from jaxdl.models.stage import Stage
from jaxdl.nn.norm import Norm


def dcgan(
    shape: Sequence[int],
    features: int = 64,
    dense: Sequence[int] = (),
    norm: Norm | str | None = None,
    dtype: Any = None,
) -> tuple[nn.Module, nn.Module]:
    """Returns a generator and a discriminator of images.

    The generator has ReLUs, the discriminator leaky ReLUs of slope 0.2. The generator has BatchNorm
    in every layer except the last. The discriminator may have it in every layer except the first.
    BatchNorm there would remove the brightness of a batch, so generated images could stay too pale.
    A discriminator with BatchNorm cannot be trained with a gradient penalty.

    Args:
      shape: height, width and channels of the images. Height and width are multiples of 4.
      features: number of kernels of the layer next to the image, in both networks. The other
        convolutional layer has twice as many.
      dense: widths of the hidden dense layers after the discriminator's convolutions. The generator
        has them in reverse order.
      norm: the norm of the discriminator, as that of a `CNN`.
      dtype: dtype of the computation; None means the dtype of the input.

    Returns:
      `(generator, discriminator)`. The generator maps `[B, Z]` to images in [0, 1], the
      discriminator maps images to scores `[B, 1]`.

    Raises:
      InputError: sides that are not multiples of 4, features or widths below 1, or another norm.

    Source: Radford, Metz, Chintala 2016, Unsupervised representation learning with deep
    convolutional GANs; Chen et al. 2016, InfoGAN (with hidden dense layers).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> generator, discriminator = dcgan((8, 8, 1), 4, dense=(16,))
      >>> key = jax.random.key(0)
      >>> images, _ = generator.init_with_output(key, jnp.zeros((2, 5)), train=False)
      >>> scores, _ = discriminator.init_with_output(key, images, train=False)
      >>> images.shape, scores.shape
      ((2, 8, 8, 1), (2, 1))
    """
    height, width, channels = three_sizes("shape", shape, "height, width and channels")
    dense = integers("dense", dense, None, "a sequence of widths, () for none")
    if height % 4 or width % 4:
        raise InputError("shape", tuple(shape), "sides that are multiples of 4")
    first_stage = Stage(features, 4, 2, pool=None, use_norm=False)
    stages = (first_stage, Stage(2 * features, 4, 2, pool=None))
    decoder = ConvDecoder(
        (UpStage(features), UpStage(channels)),
        (height // 4, width // 4, 2 * features),
        dense[::-1],
        norm="batch",
        dtype=dtype,
    )
    generator = Reshaped(decoder, tuple(shape), "sigmoid")
    discriminator = CNN(stages, dense, 1, "leaky_relu(0.2)", norm=norm, dtype=dtype)
    return generator, discriminator
