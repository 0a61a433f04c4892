"""An autoencoder that compresses images to a few latent dimensions.

    python experiments/autoencoder.py
    python experiments/autoencoder.py --data mnist --epochs 30
    python experiments/autoencoder.py --mode memorization --data photos --network conv --latent 64

`--mode latent_map` measures the accuracy of a 5-nearest-neighbour classifier on the codes of the
test images. It is compared with the same classifier on two principal components.

`--mode memorization` compares a network trained on one photo with a network trained on many. The
first reproduces its one photo for every input. The second has to learn properties of photos.

Accuracy on the test images:

    data                       autoencoder   principal components   time
    digits, first command         85.5 %            67.1 %           46 s
    MNIST, second command         84.4 %            42.5 %          462 s

Measured on two cores of an AMD EPYC. Other work shared the machine in the measurement on MNIST.
"""

import dataclasses
from typing import Any, Literal, Self

import numpy as np

from jaxdl import bind, plots, predict_batched, scores, tasks
from jaxdl.data import Dataset
from jaxdl.errors import at_least
from jaxdl.models import Autoencoder, encoder_decoder
from jaxdl.recipes import (
    PixelAugmentOptions,
    TrainingOptions,
    fit_and_test,
    image_sets,
    latents,
    repeat_first,
)
from jaxdl.runs import Options, Run, RunOptions, launch, read_array, run_experiment, run_variants


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the autoencoder."""

    run: RunOptions = RunOptions(epochs=100.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3, schedule="one_cycle")
    augmentation: PixelAugmentOptions = PixelAugmentOptions()

    mode: Literal["latent_map", "memorization"] = "latent_map"
    """latent_map: the latent codes and their nearest neighbours;
    memorization: a network trained on one image, compared with one trained on many."""
    images: int = 0
    """Number of training images; 0 means all."""
    latent: int = 2
    """Number of latent dimensions."""
    network: Literal["dense", "conv"] = "dense"
    """dense: dense layers only; conv: two convolutions before the dense layers and two after."""
    hidden: tuple[int, ...] = (512, 256, 128)
    """Widths of the encoder's hidden dense layers; the decoder has the same in reverse order."""
    activation: str = "relu"
    """Activation of the hidden layers."""

    def validate(self) -> Self:
        at_least("latent", self.latent, 1)
        at_least("images", self.images, 0)
        # Building the network checks widths and names before any data are read.
        network(self, (8, 8, 1))
        return super().validate()


def network(config: Config, shape: tuple[int, ...]) -> Autoencoder:
    """Returns the network that the options describe, for images of this shape."""
    options = (config.network, config.hidden, config.activation, config.training.dtype)
    return Autoencoder(*encoder_decoder(shape, config.latent, *options))


def load_sets(config: Config) -> dict[str, Dataset]:
    """Returns the sets by name, with a training set of `images` images."""
    multiple = latents.SIDE_MULTIPLE[config.network]
    sets = image_sets(config.run, multiple, labelled=False)[2]
    if config.images:
        sets["train"] = repeat_first(sets["train"], config.images)
    return sets


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains one network, measures its reconstructions of test images and writes the pictures."""
    config = run.config
    sets = load_sets(config)
    shape = sets["train"]["input"].shape[1:]
    model = network(config, shape)
    task = tasks.reconstruct(model, augment=config.augmentation.changes(shape).augment)
    state, metrics = fit_and_test(run, config.training, model, task, sets)

    members = run.members(state)
    test = np.asarray(sets["test"]["input"])
    # A network that has memorized its one training image reconstructs it from every input.
    first = np.broadcast_to(sets["train"]["input"][:1], test.shape)
    outputs = [predict_batched(bind(task.reconstruct, member), test) for member in members]
    values: dict[str, Any] = {
        "psnr": [scores.psnr(test, each) for each in outputs],
        "psnr_to_first_image": [scores.psnr(first, each) for each in outputs],
    }
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.reconstructions(test, outputs[0], run.figure("reconstructions"))
    np.save(run.sample("reconstructions.npy"), outputs[0][shown(test)])
    if config.mode == "latent_map" and sets["train"].classes is not None:
        encoders = [bind(task.encode, member) for member in members]
        decode = bind(task.decode, members[0])
        values |= latents.compare_with_components(encoders, decode, sets, run.figure)
    metrics |= {f"test/{name}": run.per_seed(each) for name, each in values.items()}
    return run.finish(state, metrics, **sets)


def shown(test: np.ndarray) -> np.ndarray:
    """Returns the rows of the test images that `--mode memorization` shows."""
    return np.linspace(0, len(test) - 1, 20).astype(int)[:10]


def compare_memorization(config: Config) -> dict[str, dict[str, Any]]:
    """Trains on one image and on many, and writes the reconstructions of both in one picture."""
    # Loading the sets also checks them before any network is trained.
    test = np.asarray(load_sets(config)["test"]["input"])
    variants: dict[str, dict[str, Any]] = {"one_image": {"images": 1}, "many_images": {}}
    out, results = run_variants(config, variants, train_and_test)
    if len(results) == len(variants):
        rows = {"test images": test[shown(test)]}
        for name, result in results.items():
            psnr = result["metrics"]["test/psnr"]
            row = f"trained on {name.replace('_', ' ')}, {psnr:.1f} dB"
            rows[row] = read_array(out / name / "samples" / "reconstructions.npy")
        images = np.concatenate(list(rows.values()))
        title = "Test images and their reconstructions, with the PSNR of the whole test set"
        path = out / "memorization.png"
        picture = plots.image_grid(images, path, 10, title=title, rows=list(rows))
        print(f"picture  {picture}")
    return results


def main(config: Config) -> dict[str, Any]:
    """Trains and tests the network for all seeds, or the two networks of the memorization mode."""
    if config.mode == "memorization":
        return compare_memorization(config)
    return run_experiment(config, train_and_test)


if __name__ == "__main__":
    launch(main, Config)
