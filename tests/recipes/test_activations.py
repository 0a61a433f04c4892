"""Activations: curves of all of them, random networks, files of dead units, built networks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import nn, tasks
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.recipes.activation_pictures import collapsed, softmax
from jaxdl.recipes.activations import (
    DeadUnitFiles,
    curves_of_activations,
    first_death,
    layers_at_start,
    one_layer,
    read_dead,
    wavy,
)


def test_every_activation_has_a_curve_with_its_derivative():
    h = 1e-3
    x = np.linspace(-4.01, 4, 40)
    curves = curves_of_activations(np.concatenate([x - h, x, x + h]))
    assert {name.split()[0] for name in curves} == {*nn.activation_names(), "prelu"} - {"swish"}
    for name, (values, slopes) in curves.items():
        if name.startswith(("step", "sign")):
            continue
        expected = (values[80:] - values[:40]) / (2 * h)
        np.testing.assert_allclose(slopes[40:80], expected, atol=3e-3, err_msg=name)


def test_random_networks_have_the_variances_of_the_formula():
    found = layers_at_start(
        "tanh", "glorot_normal", jax.random.key(0), width=200, depth=3, networks=20, shown=(1, 3)
    )
    assert found.gap() < 0.05
    for i, values in found.values.items():
        assert values.std() == pytest.approx(found.deviations[i - 1], rel=0.15)


@pytest.mark.parametrize("count", [2, 7, 40])
def test_a_built_network_passes_through_its_points(count):
    rng = np.random.default_rng(count)
    x = np.sort(rng.uniform(0, 1, count + 1)) + 0.05 * np.arange(count + 1)
    y = rng.normal(size=count + 1)
    model = MLP((count,), 1)
    points = np.linspace(x[0], x[-1], 200)
    inputs = np.concatenate([x, points]).astype(np.float32)[:, None]
    found = model.apply({"params": one_layer(x, y)}, inputs, train=False)[:, 0]
    np.testing.assert_allclose(found[: count + 1], y, atol=2e-3)
    np.testing.assert_allclose(found[count + 1 :], np.interp(points, x, y), atol=2e-3)


def test_more_units_fit_better():
    x = np.linspace(0, 1, 500)
    errors = []
    for count in (10, 40, 160):
        knots = np.linspace(0, 1, count + 1)
        params = one_layer(knots, wavy(knots))
        inputs = jnp.asarray(x[:, None], jnp.float32)
        y = MLP((count,), 1).apply({"params": params}, inputs, train=False)[:, 0]
        errors.append(np.abs(np.asarray(y) - wavy(x)).mean())
    assert errors[0] > 5 * errors[1] > 10 * errors[2]


def test_a_training_writes_the_share_of_dead_units(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)).astype(np.float32)
    data = Dataset({"input": x, "label": rng.integers(0, 3, 60).astype(np.int32)}, "random", 3)
    model = MLP((20, 20), 3)
    task = tasks.classify(model)
    learner = jaxdl.learner(task.init, *task.updates(optax.sgd(1.0)))
    files = DeadUnitFiles(lambda name: tmp_path / name, model, x)
    state = jaxdl.train(
        learner, data, key=jaxdl.root(0), steps=40, save_every=10, on_validation=files
    )
    steps, shares = read_dead(tmp_path)
    assert steps.tolist() == [10, 20, 30, 40]
    h = x
    for name in ("dense_0", "dense_1"):
        layer = state.params[name]
        h = np.maximum(h @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"]), 0)
        dead = (h == 0).all(0).mean()
        assert shares[name.replace("dense", "activation")][-1] == pytest.approx(dead)
    assert not list(tmp_path.glob("*.partial"))


def test_the_first_death_has_layer_and_step():
    steps = np.array([0, 10, 20])
    shares = {"activation_0": np.array([0, 0.2, 0.9]), "activation_1": np.array([0, 0.4, 0.95])}
    assert first_death(steps, shares) == "activation_1: 95 % dead at step 20"
    assert first_death(steps, shares, 0.3) == "activation_1: 40 % dead at step 10"


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(InputError, match="allowed: a folder with files dead-"):
        read_dead(tmp_path)


def test_the_collapsed_network_has_the_same_probabilities():
    model = MLP((6, 4), 3, activation="linear")
    x = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    variables = model.init(jax.random.key(0), x, train=False)
    logits = np.asarray(model.apply(variables, x, train=False))
    np.testing.assert_allclose(collapsed(variables["params"], x), softmax(logits), atol=1e-6)
    np.testing.assert_allclose(softmax(logits), jax.nn.softmax(logits), atol=1e-6)
