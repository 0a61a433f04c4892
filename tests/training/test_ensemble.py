"""Ensembles: each member equals the run alone, on any devices, after any interruption."""

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
from jaxdl.training.ensemble import Ensemble, strategy_for_keys
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
    state = train(net, data or points(), key=key, **(defaults | changed))
    return state, memory.records


@functools.cache
def ensemble_hash():
    return state_sha256(run()[0])


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("devices", [1, 2, 3, 4])
def test_each_member_equals_the_run_alone_bit_for_bit(devices):
    state, _ = run(strategy=Sharded(jax.devices()[:devices]))
    assert state.step.shape == (4,)
    for i, seed in enumerate(SEEDS):
        assert state_sha256(state.member(i)) == state_sha256(run(key=jaxdl.root(seed))[0])


@pytest.mark.slow
@pytest.mark.optimized
def test_members_with_noise_running_statistics_and_averaged_weights():
    net = jaxdl.with_ema(CNN, 0.9)
    state, _ = run(net=net, data=IMAGES)
    alone, _ = run(key=jaxdl.root(SEEDS[1]), net=net, data=IMAGES)
    assert state_sha256(state.member(1)) == state_sha256(alone)


@pytest.mark.slow
@pytest.mark.optimized
def test_vectorized_equals_sequential_up_to_rounding():
    members = Ensemble(4, ONE.devices)
    members._sequential = members._vectorized
    state, _ = run(net=CNN, data=IMAGES, strategy=members)
    sequential, _ = run(net=CNN, data=IMAGES)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(sequential), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stop", [1, 3, 4, 9])
def test_an_interrupted_ensemble_resumes_on_two_devices(stop, tmp_path):
    run(store=Directory(tmp_path), stop_after=stop)
    state, _ = run(store=Directory(tmp_path), strategy=Sharded(jax.devices()[:2]))
    assert state_sha256(state) == ensemble_hash()


def test_a_streamed_set_gives_the_same_as_a_resident_one(monkeypatch):
    monkeypatch.setattr(jaxdl.data.order, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(jaxdl.data.order, "WINDOW_STEPS", 3)
    assert state_sha256(run()[0]) == ensemble_hash()


def test_evaluation_gives_an_array_per_metric():
    state, _ = run()
    metrics = evaluate(
        NET, state, points(7, seed=1), batch_size=4, strategy=Sharded(jax.devices()[:2])
    )
    alone = [
        evaluate(NET, state.member(i), points(7, seed=1), batch_size=4, strategy=ONE)
        for i in range(4)
    ]
    np.testing.assert_array_equal(metrics["loss"], [one["loss"] for one in alone])


def test_writers_receive_the_mean_and_the_value_of_each_member():
    _, records = run(validation=points(7, seed=1))
    alone = [run(key=jaxdl.root(seed), validation=points(7, seed=1))[1] for seed in SEEDS]
    for part in ("train/loss", "validation/loss"):
        lines = [metrics for _, metrics in records if part in metrics]
        for n, metrics in enumerate(lines):
            expected = [[m for _, m in each if part in m][n][part] for each in alone]
            values = [metrics[f"{part}/{i}"] for i in range(4)]
            np.testing.assert_allclose(values, expected, rtol=1e-12)
            assert metrics[part] == pytest.approx(np.mean(expected))


def test_a_member_that_diverges_does_not_stop_the_others():
    rates = np.float32([0.1, math.inf])

    def init(key, batch):
        params = {"w": jax.numpy.zeros(3)}
        extra = {}
        params["rate"] = jax.numpy.asarray(rates)[jax.random.key_data(key)[-1] % 2]
        return params, extra

    def loss(params, extra, batch, key, *, train):
        error = (batch["input"] @ params["w"] * params["rate"] - batch["target"]) ** 2
        return jaxdl.metrics.total(error), (extra, {"loss": jaxdl.metrics.total(error)})

    net = jaxdl.learner(init, jaxdl.Update(loss, optax.sgd(0.1)))
    message = r"^run \d is not finite since step \d+; the others continue$"
    with pytest.warns(UserWarning, match=message) as warned:
        state, records = run(net=net, store=InMemory(), validation=points(7, seed=1))
    fine = np.isfinite(np.asarray(state.params["w"])).all(1)
    assert fine.any() and not fine.all() and len(warned) == (~fine).sum()
    losses = [records[-2][1][f"validation/loss/{i}"] for i in range(4)]
    assert np.isfinite(losses).tolist() == fine.tolist()
    rates[:] = math.inf
    with pytest.raises(NonFinite):
        run(net=jaxdl.learner(init, jaxdl.Update(loss, optax.sgd(0.1))))


def test_patience_uses_the_mean_of_all_members():
    metrics = {"loss": np.array([1.0, 3.0]), "accuracy": np.array([0.25, 0.75])}
    assert Patience("loss").value(metrics) == 2.0
    assert Patience("accuracy", larger=True).value(metrics) == -0.5
    assert math.isnan(Patience("loss").value({"loss": np.array([1.0, np.nan])}))
    state, _ = run(validation=points(7, seed=1), patience=Patience("loss", 2))
    assert state.step.shape == (4,)


@pytest.mark.parametrize(
    ("count", "devices", "used"), [(4, 4, 4), (4, 3, 1), (6, 4, 2), (2, 4, 2), (3, 1, 1)]
)
def test_the_number_of_devices_divides_the_number_of_members(count, devices, used):
    assert len(Ensemble(count, jax.devices()[:devices]).devices) == used


def test_equal_arguments_give_the_same_strategy():
    assert strategy_for_keys(KEYS, ONE) is strategy_for_keys(jaxdl.root([1, 2, 3, 4]), ONE)
    assert strategy_for_keys(KEY, ONE) is ONE


@pytest.mark.parametrize("name", ["pmap", "fsdp"])
def test_pmap_and_fsdp_are_refused_for_several_runs(name):
    strategies = {
        "pmap": Pmapped(jax.devices()[:2]),
        "fsdp": Sharded(jax.devices()[:2], fsdp=True),
    }
    with pytest.raises(InputError) as caught:
        run(strategy=strategies[name])
    allowed = "sharded or single, for several runs in one program"
    assert str(caught.value) == f"strategy: got {name!r}, allowed: {allowed}"


def test_several_runs_are_refused_in_several_processes(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError) as caught:
        run()
    message = "key: got '4 keys', allowed: one key, when there are several processes"
    assert str(caught.value) == message


class LinenConvolution(nn.Module):
    """A network with a convolution of Linen, which uses XLA's routine."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2)(nn.relu(nn.Conv(3, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
@pytest.mark.optimized
def test_members_with_a_convolution_of_linen():
    task = jaxdl.tasks.classify(LinenConvolution())
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    state, _ = run(net=net, data=IMAGES)
    alone, _ = run(key=jaxdl.root(SEEDS[2]), net=net, data=IMAGES)
    assert state_sha256(state.member(2)) == state_sha256(alone)
    losses = evaluate(net, state, IMAGES, strategy=ONE)["loss"]
    assert losses.shape == (4,)
    assert losses[2] == evaluate(net, alone, IMAGES, strategy=ONE)["loss"]


@pytest.mark.parametrize("i", [-1, 4, 7])
def test_a_member_that_does_not_exist(i):
    with pytest.raises(InputError) as caught:
        run(steps=1)[0].member(i)
    message = f"member: got {i}, allowed: an index in [0, 4) into the state of several runs"
    assert str(caught.value) == message
