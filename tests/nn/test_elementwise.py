"""Activations against PyTorch and closed forms; dropout against its distribution."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import Dropout, activation

X = np.random.default_rng(0).normal(scale=2.0, size=200).astype(np.float32)
erf = np.vectorize(math.erf)

FORMULAS = {
    "step": lambda x: np.where(x >= 0, 1.0, 0.0),
    "sign": lambda x: np.where(x > 0, 1.0, -1.0),
    "linear": lambda x: x,
    "piecewise_linear": lambda x: np.minimum(np.maximum(x / 2 + 0.5, 0), 1),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_matches_the_formula(name):
    y = activation(name)(jnp.asarray(X))
    np.testing.assert_allclose(y, FORMULAS[name](X.astype(np.float64)), rtol=1e-5, atol=1e-6)
    assert activation(name)(jnp.asarray(X, jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "name", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"]
)
def test_value_and_gradient_match_pytorch(name):
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    f = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    expected = f(x)
    expected.sum().backward()
    y, grads = jax.vmap(jax.value_and_grad(activation(name)))(jnp.asarray(X))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(grads, x.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["step", "sign"])
def test_straight_through_gradient_is_that_of_the_clipped_identity(name):
    g = jax.jit(jax.vmap(jax.grad(lambda x: 3.0 * activation(name)(x))))(jnp.asarray(X))
    inside = np.abs(X) <= 1
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(g, np.where(inside, 3.0, 0.0))


def test_piecewise_linear_has_three_slopes():
    g = jax.vmap(jax.grad(activation("piecewise_linear")))(jnp.array([-2.0, -0.5, 0.7, 1.5]))
    assert g.tolist() == [0.0, 0.5, 0.5, 0.0]


KEY = jax.random.key(7)


def apply_dropout(rate, shape, seed=0, dtype=jnp.float32):
    """Returns a random input and its output in training."""
    x = jnp.asarray(np.random.default_rng(seed).uniform(1, 2, shape), dtype)
    apply = jax.jit(lambda key: Dropout(rate).apply({}, x, True, rngs={"dropout": key}))
    return np.asarray(x), np.asarray(apply(KEY))


@pytest.mark.parametrize("shape", [(400, 31), (20, 7, 7, 8), (9_001,)])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drops_at_the_given_rate_and_scales_the_rest(rate, shape):
    x, y = apply_dropout(rate, shape)
    nonzero = y != 0
    np.testing.assert_allclose(y[nonzero], x[nonzero] / (1 - rate), rtol=1e-3)
    assert abs(nonzero.mean() - (1 - rate)) <= 4.5 * (rate * (1 - rate) / nonzero.size) ** 0.5


def test_the_two_halves_of_the_bits_are_independent():
    _, y = apply_dropout(0.5, (20_000, 2))
    left, right = (y != 0).T
    assert abs((left == right).mean() - 0.5) < 4.5 * 0.5 / 20_000**0.5


def test_a_rate_may_be_an_array():
    x = jnp.ones((64, 9))

    def apply(rate):
        return Dropout(rate).apply({}, x, True, rngs={"dropout": KEY})

    np.testing.assert_array_equal(jax.jit(apply)(jnp.float32(0.3)), apply(0.3))
    np.testing.assert_array_equal(jax.jit(apply)(jnp.float32(0)), x)


def test_no_number_is_dropped_outside_training_or_at_rate_0():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.9).apply({}, x, False), x)
    # This needs no key.
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, True), x)


def test_gradient_is_the_mask():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(50, 5)), jnp.float32)

    def f(x):
        return Dropout(0.4).apply({}, x, True, rngs={"dropout": KEY})

    np.testing.assert_allclose(jax.grad(lambda x: f(x).sum())(x) * x, f(x), rtol=1e-6)


def test_bfloat16_stays_bfloat16():
    assert apply_dropout(0.5, (8, 8), dtype=jnp.bfloat16)[1].dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [1, -0.1, float("nan")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(InputError, match=r"^rate: got .*, allowed: a number in \[0, 1\)$"):
        Dropout(rate)


@pytest.mark.parametrize("shared", [(1,), (0,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_shared_axes_have_the_same_mask(shared):
    x = jnp.asarray(np.random.default_rng(2).uniform(1, 2, (30, 6, 41)), jnp.float32)
    y = np.asarray(Dropout(0.4, shared=shared).apply({}, x, True, rngs={"dropout": KEY}))
    nonzero = y != 0
    mask = nonzero[tuple(slice(1) if axis in shared else slice(None) for axis in range(3))]
    np.testing.assert_array_equal(nonzero, np.broadcast_to(mask, nonzero.shape))
    assert abs(mask.mean() - 0.6) <= max(0.6 * (mask.size == 1), 4.5 * (0.24 / mask.size) ** 0.5)
    np.testing.assert_allclose(y[nonzero], np.asarray(x)[nonzero] / 0.6, rtol=1e-3)


def test_other_axes_are_independent():
    x = jnp.ones((4000, 5, 2))
    y = Dropout(0.5, shared=(1,)).apply({}, x, True, rngs={"dropout": KEY})
    mask = np.asarray(y)[:, 0] != 0
    for a, b in ((mask[:, 0], mask[:, 1]), (mask[1:, 0], mask[:-1, 0])):
        assert abs((a == b).mean() - 0.5) < 4.5 * 0.5 / len(a) ** 0.5


def test_negative_axes_count_from_the_end(key):
    x = jnp.ones((2, 5, 3))
    masks = [
        Dropout(0.5, shared).apply({}, x, True, rngs={"dropout": key})
        for shared in ((1,), (-2,), 1, [-2], np.array([1]), np.int64(-2))
    ]
    assert (masks[0] == masks[0][:, :1]).all()
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
