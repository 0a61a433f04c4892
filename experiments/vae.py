"""A variational autoencoder: images from random numbers, and a map of what lies between them.

    python experiments/vae.py
    python experiments/vae.py --latent 2 --binarize none
    python experiments/vae.py --data mnist --epochs 10

The digits by default, on two cores of an AMD EPYC: 23.45 nats per test image by the evidence bound, 23.01 by the
importance-weighted one with 100 codes, in 61 s.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal, Self

import jax
import numpy as np

from jaxdl import data, losses, plots, tasks
from jaxdl.core import State, inference
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.experiment import Run, Training, fitted, launch, repeat
from jaxdl.models import MLP, VAE, Shaped
from jaxdl.rng import root, stream

SHOWN = 100


@dataclasses.dataclass(frozen=True)
class Config(Training):
    """Options of the variational autoencoder."""

    latent: int = 20
    """Numbers that describe an image."""
    hidden: tuple[int, ...] = (500, 500)
    """Widths of the encoder's hidden layers; the decoder's are the same, backwards."""
    activation: str = "relu"
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

    best_cpu_devices: ClassVar[int] = 2

    def checked(self) -> Self:
        at_least("latent", self.latent, 1)
        in_range("kl_warmup", self.kl_warmup, 0, 1)
        in_range("beta", self.beta, 0, math.inf)
        at_least("importance", self.importance, 0)
        losses.check_sigma(self.sigma)
        if self.likelihood != "bernoulli" and self.binarize != "none":
            raise InputError("binarize", self.binarize, f"none, with the likelihood {self.likelihood}")
        network(self, (8, 8, 1))  # widths and names, before data are read
        return super().checked()

    def short(self) -> Self:
        return dataclasses.replace(
            super().short(), hidden=min(self.hidden, (32,), key=sum), importance=min(self.importance, 5)
        )


def network(config: Config, shape: tuple[int, ...]) -> VAE:
    """Two perceptrons, one the other turned around."""
    there = MLP(config.hidden, 2 * config.latent, config.activation, dtype=config.dtype)
    back = MLP(config.hidden[::-1], int(np.prod(shape)), config.activation, dtype=config.dtype)
    return VAE(there, Shaped(back, shape), latent=config.latent)


def task_of(config: Config, shape: tuple[int, ...], steps: int) -> tasks.Variational:
    """The task that the options describe, for a run of so many steps."""
    return tasks.vae(
        network(config, shape),
        likelihood=config.likelihood,
        sigma=config.sigma,
        beta=config.beta,
        warmup=math.ceil(config.kl_warmup * steps) * config.accumulate,
        binarize={"dynamic": "dynamic", "threshold": 0.5, "none": None}[config.binarize],  # type: ignore[arg-type]
    )


def one(run: Run[Config]) -> dict[str, Any]:
    """Trains, tests and draws."""
    config = run.config
    train, test = data.load(config.data, config.data_dir, config.cache_dir)
    shape = train["input"].shape[1:]
    if len(shape) != 3 or shape[-1] not in (1, 3) or test.size < 20:
        raise InputError("data", f"{config.data} {[test.size, *shape]}", "grey or RGB images, at least 20 to test on")
    if config.latent == 2 and (test.classes or 0) > 20:
        raise InputError("latent", 2, f"another number for {test.classes} classes: the map of the plane has 20 colours")
    sets = {"train": train, "test": test}
    if config.validation:
        sets["train"], sets["validation"] = data.split(train, root(0), config.validation)
    task = task_of(config, shape, config.total_steps(sets["train"].size))
    noise = stream(run.key if run.key.ndim == 0 else run.key[0], "sample")
    draw = jax.jit(lambda params, extra: task.sample(params, extra, noise, SHOWN))

    def watch(state: State) -> None:
        """The same codes again and again, while the decoder learns."""
        shown = inference(run.first(state))
        drawn = np.asarray(draw(shown.params, shown.extra))
        plots.image_grid(drawn, run.sample(f"step-{state.done:07d}.png"), 10)

    state, metrics = fitted(run, network(config, shape), task, sets, watch)
    if config.importance:
        metrics["test/importance_bound"] = importance(run, task, state, np.asarray(test["input"]))
    pictures(run, task, inference(run.first(state)), test, draw)
    return run.finish(state, metrics, **sets)


def importance(run: Run[Config], task: tasks.Variational, state: State, images: np.ndarray) -> Any:
    """The importance-weighted bound of the test set in nats, of several seeds one each."""

    def bound(params: Any, extra: Any, x: Any, i: Any) -> Any:
        return task.bound(params, extra, x, jax.random.fold_in(stream(root(0), "eval"), i[0]), run.config.importance)

    states = [state] if run.key.ndim == 0 else [state.member(i) for i in range(run.key.size)]
    rows = np.arange(len(images), dtype=np.int32)
    found = [float(tasks.in_parts(bound, inference(each), images, rows, batch_size=250).mean()) for each in states]
    return found[0] if run.key.ndim == 0 else np.array(found)


def pictures(run: Run[Config], task: tasks.Variational, state: State, test: Any, draw: Any) -> None:
    """Curves, samples, what comes back from test images, and of two numbers the plane."""
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.image_grid(np.asarray(draw(state.params, state.extra)), run.figure("samples"), 10)
    some = np.asarray(test["input"][:20])
    back = tasks.in_parts(task.reconstruct, state, some)
    rows = np.concatenate([some[:10], back[:10], some[10:], back[10:]])
    plots.image_grid(rows, run.figure("reconstructions"), 10)
    ends = tasks.in_parts(lambda p, e, x: task.encode(p, e, x)[0], state, some[:12])
    ways = np.concatenate([np.asarray(tasks.interpolate(ends[i], ends[i + 1], 10)) for i in range(0, 12, 2)])
    plots.image_grid(tasks.in_parts(task.decode, state, ways), run.figure("between"), 10)
    if run.config.latent == 2:
        few = slice(5_000)
        codes = tasks.in_parts(lambda p, e, x: task.encode(p, e, x)[0], state, np.asarray(test["input"][few]))
        plots.latent_map(codes, np.asarray(test["label"][few]), run.figure("plane"), "test images")
        plots.image_grid(tasks.in_parts(task.decode, state, tasks.latent_grid(20)), run.figure("grid"), 20)


def main(config: Config) -> dict[str, Any]:
    """One run per seed."""
    return repeat(config, one)


if __name__ == "__main__":
    launch(main, Config)
