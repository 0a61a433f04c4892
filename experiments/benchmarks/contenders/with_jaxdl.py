"""jaxdl as a user gets it: a learner, and `jaxdl.train` over a set that lies on the device.

jaxdl     `jaxdl.train`; several seeds by several keys
sharded   the same by the strategy "sharded"
streamed  the same with data read ahead from the host, as those that do not fit onto the device are
undivided the same on one device, where the others divide a CPU's cores
alone     the same, one seed where the others train several
step      the learner's step, jitted, in a Python loop over batches that are cut already
"""

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import jaxdl
from contenders.serving import LAST, Contender, Turn, cores, count, looped, serve, with_state
from contenders.workloads import (
    ALPHABET,
    HIDDEN,
    LATENT,
    LEAK,
    LEARNING_RATE,
    NARROW,
    NOISE,
    WIDE,
    Workload,
)
from jaxdl import losses
from jaxdl.data import order
from jaxdl.metrics import mean, total

#: Most steps between two lines of metrics: the default of `jaxdl.train`.
LOG = 100


class Text(nn.Module):
    """Two recurrent layers over one-hot symbols, and the next symbol from the last step."""

    layer: Callable[[int], nn.Module]

    @nn.compact
    def __call__(self, tokens, train):
        x = jax.nn.one_hot(tokens, ALPHABET)
        for _ in range(2):
            x, _ = self.layer(HIDDEN)(x)
        return nn.Dense(ALPHABET)(x[:, -1])


class VAE(nn.Module):
    """784-512-256-20 and back."""

    @nn.compact
    def __call__(self, x, key):
        h = nn.relu(nn.Dense(NARROW)(nn.relu(nn.Dense(WIDE)(x))))
        mean = nn.Dense(LATENT)(h)
        logvar = nn.Dense(LATENT)(h)
        z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
        h = nn.relu(nn.Dense(WIDE)(nn.relu(nn.Dense(NARROW)(z))))
        return nn.Dense(784)(h), mean, logvar


class Generator(nn.Module):
    """Noise to images."""

    @nn.compact
    def __call__(self, z, train):
        h = nn.Dense(7 * 7 * 128, use_bias=False)(z).reshape(-1, 7, 7, 128)
        h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        h = jaxdl.nn.ConvTranspose(64, (5, 5), (2, 2), use_bias=False)(h)
        h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        return jnp.tanh(jaxdl.nn.ConvTranspose(1, (5, 5), (2, 2))(h))


class Discriminator(nn.Module):
    """Images to logits."""

    @nn.compact
    def __call__(self, x):
        for features in (64, 128):
            x = nn.leaky_relu(jaxdl.nn.Conv(features, (5, 5), (2, 2))(x), LEAK)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def classifier(model: nn.Module) -> jaxdl.Learner:
    """As in the README."""
    task = jaxdl.tasks.classify(model)
    return jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(LEARNING_RATE)))


def autoencoder() -> jaxdl.Learner:
    """Minus the evidence lower bound."""
    model = VAE()

    def init(key, batch):
        return model.init(key, batch["input"], key)["params"], {}

    def loss(params, extra, batch, key, *, train):
        logits, mu, logvar = model.apply({"params": params}, batch["input"], key)
        nll = jax.vmap(losses.binary_cross_entropy)(logits, batch["input"])
        metrics = {"loss": total(nll + jax.vmap(losses.gaussian_kl)(mu, logvar), batch.get("mask"))}
        return mean(metrics["loss"]), (extra, metrics)

    return jaxdl.learner(init, jaxdl.Update(loss, optax.adam(LEARNING_RATE)))


def gan() -> jaxdl.Learner:
    """The discriminator's update, then the generator's with new noise."""
    generator = Generator()
    discriminator = Discriminator()

    def init(key, batch):
        made = generator.init(key, jnp.zeros((1, NOISE)), train=True)
        judge = discriminator.init(jax.random.fold_in(key, 1), batch["input"])["params"]
        return {"generator": made["params"], "discriminator": judge}, {
            "batch_stats": made["batch_stats"]
        }

    def fakes(params, extra, batch, key, train):
        z = jax.random.normal(key, (batch["input"].shape[0], NOISE))
        variables = {"params": params["generator"], **extra}
        return generator.apply(variables, z, train=train, mutable=["batch_stats"] if train else [])

    def judged(params, x):
        return discriminator.apply({"params": params["discriminator"]}, x)

    def discriminator_loss(params, extra, batch, key, *, train):
        fake, _ = fakes(
            params, extra, batch, key, train
        )  # the generator's update moves its statistics
        each = nn.softplus(-judged(params, batch["input"])) + nn.softplus(judged(params, fake))
        metrics = {"loss": total(each, batch.get("mask"))}
        return mean(metrics["loss"]), (extra, metrics)

    def generator_loss(params, extra, batch, key, *, train):
        fake, moved = fakes(params, extra, batch, key, train)
        metrics = {"generator_loss": total(nn.softplus(-judged(params, fake)), batch.get("mask"))}
        return mean(metrics["generator_loss"]), ({**extra, **moved}, metrics)

    adam = optax.adam(LEARNING_RATE)
    one = (discriminator_loss, "discriminator")
    two = (generator_loss, "generator")
    return jaxdl.learner(init, *(jaxdl.Update(loss, adam, on) for loss, on in (one, two)))


LEARNERS: dict[str, Callable[[], jaxdl.Learner]] = {
    "mlp": lambda: classifier(jaxdl.models.softmax_mlp()),
    "cnn5": lambda: classifier(jaxdl.models.lecture_cnn_5x5()),
    "cnn3": lambda: classifier(jaxdl.models.lecture_cnn_3x3()),
    "lstm": lambda: classifier(Text(jaxdl.nn.LSTM)),
    "gru": lambda: classifier(Text(jaxdl.nn.GRU)),
    "vae": autoencoder,
    "dcgan": gan,
}


def trained(workload: Workload, examples: int, strategy: str) -> Contender:
    """Through `jaxdl.train`, one seed or several."""
    net = LEARNERS[workload.network]()
    data = jaxdl.data.Dataset(workload.arrays(examples), "random")
    several = workload.seeds > 1
    devices = cpu_devices(workload)
    if jax.config.jax_num_cpu_devices < 1:
        jax.config.update("jax_num_cpu_devices", devices)
    key = jaxdl.root(range(workload.seeds)) if several else jaxdl.root(0)
    where = jaxdl.strategy(
        "auto" if several or (devices > 1 and jax.default_backend() == "cpu") else strategy
    )
    run = partial(timed, net, data, key, workload.batch_size, where)
    return Contender(run, parameters(net, workload))


def streamed(workload: Workload, examples: int) -> Contender:
    """As if the set were too large for the device."""
    order.RESIDENT_BYTES = 0
    return trained(workload, examples, "single")


def undivided(workload: Workload, examples: int) -> Contender:
    """One device, as without `--cpu-devices`."""
    jax.config.update("jax_num_cpu_devices", 1)
    return trained(workload, examples, "single")


def cpu_devices(workload: Workload) -> int:
    """As `--seeds` and `--cpu-devices` make them: a seed, or a part of the batch of a recurrent network, per core."""
    divided = {"mlp": workload.seeds, "lstm": workload.batch_size, "gru": workload.batch_size}
    return math.gcd(divided.get(workload.network, 1), cores())


def timed(
    net: jaxdl.Learner,
    data: jaxdl.data.Dataset,
    key: jax.Array,
    size: int,
    strategy: Any,
    steps: int,
) -> Turn:
    """A run from the start; its first lines of metrics, which hold whatever it takes to begin, do not count."""
    # Ensemble take turns between two lines, each with its whole state: at every step would be nobody's run.
    log = min(LOG, max(10 if key.size > 1 else 1, steps // 5))
    clock = Clock()
    steps = (-(-steps // log) + 1) * log
    jaxdl.train(
        net,
        data,
        key=key,
        steps=steps,
        batch_size=size,
        log_every=log,
        strategy=strategy,
        writers=[clock],
    )
    (first, began, _), (last, ended, _) = clock.seen[0], clock.seen[-1]
    recent = [loss for step, _, loss in clock.seen if step > last - LAST]
    return Turn((last - first) * size * key.size, ended - began, sum(recent) / len(recent))


class Clock:
    """A writer that notes when each line of metrics came, and its loss."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes the time."""
        if "train/loss" in metrics:
            self.seen.append((step, time.perf_counter(), metrics["train/loss"]))

    def close(self) -> None:
        """Nothing to end."""


def stepped(workload: Workload, examples: int) -> Contender:
    """The step alone."""
    net = LEARNERS[workload.network]()
    batches = jax.device_put(workload.batches(examples))
    key = jaxdl.stream(jaxdl.root(0), "train")

    @partial(jax.jit, donate_argnums=0)
    def advance(state, batch):
        state, metrics = net.step(state, batch, key)
        return state, (mean(metrics["loss"]), metrics)

    step = with_state(advance, jax.jit(net.init)(key, batches[0]))
    return Contender(
        looped(lambda batch: step(batch)[0], batches, workload.batch_size),
        parameters(net, workload),
    )


def parameters(net: jaxdl.Learner, workload: Workload) -> int:
    """Of one seed."""
    state = jax.eval_shape(net.init, jaxdl.root(0), workload.batches(workload.batch_size)[0])
    return count(jax.tree.leaves(state.params))


if __name__ == "__main__":
    serve(
        {
            "jaxdl": partial(trained, strategy="single"),
            "sharded": partial(trained, strategy="sharded"),
            "streamed": streamed,
            "undivided": undivided,
            "alone": lambda workload, examples: trained(
                workload._replace(seeds=1), examples, "single"
            ),
            "step": stepped,
        }
    )
