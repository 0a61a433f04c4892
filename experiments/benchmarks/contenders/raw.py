"""JAX by hand, without a framework.

A dictionary of arrays, a jitted step with donated buffers, and Adam as published.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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

Params = dict[str, jax.Array]
Batch = dict[str, jax.Array]
Shapes = dict[str, tuple[int, ...]]


class Network(NamedTuple):
    """Shapes of the parameters, and the loss: `loss(params, batch, key) -> scalar`."""

    shapes: Shapes
    loss: Callable[[Params, Batch, jax.Array], jax.Array]


def mlp(p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    h = jax.nn.relu(batch["input"].reshape(-1, 784) @ p["w1"] + p["b1"])
    return cross_entropy(h @ p["w2"] + p["b2"], batch["label"])


def cnn5(p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    h = pool(jax.nn.relu(conv(batch["input"], p["w1"], "SAME") + p["b1"]))
    h = pool(jax.nn.relu(conv(h, p["w2"], "SAME") + p["b2"]))
    h = jax.nn.relu(h.reshape(h.shape[0], -1) @ p["w3"] + p["b3"])
    return cross_entropy(dropout(key, 0.5, h) @ p["w4"] + p["b4"], batch["label"])


def cnn3(p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    first_key, second_key = jax.random.split(key)
    h = jax.nn.relu(conv(batch["input"], p["w1"], "VALID") + p["b1"])
    h = dropout(first_key, 0.25, pool(jax.nn.relu(conv(h, p["w2"], "VALID") + p["b2"])))
    h = jax.nn.relu(h.reshape(h.shape[0], -1) @ p["w3"] + p["b3"])
    return cross_entropy(dropout(second_key, 0.5, h) @ p["w4"] + p["b4"], batch["label"])


def recurrent(cell: Callable, p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    """Computes the loss of two recurrent layers, time first.

    The products with the inputs are computed for all steps at once.
    """
    x = jax.nn.one_hot(batch["input"].T, ALPHABET)
    start = jnp.zeros((x.shape[1], HIDDEN))
    for n in "12":
        step = partial(cell, {name[:-1]: array for name, array in p.items() if name[-1] == n})
        x = lax.scan(step, (start, start), x @ p[f"wx{n}"] + p[f"bx{n}"])[1]
    return cross_entropy(x[-1] @ p["w"] + p["b"], batch["label"])


def lstm_cell(p: Params, carry: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
    c, h = carry
    i, f, g, o = jnp.split(x + h @ p["wh"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (c, h), h


def gru_cell(p: Params, carry: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
    _, h = carry
    xr, xz, xn = jnp.split(x, 3, -1)
    hr, hz, hn = jnp.split(h @ p["wh"], 3, -1)
    r = jax.nn.sigmoid(xr + hr)
    z = jax.nn.sigmoid(xz + hz)
    h = (1 - z) * jnp.tanh(xn + r * (hn + p["bn"])) + z * h
    return (h, h), h


def vae(p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    """Computes the negative evidence lower bound."""
    x = batch["input"]
    h = jax.nn.relu(jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])
    mean, logvar = jnp.split(h @ p["w3"] + p["b3"], 2, -1)
    z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    h = jax.nn.relu(jax.nn.relu(z @ p["w4"] + p["b4"]) @ p["w5"] + p["b5"])
    logits = h @ p["w6"] + p["b6"]
    kl = 0.5 * (mean**2 + jnp.exp(logvar) - 1 - logvar).sum()
    return ((jax.nn.softplus(logits) - x * logits).sum() + kl) / x.shape[0]


def generate(g: Params, size: int, key: jax.Array) -> jax.Array:
    """Returns images generated from noise."""
    h = jax.random.normal(key, (size, NOISE)) @ g["w1"]
    h = jax.nn.relu(batch_norm(h.reshape(size, 7, 7, 128), g["scale1"], g["shift1"]))
    h = jax.nn.relu(batch_norm(conv_transpose(h, g["w2"]), g["scale2"], g["shift2"]))
    return jnp.tanh(conv_transpose(h, g["w3"]) + g["b3"])


def discriminate(d: Params, x: jax.Array) -> jax.Array:
    """Returns the discriminator's logits, one per image."""
    for n in "12":
        x = jax.nn.leaky_relu(conv(x, d[f"w{n}"], "SAME", 2) + d[f"b{n}"], LEAK)
    return (x.reshape(x.shape[0], -1) @ d["w3"] + d["b3"])[:, 0]


def shapes(*weights: tuple[int, ...]) -> Shapes:
    """Returns the shapes `w1`, `b1`, `w2`, ... of consecutive layers."""
    layers = list(enumerate(weights, 1))
    return {f"w{i}": shape for i, shape in layers} | {f"b{i}": shape[-1:] for i, shape in layers}


def text_shapes(gates: int) -> Shapes:
    """Returns the shapes of two recurrent layers and the output layer."""
    layers = {}
    for n, inputs in (("1", ALPHABET), ("2", HIDDEN)):
        layers |= {
            f"wx{n}": (inputs, gates * HIDDEN),
            f"bx{n}": (gates * HIDDEN,),
            f"wh{n}": (HIDDEN, gates * HIDDEN),
        }
        if gates == 3:
            layers[f"bn{n}"] = (HIDDEN,)
    return layers | {"w": (HIDDEN, ALPHABET), "b": (ALPHABET,)}


GENERATOR = {"w1": (NOISE, 7 * 7 * 128), "scale1": (128,), "shift1": (128,), "w2": (5, 5, 128, 64)}
GENERATOR |= {"scale2": (64,), "shift2": (64,), "w3": (5, 5, 64, 1), "b3": (1,)}
DISCRIMINATOR = shapes((5, 5, 1, 64), (5, 5, 64, 128), (7 * 7 * 128, 1))

NETWORKS = {
    "mlp": Network(shapes((784, 512), (512, 10)), mlp),
    "cnn5": Network(shapes((5, 5, 1, 32), (5, 5, 32, 64), (7 * 7 * 64, 1024), (1024, 10)), cnn5),
    "cnn3": Network(shapes((3, 3, 1, 32), (3, 3, 32, 64), (12 * 12 * 64, 128), (128, 10)), cnn3),
    "lstm": Network(text_shapes(4), partial(recurrent, lstm_cell)),
    "gru": Network(text_shapes(3), partial(recurrent, gru_cell)),
    "vae": Network(
        shapes(
            (784, WIDE),
            (WIDE, NARROW),
            (NARROW, 2 * LATENT),
            (LATENT, NARROW),
            (NARROW, WIDE),
            (WIDE, 784),
        ),
        vae,
    ),
}


def build(workload: Workload, examples: int) -> Contender:
    """Returns the contender: a Python loop over batches on the device."""
    if workload.network == "dcgan":
        state, step = gan()
    else:
        state, step = supervised(NETWORKS[workload.network])
    params = count(jax.tree.leaves([params for params, *_ in state]))
    batches = jax.device_put(workload.batches(examples))
    stateful = with_state(jax.jit(step, donate_argnums=0), state)
    return Contender(timed_loop(stateful, batches, workload.batch_size), params)


def supervised(network: Network) -> tuple[tuple, Callable]:
    """Returns state and step of a network with one loss; the state is a tuple of one network."""

    def step(state: tuple, batch: Batch) -> tuple[tuple, jax.Array]:
        (net,) = state
        key = jax.random.fold_in(jax.random.key(1), net[3])
        loss, grads = jax.value_and_grad(network.loss)(net[0], batch, key)
        return (adam(net, grads),), loss

    return (initialize(network.shapes),), step


def gan() -> tuple[tuple, Callable]:
    """Returns state and step of the GAN; the state is a tuple of two networks.

    A step updates the discriminator, and then the generator with new noise.
    """

    def d_loss(d: Params, fakes: jax.Array, real: jax.Array) -> jax.Array:
        on_real, on_fake = jnp.split(discriminate(d, jnp.concatenate([real, fakes])), 2)
        return (jax.nn.softplus(-on_real) + jax.nn.softplus(on_fake)).mean()

    def g_loss(g: Params, d: Params, size: int, key: jax.Array) -> jax.Array:
        return jax.nn.softplus(-discriminate(d, generate(g, size, key))).mean()

    def step(state: tuple, batch: Batch) -> tuple[tuple, jax.Array]:
        d, g = state
        d_key, g_key = jax.random.split(jax.random.fold_in(jax.random.key(1), d[3]))
        real = batch["input"]
        fakes = generate(g[0], real.shape[0], d_key)
        loss, grads = jax.value_and_grad(d_loss)(d[0], fakes, real)
        d = adam(d, grads)
        grads = jax.grad(g_loss)(g[0], d[0], real.shape[0], g_key)
        return (d, adam(g, grads)), loss

    return (initialize(DISCRIMINATOR), initialize(GENERATOR)), step


def initialize(shapes: Shapes) -> tuple:
    """Returns the initial parameters, Adam's two moments and the number of steps.

    Weights have Glorot's initializer, biases are zero and scales one.
    """
    rng = np.random.default_rng(2)

    def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 1:
            return np.full(shape, name.startswith("scale"), np.float32)
        window = math.prod(shape[:-2])
        return rng.normal(0, math.sqrt(2 / window / sum(shape[-2:])), shape).astype(np.float32)

    params = {name: jnp.asarray(values(name, shape)) for name, shape in shapes.items()}
    m = jax.tree.map(jnp.zeros_like, params)
    v = jax.tree.map(jnp.zeros_like, params)
    return params, m, v, jnp.zeros((), jnp.int32)


def adam(state: tuple, grads: Params) -> tuple:
    """Applies one update of Adam (Kingma, Ba 2015, algorithm 1)."""
    params, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate = LEARNING_RATE / (1 - 0.9**t)
    root = 1 / jnp.sqrt(1 - 0.999**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + 1e-8), params, m, v)
    return params, m, v, t


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Computes the mean cross-entropy of the batch."""
    correct = jnp.take_along_axis(logits, label[:, None], -1)[:, 0]
    return (jax.nn.logsumexp(logits, -1) - correct).mean()


def dropout(key: jax.Array, rate: float, x: jax.Array) -> jax.Array:
    """Sets random elements to zero and scales the others by `1 / (1 - rate)`."""
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def conv(x: jax.Array, kernel: jax.Array, padding: str, stride: int = 1) -> jax.Array:
    """Computes a convolution with XLA's operation."""
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_transpose(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes a transposed convolution with XLA's operation; doubles height and width."""
    return lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each 2x2 window."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def batch_norm(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Applies BatchNorm in training mode; it has no running statistics for sampling."""
    mean = x.mean((0, 1, 2))
    var = x.var((0, 1, 2))
    return (x - mean) * (lax.rsqrt(var + 1e-5) * scale) + shift


if __name__ == "__main__":
    serve({"raw": build})
