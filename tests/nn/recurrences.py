"""Recurrent layers with random parameters, and their equations as a loop over time."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import GRU, LSTM, SimpleRNN

B = 4
T = 5
D = 4
H = 3
LAYERS = {
    "rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "gru_reset_before": partial(GRU, reset_after=False),
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def random_like(variables, seed):
    """Returns random arrays of the shapes of `variables`.

    Biases are random too, because zeros would hide an error in what they are added to.
    """
    leaves, tree = jax.tree.flatten(variables)
    return jax.tree.unflatten(
        tree, [0.7 * normal(seed + i, *leaf.shape) for i, leaf in enumerate(leaves)]
    )


def parameters(name, seed=0):
    """Returns random parameters of a layer."""
    shapes = jax.eval_shape(LAYERS[name](H).init, jax.random.key(0), jnp.zeros((B, T, D)))
    return random_like(shapes, seed)


def carries(name, seed):
    if name == "lstm":
        return normal(seed, B, H), normal(seed + 1, B, H)
    return normal(seed, B, H)


LENGTHS = np.array([5, 1, 4, 3])
MASK = jnp.asarray(np.arange(T)[None] < LENGTHS[:, None], jnp.float32)
# Masks with holes anywhere, also at the first and the last step.
HOLES = jnp.asarray([[1, 0, 1, 0, 1], [0, 0, 1, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)


def step(np, name, p, x, carry):
    """Computes one step of a cell from its equations; `np` is NumPy or `jax.numpy`."""
    W = p["kernel"]
    R = p["recurrent_kernel"]
    b = p["bias"]

    def s(a):
        return 1 / (1 + np.exp(-a))

    if name == "rnn":
        return np.tanh(x @ W + carry @ R + b)
    if name == "lstm":
        c, h = carry
        a = x @ W + h @ R + b
        i, f, g, o = (a[k * H : (k + 1) * H] for k in range(4))
        c = s(f) * c + s(i) * np.tanh(g)
        return c, s(o) * np.tanh(c)
    a = x @ W + b
    u = carry @ R
    r = s(a[:H] + u[:H])
    z = s(a[H : 2 * H] + u[H : 2 * H])
    if name == "gru_reset_before":
        n = np.tanh(a[2 * H :] + (r * carry) @ R[:, 2 * H :])
        return (1 - z) * n + z * carry
    n = np.tanh(a[2 * H :] + r * (u[2 * H :] + p["recurrent_bias"]))
    return (1 - z) * n + z * carry


def loop(np, name, variables, x, carry, mask, reverse=False):
    """Runs one sequence of one example, step by step."""
    ys = [None] * T
    times = list(range(T))
    if reverse:
        times.reverse()
    for t in times:
        new = step(np, name, variables["params"], x[t], carry)
        valid = mask[t]
        carry = jax.tree.map(lambda n, old: valid * n + (1 - valid) * old, new, carry)
        ys[t] = valid * hidden(name, new)
    return np.stack(ys), carry


def hidden(name, carry):
    """Returns h from a carry."""
    if name == "lstm":
        return carry[1]
    return carry


def run(name, variables, x, carry=None, mask=None, reverse=False):
    return LAYERS[name](H, reverse=reverse).apply(variables, x, carry, mask)


def close(actual, expected, tolerance=2e-5):
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), actual, expected
    )


def weighted_sum(ys, end):
    """Returns a number that depends on every output."""
    leaves = jax.tree.leaves((ys, end))
    return sum((leaf * normal(23 + i, *leaf.shape)).sum() for i, leaf in enumerate(leaves))
