"""Generative adversarial networks: shared options, and a run from the data to the figures."""

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import numpy as np
import optax

from jaxdl import plots, scores, tasks
from jaxdl.core import State
from jaxdl.data.dataset import Dataset, check_batch_size
from jaxdl.errors import InputError, at_least
from jaxdl.functions import bind, predict_batched
from jaxdl.models import table
from jaxdl.models.conditional import label_kwargs, num_classes
from jaxdl.recipes.augmentations import without_mixture
from jaxdl.recipes.feature_classifier import classifier_of_classes
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test
from jaxdl.recipes.images import image_sets
from jaxdl.recipes.sample_quality import (
    class_rows,
    evaluate_samples,
    grid_inputs,
    path_columns,
)
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run

#: Columns of a grid of images, and most rows. In a conditional grid each row is a class.
SIDE = 10
#: With `augment`, the probability that an image of the discriminator is changed. If all images were
#: shifted, the discriminator could not recognize a generator that shifts its images. One half is
#: enough (Karras et al. 2020, section 2.2).
AUGMENTED_PROBABILITY = 0.5


@dataclasses.dataclass(frozen=True)
class GANTrainingOptions(TrainingOptions):
    """Options of the optimizers of a generator and a discriminator."""

    learning_rate: float = 1e-3
    """Peak learning rate of the generator."""
    discriminator_learning_rate: float = 4e-4
    """Peak learning rate of the discriminator."""

    def validate(self, run: RunOptions) -> None:
        if self.patience:
            allowed = "0 (a GAN's losses do not measure progress)"
            raise InputError("patience", self.patience, allowed)
        self.refuse_find_lr("whose losses do not measure progress")
        if self.optimizer == "schedule_free":
            allowed = "one that can update a part of the parameters"
            raise InputError("optimizer", self.optimizer, allowed)
        rate = self.discriminator_learning_rate
        if not 0 < rate < math.inf:
            raise InputError("discriminator_learning_rate", rate, "a finite number above 0")
        super().validate(run)

    def make_optimizers(
        self, critic_steps: int, steps: int
    ) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
        """Returns the optimizers of discriminator and generator for a run of `steps` steps."""
        discriminator = dataclasses.replace(self, learning_rate=self.discriminator_learning_rate)
        return discriminator.make_optimizer(steps * critic_steps), self.make_optimizer(steps)


@dataclasses.dataclass(frozen=True)
class GANOptions:
    """Options of the adversarial task and of the scores of its images."""

    latent: int = 64
    """Number of latent dimensions of the generator."""
    loss: Literal["nonsaturating", "hinge", "wasserstein", "least_squares"] = "nonsaturating"
    """Loss of the generator and the discriminator."""
    critic_steps: int = 1
    """Updates of the discriminator for each update of the generator."""
    label_smoothing: float = 0.0
    """One-sided label smoothing in [0, 1), for the loss nonsaturating only:
    the target probability that a real image is generated."""
    penalty: float = 0.0
    """Weight of the gradient penalty between real and generated images.
    It needs a discriminator without BatchNorm."""
    r1: float = 0.0
    """Weight of the gradient penalty at real images.
    It needs a discriminator without BatchNorm."""
    spectral_norm: bool = False
    """If True, the discriminator's kernels are divided by their largest singular value."""
    augment: str | None = None
    """Random changes of half of the discriminator's inputs, such as shift=2.
    They prevent the discriminator from memorizing images. Names: rotate, shift, scale, shear, flip,
    crop, elastic, brightness, contrast, noise, salt_and_pepper, cutout. shift alone moves by whole
    pixels. See jaxdl.augment.parse."""
    feature_classifier: str | None = None
    """Directory of a finished run of experiments/feature_classifier.py.
    Default: the classifier in the cache, which is trained if it is missing."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("critic_steps", self.critic_steps, 1)
        # Checks names and numbers before any data are read.
        self.make_task(nn.Dense(1), nn.Dense(1))

    def make_task(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        shape: tuple[int, ...] | None = None,
    ) -> tasks.Task:
        """Returns the adversarial task of two networks, for images of a shape.

        Raises:
          InputError: an option out of range, or an augmentation that does not fit the images.
        """
        return tasks.gan(
            generator,
            discriminator,
            latent=self.latent,
            loss=self.loss,
            label_smoothing=self.label_smoothing,
            penalty=self.penalty,
            r1=self.r1,
            spectral_norm=self.spectral_norm,
            augment=without_mixture(self.augment, shape, AUGMENTED_PROBABILITY),
            critic_steps=self.critic_steps,
        )

    @property
    def norm(self) -> Literal["batch"] | None:
        """Norm of a convolutional discriminator.

        BatchNorm, or None with another form of regularization that BatchNorm would interfere with.
        """
        if self.penalty or self.r1 or self.spectral_norm or self.loss == "wasserstein":
            return None
        return "batch"


def run_gan(
    run: Run[Options],
    training: GANTrainingOptions,
    options: GANOptions,
    networks: Callable[[tuple[int, ...], int], tuple[nn.Module, nn.Module]],
    *,
    labelled: bool = False,
) -> dict[str, Any]:
    """Trains a GAN, evaluates generated images, draws figures and writes the result.

    Args:
      run: run to train in.
      training: options of the optimizers.
      options: options of the task.
      networks: `networks(shape of an image, classes) -> (generator, discriminator)`. Images
        without classes have 0 classes.
      labelled: if True, the images must have classes, as conditional networks need.

    Returns:
      The result of `Run.finish`: losses on the test set, and the scores of generated images as
      `samples/...`, if the set has classes.
    """
    train, test, sets = image_sets(run.config.run, labelled=labelled)
    shape = train["input"].shape[1:]
    classes = train.classes or 0
    generator, discriminator = networks(shape, classes)
    task = options.make_task(generator, discriminator, shape)
    conditional = num_classes(generator, discriminator) is not None
    inputs = grid_inputs(run.seeds[0], options.latent, classes if conditional else None, SIDE)
    for net, x in ((generator, inputs[0][:1]), (discriminator, train["input"][:1])):
        print(table(net, x, **label_kwargs(net, np.zeros(1, np.int32))), "\n")
    check_batch_size(sets["train"], run.config.run.batch_size)
    directory = options.feature_classifier
    classifier = classifier_of_classes(run.config.run, directory, train, test)
    state, metrics = fit_and_test(
        run,
        training,
        None,
        task,
        sets,
        optimizers=functools.partial(training.make_optimizers, options.critic_steps),
        on_validation=grid_callback(run, task, inputs, train),
    )
    generators = [bind(task.generate, member) for member in run.members(state)]
    if classifier is not None:
        metrics |= evaluate_samples(run, classifier, generators, options.latent, conditional)
    warn_of_weak_gradient(run, options)
    pictures(run, generators[0], state.steps_done, train, inputs)
    return run.finish(state, metrics, **sets)


def grid_callback(
    run: Run[Options], task: tasks.Task, inputs: tuple[np.ndarray, ...], train: Dataset
) -> Callable[[State], None]:
    """Returns a function that draws a grid of generated images from the same inputs each time."""
    # The images of the first row have the same class if there are labels.
    compared = slice(None)
    rows = None
    if len(inputs) > 1:
        compared = slice(SIDE)
        rows = class_rows(train, inputs[1], SIDE)

    def on_validation(state: State) -> None:
        generate = bind(task.generate, run.first_seed(state))
        generated = predict_batched(generate, *inputs)
        run.grid(state.steps_done, generated, SIDE, rows=rows)
        if generated[compared].std(0).mean() < 0.01:
            print(
                f"warning: step {state.steps_done}: generated images are almost identical",
                file=sys.stderr,
                flush=True,
            )

    return on_validation


def warn_of_weak_gradient(run: Run[Options], options: GANOptions) -> None:
    """Adds a warning if the discriminator's loss is so small that the generator stops learning."""
    if options.loss == "wasserstein" or options.label_smoothing:
        return
    losses = [
        record["train/discriminator_loss"]
        for record in run.records()
        if "train/discriminator_loss" in record
    ]
    if losses and losses[-1] < 0.05:
        run.warn(
            f"the discriminator's loss is only {losses[-1]:.4f}, "
            "so the generator hardly learns any more"
        )


def pictures(
    run: Run[Options],
    generate: Callable[..., Any],
    steps: int,
    train: Dataset,
    inputs: tuple,
) -> None:
    """Draws the figures of a GAN.

    These are curves, samples, their history, interpolations between samples, and samples above the
    nearest training images.
    """
    plots.gan_curves(run.records(), run.figure("curves"))
    z, *label = inputs
    generated = predict_batched(generate, *inputs)
    title = f"{len(generated)} images generated after {steps:,} steps"
    columns: int | list[str] = SIDE
    rows = None
    if label:
        title += ": the same noise in each column"
        columns = [f"noise {i + 1}" for i in range(SIDE)]
        rows = class_rows(train, label[0], SIDE)
    plots.image_grid(generated, run.figure("samples"), columns, title=title, rows=rows)
    run.training_gif()
    _draw_interpolation(generate, z, label, rows, run.figure("interpolation"))
    _draw_nearest(generated, np.asarray(train["input"]), run.figure("nearest"))


def _draw_interpolation(
    generate: Callable[..., Any],
    z: np.ndarray,
    label: Sequence[np.ndarray],
    classes: Sequence[str] | None,
    path: Path,
) -> None:
    """Draws a row of images for each way from one random latent vector to the next."""
    paths = [tasks.interpolate(z[i], z[(i + 1) % SIDE], SIDE, "spherical") for i in range(SIDE)]
    latents = np.concatenate(paths)
    labels = [np.repeat(each[::SIDE], SIDE)[: SIDE * SIDE] for each in label]
    if labels:
        latents = latents[: len(labels[0])]
    between = predict_batched(generate, latents, *labels)
    rows = [f"noise {i + 1} → {(i + 1) % SIDE + 1}" for i in range(len(between) // SIDE)]
    if classes is not None:
        rows = [f"{name}, {row}" for name, row in zip(classes, rows, strict=True)]
    change = np.diff(between.reshape(len(rows), SIDE, -1), axis=1)
    title = (
        "Generated on the way between two random latent vectors: "
        f"mean squared change per step {np.mean(change**2):.4f}"
    )
    plots.image_grid(between, path, path_columns(SIDE), title=title, rows=rows)


def _draw_nearest(generated: np.ndarray, known: np.ndarray, path: Path) -> None:
    """Draws some generated images above the nearest training images."""
    some = generated[:: len(generated) // SIDE][:SIDE]
    distance, row = scores.nearest(some.reshape(len(some), -1), known.reshape(len(known), -1))
    title = (
        f"Generated images and the nearest of {len(known):,} training images: "
        f"mean distance {distance.mean():.2f}\n"
        "above: Euclidean distance between the pixels; 0 is a copy"
    )
    columns = [f"{each:.2f}" for each in distance[:, 0]]
    pairs = np.concatenate([some, known[row[:, 0]]])
    plots.image_grid(pairs, path, columns, title=title, rows=["generated", "nearest"])
