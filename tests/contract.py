"""The table of every kind of learner, tiny: each law of `test_contract.py` is checked on every row."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl import losses, models, nn
from jaxdl.core import Learner, Update
from jaxdl.data.dataset import Dataset
from jaxdl.metrics import mean, total

SIZE, BATCH = 22, 8  # two steps an epoch; the last evaluation batch holds 6


class Row(NamedTuple):
    """One kind of learner.

    Attributes:
      updates: `updates(optimizer) -> tuple of Update`.
      init: the task's init.
      data: a few random examples.
      exact_pmap: whether mapping the step means the same as one device (nothing looks at the whole batch).
    """

    updates: Callable[[optax.GradientTransformation], tuple[Update, ...]]
    init: Callable
    data: Dataset
    exact_pmap: bool = False

    def learner(self, optimizer: optax.GradientTransformation) -> Learner:
        return jaxdl.learner(self.init, *self.updates(optimizer))


def random_set(seed: int, **fields: np.ndarray) -> Dataset:
    return Dataset(fields, f"random {seed}")


def classifier(model: linen.Module, shape: tuple[int, ...], exact_pmap: bool = False) -> Row:
    rng = np.random.default_rng(1)
    data = random_set(
        1,
        input=rng.normal(size=(SIZE, *shape)).astype(np.float32),
        label=rng.integers(0, 3, SIZE).astype(np.int32),
    )
    task = jaxdl.tasks.classify(model)
    return Row(lambda optimizer: (Update(task.loss, optimizer),), task.init, data, exact_pmap=exact_pmap)


def language(carried: bool) -> Row:
    """Random tokens in windows that follow each other; some of the windows shorter."""
    rng = np.random.default_rng(2)
    net = models.SequenceNet(models.OneHot(5), nn.RNN("gru" if carried else "lstm", 8, 2 if carried else 1), 5)
    tokens = rng.integers(0, 5, SIZE * 7 + 1).astype(np.int32)
    fields = {"input": tokens[:-1].reshape(SIZE, 7), "label": tokens[1:].reshape(SIZE, 7)}
    if not carried:
        fields["length"] = rng.integers(1, 8, SIZE).astype(np.int32)
    task = jaxdl.tasks.language(net, carried=carried)
    data = Dataset(fields, "random 2", contiguous=carried)
    return Row(lambda optimizer: (Update(task.loss, optimizer),), task.init, data, exact_pmap=carried)


def sequence_classifier(body: linen.Module, pool: str | None) -> Row:
    """Ids of different lengths to one of two classes, by a sigmoid."""
    rng = np.random.default_rng(5)
    data = random_set(
        5,
        input=rng.integers(1, 6, (SIZE, 7)).astype(np.int32),
        length=rng.integers(1, 8, SIZE).astype(np.int32),
        label=rng.integers(0, 2, SIZE).astype(np.int32),
    )
    task = jaxdl.tasks.classify(models.SequenceNet(nn.Embedding(6, 4), body, 1, pool))
    return Row(lambda optimizer: (Update(task.loss, optimizer),), task.init, data, exact_pmap=True)


def sequence_regression() -> Row:
    rng = np.random.default_rng(6)
    data = random_set(
        6,
        input=rng.normal(size=(SIZE, 7, 2)).astype(np.float32),
        target=rng.normal(size=(SIZE, 1)).astype(np.float32),
    )
    task = jaxdl.tasks.regress(models.SequenceNet(None, models.TCN((4,), 2), 1, "last"))
    return Row(lambda optimizer: (Update(task.loss, optimizer),), task.init, data, exact_pmap=True)


class VAE(linen.Module):
    """Encoder and decoder of one hidden layer each."""

    @linen.compact
    def __call__(self, x, key):
        h = linen.tanh(linen.Dense(8)(x))
        mu, logvar = linen.Dense(2)(h), linen.Dense(2)(h)
        z = mu + jnp.exp(0.5 * logvar) * jax.random.normal(key, mu.shape)
        return linen.Dense(x.shape[-1])(linen.tanh(linen.Dense(8)(z))), mu, logvar


def vae() -> Row:
    rng, model = np.random.default_rng(3), VAE()
    data = random_set(3, input=rng.integers(0, 2, (SIZE, 6)).astype(np.float32))

    def init(key, batch):
        return model.init(key, batch["input"], key)["params"], {}

    def loss(params, extra, batch, key, *, train):
        logits, mu, logvar = model.apply({"params": params}, batch["input"], key)
        nll = optax.sigmoid_binary_cross_entropy(logits, batch["input"]).sum(-1)
        metrics = {"loss": total(nll + jax.vmap(losses.gaussian_kl)(mu, logvar), batch.get("mask"))}
        return mean(metrics["loss"]), (extra, metrics)

    return Row(lambda optimizer: (Update(loss, optimizer),), init, data)


class Generator(linen.Module):
    @linen.compact
    def __call__(self, z, train):
        h = linen.BatchNorm(use_running_average=not train)(linen.Dense(8, use_bias=False)(z))
        return linen.Dense(2)(linen.relu(h))


class Discriminator(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(linen.leaky_relu(linen.Dense(8)(x)))[..., 0]


def gan() -> Row:
    rng, generator, discriminator = np.random.default_rng(4), Generator(), Discriminator()
    data = random_set(4, input=rng.normal(2.0, 0.5, size=(SIZE, 2)).astype(np.float32))

    def init(key, batch):
        made = generator.init(key, jnp.zeros((1, 3)), train=False)
        judge = discriminator.init(jax.random.fold_in(key, 1), batch["input"])["params"]
        return {"generator": made["params"], "discriminator": judge}, {"batch_stats": made["batch_stats"]}

    def fakes(params, extra, batch, key, train):
        z = jax.random.normal(key, (batch["input"].shape[0], 3))
        variables = {"params": params["generator"], **extra}
        return generator.apply(variables, z, train=train, mutable=["batch_stats"] if train else [])

    def discriminator_loss(params, extra, batch, key, *, train):
        fake, _ = fakes(params, extra, batch, key, train)  # the generator's update moves its statistics
        real = discriminator.apply({"params": params["discriminator"]}, batch["input"])
        fake = discriminator.apply({"params": params["discriminator"]}, fake)
        metrics = {"discriminator_loss": total(linen.softplus(-real) + linen.softplus(fake), batch.get("mask"))}
        return mean(metrics["discriminator_loss"]), (extra, metrics)

    def generator_loss(params, extra, batch, key, *, train):
        fake, moved = fakes(params, extra, batch, key, train)
        score = discriminator.apply({"params": params["discriminator"]}, fake)
        metrics = {"generator_loss": total(linen.softplus(-score), batch.get("mask"))}
        return mean(metrics["generator_loss"]), ({**extra, **moved}, metrics)

    def updates(optimizer):
        return (
            Update(discriminator_loss, optimizer, on="discriminator", times=2),
            Update(generator_loss, optimizer, on="generator"),
        )

    return Row(updates, init, data)


ROWS: dict[str, Callable[[], Row]] = {
    "mlp": lambda: classifier(jaxdl.models.MLP((6,), 3), (5,), exact_pmap=True),
    "mlp_dropout": lambda: classifier(jaxdl.models.MLP((6,), 3, dropout=0.3), (5,)),
    "cnn_batchnorm": lambda: classifier(
        jaxdl.models.CNN((jaxdl.models.Stage(4, 3, pool="max"),), (), 3, norm="batch"), (6, 6, 1)
    ),
    "lstm_language": lambda: language(carried=False),
    "gru_language_carried": lambda: language(carried=True),
    "birnn_classifier": lambda: sequence_classifier(nn.RNN("simple", 4, bidirectional=True), "mean"),
    "conv1d_classifier": lambda: sequence_classifier(models.Conv1DStack((4,), 3), "max"),
    "tcn_regression": sequence_regression,
    "vae": vae,
    "gan": gan,
}
