"""A deep convolutional GAN: transposed convolutions draw, convolutions tell the drawn from the real.

    python experiments/dcgan.py
    python experiments/dcgan.py --data mnist --features 32 --dense 512 --epochs 20 --ema 0.999 --shift 2
    python experiments/dcgan.py --data mnist --features 32 --dense 512 --epochs 4 --ema 0.999 --r1 0.2

The digits, on two cores of an AMD EPYC that other work shared, in the judge's features: Fréchet distance 4.5 (unseen
real images 1.0), precision 69 % (89 %), recall 69 % (84 %), all ten classes.

MNIST, one seed (the second command, 28 minutes on one core): Fréchet distance 5.5 (unseen real images 0.98), precision
82 % (84 %), recall 54 % (87 %), all ten classes. Without `--shift` 6.0, and 7.5 after 32 epochs: the discriminator
learns the training images by heart, as its scores of real ones tell (1.5 on average, of those of the test set 0.6).
With half of its learning rate 6.6. With a gradient penalty instead of BatchNorm (the third command with
`--discriminator-learning-rate 1e-3`, 11 minutes) 27.8.
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
