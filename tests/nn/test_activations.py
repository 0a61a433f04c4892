"""Activations against PyTorch, closed forms and finite differences."""

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
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky_relu(0.3)": lambda x: np.where(x > 0, x, 0.3 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "elu(2.0)": lambda x: np.where(x > 0, x, 2 * (np.exp(x) - 1)),
    "celu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "celu(2.0)": lambda x: np.where(x > 0, x, 2 * (np.exp(x / 2) - 1)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "selu(2, 3)": lambda x: 3 * np.where(x > 0, x, 2 * np.expm1(x)),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid(0.2,0.6)": lambda x: np.clip(0.2 * x + 0.6, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "thresholded_relu": lambda x: np.where(x > 1, x, 0.0),
    "thresholded_relu(-0.5)": lambda x: np.where(x > -0.5, x, 0.0),
    "gelu_tanh": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu(1.0)": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "silu(1.7)": lambda x: x / (1 + np.exp(-1.7 * x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_matches_the_formula(name):
    y = activation(name)(jnp.asarray(X))
    np.testing.assert_allclose(y, FORMULAS[name](X.astype(np.float64)), rtol=1e-5, atol=1e-6)
    assert activation(name)(jnp.asarray(X, jnp.bfloat16)).dtype == jnp.bfloat16


#: Activations whose function in PyTorch has another name or arguments.
PYTORCH = {
    "gelu_tanh": ("gelu", {"approximate": "tanh"}),
    "leaky_relu(0.3)": ("leaky_relu", {"negative_slope": 0.3}),
    "elu(2.0)": ("elu", {"alpha": 2.0}),
    "celu(2.0)": ("celu", {"alpha": 2.0}),
    "hard_sigmoid": ("hardsigmoid", {}),
    "hard_swish": ("hardswish", {}),
    "thresholded_relu": ("threshold", {"threshold": 1.0, "value": 0.0}),
}
NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "relu6")
NAMES += ("celu", "selu", "mish", "softsign", *PYTORCH)


@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient_match_pytorch(name):
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    theirs, more = PYTORCH.get(name, (name, {}))
    f = getattr(torch.nn.functional, theirs, None) or getattr(torch, theirs)
    expected = f(x, **more)
    expected.sum().backward()
    y, grads = jax.vmap(jax.value_and_grad(activation(name)))(jnp.asarray(X))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=5e-6)
    np.testing.assert_allclose(grads, x.grad.numpy(), rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in ("step", "sign")])
def test_derivatives_match_finite_differences(name):
    with jax.enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
        f = activation(name)
        h = 1e-6
        _, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        expected = (f(x + h) - f(x - h)) / (2 * h)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)
        (gradient,) = jax.vjp(f, x)[1](jnp.ones_like(x))
        np.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["step", "sign"])
def test_straight_through_gradient_is_that_of_the_clipped_identity(name):
    g = jax.jit(jax.vmap(jax.grad(lambda x: 3.0 * activation(name)(x))))(jnp.asarray(X))
    inside = np.abs(X) <= 1
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(g, np.where(inside, 3.0, 0.0))


def test_piecewise_linear_has_three_slopes():
    g = jax.vmap(jax.grad(activation("piecewise_linear")))(jnp.array([-2.0, -0.5, 0.7, 1.5]))
    assert g.tolist() == [0.0, 0.5, 0.5, 0.0]
