"""A variational autoencoder: images from random numbers, and a map of what lies between them.

    python experiments/vae.py
    python experiments/vae.py --latent 2 --binarize none
    python experiments/vae.py --data mnist --epochs 10
    python experiments/vae.py --data mnist --epochs 10 --binarize threshold --importance 500
    python experiments/vae.py --data mnist --epochs 30 --latent 2 --binarize none
    python experiments/vae.py --data mnist --epochs 36 --latent 50 --network conv --ema 0.999 --importance 500

Nats per test image by the evidence bound, on an AMD EPYC that other work shared. The digits by default: 23.24, by the
importance-weighted bound with 100 codes 22.83, in 33 s. MNIST, in the order of the commands: 96.28 in 248 s on two
cores (with `--activation relu` 98.40); the others on one core, seconds of training: 79.92, by 500 codes 74.21 (74 s);
137.84 (263 s); 87.91, by 500 codes 83.93 (2,087 s). The hidden layers behind the convolutions matter: after 8 epochs
92.67 with the default ones, 100.75 with `--hidden` and nothing behind it.
"""

import dataclasses
import functools
import math
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses, plots, tasks
from jaxdl.core import State, inference
from jaxdl.data import Dataset, check_batch_size
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.experiment import (
    Run,
    TrainingOptions,
    evaluate_samples,
    fit_and_test,
    image_sets,
    latent_noise,
    launch,
    load_classifier,
    run_experiment,
)
from jaxdl.models import VAE, Conditional, encoder_decoder, table
from jaxdl.models.conditional import label_kwargs
from jaxdl.rng import root, stream

#: Images in a row of a picture.
SIDE = 10


@dataclasses.dataclass(frozen=True)
class Config(TrainingOptions):
    """Options of the variational autoencoder."""

    latent: int = 20
    """Numbers that describe an image."""
    network: Literal["dense", "conv"] = "dense"
    """Dense layers alone, or two convolutions before them and two behind."""
    hidden: tuple[int, ...] = (500, 500)
    """Widths of the encoder's hidden dense layers; the decoder's are the same, backwards."""
    conditional: bool = False
    """Encoder and decoder are told the class; samples then have a class in each row."""
    activation: str = "silu"
    """Of the hidden layers, by its name."""
    likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian"] = "bernoulli"
    """What the decoder's numbers say of the pixels."""
    sigma: float = 0.1
    """Of the Gaussian likelihood: how far a pixel is off."""
    binarize: Literal["dynamic", "threshold", "none"] = "dynamic"
    """dynamic: a pixel is white with the probability of its grey, each time anew; threshold: above 1/2."""
    beta: float = 1.0
    """Weight of the divergence from the standard normal."""
    kl_warmup: float = 0.0
    """Share of the steps over which that weight rises from 0, in [0, 1)."""
    feature_classifier: str | None = None
    """Directory of a finished run of experiments/feature_classifier.py; default: that in the cache, trained if it is missing."""
    importance: int = 100
    """Codes for each test image in the importance-weighted bound; 0: leave it out."""
    batch_size: int = 128
    """Images per step."""
    epochs: float = 60.0
    """Passes over the training set."""
    learning_rate: float = 2e-3
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""

    validation: float = 0.0
    """Share of the training set kept for validation; 0: none."""

    default_cpu_devices: ClassVar[int] = 2
    max_saves: ClassVar[int] = 30  # each draws a grid

    @property
    def length_dependent_option(self) -> str:
        return "--kl-warmup" if self.kl_warmup else super().length_dependent_option

    def validate(self) -> Self:
        at_least("latent", self.latent, 1)
        in_range("kl_warmup", self.kl_warmup, 0, 1)
        in_range("beta", self.beta, 0, math.inf)
        at_least("importance", self.importance, 0)
        losses.check_sigma(self.sigma)
        if self.likelihood != "bernoulli" and self.binarize != "none":
            raise InputError(
                "binarize", self.binarize, f"none, with the likelihood {self.likelihood}"
            )
        network(self, (8, 8, 1), 10)  # widths and names, before data are read
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(
            super().for_smoke(),
            hidden=min(self.hidden, (32,), key=sum),
            importance=min(self.importance, 5),
        )


def network(config: Config, shape: tuple[int, ...], classes: int) -> VAE:
    """The two halves that the options name."""
    numbers = 2 * config.latent
    hidden = config.hidden
    halves = encoder_decoder(
        shape, numbers, config.network, hidden, config.activation, config.dtype
    )
    if config.conditional:
        halves = Conditional(halves[0], classes), Conditional(halves[1], classes)
    return VAE(*halves, latent=config.latent)


def task_of(config: Config, model: VAE, steps: int) -> tasks.Variational:
    """The task that the options describe, for a run of so many steps."""
    return tasks.vae(
        model,
        likelihood=config.likelihood,
        sigma=config.sigma,
        beta=config.beta,
        warmup=math.ceil(config.kl_warmup * steps) * config.accumulate,
        binarize={"dynamic": "dynamic", "threshold": 0.5, "none": None}[config.binarize],  # type: ignore[arg-type]
    )


def one(run: Run[Config]) -> dict[str, Any]:
    """Trains, tests, has samples judged, and draws."""
    config = run.config
    train, test, sets = image_sets(config, 4 if config.network == "conv" else 1, 2 * SIDE)
    shape = train["input"].shape[1:]
    classes = train.classes or 0
    if config.latent == 2 and classes > 20 and not config.conditional:
        raise InputError(
            "latent",
            2,
            f"another number for {classes} classes: the map of the plane has 20 colours",
        )
    model = network(config, shape, classes)
    task = task_of(config, model, config.total_steps(sets["train"].size))
    shown = codes(config, run.seeds[0], classes)
    check_batch_size(sets["train"], config.batch_size)
    classifier = load_classifier(config, train, test)
    draw = jax.jit(functools.partial(pixels, task))

    def on_validation(state: State) -> None:
        """The same codes again and again, while the decoder learns."""
        one = inference(run.first_seed(state))
        run.grid(state.steps_done, np.asarray(draw(one.params, one.extra, *shown)), SIDE)

    for net, x in zip(
        (model.encoder, model.decoder), (train["input"][:1], shown[0][:1]), strict=True
    ):
        print(table(net, x, **label_kwargs(net, np.zeros(1, np.int32))), "\n")
    state, metrics = fit_and_test(run, None, task, sets, on_validation)
    states = [inference(each) for each in run.members(state)]
    if config.importance:
        found = [importance(task, each, test, config) for each in states]
        metrics["test/importance_bound"] = np.array(found) if run.key.ndim else found[0]
    metrics |= evaluate_samples(
        run, classifier, functools.partial(pixels, task), states, config.latent, config.conditional
    )
    pictures(run, task, states[0], test, shown)
    return run.finish(state, metrics, **sets)


def pixels(task: tasks.Variational, *given: Any) -> Any:
    """What codes are decoded to, as pixels: a Gaussian's mean may lie outside of [0, 1]."""
    return jnp.clip(task.decode(*given), 0, 1)


def codes(config: Config, seed: int, classes: int) -> tuple[np.ndarray, ...]:
    """What the samples are drawn from: codes, and of a conditional network classes, one in each row."""
    if not config.conditional:
        return (latent_noise(seed, config.latent, SIDE * SIDE),)
    rows = min(SIDE, classes)
    return np.tile(latent_noise(seed, config.latent, SIDE), (rows, 1)), np.repeat(
        np.arange(rows, dtype=np.int32), SIDE
    )


def importance(task: tasks.Variational, state: State, test: Dataset, config: Config) -> float:
    """The importance-weighted bound of the test set in nats."""

    def bound(params: Any, extra: Any, x: Any, i: Any, *label: Any) -> Any:
        return task.bound(
            params,
            extra,
            x,
            jax.random.fold_in(stream(root(0), "eval"), i[0]),
            config.importance,
            *label,
        )

    images = np.asarray(test["input"])
    rows = np.arange(test.size, dtype=np.int32)
    label = (np.asarray(test["label"]),) if config.conditional else ()
    return float(tasks.predict_batched(bound, state, images, rows, *label, batch_size=250).mean())


def pictures(
    run: Run[Config], task: tasks.Variational, state: State, test: Dataset, shown: tuple
) -> None:
    """Curves, samples and how they came to be, what comes back from test images, and of two numbers the plane."""
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.image_grid(
        tasks.predict_batched(functools.partial(pixels, task), state, *shown),
        run.figure("samples"),
        SIDE,
    )
    run.training_gif()
    some = np.asarray(test["input"][: 2 * SIDE])
    label = (np.asarray(test["label"][: 2 * SIDE]),) if run.config.conditional else ()
    back = tasks.predict_batched(task.reconstruct, state, some, *label)
    rows = np.concatenate([some[:SIDE], back[:SIDE], some[SIDE:], back[SIDE:]])
    plots.image_grid(rows, run.figure("reconstructions"), SIDE)
    middle = tasks.predict_batched(lambda *given: task.encode(*given)[0], state, some, *label)
    spread = tasks.predict_batched(
        lambda *given: jnp.exp(task.encode(*given)[1] / 2), state, some, *label
    )
    again(run, task, state, some, middle, spread, label)
    ways = np.concatenate(
        [np.asarray(tasks.interpolate(middle[i], middle[i + 1], SIDE)) for i in range(0, 12, 2)]
    )
    on_way = (np.repeat(label[0][:12:2], SIDE),) if label else ()
    plots.image_grid(
        tasks.predict_batched(task.decode, state, ways, *on_way), run.figure("between"), SIDE
    )
    if run.config.latent == 2 and not run.config.conditional:
        few = slice(5_000)
        plane = tasks.predict_batched(
            lambda *given: task.encode(*given)[0], state, np.asarray(test["input"][few])
        )
        plots.latent_map(plane, np.asarray(test["label"][few]), run.figure("plane"), "test images")
        plots.image_grid(
            tasks.predict_batched(task.decode, state, tasks.latent_grid(20)), run.figure("grid"), 20
        )


def again(
    run: Run[Config],
    task: Any,
    state: State,
    some: np.ndarray,
    middle: np.ndarray,
    spread: np.ndarray,
    label: tuple,
) -> None:
    """The same image decoded many times, from codes that its encoder draws for it, and how that differs each time."""
    times = SIDE - 1
    count = 4
    e = latent_noise(run.seeds[0], run.config.latent, count * times).reshape(count, times, -1)
    drawn = (middle[:count, None] + spread[:count, None] * e).reshape(count * times, -1)
    given = (np.repeat(label[0][:count], times),) if label else ()
    images = tasks.predict_batched(task.decode, state, drawn, *given).reshape(
        count, times, *some.shape[1:]
    )
    apart = images - images.mean(1, keepdims=True)
    rows = []
    for i in range(count):
        rows += [
            some[i : i + 1],
            images[i],
            np.full_like(some[:1], 0.5),
            0.5 + apart[i] / (2 * abs(apart).max()),
        ]
    plots.image_grid(np.concatenate(rows), run.figure("again"), SIDE)


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""
    return run_experiment(config, one)


if __name__ == "__main__":
    launch(main, Config)
