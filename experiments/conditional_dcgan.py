"""A convolutional GAN that is told which class to draw: the same noise in a column, a class in a row.

    python experiments/conditional_dcgan.py
    python experiments/conditional_dcgan.py --data mnist --features 32 --dense 512 --epochs 4 --ema 0.999 --seeds 3

The digits, 97 s on two cores of an AMD EPYC that other work shared: 98.6 % of the images show the class that they were
asked for; Fréchet distance 1.7, that of unseen real images 1.0.

MNIST, three seeds (the second command, 30 minutes on one core): 98.38 ± 0.11 % show the class that they were asked for,
all ten classes occur, and the nearest training image is farther away (4.37) than from unseen real images (4.22);
Fréchet distance 9.2 ± 1.8, that of unseen real images 0.98.
"""

import dataclasses
from typing import Any, Self

import flax.linen as nn

from jaxdl.errors import at_least
from jaxdl.experiment import GANOptions, Run, launch, run_experiment, run_gan
from jaxdl.models import Conditional, dcgan


@dataclasses.dataclass(frozen=True)
class Config(GANOptions):
    """Options of the conditional convolutional GAN."""

    features: int = 64
    """Kernels of the layer next to the image, in both players; the layer behind it has twice as many."""
    dense: tuple[int, ...] = (256,)
    """Widths of the hidden layers behind the discriminator's convolutions; the generator's are the same, backwards."""
    embedding: int = 32
    """Numbers that the generator knows a class by."""
    epochs: float = 60.0
    """Passes over the training set."""

    def validate(self) -> Self:
        dcgan((8, 8, 1), self.features, self.dense)  # widths, before data are read
        at_least("embedding", self.embedding, 1)
        return super().validate()


def networks(config: Config, shape: tuple[int, ...], classes: int) -> tuple[nn.Module, nn.Module]:
    """The players of a DCGAN; both see the class."""
    generator, discriminator = dcgan(
        shape, config.features, config.dense, config.norm, config.dtype
    )
    return Conditional(generator, classes, config.embedding), Conditional(discriminator, classes)


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""

    def one(run: Run[Config]) -> dict[str, Any]:
        return run_gan(run, lambda shape, classes: networks(config, shape, classes))

    return run_experiment(config, one)


if __name__ == "__main__":
    launch(main, Config)
