"""A deep convolutional GAN: transposed convolutions draw, convolutions tell the drawn from the real.

    python experiments/dcgan.py
    python experiments/dcgan.py --data mnist --features 32 --dense 512 --epochs 5 --ema 0.999
    python experiments/dcgan.py --data mnist --features 32 --dense 512 --epochs 4 --ema 0.999 --r1 0.2

The digits, on two cores of an AMD EPYC that other work shared, in the judge's features: Fréchet distance 4.5 (unseen
real images 1.0), precision 69 % (89 %), recall 69 % (84 %), all ten classes.

MNIST with a gradient penalty, one seed (the third command with `--discriminator-learning-rate 1e-3`): Fréchet distance
27.8 (unseen real images 0.98), precision 63 % (84 %), recall 61 % (87 %), all ten classes, 659 s on one core; without
hidden layers and penalty 77.0, with spectral norm and the hinge cost instead 73.5, after 5 epochs each.
"""

import dataclasses
from typing import Any, Self

from jaxdl.experiment import Game, Run, game, launch, repeat
from jaxdl.models import dcgan


@dataclasses.dataclass(frozen=True)
class Config(Game):
    """Options of the convolutional GAN."""

    features: int = 64
    """Kernels of the layer next to the image, in both players; the layer behind it has twice as many."""
    dense: tuple[int, ...] = (256,)
    """Widths of the hidden layers behind the discriminator's convolutions; the generator's are the same, backwards."""
    epochs: float = 60.0
    """Passes over the training set."""

    def checked(self) -> Self:
        dcgan((8, 8, 1), self.features, self.dense)  # widths, before data are read
        return super().checked()


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""

    def one(run: Run[Config]) -> dict[str, Any]:
        return game(run, lambda shape, classes: dcgan(shape, config.features, config.dense, config.norm, config.dtype))

    return repeat(config, one)


if __name__ == "__main__":
    launch(main, Config)
