"""Optimizers with equal budgets, the noise of batches in closed form, and numbers of a run."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import tasks
from jaxdl.data.dataset import Dataset
from jaxdl.landscape import RATES, TERRAINS
from jaxdl.models import MLP
from jaxdl.recipes.downhill import (
    batch_numbers,
    draw_hills,
    draw_schedules,
    draw_too_small_and_too_large,
    labels,
    noise_of_batches,
    plane_of,
    race,
    table,
)
from tests.plots.pictures import pixels

RNG = np.random.default_rng(0)


def regression(examples=60):
    data = Dataset(
        {
            "input": RNG.normal(size=(examples, 3)).astype(np.float32),
            "target": RNG.normal(size=(examples, 2)).astype(np.float32),
        },
        "random",
    )
    task = tasks.regress(MLP((), 2))
    params, extra = task.init(jaxdl.root(1), data.arrays)
    return task, params, extra, data


def gradients(params, data):
    """Returns the gradient of each example of the linear regression, in NumPy."""
    w, b = (np.asarray(params["out"][name], float) for name in ("kernel", "bias"))
    x, t = (np.asarray(data[name], float) for name in ("input", "target"))
    error = x @ w + b - t
    return np.concatenate([(x[:, :, None] * error[:, None]).reshape(len(x), -1), error], 1)


@pytest.mark.parametrize("size", [2, 10, 30])
def test_the_noise_of_batches_has_its_closed_form(size):
    task, params, extra, data = regression()
    found = noise_of_batches(task, params, extra, data, size, jaxdl.root(0), batches=600)
    each = gradients(params, data)
    mean = each.mean(0)
    count = len(each)
    variance = ((each - mean) ** 2).sum(1).mean()
    expected = np.sqrt(variance / size * (count - size) / (count - 1)) / np.linalg.norm(mean)
    assert found == pytest.approx(expected, rel=0.06)


def test_the_whole_set_has_no_noise():
    task, params, extra, data = regression()
    assert noise_of_batches(task, params, extra, data, 60, jaxdl.root(0), batches=3) < 1e-6


def test_all_optimizers_have_the_same_steps_and_rates():
    races = race(["bowl", "saddle"], ["sgd", "adam"], 5)
    for tuned in races.values():
        for each in tuned.values():
            assert len(each.measures) == len(RATES)
            assert len(each.descent.values) == 6
            assert each.measures.min() == pytest.approx(each.descent.values.mean(), rel=1e-5)
    lines = table(races).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["sgd", "adam"]
    assert lines[0].split() == ["bowl", "saddle"]
    rate = races["bowl"]["sgd"].rate
    assert labels(races["bowl"])["sgd"].startswith(f"sgd: {rate:.2g} → ")


def test_a_plane_has_the_values_of_its_terrain():
    terrain = TERRAINS["beale"]
    found = plane_of(terrain, 5)
    for i, j in ((0, 0), (1, 3), (4, 2)):
        value = terrain.function(jnp.array([found.x[j], found.y[i]], jnp.float32))
        np.testing.assert_allclose(found.losses[i, j], value, rtol=1e-5)


@pytest.mark.slow
def test_pictures_are_drawn(tmp_path):
    pixels(draw_too_small_and_too_large(tmp_path / "rate.png"))
    pixels(draw_schedules(tmp_path / "schedules.png", steps=20))
    picture, moving = draw_hills(lambda name: tmp_path / f"{name}.png", steps=4)
    pixels(picture)
    assert moving.name == "hills.gif" and moving.exists()


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_numbers_of_a_run_are_its_records(tmp_path, seeds):
    """The last record is the mean of fewer steps, so it does not count."""
    rows = []
    for step in (5, 10, 15, 16):
        row = {"step": step, "train/loss": 1.0 / step, "seconds/train": 0.1 * step}
        if seeds > 1:
            row |= {f"train/loss/{i}": (1.0 + i) / step for i in range(seeds)}
        rows.append(row)
    rows.insert(2, {"step": 12, "validation/loss": 1.0})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text)
    found = batch_numbers(tmp_path, 4, range(seeds), 0.5)
    assert found.examples.tolist() == [20, 40, 60]
    assert found.losses.shape == (3, seeds)
    np.testing.assert_allclose(found.losses[:, -1], [seeds / 5, seeds / 10, seeds / 15])
    assert found.noise == 0.5


def test_gradients_of_the_oracle_are_those_of_jax():
    task, params, extra, data = regression()

    def loss(params):
        (total, count), _ = task.loss(params, extra, data.arrays, jaxdl.root(0), train=False)
        return total / count

    found = jax.grad(loss)(params)["out"]
    mean = gradients(params, data).mean(0)
    np.testing.assert_allclose(np.ravel(found["kernel"]), mean[:6], rtol=1e-4, atol=1e-6)
