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
LAYERS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}
each_layer = pytest.mark.parametrize("name", LAYERS)


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def parameters(name, seed=0):
    """Random ones, biases too, since zeros hide what is added to what."""
    variables = jax.eval_shape(LAYERS[name](H).init, jax.random.key(0), jnp.zeros((B, T, D)))
    leaves, tree = jax.tree.flatten(variables)
    return jax.tree.unflatten(
        tree, [0.7 * normal(seed + i, *leaf.shape) for i, leaf in enumerate(leaves)]
    )


def carries(name, seed):
    return (normal(seed, B, H), normal(seed + 1, B, H)) if name == "lstm" else normal(seed, B, H)


LENGTHS = np.array([5, 1, 4, 3])
MASK = jnp.asarray(np.arange(T)[None] < LENGTHS[:, None], jnp.float32)
# Steps left out anywhere, also first and last.
HOLES = jnp.asarray([[1, 0, 1, 0, 1], [0, 0, 1, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)


def step(np, name, p, x, carry):
    """One step of one cell from its equations; `np` is NumPy or JAX's."""
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
    n = np.tanh(a[2 * H :] + r * (u[2 * H :] + p["recurrent_bias"]))
    return (1 - z) * n + z * carry


def loop(np, name, variables, x, carry, mask=None, reverse=False):
    """One sequence, one example, one step after the other."""
    ys = [None] * T
    for t in reversed(range(T)) if reverse else range(T):
        new = step(np, name, variables["params"], x[t], carry)
        here = 1.0 if mask is None else mask[t]
        carry = jax.tree.map(lambda n, old: here * n + (1 - here) * old, new, carry)
        ys[t] = here * (new[1] if name == "lstm" else new)
    return np.stack(ys), carry


def run(name, variables, x, carry=None, mask=None, reverse=False):
    return LAYERS[name](H, reverse=reverse).apply(variables, x, carry, mask)


def close(ours, theirs, tolerance=2e-5):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), ours, theirs)


def weighed(ys, end):
    """A number that depends on every output."""
    leaves = jax.tree.leaves((ys, end))
    return sum((leaf * normal(23 + i, *leaf.shape)).sum() for i, leaf in enumerate(leaves))
