"""Variances by layer against the formula; dead units against a loop; linear networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain import collapse, dead_units, predicted_variances, signal
from jaxdl.models import CNN, MLP, Stage

KEY = jax.random.key(3)


def mean_variances(name, kernel_init, width, depth, networks, inputs=80, examples=4):
    """Returns the variances before and after each activation, as means of random networks."""
    model = MLP((width,) * depth, 2, activation=name, kernel_init=kernel_init)

    def one(key):
        x = jax.random.normal(jax.random.fold_in(key, 1), (examples, inputs))
        found = signal(model, model.init(key, x, train=False), x)
        return {each: found[each].variance for each in found}

    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=50))
    means = jax.tree.map(lambda leaf: leaf.mean(0), found(jax.random.split(KEY, networks)))
    return [
        np.array([means[f"{part}_{i}"] for i in range(depth)]) for part in ("dense", "activation")
    ]


# The variance of ReLU networks is a random product over layers, so its mean needs many of them.
@pytest.mark.parametrize(
    ("name", "kernel_init", "width", "networks"),
    [
        ("relu", "he_normal", 64, 500),
        ("relu", "glorot_uniform", 64, 500),
        ("linear", "lecun_normal", 64, 300),
        ("tanh", "glorot_normal", 300, 10),
        ("sigmoid", "he_uniform", 300, 10),
        ("selu", "lecun_normal", 300, 10),
        ("relu", "truncated_normal", 64, 500),
    ],
)
def test_the_variance_by_layer_is_the_formulas_within_5_percent(name, kernel_init, width, networks):
    depth = 4
    widths = (80, *[width] * depth)
    predicted = predicted_variances(name, kernel_init, widths)
    measured = mean_variances(name, kernel_init, width, depth, networks)
    np.testing.assert_allclose(measured[0], predicted.before, rtol=0.05)
    np.testing.assert_allclose(measured[1], predicted.after, rtol=0.05)


def test_closed_forms_of_relu():
    he = predicted_variances("relu", "he_normal", (30, *[70] * 20), square=1.5)
    np.testing.assert_allclose(he.before, 3.0, rtol=1e-6)
    np.testing.assert_allclose(he.after, 3.0 * (0.5 - 0.5 / np.pi), rtol=1e-6)
    glorot = predicted_variances("relu", "glorot_normal", [70] * 21)
    np.testing.assert_allclose(glorot.before, 0.5 ** np.arange(20), rtol=1e-6)
    lecun = predicted_variances("linear", "lecun_normal", (30, 7, 400), square=2.5)
    np.testing.assert_allclose(lecun.before, 2.5, rtol=1e-6)
    np.testing.assert_allclose(lecun.after, 2.5, rtol=1e-6)


def test_selu_keeps_variance_one():
    found = predicted_variances("selu", "lecun_normal", [500] * 30)
    np.testing.assert_allclose(found.after, 1, atol=1e-3)


def test_statistics_are_those_of_the_activations():
    model = CNN((Stage(4),), outputs=3)
    x = jax.random.normal(KEY, (7, 6, 6, 1))
    variables = model.init(KEY, x, train=False)
    found = signal(model, variables, x)
    maps = explain.feature_maps(model, variables, np.asarray(x))
    assert set(found) == set(maps)
    for name, values in maps.items():
        np.testing.assert_allclose(found[name].mean, values.mean(), atol=1e-5)
        np.testing.assert_allclose(found[name].variance, values.var(), rtol=1e-4)
        np.testing.assert_allclose(found[name].zero, (values == 0).mean(), atol=1e-6)


def test_dead_units_are_those_of_a_loop():
    model = MLP((40, 30), 3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype(np.float32)
    params = model.init(KEY, x, train=False)["params"]
    params["dense_0"]["bias"] = jnp.asarray(rng.normal(-2, 2, 40), jnp.float32)
    params["dense_1"]["bias"] = jnp.asarray(rng.normal(-2, 2, 30), jnp.float32)
    found = dead_units(model, {"params": params}, x)
    h = x
    for i in range(2):
        layer = params[f"dense_{i}"]
        h = np.maximum(h @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0)
        dead = [all(h[b, u] == 0 for b in range(20)) for u in range(h.shape[1])]
        assert found[f"activation_{i}"].tolist() == dead
        assert 0 < sum(dead) < len(dead)
        share = signal(model, {"params": params}, x)[f"activation_{i}"].dead
        assert float(share) == pytest.approx(np.mean(dead))
    only = dead_units(model, {"params": params}, x, ["activation_1"])
    assert list(only) == ["activation_1"]


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4, 9)])
def test_a_linear_network_is_one_matrix(hidden):
    with jax.enable_x64(True):
        model = MLP(hidden, 3, activation="linear", bias_init=0.3)
        x = jax.random.normal(KEY, (8, 4), jnp.float64)
        start = model.init(KEY, x.astype(jnp.float32), train=False)
        variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), start)
        kernel, bias = collapse(variables["params"])
        expected = model.apply(variables, x, train=False)
        np.testing.assert_allclose(x @ kernel + bias[None], expected, rtol=1e-12, atol=1e-12)


def test_bad_inputs():
    x = jnp.ones((2, 4))
    for model, name in ((MLP((3,), 2, norm="layer"), "norm_0"), (MLP((), 2, norm="weight"), "out")):
        params = model.init(KEY, x, train=False)["params"]
        with pytest.raises(InputError) as error:
            collapse(params)
        assert str(error.value).startswith(f"params: got '{name}', allowed: layers dense_0, ")
    linear = MLP((), 2)
    with pytest.raises(InputError, match=r"model: got 'MLP', allowed: a network with layers nam"):
        dead_units(linear, linear.init(KEY, x, train=False), x)
    with pytest.raises(InputError, match=r"widths: got \(3,\), allowed: \(inputs, width, ...\) w"):
        predicted_variances("relu", "he_normal", (3,))
    with pytest.raises(InputError, match=r"square: got 0, allowed: a finite number above 0"):
        predicted_variances("relu", "he_normal", (3, 3), square=0)
    with pytest.raises(InputError, match=r"kernel_init: got 'he', allowed: glorot_normal, "):
        predicted_variances("relu", "he", (3, 3))
