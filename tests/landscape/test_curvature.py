"""Tests of curvature and eigenvalues: known quadratics, full Hessians, second differences."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from jaxdl import tasks
from jaxdl.core import State
from jaxdl.errors import InputError
from jaxdl.landscape import (
    curvature,
    hessian_vector_product,
    largest_eigenvalue,
    loss_of,
    random_direction,
)
from jaxdl.models import CNN, MLP, Stage
from jaxdl.rng import root
from tests.contract import ROWS
from tests.landscape.networks import SHAPE, dataset, network
from tests.models.random_variables import random_variables

EIGENVALUES = {
    "positive": [9.0, 4.0, 2.5, 1.0, 0.5],
    "negative": [-9.0, 4.0, 2.5, -1.0, 0.5],
    "opposite": [7.0, -7.0, 2.0, 1.0, 0.0],
    "degenerate": [5.0, 5.0, 5.0, -1.0, 0.0],
    "close": [5.0, 4.999, -4.998, 1.0, 0.0],
    "equal": 12 * [3.0],
    "equal_negative": 12 * [-3.0],
    "singular": [4.0],
    "tiny": [3e-6, -2e-6, 1e-6],
}


def quadratic(eigenvalues, seed=0):
    """Returns a quadratic loss of two arrays, its parameters and its Hessian."""
    rng = np.random.default_rng(seed)
    values = np.zeros(12)
    values[: len(eigenvalues)] = eigenvalues
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    hessian = basis @ np.diag(values) @ basis.T
    slope = rng.normal(size=12)
    h = jnp.asarray(hessian, jnp.float32)
    g = jnp.asarray(slope, jnp.float32)

    def f(params):
        w = jnp.concatenate([params["a"].ravel(), params["b"]])
        return 0.5 * w @ h @ w + g @ w

    params = {
        "a": jnp.asarray(rng.normal(size=(2, 4)), jnp.float32),
        "b": jnp.asarray(rng.normal(size=4), jnp.float32),
    }
    return f, params, hessian


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def direction(params, seed=5):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), params)


@pytest.mark.parametrize("name", EIGENVALUES)
def test_a_quadratic_has_its_known_curvature_and_eigenvalues(name):
    f, params, hessian = quadratic(EIGENVALUES[name])
    d = direction(params)
    scale = np.abs(EIGENVALUES[name]).max()
    expected = flat(d) @ hessian @ flat(d)
    assert float(curvature(f, params, d)) == pytest.approx(expected, abs=1e-4 * scale)
    product = flat(hessian_vector_product(f, params, d))
    np.testing.assert_allclose(product, hessian @ flat(d), atol=1e-4 * scale)
    values = np.linalg.eigvalsh(hessian)
    largest = values[np.abs(values).argmax()]
    for which, value in (("highest", values[-1]), ("lowest", values[0]), ("magnitude", largest)):
        found = largest_eigenvalue(f, params, root(0), which=which)
        if name == "opposite" and which == "magnitude":
            assert abs(found.value) == pytest.approx(7, rel=1e-4)
        else:
            assert found.value == pytest.approx(value, abs=1e-4 * scale)
        vector = flat(found.vector)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        residual = np.linalg.norm(hessian @ vector - found.value * vector)
        assert residual < 3e-4 * scale
        assert found.residual == pytest.approx(residual, abs=1e-5 * scale)
        assert jax.tree.map(jnp.shape, found.vector) == jax.tree.map(jnp.shape, params)


@pytest.mark.parametrize("seed", range(5))
def test_every_start_finds_the_same_eigenvalue(seed):
    f, params, _ = quadratic(EIGENVALUES["negative"])
    found = largest_eigenvalue(f, params, root(seed))
    assert found.value == pytest.approx(-9, rel=1e-4)
    again = largest_eigenvalue(f, params, root(seed))
    assert again.value == found.value
    np.testing.assert_array_equal(flat(again.vector), flat(found.vector))


def test_one_and_two_parameters_and_a_loss_without_curvature():
    one = largest_eigenvalue(lambda w: -2 * w[0] ** 2, jnp.ones(1), root(0))
    assert one.value == pytest.approx(-4) and abs(float(one.vector[0])) == 1
    two = largest_eigenvalue(lambda w: w[0] * w[1], jnp.ones(2), root(0), which="lowest")
    assert two.value == pytest.approx(-1, rel=1e-4)
    assert float(two.vector @ jnp.array([1.0, 1.0])) == pytest.approx(0, abs=1e-3)
    linear = largest_eigenvalue(lambda w: 3 * w.sum(), jnp.ones(4), root(0))
    assert linear.value == 0 and linear.residual == 0 and linear.products == 2


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_small_network_equals_its_full_hessian(activation):
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 2, 30)
    function = {"tanh": jnp.tanh, "relu": jax.nn.relu}[activation]

    def f(params):
        logits = function(x @ params["w"]) @ params["v"]
        return -jax.nn.log_softmax(logits)[np.arange(30), y].mean()

    params = direction({"w": jnp.zeros((3, 5)), "v": jnp.zeros((5, 2))})
    vector, unravel = ravel_pytree(params)
    hessian = np.asarray(jax.hessian(lambda w: f(unravel(w)))(vector), np.float64)
    d = direction(params, 6)
    values = np.linalg.eigvalsh(hessian)
    scale = np.abs(values).max()
    np.testing.assert_allclose(
        flat(hessian_vector_product(f, params, d)), hessian @ flat(d), atol=1e-4 * scale
    )
    assert float(curvature(f, params, d)) == pytest.approx(
        flat(d) @ hessian @ flat(d), abs=1e-4 * scale
    )
    for which, value in (("highest", values[-1]), ("lowest", values[0])):
        found = largest_eigenvalue(f, params, root(0), which=which)
        assert found.value == pytest.approx(value, abs=1e-4 * scale)


SMOOTH = {
    "mlp": MLP((7, 6), 3, activation="tanh"),
    "cnn": CNN((Stage(4, pool="average"), Stage(5, pool=None)), (6,), 3, activation="tanh"),
    "norms": CNN((Stage(4, pool="average"),), (6,), 3, activation="gelu", norm="batch"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_networks_have_the_curvature_of_differences(name):
    model = SMOOTH[name]
    variables = dict(random_variables(model, jnp.zeros((1, *SHAPE))))
    params = variables.pop("params")
    state = State(jnp.zeros((), jnp.int32), params, (), variables)
    f = loss_of(tasks.classify(model).loss, state, dataset(12))
    d = jax.tree.map(lambda x: 0.1 * x, direction(params))
    slope = jax.jit(jax.grad(f))

    def difference(t):
        ends = [slope(jax.tree.map(lambda w, x, s=s: w + s * x, params, d)) for s in (-t, t)]
        return (flat(ends[1]) - flat(ends[0])) / (2 * t)

    # Richardson's extrapolation of the differences of gradients along the direction.
    expected = (4 * difference(0.02) - difference(0.04)) / 3
    product = flat(hessian_vector_product(f, params, d))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(product, expected, atol=2e-3 * scale)
    found = float(curvature(f, params, d))
    assert found == pytest.approx(expected @ flat(d), rel=1e-2)
    assert abs(found) > 1e-3


@pytest.mark.parametrize("name", ["tcn_regression", "lstm_language", "conditional_vae"])
def test_every_kind_of_network_has_products_with_its_hessian(name):
    row = ROWS[name]()
    net = row.learner(optax.sgd(1e-2))
    state = net.init(root(0), {key: np.asarray(x[:4]) for key, x in row.data.arrays.items()})
    f = loss_of(row.updates(optax.sgd(1e-2))[0].loss, state, row.data, examples=8)
    vector = random_direction(state.params, root(1))

    def slope(params):
        found = jax.grad(f)(params)
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, found, vector)))

    expected = ravel_pytree(jax.jit(jax.grad(slope))(state.params))[0]
    product = ravel_pytree(hessian_vector_product(f, state.params, vector))[0]
    np.testing.assert_allclose(product, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_the_products_of_a_cnn_are_symmetric_and_its_eigenvector_is_one():
    task, state = network("cnn")
    f = loss_of(task.loss, state, dataset(12))
    u = direction(state.params, 1)
    v = direction(state.params, 2)
    uhv = flat(u) @ flat(hessian_vector_product(f, state.params, v))
    vhu = flat(v) @ flat(hessian_vector_product(f, state.params, u))
    assert uhv == pytest.approx(vhu, rel=1e-3)
    found = largest_eigenvalue(f, state.params, root(0), which="highest")
    assert found.value > 0
    assert found.residual < 1e-3 * found.value
    along = float(curvature(f, state.params, found.vector))
    assert along == pytest.approx(found.value, rel=1e-4)
    # No random direction of norm 1 has more curvature.
    for seed in range(5):
        d = direction(state.params, seed)
        assert float(curvature(f, state.params, d)) / (flat(d) @ flat(d)) < found.value


QUADRATIC, PARAMS, _ = quadratic(EIGENVALUES["positive"])

BAD = {
    "network": (
        lambda: curvature(QUADRATIC, PARAMS, {"a": PARAMS["a"], "b": jnp.ones(5)}),
        r"direction: got 'b \[5\]', allowed: the shape \[4\]",
    ),
    "lacks": (
        lambda: hessian_vector_product(QUADRATIC, PARAMS, {"a": PARAMS["a"]}),
        "vector: got 'no b', allowed: the arrays of the same network",
    ),
    "vector_valued": (
        lambda: curvature(lambda params: params["b"], PARAMS, PARAMS),
        r"f: got 'float32\[4\]', allowed: a function of parameters with one number as result",
    ),
    "no_function": (lambda: curvature(3, PARAMS, PARAMS), "f: got 3, allowed: a function of par"),
    "integer_valued": (
        lambda: curvature(lambda params: jnp.int32(1), PARAMS, PARAMS),
        "f: got dtype.'int32'., allowed: a function with a float as result",
    ),
    "integers": (
        lambda: curvature(QUADRATIC, {"a": jnp.ones(2, jnp.int32)}, PARAMS),
        "params: got 'int32 in a', allowed: parameters in floats",
    ),
    "not_finite": (
        lambda: largest_eigenvalue(lambda w: jnp.sqrt(w).sum(), jnp.zeros(3), root(0)),
        "f: got 'a Hessian with NaN or infinity', allowed: a loss with finite second",
    ),
    "which": (
        lambda: largest_eigenvalue(QUADRATIC, PARAMS, root(0), which="larg"),
        "which: got 'larg', allowed: highest, lowest, magnitude",
    ),
    "key": (
        lambda: largest_eigenvalue(QUADRATIC, PARAMS, root([0, 1])),
        "key: got '2 keys', allowed: one key",
    ),
    "tolerance": (
        lambda: largest_eigenvalue(QUADRATIC, PARAMS, root(0), tolerance=-1.0),
        "tolerance: got -1.0, allowed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_in_one_line(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_an_iteration_without_convergence_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["jaxdl.landscape.curvature"], "_RESTARTS", 1)
    values = jnp.linspace(0.9, 1, 400)
    with pytest.raises(InputError, match="tolerance: got 1e-06, allowed: larger; .* products"):
        largest_eigenvalue(
            lambda w: 0.5 * (values * w**2).sum(), jnp.ones(400), root(0), tolerance=1e-6
        )
