"""Weight normalization against its equation and PyTorch, initializers against their variances."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import WeightNormDense, initializer

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)


def test_weight_norm_has_the_initial_outputs_of_dense(key):
    variables = WeightNormDense(3).init(key, X)
    dense = {"params": {name: variables["params"][name] for name in ("kernel", "bias")}}
    np.testing.assert_allclose(
        WeightNormDense(3).apply(variables, X), nn.Dense(3).apply(dense, X), rtol=1e-5, atol=1e-6
    )


def test_weight_norm_and_its_gradients_match_pytorch(key):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    params = {
        "kernel": rng.normal(size=(4, 3)),
        "scale": rng.normal(size=3),
        "bias": rng.normal(size=3),
    }
    params = {name: value.astype(np.float32) for name, value in params.items()}
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3))
    length = layer.parametrizations.weight.original0
    direction = layer.parametrizations.weight.original1
    with torch.no_grad():
        length.copy_(torch.tensor(params["scale"])[:, None])
        direction.copy_(torch.tensor(params["kernel"].T))
        layer.bias.copy_(torch.tensor(params["bias"]))
    y = layer(torch.tensor(np.array(X)))
    y.square().sum().backward()

    def loss(params):
        return (WeightNormDense(3).apply({"params": params}, X) ** 2).sum()

    value, grads = jax.value_and_grad(loss)(params)
    np.testing.assert_allclose(value, y.square().sum().item(), rtol=1e-5)
    np.testing.assert_allclose(grads["kernel"], direction.grad.numpy().T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads["scale"], length.grad.numpy()[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads["bias"], layer.bias.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("he_normal", 2 / 300),
        ("he_uniform", 2 / 300),
        ("lecun_normal", 1 / 300),
        ("lecun_uniform", 1 / 300),
        ("glorot_normal", 2 / 500),
        ("glorot_uniform", 2 / 500),
        # A standard normal within [-2, 2] has variance 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.7737.
        ("truncated_normal", 0.7737 * 0.01),
    ],
)
def test_initializers_have_the_expected_variance(key, name, variance):
    weights = np.asarray(initializer(name)(key, (300, 200), jnp.float32), np.float64)
    assert abs(weights.mean()) < 4 * (variance / weights.size) ** 0.5
    assert weights.var() == pytest.approx(variance, rel=0.03)
