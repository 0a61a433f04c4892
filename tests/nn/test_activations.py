"""Activations against PyTorch and closed forms, and the straight-through gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import activation

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
