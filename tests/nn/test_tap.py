"""Activations by name, of every model: values, bumps and gradients against other computations."""

import dataclasses
import inspect
from functools import cache

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxdl import models
from jaxdl.models import (
    CNN,
    Stage,
)
from jaxdl.nn import RNN, tap
from tests.models.random_variables import random_variables
from tests.nn.tapped import (
    CHAINS,
    IMAGES,
    LENGTHS,
    MODELS,
    POINTS,
    RNG,
    STEPS,
    B,
    close,
    each_model,
    seen,
    tapped_model,
    variables_of,
)


def modules_in(module):
    """Yields the types of a module and of the modules in its fields."""
    yield type(module)
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, linen.Module) and field.name != "parent":
            yield from modules_in(value)


def test_the_table_has_every_model():
    known = {value for value in vars(models).values() if inspect.isclass(value)}
    known = {value for value in known if issubclass(value, linen.Module)}
    # Its tables have no layers and no activations.
    known.remove(models.SkipGram)
    assert known <= {kind for model, _, _ in MODELS.values() for kind in modules_in(model)}


@cache
def captured(name):
    """Returns the outputs and the layers' outputs by Linen's own means, without a tap."""
    model, x, more = MODELS[name]
    variables = variables_of(name)

    @jax.jit
    def run(x):
        return model.apply(
            variables,
            x,
            train=False,
            **more,
            capture_intermediates=True,
            mutable=["intermediates"],
        )

    y, updates = run(x)
    layers = {}
    for path, (first, *_) in flatten_dict(updates["intermediates"]).items():
        if path[:-1]:
            layers["/".join(path[:-1])] = first[0] if isinstance(first, tuple) else first
    return y, layers


@each_model
def test_outputs_and_layers_are_those_without_a_tap(name):
    y, layers = captured(name)
    outputs, activations = seen(name)
    close(outputs, y)
    close({path: activations[path] for path in layers}, layers)
    assert len(layers) >= 2


@pytest.mark.parametrize("name", POINTS)
def test_all_other_activations_follow_from_the_layers(name):
    activations = seen(name)[1]
    assert set(activations) - set(captured(name)[1]) == set(POINTS[name])
    for point, expected in POINTS[name].items():
        close(activations[point], expected(activations).astype(np.float32))


@pytest.mark.parametrize("name", CHAINS)
def test_a_bump_replaces_the_activation(name):
    """The activations of other inputs, one after the other, give the outputs of those inputs."""
    x = MODELS[name][1]
    f = tapped_model(name)
    other = x[::-1] + np.float32(0.3)
    outputs, activations = seen(name)
    expected, others = jax.tree.map(np.asarray, f(other))
    assert abs(expected - outputs).max() > 0.01
    for point, activation in activations.items():
        zeros = {each: np.zeros_like(value) for each, value in activations.items()}
        y, bumped = f(x, {**zeros, point: others[point] - activation})
        close(y, expected, 1e-5)
        close(bumped[point], others[point], 1e-5)


@each_model
def test_gradients_by_bumps_are_differences(name):
    _, x, _ = MODELS[name]
    rng = np.random.default_rng(3)
    f = tapped_model(name)
    outputs, activations = seen(name)
    weights = rng.normal(size=outputs.shape).astype(np.float32)
    # Random bumps, because a ReLU and a maximum have no derivative at a 0 and at equal numbers.
    bumps = {
        point: rng.normal(size=value.shape).astype(np.float32)
        for point, value in activations.items()
    }
    gradients = jax.jit(jax.grad(lambda bumps: (f(x, bumps)[0] * weights).sum()))(bumps)
    not_zero = 0
    for point, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape).astype(np.float32)
        high, low = (
            np.sum(np.float64(f(x, {**bumps, point: bumps[point] + step * direction})[0]) * weights)
            for step in (np.float32(1e-3), np.float32(-1e-3))
        )
        expected = np.vdot(gradient, direction)
        assert abs((high - low) / 2e-3 - expected) < 0.01 + 0.01 * abs(expected), point
        not_zero += bool(abs(gradient).max() > 1e-4)
    assert not_zero >= len(gradients) - 2


def gates(np, cell, p, x, bumps, lengths):
    """Runs a cell over one sequence step by step; returns the gates and carries `[T, H]`.

    `np` is NumPy or `jax.numpy`.
    """

    def s(a):
        return 1 / (1 + np.exp(-a))

    size = p["recurrent_kernel"].shape[0]
    zero = np.zeros(size)
    h = zero
    c = zero
    rows = []
    for t in range(len(x)):
        row = {}

        def point(name, value, t=t, row=row):
            row[name] = value + bumps.get(name, np.zeros((len(x), size)))[t]
            return row[name]

        if t >= lengths:
            rows.append(dict.fromkeys(rows[0], zero))
            continue
        a = x[t] @ p["kernel"] + p["bias"]
        u = h @ p["recurrent_kernel"]
        if cell == "simple":
            h = point("h", np.tanh(a + u))
        elif cell == "lstm":
            i, f, g, o = np.split(a + u, 4)
            kept = point("forget", s(f)) * c
            c = point("cell", kept + point("input", s(i)) * point("candidate", np.tanh(g)))
            h = point("h", point("output", s(o)) * np.tanh(c))
        else:
            (r, z, n) = np.split(a, 3)
            (r_h, z_h, n_h) = np.split(u, 3)
            r = point("reset", s(r + r_h))
            z = point("update", s(z + z_h))
            n = point("candidate", np.tanh(n + r * (n_h + p["recurrent_bias"])))
            h = point("h", (1 - z) * n + z * h)
        rows.append(row)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_gates_and_carries_are_those_of_the_loop(cell):
    """Two layers in two directions with lengths; values in NumPy, gradients by autodiff."""
    model = RNN(cell, 3, 2, bidirectional=True)
    variables = random_variables(model, STEPS)
    lengths = jnp.asarray(LENGTHS["lengths"])
    f = jax.jit(tap(model, variables, train=False, lengths=lengths))
    (ys, _), activations = f(STEPS)
    params = jax.tree.map(np.asarray, variables["params"])

    def layer(np, name, x, bumps):
        """Returns the gates of one layer and direction, of all sequences."""
        results = []
        for b, length in enumerate(LENGTHS["lengths"]):
            steps = np.asarray(x[b])
            mine = {point: bump[b] for point, bump in bumps.items()}
            if name.endswith("backward"):
                order = np.concatenate([np.arange(length)[::-1], np.arange(length, len(steps))])
                mine = {point: bump[order] for point, bump in mine.items()}
                values = gates(np, cell, params[name], steps[order], mine, length)
                results.append({point: value[order] for point, value in values.items()})
            else:
                results.append(gates(np, cell, params[name], steps, mine, length))
        return {point: np.stack([each[point] for each in results]) for point in results[0]}

    x = STEPS
    for i in range(2):
        halves = []
        for name in (f"{cell}_{i}", f"{cell}_{i}_backward"):
            expected = layer(np, name, x, {})
            close({point: activations[f"{name}/{point}"] for point in expected}, expected, 1e-5)
            halves.append(expected["h"])
        x = np.concatenate(halves, -1)
    close(ys, x, 1e-5)

    # The gradient of the last backward layer by each of its gates and carries.
    name = f"{cell}_1_backward"
    points = [path for path in activations if path.startswith(name + "/")]
    bumps = {path: 0.1 * RNG.normal(size=(B, 6, 3)).astype(np.float32) for path in points}
    weights = RNG.normal(size=(B, 6, 3)).astype(np.float32)
    below = np.concatenate([activations[f"{cell}_0{half}/h"] for half in ("", "_backward")], -1)

    def textbook(bumps):
        inside = {path.split("/")[-1]: bump for path, bump in bumps.items()}
        return (layer(jnp, name, below, inside)["h"] * weights).sum()

    def score(bumps):
        return (f(STEPS, bumps)[0][0][..., 3:] * weights).sum()

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        expected = jax.jit(jax.grad(textbook))(bumps)
    close(jax.jit(jax.grad(score))(bumps), expected, 1e-4)


def test_grad_cam_of_a_network_that_ends_in_a_global_average_is_cam():
    model = CNN((Stage(4), Stage(6, pool="average", window=4)), (), 3)
    variables = random_variables(model, IMAGES)
    f = jax.jit(tap(model, variables, "activation_1", train=False))
    maps = np.asarray(f(IMAGES)[1]["activation_1"])
    for label in range(3):
        gradient = jax.grad(lambda bump: f(IMAGES, {"activation_1": bump})[0][:, label].sum())
        weights = gradient(np.zeros_like(maps)).mean((1, 2), keepdims=True)
        grad_cam = (weights * maps).sum(-1)
        cam = maps @ np.asarray(variables["params"]["head"]["out"]["kernel"])[:, label]
        close(grad_cam * 16, cam, 1e-5)
