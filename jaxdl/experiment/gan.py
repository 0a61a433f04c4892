"""What the experiments with two players share: options, and a run from data to pictures and numbers."""

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import flax.linen as nn
import jax
import numpy as np

from jaxdl import plots, scores, tasks
from jaxdl.core import State, Update, inference
from jaxdl.data.checks import check_batch_size
from jaxdl.errors import InputError, at_least
from jaxdl.experiment.feature_classifier import FeatureClassifier, load_classifier
from jaxdl.experiment.fitting import TrainingOptions, fit_and_test
from jaxdl.experiment.images import image_sets
from jaxdl.experiment.run import Run
from jaxdl.experiment.sample_quality import evaluate_samples, latent_noise
from jaxdl.models import table
from jaxdl.models.conditional import label_kwargs, num_classes

#: Images in a grid: rows (in a conditional grid the classes, at most) and columns.
SIDE = 10
#: With `shift`, the probability that the discriminator sees an image as it is. If all were moved, a generator that
#: moves what it draws would look the same to it; half is enough to tell (Karras et al. 2020, section 2.2).
STILL = 0.5


@dataclasses.dataclass(frozen=True)
class GANOptions(TrainingOptions):
    """Options of every generator with a discriminator."""

    latent: int = 64
    """Random numbers that an image is made of."""
    loss: Literal["nonsaturating", "hinge", "wasserstein"] = "nonsaturating"
    """What the players want."""
    critic_steps: int = 1
    """Updates of the discriminator for each of the generator."""
    label_smoothing: float = 0.0
    """How sure of real images the discriminator should not be, in [0, 1); for nonsaturating only."""
    penalty: float = 0.0
    """Weight of the gradient penalty between real and drawn images, for a discriminator without BatchNorm."""
    r1: float = 0.0
    """Weight of the gradient penalty at real images, for a discriminator without BatchNorm."""
    spectral_norm: bool = False
    """Divide the discriminator's kernels by their largest singular value."""
    shift: int = 0
    """The discriminator sees half of the images moved by up to so many pixels: it cannot learn them by heart."""
    feature_classifier: str | None = None
    """Directory of a finished run of experiments/feature_classifier.py; default: that in the cache, trained if it is missing."""
    batch_size: int = 64
    """Images per step."""
    learning_rate: float = 1e-3
    """Of the generator, the largest of the run."""
    discriminator_learning_rate: float = 4e-4
    """Of the discriminator."""
    schedule: str = "cosine"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    ema: float = 0.99
    """Decay of a moving average of the weights, which is then what is evaluated; 0: none."""
    momentum: float = 0.5
    """Decay of the running mean of gradients, where the optimizer has one."""
    validation: float = 0.0
    """Share of the training set kept for validation; 0: none."""

    seeds_share_cores: ClassVar[bool] = False
    max_saves: ClassVar[int] = 30  # each draws a grid

    def validate(self) -> Self:
        if self.patience:
            raise InputError("patience", self.patience, "0: no loss of a game says when to stop")
        if self.optimizer == "schedule_free":
            raise InputError(
                "optimizer", self.optimizer, "one that updates a part of the parameters"
            )
        at_least("critic_steps", self.critic_steps, 1)
        at_least("shift", self.shift, 0)
        if not 0 < self.discriminator_learning_rate < math.inf:
            said = "a finite number above 0"
            raise InputError("discriminator_learning_rate", self.discriminator_learning_rate, said)
        # Names and numbers, before data are read.
        self.make_task(nn.Dense(1), nn.Dense(1))
        return super().validate()

    def make_task(self, generator: nn.Module, discriminator: nn.Module) -> tasks.Adversarial:
        """The game that the options describe."""
        return tasks.gan(
            generator,
            discriminator,
            latent=self.latent,
            loss=self.loss,
            label_smoothing=self.label_smoothing,
            penalty=self.penalty,
            r1=self.r1,
            spectral_norm=self.spectral_norm,
            augment=tasks.random_shift(self.shift, STILL) if self.shift else None,
        )

    def make_updates(self, task: Any, steps: int) -> tuple[Update, ...]:
        other = dataclasses.replace(self, learning_rate=self.discriminator_learning_rate)
        return task.updates(
            other.make_optimizer(steps * self.critic_steps),
            self.make_optimizer(steps),
            self.critic_steps,
        )

    @property
    def norm(self) -> Literal["batch"] | None:
        """Of a convolutional discriminator: BatchNorm, unless something holds it back that BatchNorm would spoil."""
        return (
            None
            if self.penalty or self.r1 or self.spectral_norm or self.loss == "wasserstein"
            else "batch"
        )


def run_gan(
    run: Run[Any], networks: Callable[[tuple[int, ...], int], tuple[nn.Module, nn.Module]]
) -> dict[str, Any]:
    """Trains generator and discriminator, draws, has the drawn images judged and writes the result.

    Args:
      run: the run; its options are a `GANOptions`.
      networks: `networks(shape of an image, classes) -> (generator, discriminator)`.

    Returns:
      The result of `Run.finish`: the losses on the test set, and the classifier's numbers as `samples/...`.
    """
    config = run.config
    train, test, sets = image_sets(config)
    shape = train["input"].shape[1:]
    classes = train.classes or 0
    if config.shift >= min(shape[:2]):
        raise InputError("shift", config.shift, f"less than the images' sides, {min(shape[:2])}")
    players = networks(shape, classes)
    task = config.make_task(*players)
    rows = min(SIDE, classes)
    conditional = num_classes(*players) is not None
    # In a column the same noise, in a row the same class.
    z = latent_noise(run.seeds[0], config.latent, SIDE if conditional else SIDE * SIDE)
    shown = (
        (np.tile(z, (rows, 1)), np.repeat(np.arange(rows, dtype=np.int32), SIDE))
        if conditional
        else (z,)
    )
    for net, x in zip(players, (z[:1], train["input"][:1]), strict=True):
        print(table(net, x, **label_kwargs(net, np.zeros(1, np.int32))), "\n")
    check_batch_size(sets["train"], config.batch_size)
    classifier = load_classifier(config, train, test)
    draw = jax.jit(task.generate)

    def on_validation(state: State) -> None:
        """The same noise again and again, while the generator learns."""
        one = inference(run.first_seed(state))
        drawn = np.asarray(draw(one.params, one.extra, *shown))
        run.grid(state.steps_done, drawn, SIDE)
        if drawn[: SIDE if conditional else None].std(0).mean() < 0.01:
            print(
                f"warning: step {state.steps_done}: drawn images hardly differ",
                file=sys.stderr,
                flush=True,
            )

    state, metrics = fit_and_test(run, None, task, sets, on_validation)
    states = [inference(each) for each in run.members(state)]
    metrics |= evaluate_samples(run, classifier, task.generate, states, config.latent, conditional)
    last = [
        record["train/discriminator_loss"]
        for record in run.records()
        if "train/discriminator_loss" in record
    ]
    if config.loss != "wasserstein" and not config.label_smoothing and last[-1] < 0.05:
        run.warn(
            f"the discriminator has won: its loss is {last[-1]:.4f}, and the generator learns nothing any more"
        )
    pictures(run, task, states[0], classifier, shown)
    return run.finish(state, metrics, **sets)


def pictures(
    run: Run[Any],
    task: tasks.Adversarial,
    state: State,
    classifier: FeatureClassifier,
    shown: tuple,
) -> None:
    """Curves, samples, how they came to be, ways between them, and the training image nearest to each."""
    plots.gan_curves(run.records(), run.figure("curves"))
    drawn = tasks.predict_batched(task.generate, state, *shown)
    plots.image_grid(drawn, run.figure("samples"), SIDE)
    run.training_gif()
    z, *label = shown
    ways = [tasks.interpolate(z[i], z[(i + 1) % SIDE], SIDE, "spherical") for i in range(SIDE)]
    classes = [np.repeat(each[::SIDE], SIDE)[: SIDE * SIDE] for each in label]
    between = np.concatenate(ways)[: len(classes[0]) if classes else None]
    plots.image_grid(
        tasks.predict_batched(task.generate, state, between, *classes), run.figure("between"), SIDE
    )
    some = drawn[:: len(drawn) // SIDE][:SIDE]
    known = np.asarray(classifier.train["input"])
    _, row = scores.nearest(some.reshape(len(some), -1), known.reshape(len(known), -1))
    plots.image_grid(np.concatenate([some, known[row[:, 0]]]), run.figure("nearest"), len(some))
