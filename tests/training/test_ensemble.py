"""Several runs in one program: each is the run alone, on any number of devices, through any interruption."""

import functools
import math

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError, NonFinite
from jaxdl.training import (
    Directory,
    InMemory,
    Memory,
    Patience,
    Pmapped,
    Sharded,
    evaluate,
    state_sha256,
    train,
)
from jaxdl.training.ensemble import Ensemble, for_runs
from tests.training.linear import KEY, line, points

SEEDS = (5, 0, 2**32 - 1, 11)
KEYS = jaxdl.root(SEEDS)
ONE = Sharded(jax.devices()[:1])
NET = line(optax.adam(0.1))
TASK = jaxdl.tasks.classify(
    jaxdl.models.CNN((jaxdl.models.Stage(3),), (4,), 2, dropout=0.3, norm="batch")
)
CNN = jaxdl.learner(TASK.init, jaxdl.Update(TASK.loss, optax.sgd(0.1, momentum=0.9)))
IMAGES = jaxdl.data.Dataset(
    {
        "input": np.random.default_rng(0).random((20, 6, 6, 1), np.float32),
        "label": np.arange(20, dtype=np.int32) % 2,
    },
    "random",
)


def run(key=KEYS, net=NET, data=None, **changed):
    memory = Memory()
    defaults = {
        "steps": 10,
        "batch_size": 4,
        "strategy": ONE,
        "log_every": 4,
        "save_every": 3,
        "writers": [memory],
    }
    state = train(net, points() if data is None else data, key=key, **(defaults | changed))
    return state, memory.records


@functools.cache
def together():
    return state_sha256(run()[0])


@pytest.mark.slow
@pytest.mark.exact
@pytest.mark.parametrize("devices", [1, 2, 3, 4])
def test_each_is_the_run_alone_bit_for_bit(devices):
    state, _ = run(strategy=Sharded(jax.devices()[:devices]))
    assert state.step.shape == (4,)
    for i, seed in enumerate(SEEDS):
        assert state_sha256(state.member(i)) == state_sha256(run(key=jaxdl.root(seed))[0])


@pytest.mark.slow
@pytest.mark.exact
def test_so_it_is_with_noise_running_statistics_and_averaged_weights():
    net = jaxdl.with_ema(CNN, 0.9)
    state, _ = run(net=net, data=IMAGES)
    alone, _ = run(key=jaxdl.root(SEEDS[1]), net=net, data=IMAGES)
    assert state_sha256(state.member(1)) == state_sha256(alone)


@pytest.mark.slow
def test_at_once_is_in_turns_to_rounding():
    members = Ensemble(4, ONE.devices)
    members._sequential = members._vectorized
    state, _ = run(net=CNN, data=IMAGES, strategy=members)
    for a, b in zip(
        jax.tree.leaves(state), jax.tree.leaves(run(net=CNN, data=IMAGES)[0]), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stop", [1, 3, 4, 9])
def test_interrupted_together(stop, tmp_path):
    run(store=Directory(tmp_path), stop_after=stop)
    assert (
        state_sha256(run(store=Directory(tmp_path), strategy=Sharded(jax.devices()[:2]))[0])
        == together()
    )


def test_streamed_is_resident(monkeypatch):
    monkeypatch.setattr(jaxdl.data.order, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(jaxdl.data.order, "WINDOW_STEPS", 3)
    assert state_sha256(run()[0]) == together()


def test_evaluation_gives_an_array_each():
    state, _ = run()
    found = evaluate(
        NET, state, points(7, seed=1), batch_size=4, strategy=Sharded(jax.devices()[:2])
    )
    alone = [
        evaluate(NET, state.member(i), points(7, seed=1), batch_size=4, strategy=ONE)
        for i in range(4)
    ]
    np.testing.assert_array_equal(found["loss"], [one["loss"] for one in alone])


def test_writers_are_told_the_mean_and_each():
    _, records = run(validation=points(7, seed=1))
    alone = [run(key=jaxdl.root(seed), validation=points(7, seed=1))[1] for seed in SEEDS]
    for part in ("train/loss", "validation/loss"):
        lines = [metrics for _, metrics in records if part in metrics]
        for n, metrics in enumerate(lines):
            own = [[m for _, m in each if part in m][n][part] for each in alone]
            np.testing.assert_allclose([metrics[f"{part}/{i}"] for i in range(4)], own, rtol=1e-12)
            assert metrics[part] == pytest.approx(np.mean(own))


def test_one_that_diverges_does_not_stop_the_others():
    rates = np.float32([0.1, math.inf])

    def init(key, batch):
        params = {"w": jax.numpy.zeros(3)}
        extra = {}
        params["rate"] = jax.numpy.asarray(rates)[jax.random.key_data(key)[-1] % 2]
        return params, extra

    def loss(params, extra, batch, key, *, train):
        error = (batch["input"] @ params["w"] * params["rate"] - batch["target"]) ** 2
        return error.mean(), (extra, {"loss": jaxdl.metrics.total(error)})

    net = jaxdl.learner(init, jaxdl.Update(loss, optax.sgd(0.1)))
    with pytest.warns(
        UserWarning, match=r"^run \d is not finite since step \d+; the others go on$"
    ) as warned:
        state, records = run(net=net, store=InMemory(), validation=points(7, seed=1))
    fine = np.isfinite(np.asarray(state.params["w"])).all(1)
    assert fine.any() and not fine.all() and len(warned) == (~fine).sum()
    assert [
        math.isfinite(records[-2][1][f"validation/loss/{i}"]) for i in range(4)
    ] == fine.tolist()
    rates[:] = math.inf
    with pytest.raises(NonFinite):
        run(net=jaxdl.learner(init, jaxdl.Update(loss, optax.sgd(0.1))))


def test_patience_looks_at_the_mean_and_never_at_the_survivors():
    found = {"loss": np.array([1.0, 3.0]), "accuracy": np.array([0.25, 0.75])}
    assert Patience("loss").value(found) == 2.0
    assert Patience("accuracy", larger=True).value(found) == -0.5
    assert math.isnan(Patience("loss").value({"loss": np.array([1.0, np.nan])}))
    state, _ = run(validation=points(7, seed=1), patience=Patience("loss", 2))
    assert state.step.shape == (4,)


@pytest.mark.parametrize(
    ("count", "devices", "used"), [(4, 4, 4), (4, 3, 1), (6, 4, 2), (2, 4, 2), (3, 1, 1)]
)
def test_as_many_devices_as_can_share_evenly(count, devices, used):
    assert len(Ensemble(count, jax.devices()[:devices]).devices) == used


def test_the_same_program_is_found_again():
    assert for_runs(KEYS, ONE) is for_runs(jaxdl.root([1, 2, 3, 4]), ONE)
    assert for_runs(KEY, ONE) is ONE


@pytest.mark.parametrize("name", ["pmap", "fsdp"])
def test_strategies_that_cannot(name):
    where = Pmapped(jax.devices()[:2]) if name == "pmap" else Sharded(jax.devices()[:2], fsdp=True)
    with pytest.raises(InputError) as caught:
        run(strategy=where)
    assert (
        str(caught.value)
        == f"strategy: got {name!r}, allowed: sharded or single, for several runs in one program"
    )


def test_several_processes_have_one_seed(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError) as caught:
        run()
    assert str(caught.value) == "key: got '4 keys', allowed: one, where there are several processes"


class Library(nn.Module):
    """A convolution of XLA's own."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2)(nn.relu(nn.Conv(3, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
def test_with_a_convolution_of_xlas_own_too():
    task = jaxdl.tasks.classify(Library())
    net = jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1)))
    state, _ = run(net=net, data=IMAGES)
    alone, _ = run(key=jaxdl.root(SEEDS[2]), net=net, data=IMAGES)
    assert state_sha256(state.member(2)) == state_sha256(alone)
    found = evaluate(net, state, IMAGES, strategy=ONE)["loss"]
    assert found.shape == (4,) and found[2] == evaluate(net, alone, IMAGES, strategy=ONE)["loss"]


@pytest.mark.parametrize("i", [-1, 4, 7])
def test_a_member_that_there_is_not(i):
    with pytest.raises(InputError) as caught:
        run(steps=1)[0].member(i)
    assert (
        str(caught.value)
        == f"member: got {i}, allowed: a number below 4, of a state of several runs"
    )
