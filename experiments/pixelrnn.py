"""A PixelRNN: LSTM layers over the rows or the diagonals of images, with an exact likelihood.

    python experiments/pixelrnn.py
    python experiments/pixelrnn.py --kind diagonal

The first command, on digits of 4 bits with their class, with two cores of an AMD EPYC that other
work shared: 74.38 nats per test image. A classifier names 95.5 % of the samples as asked. It took
57 s of processor time.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

from jaxdl.models import PixelRNN
from jaxdl.recipes import TrainingOptions
from jaxdl.recipes.pixels import REACH_SIZE, PixelOptions, run_pixels
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the PixelRNN."""

    run: RunOptions = RunOptions(epochs=20.0, batch_size=32)
    training: TrainingOptions = TrainingOptions(learning_rate=5e-3, schedule="one_cycle", ema=0.99)
    pixels: PixelOptions = PixelOptions()

    kind: Literal["row", "diagonal"] = "row"
    """row: the state moves from row to row; diagonal: along both diagonals."""
    features: int = 24
    """Width of the layers."""
    layers: int = 2
    """Number of LSTM layers."""
    first_size: int = 5
    """Size of the window of the first layer, an odd number."""

    # Each save also writes a picture.
    max_saves: ClassVar[int] = 30

    def validate(self) -> Self:
        checked = super().validate()
        # Building the network checks sizes before any data are read.
        network(self, (8, 8), None)
        return checked

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), features=min(self.features, 8), layers=1)


def network(config: Config, size: tuple[int, int], classes: int | None) -> PixelRNN:
    """Returns the network that the options describe."""
    return PixelRNN(
        size,
        levels=config.pixels.levels,
        features=config.features,
        layers=config.layers,
        classes=classes,
        dtype=config.training.dtype,
        kind=config.kind,
        first_size=config.first_size,
    )


def reaches() -> dict[str, PixelRNN]:
    """Returns a network of each kind."""
    options: dict[str, Any] = {"features": 8, "layers": 2, "first_size": 3}
    kinds: tuple[Literal["row", "diagonal"], ...] = ("row", "diagonal")
    return {f"{kind} LSTM": PixelRNN(REACH_SIZE, kind=kind, **options) for kind in kinds}


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""

    def train_and_test(run: Run[Config]) -> dict[str, Any]:
        config = run.config

        def make(size: tuple[int, int], classes: int | None) -> PixelRNN:
            return network(config, size, classes)

        return run_pixels(run, config.training, config.pixels, make, reaches)

    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
