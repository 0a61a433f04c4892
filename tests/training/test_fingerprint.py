"""The identity of a run: what a store refuses, and what it names. See `tests/faults/identity`."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import CheckpointError
from jaxdl.training import Checkpoint, Directory, InMemory, Patience, Pmapped, Sharded, state_sha256
from jaxdl.training.fingerprint import key_text
from jaxdl.updates import Update
from tests.training import linear
from tests.training.linear import KEY, line, points
from tests.training.runs import Compiled, run

TO_DO = "another run needs another store; to resume this one, use the value of the checkpoint"


@pytest.fixture(scope="module")
def saved():
    """The store of an unfinished run."""
    store = InMemory()
    run(net=line(), store=store, stop_after=6)
    return store


def refused(store, **changed) -> str:
    """Returns the message with which a run is refused."""
    states = dict(store.states)
    with pytest.raises(CheckpointError) as caught:
        run(store=store, **changed)
    assert store.states == states
    return str(caught.value)


def test_both_values_are_named(saved):
    data = points(seed=3)
    ours = points().sha256[:16]
    assert refused(saved, batch_size=2) == (
        f"store: batch_size is 4 in the checkpoint and 2 in this run; {TO_DO}"
    )
    assert refused(saved, key=jaxdl.root(3)) == (
        f"store: key is fry 0 7 in the checkpoint and fry 0 3 in this run; {TO_DO}"
    )
    assert refused(saved, data=data) == (
        f"store: data is points {ours} in the checkpoint and points {data.sha256[:16]} "
        f"in this run; {TO_DO}"
    )


def weighted(factor: float):
    """Returns the linear learner with its loss multiplied by a factor."""

    def loss(*args, **options):
        (total, count), aux = linear.loss(*args, **options)
        return (factor * total, count), aux

    return jaxdl.learner(linear.init, Update(loss, optax.sgd(0.05)))


def shifted(value: float):
    """Returns the linear learner with other initial weights."""

    def init(key, batch):
        params, extra = linear.init(key, batch)
        return {**params, "b": params["b"] + value}, extra

    return jaxdl.learner(init, Update(linear.loss, optax.sgd(0.05)))


@pytest.mark.parametrize(
    ("net", "part"),
    [
        (line(optax.sgd(0.06)), "the optimizer"),
        (weighted(2.0), "the loss, model or wrapper"),
        (shifted(1.0), "the initialization"),
        (line(optax.sgd(0.05, momentum=0.9)), "the optimizer"),
        (jaxdl.wrappers.with_ema(line(), 0.9), "the loss, model or wrapper"),
    ],
    ids=["rate", "loss", "initialization", "momentum", "average"],
)
def test_the_part_that_differs_is_named(saved, net, part):
    text = refused(saved, net=net)
    assert f"{part} is " in text and " in the checkpoint and " in text


def test_the_rate_in_the_state_of_an_optimizer():
    """Optimizers of `jaxdl.optimizers` have a constant rate in their state, not in the step."""
    store = InMemory()
    adam = jaxdl.optimizers.optimizer
    strategy = Compiled()
    run(net=line(adam("adam", 0.1)), store=store, stop_after=2, strategy=strategy)
    text = refused(store, net=line(adam("adam", 0.2)), strategy=strategy)
    assert text.startswith("store: the optimizer is program ")


def test_an_equal_run_resumes(saved):
    """The learner is another object, and the name of a set does not count."""
    store = InMemory()
    store.states = dict(saved.states)
    data = jaxdl.data.Dataset(points().arrays, "another name")
    with warnings.catch_warnings(action="error"):
        state, _ = run(store=store, data=data)
    assert state_sha256(state) == state_sha256(run()[0])
    with pytest.warns(UserWarning, match="^store: already finished at step 10; nothing trained$"):
        again, _ = run(store=store)
    assert state_sha256(again) == state_sha256(state)


def test_a_checkpoint_without_a_fingerprint_is_refused(saved):
    store = InMemory()
    state, history, _ = saved.states[6]
    store.save(Checkpoint(state, history))
    assert refused(store) == (
        "store: the checkpoint has no fingerprint, because an earlier version wrote it; "
        "give this run another store, in which it starts again"
    )


def test_other_versions_are_named_and_the_step_is_not_compared(saved, monkeypatch):
    monkeypatch.setattr("jaxdl.environment.version", lambda name: "9.9")
    store = InMemory()
    store.states = dict(saved.states)
    message = f"the version of jax is {jax.__version__} in the checkpoint and 9.9 in this run"
    with pytest.warns(UserWarning, match=message) as caught:
        run(net=line(optax.sgd(0.07)), store=store)
    assert "loss, model and optimizer were not compared" in str(caught[0].message)


def test_settings_of_jax_are_part_of_a_run(saved, monkeypatch):
    with jax.default_matmul_precision("highest"):
        text = refused(saved)
    assert text.startswith(
        "store: jax_default_matmul_precision is the default in the checkpoint and highest in this"
    )
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert "XLA_FLAGS" in refused(saved) and "--xla_cpu_enable_fast_math=true" in refused(saved)


def test_devices_do_not_count_except_for_pmap(tmp_path):
    arguments = {"batch_size": 4, "strategy": Sharded(jax.devices()[:2])}
    run(store=Directory(tmp_path), stop_after=4, **arguments)
    run(store=Directory(tmp_path), stop_after=6, strategy=Sharded(jax.devices()[:1]))
    with pytest.raises(CheckpointError, match="strategy is None in the checkpoint and pmap on 2"):
        run(store=Directory(tmp_path), strategy=Pmapped(jax.devices()[:2]))


def test_the_best_checkpoint_is_checked_too(tmp_path):
    """Patience returns an earlier step, which may have been copied from another run."""
    common = {"save_every": 2, "validation": points(7, seed=1), "patience": Patience(times=40)}
    mine = InMemory()
    other = InMemory()
    run(store=mine, **common)
    run(store=other, key=jaxdl.root(3), **common)
    best = min(mine.states, key=lambda step: dict(mine.states[max(mine.states)].history)[step])
    mine.states[best] = other.states[best]
    with pytest.raises(CheckpointError, match="^store: key is fry 0 3 in the checkpoint and fry"):
        run(store=mine, **common)


def test_text_of_many_keys():
    text = key_text(jaxdl.root(range(9)))
    assert text.startswith("fry 0 0, 0 1, 0 2, 0 3 and 5 more (")
    assert text != key_text(jaxdl.root([*range(8), 9]))
    assert key_text(jaxdl.root([7])) != key_text(jaxdl.root(7))
    assert np.all(jax.random.key_data(KEY) == jnp.array([0, 7], jnp.uint32))
