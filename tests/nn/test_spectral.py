"""Spectral normalization against NumPy's singular values and PyTorch's parametrization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import MLP, Conditional
from jaxdl.nn import spectral_norm, spectral_vectors

RNG = np.random.default_rng(0)
KEY = jax.random.key(1)
SHAPES = {"dense": (7, 4), "wide": (3, 9), "conv": (3, 3, 2, 5), "one": (6, 1)}
PARAMS = {
    name: {"kernel": jnp.asarray(RNG.normal(size=shape), jnp.float32), "bias": jnp.ones(shape[-1])}
    for name, shape in SHAPES.items()
}


def converged_vectors():
    """Returns the vectors after 300 steps of the power iteration."""
    return jax.lax.fori_loop(
        0, 300, lambda _, u: spectral_norm(PARAMS, u)[1], spectral_vectors(PARAMS, KEY)
    )


def test_the_largest_singular_value_becomes_one():
    normalized, _ = spectral_norm(PARAMS, converged_vectors())
    for name, shape in SHAPES.items():
        before, after = (
            np.asarray(p[name]["kernel"]).reshape(-1, shape[-1]) for p in (PARAMS, normalized)
        )
        np.testing.assert_allclose(after, before / np.linalg.svd(before)[1][0], rtol=1e-5)
        np.testing.assert_array_equal(normalized[name]["bias"], PARAMS[name]["bias"])


def test_one_step_and_its_gradient_match_pytorch():
    torch = pytest.importorskip("torch")
    w = RNG.normal(size=(7, 4)).astype(np.float32)
    x = RNG.normal(size=(5, 7)).astype(np.float32)
    layer = torch.nn.Linear(7, 4, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(w.T))
    # With dim=1 PyTorch's first vector is on the side of the inputs.
    torch.nn.utils.parametrizations.spectral_norm(layer, dim=1)
    u = layer.parametrizations.weight[0]._v.numpy().copy()
    (layer(torch.tensor(x)) ** 3).sum().backward()

    def loss(kernel):
        normalized, vectors = spectral_norm({"kernel": kernel}, {"kernel": jnp.asarray(u)})
        return ((x @ normalized["kernel"]) ** 3).sum(), vectors

    gradient, vectors = jax.grad(loss, has_aux=True)(jnp.asarray(w))
    np.testing.assert_allclose(
        gradient, layer.parametrizations.weight.original.grad.numpy().T, rtol=2e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        vectors["kernel"], layer.parametrizations.weight[0]._v.numpy(), rtol=1e-5, atol=1e-6
    )


def test_vectors_have_norm_one_and_differ():
    vectors = spectral_vectors(PARAMS, KEY)
    assert {path: u.shape for path, u in vectors.items()} == {
        f"{name}/kernel": shape[-1:] for name, shape in SHAPES.items()
    }
    for u in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(u), 1, rtol=1e-6)
    assert not np.allclose(
        vectors["dense/kernel"], spectral_vectors(PARAMS, jax.random.key(2))["dense/kernel"]
    )


def test_a_kernel_of_zeros_gives_finite_vectors():
    _, vectors = spectral_norm({"kernel": jnp.zeros((3, 2))}, {"kernel": jnp.array([1.0, 0.0])})
    assert np.isfinite(vectors["kernel"]).all()


def test_class_embeddings_are_not_normalized():
    net = Conditional(MLP((3,), 1), 4, features=2)
    variables = net.init(KEY, jnp.ones((2, 5)), train=False, label=jnp.array([0, 1]))
    assert sorted(spectral_vectors(variables["params"], KEY)) == [
        "body/dense_0/kernel",
        "body/out/kernel",
    ]
