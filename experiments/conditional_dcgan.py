"""A class-conditional convolutional GAN: grids have one class per row, the same noise per column.

    python experiments/conditional_dcgan.py
    python experiments/conditional_dcgan.py --data mnist --features 32 --dense 512 --epochs 4 \\
        --ema 0.999 --seeds 3

The figures are those of a discriminator with leaky ReLUs of slope 0.01; its slope is now 0.2.
Scores of unseen real images are in brackets.

The digits (first command), 97 s on two cores of an AMD EPYC while other work shared the machine:

- 98.6 % of the images show the requested class
- Fréchet distance 1.7 (1.0)

MNIST with three seeds (second command), 30 minutes on one core:

- 98.38 ± 0.11 % of the images show the requested class, and all ten classes occur
- Fréchet distance 9.2 ± 1.8 (0.98)
- mean distance to the nearest training image 4.37 (4.22)
"""

import dataclasses
from typing import Any, ClassVar, Self

import flax.linen as nn

from jaxdl.errors import at_least
from jaxdl.models import Conditional, dcgan
from jaxdl.recipes import GANOptions, GANTrainingOptions, run_gan
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the conditional convolutional GAN."""

    run: RunOptions = RunOptions(epochs=60.0, batch_size=64, validation=0.0)
    training: GANTrainingOptions = GANTrainingOptions(schedule="cosine", ema=0.99, momentum=0.5)
    gan: GANOptions = GANOptions()

    features: int = 64
    """Kernels of the layer next to the image in both networks; the other one has twice as many."""
    dense: tuple[int, ...] = (256,)
    """Widths of the discriminator's hidden dense layers; the generator has the same in reverse."""
    embedding: int = 32
    """Dimensions of the generator's class embedding."""

    seeds_share_cores: ClassVar[bool] = False
    # Each save also writes a picture.
    max_saves: ClassVar[int] = 30

    def validate(self) -> Self:
        # Building the networks checks the widths before any data are read.
        dcgan((8, 8, 1), self.features, self.dense)
        at_least("embedding", self.embedding, 1)
        return super().validate()


def networks(config: Config, shape: tuple[int, ...], classes: int) -> tuple[nn.Module, nn.Module]:
    """Returns generator and discriminator of a DCGAN, both conditioned on the class."""
    generator, discriminator = dcgan(
        shape, config.features, config.dense, config.gan.norm, config.training.dtype
    )
    return Conditional(generator, classes, config.embedding), Conditional(discriminator, classes)


def main(config: Config) -> dict[str, Any]:
    """Trains, scores and tests the GAN, for all seeds in one run."""

    def train_and_test(run: Run[Config]) -> dict[str, Any]:
        return run_gan(
            run,
            config.training,
            config.gan,
            lambda shape, classes: networks(config, shape, classes),
            labelled=True,
        )

    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
