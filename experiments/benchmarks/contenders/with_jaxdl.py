"""jaxdl as a user runs it: a learner, and `jaxdl.train` with a set that is resident on the device.

The contenders:

    jaxdl      `jaxdl.train`; one key per seed
    sharded    the same with the strategy "sharded"
    streamed   the same with data prefetched from the host, as for a set larger than the device
    undivided  the same on one device, where the others divide a CPU's cores
    alone      the same with one seed, where the others train several
    step       the learner's step, jitted, in a Python loop over batches cut in advance
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
from contenders.serving import LAST, Contender, Turn, cores, count, serve, timed_loop, with_state
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

#: The most steps between two records of metrics: the default of `jaxdl.train`.
LOG = 100


class Text(nn.Module):
    """Two recurrent layers over one-hot symbols; predicts the next symbol from the last step."""

    layer: Callable[[int], nn.Module]

    @nn.compact
    def __call__(self, tokens, train):
        x = jax.nn.one_hot(tokens, ALPHABET)
        for _ in range(2):
            x, _ = self.layer(HIDDEN)(x)
        return nn.Dense(ALPHABET)(x[:, -1])


class VAE(nn.Module):
    """A VAE with the encoder 784-512-256-20 and the mirrored decoder."""

    @nn.compact
    def __call__(self, x, key):
        h = nn.relu(nn.Dense(NARROW)(nn.relu(nn.Dense(WIDE)(x))))
        mean = nn.Dense(LATENT)(h)
        logvar = nn.Dense(LATENT)(h)
        z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
        h = nn.relu(nn.Dense(WIDE)(nn.relu(nn.Dense(NARROW)(z))))
        return nn.Dense(784)(h), mean, logvar


class Generator(nn.Module):
    """The generator: noise to images."""

    @nn.compact
    def __call__(self, z, train):
        h = nn.Dense(7 * 7 * 128, use_bias=False)(z).reshape(-1, 7, 7, 128)
        h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        h = jaxdl.nn.ConvTranspose(64, (5, 5), (2, 2), use_bias=False)(h)
        h = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(h))
        return jnp.tanh(jaxdl.nn.ConvTranspose(1, (5, 5), (2, 2))(h))


class Discriminator(nn.Module):
    """The discriminator: images to logits."""

    @nn.compact
    def __call__(self, x):
        for features in (64, 128):
            x = nn.leaky_relu(jaxdl.nn.Conv(features, (5, 5), (2, 2))(x), LEAK)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def classifier(model: nn.Module) -> jaxdl.Learner:
    """Returns the learner of a classifier, as in the README."""
    task = jaxdl.tasks.classify(model)
    return jaxdl.learner(task.init, *task.updates(optax.adam(LEARNING_RATE)))


def autoencoder() -> jaxdl.Learner:
    """Returns the learner of the VAE; its loss is the negative evidence lower bound."""
    model = VAE()

    def init(key, batch):
        return model.init(key, batch["input"], key)["params"], {}

    def loss(params, extra, batch, key, *, train):
        logits, mu, logvar = model.apply({"params": params}, batch["input"], key)
        nll = jax.vmap(losses.binary_cross_entropy)(logits, batch["input"])
        kl = jax.vmap(losses.gaussian_kl)(mu, logvar)
        metrics = {"loss": total(nll + kl, batch.get("mask"))}
        return metrics["loss"], (extra, metrics)

    return jaxdl.learner(init, jaxdl.Update(loss, optax.adam(LEARNING_RATE)))


def gan() -> jaxdl.Learner:
    """Returns the learner of the GAN.

    A step updates the discriminator, and then the generator with new noise.
    """
    generator = Generator()
    discriminator = Discriminator()

    def init(key, batch):
        g_variables = generator.init(key, jnp.zeros((1, NOISE)), train=True)
        d_variables = discriminator.init(jax.random.fold_in(key, 1), batch["input"])
        params = {"generator": g_variables["params"], "discriminator": d_variables["params"]}
        return params, {"batch_stats": g_variables["batch_stats"]}

    def generate(params, extra, batch, key, train):
        z = jax.random.normal(key, (batch["input"].shape[0], NOISE))
        variables = {"params": params["generator"], **extra}
        mutable = []
        if train:
            mutable = ["batch_stats"]
        return generator.apply(variables, z, train=train, mutable=mutable)

    def discriminate(params, x):
        return discriminator.apply({"params": params["discriminator"]}, x)

    def discriminator_loss(params, extra, batch, key, *, train):
        # The running statistics are updated in the generator's update only.
        fake, _ = generate(params, extra, batch, key, train)
        on_real = nn.softplus(-discriminate(params, batch["input"]))
        on_fake = nn.softplus(discriminate(params, fake))
        each = on_real + on_fake
        metrics = {"loss": total(each, batch.get("mask"))}
        return metrics["loss"], (extra, metrics)

    def generator_loss(params, extra, batch, key, *, train):
        fake, updated = generate(params, extra, batch, key, train)
        each = nn.softplus(-discriminate(params, fake))
        metrics = {"generator_loss": total(each, batch.get("mask"))}
        return metrics["generator_loss"], ({**extra, **updated}, metrics)

    adam = optax.adam(LEARNING_RATE)
    return jaxdl.learner(
        init,
        jaxdl.Update(discriminator_loss, adam, "discriminator"),
        jaxdl.Update(generator_loss, adam, "generator"),
    )


LEARNERS: dict[str, Callable[[], jaxdl.Learner]] = {
    "mlp": lambda: classifier(jaxdl.models.softmax_mlp()),
    "cnn5": lambda: classifier(jaxdl.models.lecture_cnn_5x5()),
    "cnn3": lambda: classifier(jaxdl.models.lecture_cnn_3x3()),
    "lstm": lambda: classifier(Text(jaxdl.nn.LSTM)),
    "gru": lambda: classifier(Text(jaxdl.nn.GRU)),
    "vae": autoencoder,
    "dcgan": gan,
}


def build_train(workload: Workload, examples: int, strategy: str) -> Contender:
    """Returns the contender that calls `jaxdl.train`, with one seed or several.

    With several seeds, or several CPU devices, the strategy is "auto" instead of `strategy`.
    """
    net = LEARNERS[workload.network]()
    data = jaxdl.data.Dataset(workload.arrays(examples), "random")
    several = workload.seeds > 1
    devices = cpu_devices(workload)
    if jax.config.jax_num_cpu_devices < 1:
        jax.config.update("jax_num_cpu_devices", devices)
    key = jaxdl.root(0)
    if several:
        key = jaxdl.root(range(workload.seeds))
    if several or (devices > 1 and jax.default_backend() == "cpu"):
        strategy = "auto"
    run = partial(time_run, net, data, key, workload.batch_size, jaxdl.strategy(strategy))
    return Contender(run, parameters(net, workload))


def build_streamed(workload: Workload, examples: int) -> Contender:
    """Returns the contender that treats the set as too large for the device."""
    order.RESIDENT_BYTES = 0
    return build_train(workload, examples, "single")


def build_undivided(workload: Workload, examples: int) -> Contender:
    """Returns the contender on one device, as without `--cpu-devices`."""
    jax.config.update("jax_num_cpu_devices", 1)
    return build_train(workload, examples, "single")


def build_alone(workload: Workload, examples: int) -> Contender:
    """Returns the contender with one seed."""
    return build_train(workload._replace(seeds=1), examples, "single")


def cpu_devices(workload: Workload) -> int:
    """Returns the number of CPU devices, at most one per core, as `--seeds` and `--cpu-devices` do.

    Each device has some of the seeds, or a part of the batch of a recurrent network.
    """
    divided = {"mlp": workload.seeds, "lstm": workload.batch_size, "gru": workload.batch_size}
    return math.gcd(divided.get(workload.network, 1), cores())


def time_run(
    net: jaxdl.Learner,
    data: jaxdl.data.Dataset,
    key: jax.Array,
    size: int,
    strategy: Any,
    steps: int,
) -> Turn:
    """Trains from the start and measures the time after the first record of metrics.

    The time before it includes the compilation.
    """
    # The members of an ensemble take turns between two records, each with its whole state. No real
    # run would have a record at every step.
    least = 1
    if key.size > 1:
        least = 10
    log = min(LOG, max(least, steps // 5))
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
    first_step, start, _ = clock.seen[0]
    last_step, end, _ = clock.seen[-1]
    recent = [loss for step, _, loss in clock.seen if step > last_step - LAST]
    examples = (last_step - first_step) * size * key.size
    return Turn(examples, end - start, sum(recent) / len(recent))


class Clock:
    """A writer that records the time and the loss of each training record."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records the step, the time and the loss."""
        if "train/loss" in metrics:
            self.seen.append((step, time.perf_counter(), metrics["train/loss"]))

    def close(self) -> None:
        """Completes the interface of writers; there is nothing to close."""


def build_step(workload: Workload, examples: int) -> Contender:
    """Returns the contender that calls only the learner's step."""
    net = LEARNERS[workload.network]()
    batches = jax.device_put(workload.batches(examples))
    key = jaxdl.stream(jaxdl.root(0), "train")

    @partial(jax.jit, donate_argnums=0)
    def advance(state, batch):
        state, metrics = net.step(state, batch, key)
        return state, (mean(metrics["loss"]), metrics)

    step = with_state(advance, jax.jit(net.init)(key, batches[0]))
    return Contender(
        timed_loop(lambda batch: step(batch)[0], batches, workload.batch_size),
        parameters(net, workload),
    )


def parameters(net: jaxdl.Learner, workload: Workload) -> int:
    """Returns the number of parameters of one seed."""
    state = jax.eval_shape(net.init, jaxdl.root(0), workload.batches(workload.batch_size)[0])
    return count(jax.tree.leaves(state.params))


if __name__ == "__main__":
    serve(
        {
            "jaxdl": partial(build_train, strategy="single"),
            "sharded": partial(build_train, strategy="sharded"),
            "streamed": build_streamed,
            "undivided": build_undivided,
            "alone": build_alone,
            "step": build_step,
        }
    )
