"""Flax Linen and Optax the usual way.

Modules, a `TrainState`, a jitted step with donated buffers, and a Python loop over batches.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from contenders.serving import Contender, count, serve, timed_loop, with_state
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

Batch = dict[str, jax.Array]


class MLP(nn.Module):
    """An MLP 784-512-10."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(512)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(x)


class CNN5(nn.Module):
    """A CNN: 5x5x32, pool, 5x5x64, pool, 1024, dropout, 10."""

    @nn.compact
    def __call__(self, x, train):
        for features in (32, 64):
            x = nn.max_pool(nn.relu(nn.Conv(features, (5, 5))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(1024)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))


class CNN3(nn.Module):
    """A CNN: 3x3x32, 3x3x64, pool, dropout, 128, dropout, 10."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Conv(32, (3, 3), padding="VALID")(x))
        x = nn.relu(nn.Conv(64, (3, 3), padding="VALID")(x))
        x = nn.Dropout(0.25, deterministic=not train)(nn.max_pool(x, (2, 2), (2, 2)))
        x = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))


class Text(nn.Module):
    """Two recurrent layers over one-hot symbols; predicts the next symbol from the last step."""

    cell: Callable[[int], nn.RNNCellBase]

    @nn.compact
    def __call__(self, tokens, train):
        x = jax.nn.one_hot(tokens, ALPHABET)
        for _ in range(2):
            x = nn.RNN(self.cell(HIDDEN))(x)
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
    def __call__(self, z):
        h = nn.Dense(7 * 7 * 128, use_bias=False)(z).reshape(-1, 7, 7, 128)
        h = nn.relu(nn.BatchNorm(use_running_average=False, momentum=0.9)(h))
        h = nn.ConvTranspose(64, (5, 5), (2, 2), use_bias=False)(h)
        h = nn.relu(nn.BatchNorm(use_running_average=False, momentum=0.9)(h))
        return jnp.tanh(nn.ConvTranspose(1, (5, 5), (2, 2))(h))


class Discriminator(nn.Module):
    """The discriminator: images to logits."""

    @nn.compact
    def __call__(self, x):
        for features in (64, 128):
            x = nn.leaky_relu(nn.Conv(features, (5, 5), (2, 2))(x), LEAK)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


CLASSIFIERS: dict[str, Callable[[], nn.Module]] = {
    "mlp": MLP,
    "cnn5": CNN5,
    "cnn3": CNN3,
    "lstm": lambda: Text(nn.OptimizedLSTMCell),
    "gru": lambda: Text(nn.GRUCell),
}


def build(workload: Workload, examples: int) -> Contender:
    """Returns the contender, with state and batches on the device."""
    batches = jax.device_put(workload.batches(examples))
    if workload.network == "dcgan":
        state, step = gan(batches[0])
    elif workload.network == "vae":
        state, step = autoencoder(batches[0])
    else:
        state, step = classifier(CLASSIFIERS[workload.network](), batches[0])
    networks = jax.tree.leaves(state, is_leaf=is_state)
    params = count(jax.tree.leaves([network.params for network in networks]))
    compiled = jax.jit(step, donate_argnums=0)

    def advance(state, batch):
        state, metrics = compiled(state, batch)
        return state, metrics["loss"]

    return Contender(timed_loop(with_state(advance, state), batches, workload.batch_size), params)


class GeneratorState(TrainState):
    """A `TrainState` with BatchNorm's running statistics."""

    batch_stats: Any = None


def is_state(node: Any) -> bool:
    """Returns True for the state of one network."""
    return isinstance(node, TrainState)


def classifier(model: nn.Module, batch: Batch) -> tuple[TrainState, Callable]:
    """Returns state and step of a classifier, with cross-entropy and accuracy."""
    key = jax.random.key(0)
    params = model.init(key, batch["input"], train=False)["params"]

    def step(state, batch):
        dropout = jax.random.fold_in(key, state.step)

        def objective(params):
            logits = state.apply_fn(
                {"params": params}, batch["input"], train=True, rngs={"dropout": dropout}
            )
            each = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
            return each.mean(), logits

        (loss, logits), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        accuracy = (logits.argmax(-1) == batch["label"]).mean()
        return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": accuracy}

    return train_state(model, params), step


def autoencoder(batch: Batch) -> tuple[TrainState, Callable]:
    """Returns state and step of the VAE; its loss is the negative evidence lower bound."""
    model = VAE()
    key = jax.random.key(0)

    def step(state, batch):
        noise = jax.random.fold_in(key, state.step)

        def objective(params):
            logits, mean, logvar = state.apply_fn({"params": params}, batch["input"], noise)
            nll = optax.sigmoid_binary_cross_entropy(logits, batch["input"]).sum(-1)
            kl = 0.5 * (mean**2 + jnp.exp(logvar) - 1 - logvar).sum(-1)
            return (nll + kl).mean()

        loss, grads = jax.value_and_grad(objective)(state.params)
        return state.apply_gradients(grads=grads), {"loss": loss}

    return train_state(model, model.init(key, batch["input"], key)["params"]), step


def gan(batch: Batch) -> tuple[tuple[TrainState, GeneratorState], Callable]:
    """Returns states and step of the GAN.

    A step updates the discriminator, and then the generator with new noise.
    """
    generator = Generator()
    discriminator = Discriminator()
    key = jax.random.key(0)
    variables = generator.init(key, jnp.zeros((1, NOISE)))

    def generate(params, state, size, key):
        z = jax.random.normal(key, (size, NOISE))
        variables = {"params": params, "batch_stats": state.batch_stats}
        return state.apply_fn(variables, z, mutable=["batch_stats"])

    def step(states, batch):
        d, g = states
        real = batch["input"]
        size = batch["input"].shape[0]
        d_key, g_key = jax.random.split(jax.random.fold_in(key, d.step))

        def d_loss(params):
            fake, _ = generate(g.params, g, size, d_key)
            on_real, on_fake = (d.apply_fn({"params": params}, x) for x in (real, fake))
            return (nn.softplus(-on_real) + nn.softplus(on_fake)).mean()

        loss, grads = jax.value_and_grad(d_loss)(d.params)
        d = d.apply_gradients(grads=grads)

        def g_loss(params):
            fake, updated = generate(params, g, size, g_key)
            loss = nn.softplus(-d.apply_fn({"params": d.params}, fake)).mean()
            return loss, updated["batch_stats"]

        grads, batch_stats = jax.grad(g_loss, has_aux=True)(g.params)
        return (d, g.apply_gradients(grads=grads, batch_stats=batch_stats)), {"loss": loss}

    d_state = train_state(discriminator, discriminator.init(key, batch["input"])["params"])
    g_state = GeneratorState.create(
        apply_fn=generator.apply,
        params=variables["params"],
        tx=optax.adam(LEARNING_RATE),
        batch_stats=variables["batch_stats"],
    )
    return (d_state, g_state), step


def train_state(model: nn.Module, params: Any) -> TrainState:
    """Returns a `TrainState` with Adam."""
    return TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(LEARNING_RATE))


if __name__ == "__main__":
    serve({"linen": build})
