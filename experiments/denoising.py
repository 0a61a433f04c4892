"""A denoising autoencoder, compared with classical filters.

    python experiments/denoising.py
    python experiments/denoising.py --data mnist --epochs 10
    python experiments/denoising.py --data mnist --epochs 14 --extra-layers 3 --features 48 \\
        --ema 0.999
    python experiments/denoising.py --noise salt_and_pepper

The network is `jaxdl.models.conv_autoencoder`. The filters are a median filter and a Gaussian blur,
each of the size that is best for the training images. Peak signal-to-noise ratios (PSNR) in
decibels, of images clipped to [0, 1], on one or two cores of an AMD EPYC:

    images                                          network   noisy   median    blur    time
    digits, first command                             14.7     9.3     10.4    11.8     29 s
    MNIST, second command                             19.9     9.37    14.14   15.64
    MNIST, third command (shared machine)             20.65    9.37    14.14   15.64    40 min
    MNIST, --epochs 20 --extra-layers 2 --ema 0.999   20.46    9.37    14.14   15.64
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

from jaxdl import augment, bind, losses, plots, tasks
from jaxdl.errors import at_least, in_range
from jaxdl.models import conv_autoencoder
from jaxdl.recipes import PixelAugmentOptions, TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.filters import compare_with_filters
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the denoising autoencoder."""

    run: RunOptions = RunOptions(epochs=60.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=3e-3, schedule="one_cycle")
    augmentation: PixelAugmentOptions = PixelAugmentOptions()

    noise: Literal["gaussian", "salt_and_pepper"] = "gaussian"
    """gaussian: normal noise added to the pixels; salt_and_pepper: equally many white and black."""
    sigma: float = 0.5
    """Standard deviation of the Gaussian noise, above 0; pixels are in [0, 1]."""
    corrupted_fraction: float = 0.5
    """Fraction of pixels that salt and pepper corrupts, in [0, 1)."""
    features: int = 32
    """Kernels of every convolution."""
    extra_layers: int = 0
    """Extra convolutions in encoder and decoder, which enlarge the receptive field."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        at_least("features", self.features, 1)
        at_least("extra_layers", self.extra_layers, 0)
        losses.check_sigma(self.sigma)
        in_range("corrupted_fraction", self.corrupted_fraction, 0, 1)
        return super().validate()

    def corruption(self) -> augment.Augment:
        """Returns the function that corrupts a clean image."""
        if self.noise == "gaussian":
            return augment.gaussian_noise(self.sigma)
        return augment.salt_and_pepper(self.corrupted_fraction)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains the network, compares it with the filters and writes the pictures."""
    config = run.config
    train, test, sets = image_sets(config.run, 4, labelled=False)
    shape = train["input"].shape[1:]
    model = conv_autoencoder(shape[-1], config.features, config.extra_layers, config.training.dtype)
    augment = config.augmentation.changes(shape).augment
    task = tasks.reconstruct(model, corrupt=config.corruption(), augment=augment)
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    networks = [bind(task.reconstruct, member) for member in run.members(state)]
    path = run.figure("comparison")
    psnr = compare_with_filters(networks, config.corruption(), train, test, path)
    metrics |= {f"psnr/{name}": run.per_seed(values) for name, values in psnr.items()}
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
