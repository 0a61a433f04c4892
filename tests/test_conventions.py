"""The formulas of `docs/conventions.md` against NumPy."""

import math

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import nn
from jaxdl.models.mlp import normalize
from jaxdl.optimizers import optimizer, schedule

GRADIENTS = np.random.default_rng(0).normal(size=(6, 5))
RATE = 0.1


def momentum(g, state, t):
    state["m"] = g + 0.9 * state.get("m", 0)
    return state["m"]


def nesterov(g, state, t):
    return g + 0.9 * momentum(g, state, t)


def rmsprop(g, state, t):
    state["v"] = 0.9 * state.get("v", 0) + 0.1 * g**2
    return g / np.sqrt(state["v"] + 1e-8)


def adagrad(g, state, t):
    state["s"] = state.get("s", 0.1) + g**2
    return g / np.sqrt(state["s"] + 1e-7)


def adadelta(g, state, t):
    state["v"] = 0.9 * state.get("v", 0) + 0.1 * g**2
    step = g * np.sqrt(state.get("d", 0) + 1e-6) / np.sqrt(state["v"] + 1e-6)
    state["d"] = 0.9 * state.get("d", 0) + 0.1 * step**2
    return step


def means(g, state):
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
    return state["m"], state["v"]


def adam(g, state, t):
    m, v = means(g, state)
    return m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def nadam(g, state, t):
    m, v = means(g, state)
    ahead = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
    return ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize("rule", [momentum, nesterov, rmsprop, adagrad, adadelta, adam, nadam])
def test_optimizers(rule):
    made = optimizer(rule.__name__, RATE)
    w = jnp.ones(5)
    state = made.init(w)
    update = jax.jit(made.update)
    expected = np.ones(5)
    memory = {}
    for t, g in enumerate(GRADIENTS, 1):
        step, state = update(jnp.asarray(g, jnp.float32), state, w)
        w = w + step
        expected = expected - RATE * rule(g, memory, t)
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-5)


def test_one_cycle():
    rate = schedule("one_cycle", 1.0, 100)
    seen = [float(rate(t)) for t in range(101)]
    rise = [0.04 + 0.96 * (1 - math.cos(math.pi * t / 30)) / 2 for t in range(30)]
    fall = [4e-6 + (1 - 4e-6) * (1 + math.cos(math.pi * (t - 30) / 70)) / 2 for t in range(30, 101)]
    np.testing.assert_allclose(seen, rise + fall, rtol=1e-4, atol=1e-6)
    assert seen.index(max(seen)) == 30


def test_clip_and_weight_decay():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    g = jax.tree.map(jnp.zeros_like, params)
    made = optimizer("sgd", 1.0, weight_decay=0.1)
    step, _ = made.update(g, made.init(params), params)
    np.testing.assert_allclose(step["kernel"], -0.1 * np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_array_equal(step["bias"], np.zeros(2))


class Norm(linen.Module):
    kind: str

    @linen.compact
    def __call__(self, x, train):
        return normalize(x, self.kind, "norm", train)


def test_norms_of_positions_and_groups():
    x = 1e-3 * np.random.default_rng(4).normal(size=(2, 3, 64))
    given = jnp.asarray(x, jnp.float32)
    groups = x.reshape(2, 3, 32, 2)
    centered = groups - groups.mean((1, 3), keepdims=True)
    expected = {
        "rms": x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6),
        "group": (centered / np.sqrt(groups.var((1, 3), keepdims=True) + 1e-6)).reshape(x.shape),
        "instance": (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6),
    }
    for kind, norm in expected.items():
        y, _ = Norm(kind).init_with_output(jax.random.key(0), given, True)
        np.testing.assert_allclose(y, norm, rtol=1e-3, atol=1e-4)


def test_norms():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32)
    exact = np.asarray(x, np.float64)
    variables = Norm("batch").init(jax.random.key(0), x, False)
    y, new = Norm("batch").apply(variables, x, True, mutable=["batch_stats"])
    stats = new["batch_stats"]["norm"]
    np.testing.assert_allclose(stats["mean"], 0.1 * exact.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * exact.var(0), rtol=1e-5)
    expected = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    small = 1e-3 * x
    variables = Norm("layer").init(jax.random.key(0), x, False)
    y = Norm("layer").apply(variables, small, True)
    exact = 1e-3 * exact
    spread = np.sqrt(exact.var(1, keepdims=True) + 1e-6)
    expected = (exact - exact.mean(1, keepdims=True)) / spread
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)


def test_activations():
    x = np.linspace(-3, 3, 13)
    expected = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]
    np.testing.assert_allclose(nn.activation("gelu")(jnp.asarray(x)), expected, atol=1e-6)
    slope = float(nn.activation("leaky_relu")(jnp.asarray(-1.0)))
    assert slope == pytest.approx(-0.01)
    hard = nn.activation("hard_sigmoid")(jnp.asarray(x))
    np.testing.assert_allclose(hard, np.clip(x / 6 + 0.5, 0, 1), atol=1e-6)
    variables = nn.PReLU().init(jax.random.key(0), jnp.ones((2, 3)))
    assert variables["params"]["slope"].tolist() == [0.25] * 3


def test_pooling():
    x = jnp.array([[2.0], [-4.0]])
    means = [nn.avg_pool(x, (3,), 1, 1, count_padding=count) for count in (False, True)]
    np.testing.assert_allclose(jnp.stack(means)[:, 0, 0], [-1.0, -2 / 3], rtol=1e-6)
    norm = nn.lp_pool(x, (2,), p=3)
    np.testing.assert_allclose(norm, [[72 ** (1 / 3)]], rtol=1e-6)


def test_padding():
    x = jnp.ones((1, 28, 28, 1))
    kernel = jnp.ones((3, 3, 1, 1))
    same = nn.conv2d(x, kernel, 2, "SAME")
    np.testing.assert_array_equal(same, nn.conv2d(x, kernel, 2, ((0, 1), (0, 1))))
    # The gradient of a convolution with strides 2 and padding 1 has size (H - 1) S + F - 2 P.
    x = jnp.asarray(np.random.default_rng(2).normal(size=(1, 4, 4, 1)), jnp.float32)
    kernel = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3, 1, 1)), jnp.float32)
    y = nn.conv_transpose2d(x, kernel[::-1, ::-1], 2, 3 - 1 - 1)
    image = jnp.zeros((1, 7, 7, 1))
    (expected,) = jax.vjp(lambda image: nn.conv2d(image, kernel, 2, 1), image)[1](x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "variance"),
    [
        (lambda key: nn.initializer("he_normal")(key, (400, 300)), 2 / 400),
        (lambda key: nn.Conv(300).init(key, jnp.zeros((1, 3, 3, 40)))["params"]["kernel"], 1 / 360),
        (
            lambda key: nn.Embedding(500, 200).init(key, jnp.zeros(1, int))["params"]["embedding"],
            1 / 200,
        ),
        (
            lambda key: nn.GRU(200).init(key, jnp.zeros((1, 1, 100)))["params"]["kernel"],
            2 / (100 + 600),
        ),
    ],
)
def test_the_variance_of_initial_weights(make, variance):
    assert np.var(np.asarray(make(jax.random.key(0)))) == pytest.approx(variance, rel=0.05)


def test_the_initial_bias_of_an_lstm():
    params = nn.LSTM(3).init(jax.random.key(0), jnp.zeros((1, 1, 2)))["params"]
    assert params["bias"].tolist() == [0.0] * 3 + [1.0] * 3 + [0.0] * 6
