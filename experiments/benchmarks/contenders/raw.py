"""JAX by hand, the floor of the framework: a dictionary of arrays, a jitted step that donates it, Adam as published."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from contenders.serving import Contender, count, looped, serve, with_state
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
    """Shapes of the parameters, and what is minimised: `loss(params, batch, key) -> scalar`."""

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
    one, two = jax.random.split(key)
    h = jax.nn.relu(conv(batch["input"], p["w1"], "VALID") + p["b1"])
    h = dropout(one, 0.25, pool(jax.nn.relu(conv(h, p["w2"], "VALID") + p["b2"])))
    h = jax.nn.relu(h.reshape(h.shape[0], -1) @ p["w3"] + p["b3"])
    return cross_entropy(dropout(two, 0.5, h) @ p["w4"] + p["b4"], batch["label"])


def recurrent(cell: Callable, p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    """Two layers, time first; the inputs' products for all steps at once."""
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
    (xr, xz, xn), (hr, hz, hn) = jnp.split(x, 3, -1), jnp.split(h @ p["wh"], 3, -1)
    r = jax.nn.sigmoid(xr + hr)
    z = jax.nn.sigmoid(xz + hz)
    h = (1 - z) * jnp.tanh(xn + r * (hn + p["bn"])) + z * h
    return (h, h), h


def vae(p: Params, batch: Batch, key: jax.Array) -> jax.Array:
    """Minus the evidence lower bound."""
    x = batch["input"]
    h = jax.nn.relu(jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])
    mean, logvar = jnp.split(h @ p["w3"] + p["b3"], 2, -1)
    z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    h = jax.nn.relu(jax.nn.relu(z @ p["w4"] + p["b4"]) @ p["w5"] + p["b5"])
    logits = h @ p["w6"] + p["b6"]
    kl = 0.5 * (mean**2 + jnp.exp(logvar) - 1 - logvar).sum()
    return ((jax.nn.softplus(logits) - x * logits).sum() + kl) / x.shape[0]


def generated(g: Params, size: int, key: jax.Array) -> jax.Array:
    """Images from noise."""
    h = jax.random.normal(key, (size, NOISE)) @ g["w1"]
    h = jax.nn.relu(normalized(h.reshape(size, 7, 7, 128), g["scale1"], g["shift1"]))
    h = jax.nn.relu(normalized(transposed(h, g["w2"]), g["scale2"], g["shift2"]))
    return jnp.tanh(transposed(h, g["w3"]) + g["b3"])


def judged(d: Params, x: jax.Array) -> jax.Array:
    """Logits, one per image."""
    for n in "12":
        x = jax.nn.leaky_relu(conv(x, d[f"w{n}"], "SAME", 2) + d[f"b{n}"], LEAK)
    return (x.reshape(x.shape[0], -1) @ d["w3"] + d["b3"])[:, 0]


def shapes(*weights: tuple[int, ...]) -> Shapes:
    """`w1`, `b1`, `w2`, ... of layers in a row."""
    layers = list(enumerate(weights, 1))
    return {f"w{i}": shape for i, shape in layers} | {f"b{i}": shape[-1:] for i, shape in layers}


def text_shapes(gates: int) -> Shapes:
    """Two recurrent layers and the output."""
    layers = {}
    for n, inputs in (("1", ALPHABET), ("2", HIDDEN)):
        layers |= {
            f"wx{n}": (inputs, gates * HIDDEN),
            f"bx{n}": (gates * HIDDEN,),
            f"wh{n}": (HIDDEN, gates * HIDDEN),
        }
        layers |= {f"bn{n}": (HIDDEN,)} if gates == 3 else {}
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
    """A Python loop over batches that lie on the device."""
    state, step = gan() if workload.network == "dcgan" else supervised(NETWORKS[workload.network])
    params = count(jax.tree.leaves([params for params, *_ in state]))
    batches = jax.device_put(workload.batches(examples))
    run = looped(with_state(jax.jit(step, donate_argnums=0), state), batches, workload.batch_size)
    return Contender(run, params)


def supervised(network: Network) -> tuple[tuple, Callable]:
    """State, a tuple of one trained part, and step of a network with one loss."""

    def step(state: tuple, batch: Batch) -> tuple[tuple, jax.Array]:
        (net,) = state
        key = jax.random.fold_in(jax.random.key(1), net[3])
        loss, grads = jax.value_and_grad(network.loss)(net[0], batch, key)
        return (adam(net, grads),), loss

    return (start(network.shapes),), step


def gan() -> tuple[tuple, Callable]:
    """State, two trained parts, and step: the discriminator's update, then the generator's with new noise."""

    def d_loss(d: Params, fakes: jax.Array, real: jax.Array) -> jax.Array:
        on_real, on_fake = jnp.split(judged(d, jnp.concatenate([real, fakes])), 2)
        return (jax.nn.softplus(-on_real) + jax.nn.softplus(on_fake)).mean()

    def g_loss(g: Params, d: Params, size: int, key: jax.Array) -> jax.Array:
        return jax.nn.softplus(-judged(d, generated(g, size, key))).mean()

    def step(state: tuple, batch: Batch) -> tuple[tuple, jax.Array]:
        d, g = state
        one, two = jax.random.split(jax.random.fold_in(jax.random.key(1), d[3]))
        real = batch["input"]
        loss, grads = jax.value_and_grad(d_loss)(d[0], generated(g[0], real.shape[0], one), real)
        d = adam(d, grads)
        return (d, adam(g, jax.grad(g_loss)(g[0], d[0], real.shape[0], two))), loss

    return (start(DISCRIMINATOR), start(GENERATOR)), step


def start(shapes: Shapes) -> tuple:
    """Parameters, Adam's two moments and the count of steps: Glorot's weights, zero biases, scales of one."""
    draw = np.random.default_rng(2)

    def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) == 1:
            return np.full(shape, name.startswith("scale"), np.float32)
        window = math.prod(shape[:-2])
        return draw.normal(0, math.sqrt(2 / window / sum(shape[-2:])), shape).astype(np.float32)

    params = {name: jnp.asarray(values(name, shape)) for name, shape in shapes.items()}
    m = jax.tree.map(jnp.zeros_like, params)
    v = jax.tree.map(jnp.zeros_like, params)
    return params, m, v, jnp.zeros((), jnp.int32)


def adam(state: tuple, grads: Params) -> tuple:
    """Kingma, Ba 2015, algorithm 1."""
    params, m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate = LEARNING_RATE / (1 - 0.9**t)
    root = 1 / jnp.sqrt(1 - 0.999**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + 1e-8), params, m, v)
    return params, m, v, t


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Mean over the batch."""
    chosen = jnp.take_along_axis(logits, label[:, None], -1)[:, 0]
    return (jax.nn.logsumexp(logits, -1) - chosen).mean()


def dropout(key: jax.Array, rate: float, x: jax.Array) -> jax.Array:
    """Some become zero, the others larger."""
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def conv(x: jax.Array, kernel: jax.Array, padding: str, stride: int = 1) -> jax.Array:
    """XLA's own."""
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def transposed(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own, twice as high and wide."""
    return lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pool(x: jax.Array) -> jax.Array:
    """The largest of each 2x2."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def normalized(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """BatchNorm in training; the running statistics that sampling would need are not kept."""
    mean = x.mean((0, 1, 2))
    var = x.var((0, 1, 2))
    return (x - mean) * (lax.rsqrt(var + 1e-5) * scale) + shift


if __name__ == "__main__":
    serve({"raw": build})
