"""Networks that describe a thing in a few numbers and draw it again: the plain and the variational autoencoder."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models.cnn import CNN, Stage
from jaxdl.models.conditional import label_kwargs, num_classes
from jaxdl.models.conv_decoder import ConvDecoder, UpStage
from jaxdl.models.mlp import MLP
from jaxdl.models.reshaped import Reshaped

Labels = Int[Array, " B"] | None


class Autoencoder(nn.Module):
    """Two networks, one behind the other.

        z = encoder(x),    y = decoder(z)

    Source: Hinton, Salakhutdinov 2006, Reducing the dimensionality of data with neural networks.

    Attributes:
      encoder: called as `encoder(x, train=bool)`: an `MLP` for a vector, a `CNN` without outputs for maps.
      decoder: called as `decoder(z, train=bool)`, giving things as those that came in: a `Reshaped` MLP, a `ConvDecoder`.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP, Reshaped
      >>> model = Autoencoder(MLP((16,), 2), Reshaped(MLP((16,), 64), (8, 8, 1)))
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> model.apply(variables, x, train=False, method="encode").shape, model.apply(variables, x, train=False).shape
      ((3, 2), (3, 8, 8, 1))
    """

    encoder: nn.Module
    decoder: nn.Module

    @property
    def classes(self) -> int | None:
        """How many classes encoder or decoder know; None: neither is `Conditional`."""
        return num_classes(self.encoder, self.decoder)

    def __call__(
        self, x: Float[Array, "B ..."], train: bool, label: Labels = None
    ) -> Float[Array, "B ..."]:
        """What comes back; arguments as of `encode`."""
        return self.decode(self.encode(x, train, label), train, label)

    def encode(self, x: Float[Array, "B ..."], train: bool, label: Labels = None) -> Any:
        """The code of each thing.

        Args:
          x: `[B, ...]`.
          train: handed on.
          label: `[B]`, for the parts that are `Conditional`.

        Returns:
          What the encoder says: `[B, Z]`, or maps.
        """
        return self.encoder(x, train=train, **label_kwargs(self.encoder, label))  # type: ignore[operator]

    def decode(
        self, z: Float[Array, "B ..."], train: bool, label: Labels = None
    ) -> Float[Array, "B ..."]:
        """The things of codes; for a likelihood from logits their logits. Arguments as of `encode`."""
        return self.decoder(z, train=train, **label_kwargs(self.decoder, label))  # type: ignore[operator]


class VAE(Autoencoder):
    """An autoencoder whose code is a Gaussian.

        (mean, log s^2) = encoder(x),    z = mean + s e,   e ~ N(0, I),    y = decoder(z)

    Source: Kingma, Welling 2014, Auto-encoding variational Bayes.

    Attributes:
      encoder: gives `2 latent` numbers, the mean and log s^2.
      decoder: called with `z [B, latent]`.
      latent: how many numbers describe a thing, at least 1.

    Raises:
      InputError: for a latent below 1; when called, where the encoder gives another number of numbers.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP, Reshaped
      >>> model, x = VAE(MLP((16,), 4), Reshaped(MLP((16,), 64), (8, 8, 1)), latent=2), jnp.zeros((3, 8, 8, 1))
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
        """What comes back from the mean of the code."""
        return self.decode(self.encode(x, train, label)[0], train, label)

    def encode(self, x: Float[Array, "B ..."], train: bool, label: Labels = None) -> Any:
        """The code's mean and log s^2, `[B, latent]` each."""
        code = super().encode(x, train, label)
        if code.ndim != 2 or code.shape[-1] != 2 * self.latent:
            raise InputError(
                "encoder",
                list(code.shape),
                f"[B, {2 * self.latent}], two numbers for each of the latent",
            )
        return tuple(jnp.split(code, 2, -1))


def encoder_decoder(
    shape: Sequence[int],
    numbers: int,
    kind: Literal["dense", "conv"] = "dense",
    hidden: Sequence[int] = (500, 500),
    activation: str = "relu",
    dtype: Any = None,
) -> tuple[nn.Module, nn.Module]:
    """Two networks for images, one the other turned around.

    Args:
      shape: height, width and channels of the images; for "conv" the sides are multiples of 4.
      numbers: how many the encoder gives: the length of a code, of a VAE twice that.
      kind: "dense": dense layers alone; "conv": two convolutions of 32 and 64 kernels before them, which halve the
        image each, and two behind.
      hidden: widths of the encoder's hidden dense layers, of "conv" behind the convolutions; the decoder's are the
        same, backwards.
      activation: of the hidden layers, see `jaxdl.nn.activation`.
      dtype: of the computation; None: that of the input.

    Returns:
      `(encoder, decoder)`: images to `[B, numbers]`, and codes `[B, Z]` to images, of a likelihood from logits their
      logits.

    Raises:
      InputError: another kind, or sides that do not fit.

    Example:
      >>> import jax
      >>> model, x = Autoencoder(*encoder_decoder((8, 8, 1), 3, "conv")), jnp.zeros((2, 8, 8, 1))
      >>> model.init_with_output(jax.random.key(0), x, train=False)[0].shape
      (2, 8, 8, 1)
    """
    one_of("kind", kind, ("dense", "conv"))
    height, width, channels = shape
    more: Any = {"activation": activation, "dtype": dtype}
    if kind == "dense":
        return MLP(hidden, numbers, **more), Reshaped(
            MLP(hidden[::-1], math.prod(shape), **more), tuple(shape)
        )
    if height % 4 or width % 4:
        raise InputError("shape", tuple(shape), "sides that are multiples of 4")
    there = CNN((Stage(32, 4, 2, pool=None), Stage(64, 4, 2, pool=None)), hidden, numbers, **more)
    return there, ConvDecoder(
        (UpStage(32), UpStage(channels)), (height // 4, width // 4, 64), hidden[::-1], **more
    )
