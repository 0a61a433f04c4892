"""Evaluation: every example counts once, for all batch sizes and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner
from jaxdl.errors import InputError
from jaxdl.training import Pmapped, Sharded, evaluate, train
from tests.training.linear import KEY, init, line, loss, points

DATA = points(23, seed=4)
ONE = Sharded(jax.devices()[:1])


@pytest.fixture(scope="module")
def state():
    return train(
        line(), points(), key=KEY, steps=3, batch_size=4, strategy=Sharded(jax.devices()[:1])
    )


def by_numpy(state) -> float:
    """Computes the mean squared error with NumPy in double precision."""
    x = DATA["input"].astype(np.float64)
    y = DATA["target"].astype(np.float64)
    prediction = x @ np.asarray(state.params["w"], np.float64) + float(state.params["b"])
    return float(((prediction - y) ** 2).mean())


@pytest.mark.parametrize("batch_size", [1, 7, 8, 22, 23, 24, 500])
def test_metrics_agree_with_numpy(state, batch_size):
    metrics = evaluate(
        line(), state, DATA, batch_size=batch_size, strategy=Sharded(jax.devices()[:1])
    )
    assert metrics == {"loss": pytest.approx(by_numpy(state), rel=1e-5)}


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_a_batch_is_rounded_up_to_the_devices(state, devices):
    metrics = evaluate(line(), state, DATA, batch_size=5, strategy=Sharded(jax.devices()[:devices]))
    assert metrics["loss"] == pytest.approx(by_numpy(state), rel=1e-5)


def test_a_state_may_come_from_other_devices_or_the_host(state):
    elsewhere = jax.device_put(state, jax.devices()[3])
    for given, where in (
        (state, None),
        (elsewhere, Sharded(jax.devices()[:2])),
        (jax.device_get(state), Pmapped()),
    ):
        value = evaluate(line(), given, DATA, strategy=where)["loss"]
        assert value == pytest.approx(by_numpy(state), rel=1e-5)


def test_all_devices_are_used_by_default(state):
    seen = set()
    net = line()

    def watched(state, batch, key):
        jax.debug.inspect_array_sharding(
            batch["input"], callback=lambda s: seen.add(len(s.device_set))
        )
        return net.evaluate(state, batch, key)

    evaluate(Learner(net.init, net.step, watched), state, DATA)
    assert seen == {len(jax.devices())}


def test_the_state_is_not_changed(state):
    before = jaxdl.state_sha256(state)
    evaluate(line(), state, DATA, strategy=Sharded(jax.devices()[:1]))
    assert jaxdl.state_sha256(state) == before


def test_noise_comes_from_the_key_and_differs_between_batches(state):
    net = line()
    one = Sharded(jax.devices()[:1])

    def noisy(state, batch, key):
        noise = jax.random.normal(key, batch["mask"].shape)
        return {"noise": ((noise * batch["mask"]).sum(), batch["mask"].sum())}

    learner = Learner(net.init, net.step, noisy)
    metrics = {
        seed: evaluate(learner, state, DATA, key=jaxdl.root(seed), batch_size=8, strategy=one)
        for seed in (0, 1)
    }
    assert metrics[0] != metrics[1]
    assert evaluate(learner, state, DATA, batch_size=8, strategy=one) == metrics[0]
    key = jaxdl.stream(jaxdl.root(0), "eval")
    noise = [np.asarray(jax.random.normal(jax.random.fold_in(key, i), (8,))) for i in range(3)]
    expected = np.concatenate(noise)[:23].mean()
    assert metrics[0]["noise"] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_padding_rows_do_not_count(state):
    """Padding repeats row 0, which would change the mean if it counted."""
    far = points(9, seed=4, rows={0: 1e3})
    metrics = evaluate(line(), state, far, batch_size=8, strategy=Sharded(jax.devices()[:1]))
    prediction = far["input"] @ np.asarray(state.params["w"]) + np.asarray(state.params["b"])
    error = (prediction - far["target"]) ** 2
    assert metrics["loss"] == pytest.approx(float(error.mean()), rel=1e-4)


def test_bad_batch_size(state):
    with pytest.raises(InputError) as caught:
        evaluate(line(), state, DATA, batch_size=0)
    assert str(caught.value) == "batch_size: got 0, allowed: at least 1"


def test_means_of_nothing_are_not_a_number(state):
    net = line()
    learner = Learner(
        net.init, net.step, lambda state, batch, key: {"none": (jnp.zeros(()), jnp.zeros(()))}
    )
    assert np.isnan(evaluate(learner, state, DATA, strategy=Sharded(jax.devices()[:1]))["none"])


def test_a_learner_is_compiled_once(state):
    """Equal calls of `evaluate` trace nothing again."""
    net = line()
    traced = []

    def counted(state, batch, key):
        traced.append(batch["input"].shape)
        return net.evaluate(state, batch, key)

    learner = Learner(net.init, net.step, counted)
    metrics = [evaluate(learner, state, DATA, batch_size=8) for _ in range(3)]
    assert metrics[0] == metrics[1] == metrics[2]
    once = len(traced)
    assert once > 0
    evaluate(learner, state, DATA, batch_size=16)
    assert {shape[0] for shape in traced[once:]} == {16}


def test_the_state_of_another_learner_is_refused(state):
    averaged = jaxdl.with_ema(line(), 0.9)
    with pytest.raises(InputError) as caught:
        evaluate(averaged, state, DATA, strategy=Sharded(jax.devices()[:1]))
    allowed = "the state that `train` returned for this learner"
    assert str(caught.value) == f"state: got <class 'jaxdl.core.State'>, allowed: {allowed}"


def test_arguments_that_do_not_fit_the_state(state):
    with pytest.raises(InputError) as caught:
        evaluate(line(), state.params, DATA)
    message = "state: got <class 'dict'>, allowed: the state that `train` returned"
    assert str(caught.value) == message
    with pytest.raises(InputError) as caught:
        evaluate(line(), state, DATA, key=jaxdl.root([1, 2]))
    assert str(caught.value) == "key: got '2 keys', allowed: one key, for the state of one run"


def test_a_metric_may_have_several_numbers():
    """A number per class, for one run and for several, in the log and in an evaluation."""

    def loss_of_parts(params, extra, batch, key, *, train):
        objective, (extra, metrics) = loss(params, extra, batch, key, train=train)
        error = (batch["input"] @ params["w"] - batch["target"]) ** 2
        parts = jnp.stack([error, 2 * error])
        return objective, (extra, {**metrics, "parts": (parts.sum(1), jnp.full(2, 4.0))})

    net = jaxdl.learner(init, jaxdl.Update(loss_of_parts, optax.sgd(0.05)))
    memory = jaxdl.training.Memory()
    options = {"steps": 4, "batch_size": 4, "log_every": 2, "strategy": ONE}
    state = jaxdl.train(net, points(), key=KEY, writers=[memory], **options)
    first = memory.records[0][1]
    assert first["train/parts/1"] == pytest.approx(2 * first["train/parts/0"], rel=1e-6)
    assert first["train/parts"] == pytest.approx(1.5 * first["train/parts/0"], rel=1e-6)
    alone = jaxdl.evaluate(net, state, points(8), batch_size=4, strategy=ONE)["parts"]
    assert alone[1] == pytest.approx(2 * alone[0], rel=1e-6)
    states = jaxdl.train(net, points(), key=jaxdl.root([7, 8]), **options)
    both = jaxdl.evaluate(net, states, points(8), batch_size=4, strategy=ONE)["parts"]
    assert both.shape == (2, 2)


def test_one_key_in_a_row_is_an_ensemble_of_one():
    memory = jaxdl.training.Memory()
    options = {"steps": 2, "batch_size": 4, "log_every": 1, "strategy": ONE}
    state = jaxdl.train(line(), points(), key=jaxdl.root([5]), writers=[memory], **options)
    assert state.step.shape == (1,)
    written = memory.records[0][1]
    assert written["train/loss/0"] == written["train/loss"]
    assert jaxdl.evaluate(line(), state, points(), strategy=ONE)["loss"].shape == (1,)
