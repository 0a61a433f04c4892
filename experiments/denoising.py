"""A denoising autoencoder, compared with classical filters.

    python experiments/denoising.py
    python experiments/denoising.py --data mnist --epochs 10
    python experiments/denoising.py --data mnist --epochs 14 --extra-layers 3 --features 48 \\
        --ema 0.999
    python experiments/denoising.py --noise salt_and_pepper

The network is the lecture's. Two convolutions with poolings reduce an image to maps of a quarter
of its sides, and the decoder reverses that. The filters are a median filter and a Gaussian blur.
Each has the size that is best for the training images.

The scores are peak signal-to-noise ratios (PSNR) in decibels, of images clipped to [0, 1]:

    images                          network     noisy   median    blur
    digits, first command             14.7        9.3     10.4    11.8
    MNIST, second command             19.9        9.37    14.14   15.64
    MNIST, third command              20.65       9.37    14.14   15.64
    MNIST, --epochs 20
      --extra-layers 2 --ema 0.999    20.46       9.37    14.14   15.64

The first command took 29 s on two cores of an AMD EPYC. The third took 40 minutes on one core
while other work shared the machine.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import jax
import numpy as np
from scipy import ndimage

from jaxdl import augment, bind, losses, plots, predict_batched, scores, tasks
from jaxdl.errors import at_least, in_range
from jaxdl.models import CNN, Autoencoder, ConvDecoder, Stage, UpStage
from jaxdl.recipes import TrainingOptions, fit_and_test, image_sets
from jaxdl.rng import root, stream
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment


def median_filter(image: np.ndarray, size: int) -> np.ndarray:
    """Applies a median filter to an image `[H, W, C]`."""
    return ndimage.median_filter(image, (size, size, 1))


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Applies a Gaussian blur to an image `[H, W, C]`."""
    return ndimage.gaussian_filter(image, (sigma, sigma, 0))


#: The filters by name, each with the sizes that are tried.
FILTERS: dict[str, tuple[Callable[..., np.ndarray], tuple[float, ...]]] = {
    "median": (median_filter, (2, 3, 4, 5, 7)),
    "blur": (gaussian_blur, (0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)),
}

#: Number of test images in the picture.
SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the denoising autoencoder."""

    run: RunOptions = RunOptions(epochs=60.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=3e-3, schedule="one_cycle")

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


def network(config: Config, channels: int) -> Autoencoder:
    """Returns the lecture's network, which encodes 28x28 images as 7x7 maps.

    With `extra_layers` it has more convolutions of these maps.
    """
    width = config.features
    dtype = config.training.dtype
    extra_stages = [Stage(width, pool=None)] * config.extra_layers
    extra_up_stages = [UpStage(width, 3, 1)] * config.extra_layers
    encoder = CNN((Stage(width), Stage(width), *extra_stages), outputs=None, dtype=dtype)
    decoder = ConvDecoder(
        (*extra_up_stages, UpStage(width), UpStage(width), UpStage(channels, 3, 1)),
        dtype=dtype,
    )
    return Autoencoder(encoder, decoder)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains the network, compares it with the filters and writes the pictures."""
    config = run.config
    train, test, sets = image_sets(config.run, 4)
    model = network(config, train["input"].shape[-1])
    task = tasks.reconstruct(model, corrupt=config.corruption())
    state, metrics = fit_and_test(run, config.training, model, task, sets)

    clean = np.asarray(test["input"])
    noisy = corrupt(config, clean, "eval")
    examples = np.linspace(0, train.size - 1, 500).astype(int)
    filtered = filter_images(config, np.asarray(train["input"])[examples], noisy)
    baselines = {"noisy": noisy.clip(0, 1), **filtered}
    networks = [bind(task.reconstruct, member) for member in run.members(state)]
    denoised = [predict_batched(network, noisy) for network in networks]

    # One value per seed.
    psnr = {"network": np.array([scores.psnr(clean, images) for images in denoised])}
    for name, images in baselines.items():
        psnr[name] = np.full(len(networks), scores.psnr(clean, images))
    best_filter = np.maximum(psnr["median"], psnr["blur"])
    psnr["above_noisy"] = psnr["network"] - psnr["noisy"]
    psnr["above_filters"] = psnr["network"] - best_filter
    for name, values in psnr.items():
        metrics[f"psnr/{name}"] = np.reshape(values, run.key.shape)

    plots.learning_curves(run.records(), run.figure("curves"))
    write_comparison(run, {**baselines, "network": denoised[0], "clean": clean})
    return run.finish(state, metrics, **sets)


def write_comparison(run: Run[Config], rows: dict[str, np.ndarray]) -> None:
    """Writes a picture with some images of each row, titled with its name and PSNR."""
    clean = rows["clean"]
    titles = []
    for name, images in rows.items():
        psnr = scores.psnr(clean, images)
        # The clean images have no finite PSNR.
        titles.append(f"{name} {psnr:.1f} dB" if psnr < 99 else name)
    examples = np.linspace(0, len(clean) - 1, SHOWN).astype(int)
    clips = np.stack([images[examples] for images in rows.values()])
    plots.film(clips, titles, run.figure("comparison"))


def corrupt(config: Config, images: np.ndarray, name: str) -> np.ndarray:
    """Returns the images with noise, which is the same for every network."""
    keys = jax.random.split(stream(root(0), name), len(images))
    return np.asarray(jax.jit(jax.vmap(config.corruption()))(keys, images))


def filter_images(config: Config, known: np.ndarray, noisy: np.ndarray) -> dict[str, np.ndarray]:
    """Applies each filter to the noisy images, with the size that is best for the known ones.

    Args:
      config: the options.
      known: clean training images `[N, H, W, C]`, which select the size of each filter.
      noisy: noisy test images `[M, H, W, C]`.

    Returns:
      The filtered test images by the name of the filter.
    """
    noisy_known = corrupt(config, known, "train")
    filtered = {}
    for name, (apply_filter, sizes) in FILTERS.items():

        def apply_to_all(
            images: np.ndarray, size: float, apply_filter: Callable = apply_filter
        ) -> np.ndarray:
            return np.stack([apply_filter(image, size) for image in images]).clip(0, 1)

        best = max(sizes, key=lambda size: scores.psnr(known, apply_to_all(noisy_known, size)))
        filtered[name] = apply_to_all(noisy, best)
    return filtered


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network, for all seeds in one run."""
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
