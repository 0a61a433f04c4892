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


def rested():
    """The vectors after many steps."""
    return jax.lax.fori_loop(
        0, 300, lambda _, u: spectral_norm(PARAMS, u)[1], spectral_vectors(PARAMS, KEY)
    )


def test_the_largest_singular_value_becomes_one():
    use_norm, _ = spectral_norm(PARAMS, rested())
    for name, shape in SHAPES.items():
        before, after = (
            np.asarray(p[name]["kernel"]).reshape(-1, shape[-1]) for p in (PARAMS, use_norm)
        )
        np.testing.assert_allclose(after, before / np.linalg.svd(before)[1][0], rtol=1e-5)
        np.testing.assert_array_equal(use_norm[name]["bias"], PARAMS[name]["bias"])


def test_one_step_and_its_gradient_are_pytorchs():
    torch = pytest.importorskip("torch")
    w = RNG.normal(size=(7, 4)).astype(np.float32)
    x = RNG.normal(size=(5, 7)).astype(np.float32)
    layer = torch.nn.Linear(7, 4, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(w.T))
    torch.nn.utils.parametrizations.spectral_norm(
        layer, dim=1
    )  # its first vector on the side of the inputs
    u = layer.parametrizations.weight[0]._v.numpy().copy()
    (layer(torch.tensor(x)) ** 3).sum().backward()

    def loss(kernel):
        use_norm, moved = spectral_norm({"kernel": kernel}, {"kernel": jnp.asarray(u)})
        return ((x @ use_norm["kernel"]) ** 3).sum(), moved

    gradient, moved = jax.grad(loss, has_aux=True)(jnp.asarray(w))
    np.testing.assert_allclose(
        gradient, layer.parametrizations.weight.original.grad.numpy().T, rtol=2e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        moved["kernel"], layer.parametrizations.weight[0]._v.numpy(), rtol=1e-5, atol=1e-6
    )


def test_vectors_have_length_one_and_differ():
    vectors = spectral_vectors(PARAMS, KEY)
    assert {path: u.shape for path, u in vectors.items()} == {
        f"{name}/kernel": shape[-1:] for name, shape in SHAPES.items()
    }
    for u in vectors.values():
        np.testing.assert_allclose(np.linalg.norm(u), 1, rtol=1e-6)
    assert not np.allclose(
        vectors["dense/kernel"], spectral_vectors(PARAMS, jax.random.key(2))["dense/kernel"]
    )


def test_a_kernel_of_zeros_stays_finite_in_the_vectors():
    _, moved = spectral_norm({"kernel": jnp.zeros((3, 2))}, {"kernel": jnp.array([1.0, 0.0])})
    assert np.isfinite(moved["kernel"]).all()


def test_what_a_class_says_is_left_alone():
    net = Conditional(MLP((3,), 1), 4, features=2)
    variables = net.init(KEY, jnp.ones((2, 5)), train=False, label=jnp.array([0, 1]))
    assert sorted(spectral_vectors(variables["params"], KEY)) == [
        "body/dense_0/kernel",
        "body/out/kernel",
    ]
