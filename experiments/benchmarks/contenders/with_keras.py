"""Keras 3 on JAX: `fit` over NumPy arrays; for the GAN, the loop of Keras' guide for JAX."""

import os
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
from keras import layers, ops

from contenders.serving import Contender, Turn, count, serve, timed_loop, with_state
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


def mlp() -> keras.Model:
    return keras.Sequential(
        [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(10)]
    )


def cnn5() -> keras.Model:
    return keras.Sequential(
        [
            layers.Conv2D(32, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def cnn3() -> keras.Model:
    return keras.Sequential(
        [
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def text(layer: type[layers.Layer]) -> keras.Model:
    """Returns two recurrent layers over one-hot symbols, and a dense layer for the last step."""
    one_hot = layers.Lambda(lambda tokens: ops.one_hot(tokens, ALPHABET))
    return keras.Sequential(
        [one_hot, layer(HIDDEN, return_sequences=True), layer(HIDDEN), layers.Dense(ALPHABET)]
    )


class VAE(keras.Model):
    """A VAE with the encoder 784-512-256-20 and the mirrored decoder.

    Its loss is the negative evidence lower bound.
    """

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [layers.Dense(WIDE, activation="relu"), layers.Dense(NARROW, activation="relu")]
        )
        self.decoder = keras.Sequential(
            [
                layers.Dense(NARROW, activation="relu"),
                layers.Dense(WIDE, activation="relu"),
                layers.Dense(784),
            ]
        )
        self.mean = layers.Dense(LATENT)
        self.logvar = layers.Dense(LATENT)
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x):
        h = self.encoder(x)
        mean = self.mean(h)
        logvar = self.logvar(h)
        z = mean + ops.exp(0.5 * logvar) * keras.random.normal(ops.shape(mean), seed=self.seeds)
        return self.decoder(z), mean, logvar

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, mean, logvar = y_pred
        nll = ops.sum(ops.binary_crossentropy(x, logits, from_logits=True), -1)
        kl = 0.5 * ops.sum(mean**2 + ops.exp(logvar) - 1 - logvar, -1)
        return ops.mean(nll + kl)


def generator() -> keras.Model:
    """Returns the generator: noise to images."""
    return keras.Sequential(
        [
            keras.Input((NOISE,)),
            layers.Dense(7 * 7 * 128, use_bias=False),
            layers.Reshape((7, 7, 128)),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh"),
        ]
    )


def discriminator() -> keras.Model:
    """Returns the discriminator: images to logits."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(LEAK),
            layers.Conv2D(128, 5, strides=2, padding="same"),
            layers.LeakyReLU(LEAK),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


MODELS = {
    "mlp": mlp,
    "cnn5": cnn5,
    "cnn3": cnn3,
    "lstm": lambda: text(layers.LSTM),
    "gru": lambda: text(layers.GRU),
    "vae": VAE,
}


def build(workload: Workload, examples: int) -> Contender:
    """Returns the contender; raises NotImplementedError for several seeds."""
    if workload.seeds > 1:
        raise NotImplementedError("Keras trains one seed at a time")
    keras.utils.set_random_seed(0)
    if workload.network == "dcgan":
        return build_gan(workload, examples)
    return build_fit(workload, examples)


def build_fit(workload: Workload, examples: int) -> Contender:
    """Returns the contender that calls `fit`."""
    model = MODELS[workload.network]()
    size = workload.batch_size
    arrays = workload.arrays(examples)
    x = arrays["input"]
    y = arrays.get("label")
    if y is None:
        model.compile(keras.optimizers.Adam(LEARNING_RATE))
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, metrics=["accuracy"])
    model(x[:size])  # The first call creates the weights.

    def run(steps: int) -> Turn:
        rows = min(steps, examples // size) * size
        epochs = steps * size // rows
        start = time.perf_counter()
        labels = None if y is None else y[:rows]
        history = model.fit(x[:rows], labels, size, epochs, verbose=0)
        return Turn(rows * epochs, time.perf_counter() - start, history.history["loss"][-1])

    # For two of its three gates, Keras' GRU has two biases that are only added to each other.
    doubled = {"gru": 2 * 2 * HIDDEN}.get(workload.network, 0)
    return Contender(run, count(v.value for v in model.trainable_variables) - doubled)


def build_gan(workload: Workload, examples: int) -> Contender:
    """Returns the contender of the GAN, with one jitted step of stateless calls.

    A step updates the discriminator, and then the generator with new noise.
    """
    d = discriminator()
    g = generator()
    d_adam = keras.optimizers.Adam(LEARNING_RATE)
    g_adam = keras.optimizers.Adam(LEARNING_RATE)
    d_adam.build(d.trainable_variables)
    g_adam.build(g.trainable_variables)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def generate(weights, moving, size, key):
        z = jax.random.normal(key, (size, NOISE))
        return g.stateless_call(weights, moving, z, training=True)

    def discriminate(weights, x):
        return d.stateless_call(weights, [], x)[0]

    def d_loss(weights, fake, real):
        on_real = discriminate(weights, real)
        on_fake = discriminate(weights, fake)
        return entropy(ops.ones_like(on_real), on_real) + entropy(ops.zeros_like(on_fake), on_fake)

    def g_loss(weights, moving, d_weights, size, key):
        fake, moving = generate(weights, moving, size, key)
        logits = discriminate(d_weights, fake)
        return entropy(ops.ones_like(logits), logits), moving

    @jax.jit
    def advance(state, batch):
        dw, d_opt, gw, moving, g_opt, key = state
        real = batch["input"]
        d_key, g_key, key = jax.random.split(key, 3)
        fake, _ = generate(gw, moving, real.shape[0], d_key)
        loss, grads = jax.value_and_grad(d_loss)(dw, fake, real)
        dw, d_opt = d_adam.stateless_apply(d_opt, grads, dw)
        grads, moving = jax.grad(g_loss, has_aux=True)(gw, moving, dw, real.shape[0], g_key)
        gw, g_opt = g_adam.stateless_apply(g_opt, grads, gw)
        return (dw, d_opt, gw, moving, g_opt, key), loss

    groups = (
        d.trainable_variables,
        d_adam.variables,
        g.trainable_variables,
        g.non_trainable_variables,
        g_adam.variables,
    )
    state = [[variable.value for variable in group] for group in groups]
    step = with_state(advance, (*state, jax.random.key(0)))
    params = count(v.value for v in d.trainable_variables + g.trainable_variables)
    batches = jax.device_put(workload.batches(examples))
    return Contender(timed_loop(step, batches, workload.batch_size), params)


if __name__ == "__main__":
    serve({"keras": build})
