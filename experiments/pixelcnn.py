"""A PixelCNN that generates images pixel by pixel, with an exact likelihood.

    python experiments/pixelcnn.py
    python experiments/pixelcnn.py --no-gated
    python experiments/pixelcnn.py --data mnist --bits 1 --binarize fixed --draws 3

The first command, on digits of 4 bits with their class, with two cores of an AMD EPYC that other
work shared: 73.37 nats per test image. A classifier names 87.2 % of the samples as asked. It took
95 s of processor time.
"""

import dataclasses
from typing import Any, ClassVar, Self

from jaxdl.models import PixelCNN
from jaxdl.recipes import TrainingOptions
from jaxdl.recipes.pixels import REACH_SIZE, PixelOptions, run_pixels
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the PixelCNN."""

    run: RunOptions = RunOptions(epochs=30.0, batch_size=32)
    training: TrainingOptions = TrainingOptions(learning_rate=3e-3, schedule="one_cycle", ema=0.99)
    pixels: PixelOptions = PixelOptions()

    gated: bool = True
    """If True, two stacks with gates; if False, one stack, which has a blind spot."""
    features: int = 24
    """Width of the hidden layers."""
    layers: int = 4
    """Number of hidden layers."""
    kernel_size: int = 3
    """Size of the windows of the hidden layers, an odd number."""
    first_size: int = 5
    """Size of the window of the first layer, an odd number."""
    dropout: float = 0.3
    """Dropout rate of the hidden layers, in [0, 1)."""

    # Each save also writes a picture.
    max_saves: ClassVar[int] = 30

    def validate(self) -> Self:
        checked = super().validate()
        # Building the network checks sizes and rates before any data are read.
        network(self, (8, 8), None)
        return checked

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), features=min(self.features, 8), layers=1)


def network(config: Config, size: tuple[int, int], classes: int | None) -> PixelCNN:
    """Returns the network that the options describe."""
    return PixelCNN(
        size,
        levels=config.pixels.levels,
        features=config.features,
        layers=config.layers,
        classes=classes,
        dtype=config.training.dtype,
        gated=config.gated,
        kernel_size=config.kernel_size,
        first_size=config.first_size,
        dropout=config.dropout,
    )


def reaches() -> dict[str, PixelCNN]:
    """Returns a plain and a gated network with the same windows."""
    options: dict[str, Any] = {"features": 8, "layers": 4, "first_size": 3}
    return {
        "plain": PixelCNN(REACH_SIZE, gated=False, **options),
        "gated": PixelCNN(REACH_SIZE, **options),
    }


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""

    def train_and_test(run: Run[Config]) -> dict[str, Any]:
        config = run.config

        def make(size: tuple[int, int], classes: int | None) -> PixelCNN:
            return network(config, size, classes)

        return run_pixels(run, config.training, config.pixels, make, reaches)

    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
