"""Planes around a network, files of a path, the set of a loaded network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import tasks
from jaxdl.core import State
from jaxdl.data import Dataset, standardize
from jaxdl.errors import InputError
from jaxdl.landscape import loss_of
from jaxdl.models import MLP
from jaxdl.recipes.landscape import (
    LandscapeOptions,
    PathFiles,
    draw_between,
    draw_path,
    loss_between,
    loss_on_path,
    norm_of,
    planes_around,
    set_of,
)
from jaxdl.rng import root
from jaxdl.runs import RunOptions
from tests.landscape.networks import MODELS, dataset, network, scaled
from tests.plots.pictures import pixels

OPTIONS = LandscapeOptions(points=3, examples=20)


def test_planes_with_filters_ignore_the_scale_and_planes_of_one_length_do_not(tmp_path):
    task, state = network("mlp")
    f = loss_of(task.loss, state, dataset())
    large = scaled(scaled(state.params, "dense_0", "dense_1", 5.0), "dense_1", "out", 2.0)
    length = norm_of(state.params)
    lines = []
    found = planes_around(
        f, state.params, root(0), OPTIONS, length=length, folder=tmp_path, progress=lines.append
    )
    other = planes_around(f, large, root(0), OPTIONS, length=length)
    assert {path.name for path in tmp_path.iterdir()} == {"plane-filter.npz", "plane-none.npz"}
    np.testing.assert_allclose(other["filter"].losses, found["filter"].losses, rtol=1e-4)
    assert np.abs(other["none"].losses / found["none"].losses - 1).max() > 0.03
    assert not lines
    assert list(planes_around(f, state.params, root(0), OPTIONS)) == ["filter"]


def test_files_of_a_path_are_the_states_in_order(tmp_path):
    task, _ = network("mlp")
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.5)))
    files = PathFiles(lambda name: tmp_path / name)
    given = []

    def keep(state):
        files(state)
        given.append(jax.tree.map(np.array, state.params))

    data = dataset()
    state = jaxdl.train(
        net, data, key=root([0, 1]), steps=6, batch_size=8, save_every=2, on_validation=keep
    )
    # A step that is repeated after an interruption replaces its file.
    files(state)
    found = files.states(state.member(0).params)
    assert len(found) == 3
    for states, both in zip(found, given, strict=True):
        for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(both), strict=True):
            np.testing.assert_array_equal(a, b[0])
    assert all(path.suffix == ".npz" for path in tmp_path.iterdir())


def test_the_plane_of_a_path_shows_all_its_states(tmp_path):
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(size=(7, 5)), 0)
    states = [{"w": jnp.asarray(w, jnp.float32)} for w in path]
    found = loss_on_path(lambda w: (w["w"] ** 2).sum(), states, OPTIONS, folder=tmp_path)
    surface, plane = found
    for axis, ticks in ((0, surface.x), (1, surface.y)):
        assert (plane.coordinates[:, axis] > ticks[0]).all()
        assert (plane.coordinates[:, axis] < ticks[-1]).all()
    np.testing.assert_allclose(np.ptp(surface.x), np.ptp(surface.y), rtol=1e-5)
    pixels(draw_path(found, tmp_path / "path.png", "seed 0"))


def test_lines_between_two_networks(tmp_path):
    task, a = network("mlp")
    _, b = network("mlp", 2)
    data = dataset()
    f = loss_of(task.loss, a, data)
    found = loss_between(f, MODELS["mlp"], a, b)
    straight, matched = found.lines.values()
    assert straight.losses[0] == matched.losses[0] == np.float32(f(a.params))
    # Matching changes no function, only the path to it.
    np.testing.assert_allclose(matched.losses[-1], straight.losses[-1], rtol=1e-5)
    assert np.abs(matched.losses[1:-1] / straight.losses[1:-1] - 1).max() > 1e-3
    pixels(draw_between(found, tmp_path / "line.png", ("seed 0", "seed 1")))
    same = loss_between(f, MODELS["mlp"], a, a)
    np.testing.assert_allclose(same.barrier, 0, atol=1e-6)


def saved(directory, data, task):
    batch = {name: x[:2] for name, x in data.arrays.items()}
    params, extra = task.init(root(0), batch)
    state = State(jnp.zeros((), jnp.int32), params, (), extra)
    jaxdl.save(str(directory), task, state, data)
    return jaxdl.load(str(directory))


def test_the_set_of_a_network_has_the_scaling_of_its_training(tmp_path):
    train, test = jaxdl.data.load("moons")
    scaled_train, _ = standardize(train, test)
    net = saved(tmp_path, scaled_train, tasks.classify(MLP((4,), 2)))
    found = set_of(net, "runs/mine", RunOptions(data="moons"))
    np.testing.assert_allclose(found["input"], scaled_train["input"], rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError) as raised:
        set_of(net, "runs/mine", RunOptions(data="photos"))
    assert str(raised.value).startswith("data: got 'photos [")
    assert str(raised.value).endswith("allowed: inputs [2] with input, label, as in the training")


def test_a_network_with_several_losses_is_refused(tmp_path):
    task = dataclasses.replace(tasks.classify(MLP((4,), 3)), functions={})
    net = saved(tmp_path, dataset(), tasks.classify(MLP((4,), 3)))
    net = dataclasses.replace(net, task=task)
    with pytest.raises(InputError, match="load: got 'runs/mine', allowed: a run with one loss"):
        set_of(net, "runs/mine", RunOptions())


def test_sizes_of_options():
    for change, message in (
        ({"points": 1}, "points: got 1, allowed: at least 2"),
        ({"span": 0.0}, "span: got 0.0, allowed: above 0"),
        ({"span": -1.0}, r"span: got -1.0, allowed: a number in \[0, inf\)"),
        ({"examples": 0}, "examples: got 0, allowed: at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            dataclasses.replace(OPTIONS, **change).validate(RunOptions())
    assert isinstance(dataset(), Dataset)
