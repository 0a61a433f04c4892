"""Strategies: placement of states, refused arguments, and no deadlocks on forced devices."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import jaxdl
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import epoch_order, training_windows
from jaxdl.errors import InputError
from jaxdl.metrics import read_rows, total
from jaxdl.training import (
    Directory,
    Pmapped,
    Sharded,
    evaluate,
    program,
    state_sha256,
    strategy,
    train,
)
from jaxdl.updates import Update
from tests.training.linear import KEY, line, points


def wide(key, batch):
    """Initializes parameters of many shapes."""
    params = {
        "across": 0.01 * jax.random.normal(key, (3, 8000)),
        "down": 0.01 * jax.random.normal(key, (8000, 3)),
        "odd": jnp.ones((131, 127)),
        "small": jnp.ones((4, 4)),
    }
    return params, {}


def loss(params, extra, batch, key, *, train):
    y = (batch["input"] @ params["across"] @ params["down"]).sum(-1)
    y = y * params["small"].sum() * params["odd"].mean()
    error = (y - batch["target"]) ** 2
    return total(error), (extra, {"loss": total(error, batch.get("mask"))})


def net():
    return jaxdl.learner(wide, Update(loss, optax.adam(1e-3)))


def compiled(strategy, batch_size=8, learner=None):
    """Returns the program of a learner and its first window."""
    window = next(training_windows(points(), KEY, batch_size, 0, strategy.place))
    return strategy.compile(learner or net(), window), window


def test_fsdp_shards_large_leaves_along_their_widest_divisible_axis():
    program, window = compiled(Sharded(jax.devices()[:4], fsdp=True))
    specs = {
        "across": PartitionSpec(None, "data"),
        "down": PartitionSpec("data"),
        "odd": PartitionSpec(),
        "small": PartitionSpec(),
    }
    state = program.init(KEY)
    state, _ = program.run(state, window, KEY, 2)
    adam = state.opt[0][0]
    for tree in (program.abstract.params, state.params, adam.mu, adam.nu):
        assert {name: x.sharding.spec for name, x in tree.items()} == specs
    assert adam.count.sharding.spec == PartitionSpec()
    assert state.params["across"].addressable_shards[0].data.shape == (3, 2000)
    assert state.params["down"].addressable_shards[0].data.shape == (2000, 3)
    assert state.params["odd"].addressable_shards[0].data.shape == (131, 127)


@pytest.mark.parametrize(("devices", "shape"), [(1, {}), (4, {"data": 4})])
def test_layers_find_the_mesh_in_the_context(devices, shape):
    shapes = []

    def recording(params, extra, batch, key, *, train):
        shapes.append(dict(jax.sharding.get_abstract_mesh().shape))
        return loss(params, extra, batch, key, train=train)

    learner = jaxdl.learner(wide, Update(recording, optax.sgd(1e-4)))
    program, window = compiled(Sharded(jax.devices()[:devices]), learner=learner)
    state, _ = program.run(program.init(KEY), window, KEY, 1)
    program.evaluate(state, window, KEY, 0, 1)
    assert shapes and all(each == shape for each in shapes)


def test_sharded_and_fsdp_give_the_result_of_one_device():
    learner = jaxdl.learner(wide, Update(loss, optax.sgd(1e-4)))
    results = []
    for where in (
        Sharded(jax.devices()[:1]),
        Sharded(jax.devices()[:4]),
        Sharded(jax.devices()[:4], fsdp=True),
    ):
        program, window = compiled(where, learner=learner)
        state, metrics = program.run(program.init(KEY), window, KEY, 2)
        results.append((state, read_rows(metrics, 2, 0)["loss"]))
    expected_state, expected_metric = results[0]
    for state, metric in results[1:]:
        np.testing.assert_allclose(metric, expected_metric, rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            state,
            expected_state,
        )


def test_sharded_replicates_every_leaf():
    program, _ = compiled(Sharded(jax.devices()[:4]))
    state = program.init(KEY)
    assert all(
        x.sharding.is_fully_replicated and len(x.devices()) == 4 for x in jax.tree.leaves(state)
    )


def test_all_strategies_initialize_the_same_state():
    hashes = []
    for where in (Sharded(jax.devices()[:1]), Sharded(fsdp=True), Pmapped(jax.devices()[:2])):
        hashes.append(state_sha256(compiled(where)[0].init(KEY)))
    assert len(set(hashes)) == 1


@pytest.mark.parametrize("make", [Sharded, Pmapped])
def test_a_batch_that_the_devices_cannot_share(make):
    with pytest.raises(InputError) as caught:
        train(line(), points(), key=KEY, steps=1, batch_size=6, strategy=make(jax.devices()[:4]))
    assert str(caught.value) == "batch_size: got 6, allowed: a multiple of the 4 devices"


def test_pmap_maps_the_step_over_parts_of_the_batch():
    """Each device has its own rows and noise; gradients are averaged and metrics added."""
    where = Pmapped(jax.devices()[:2])
    program, window = compiled(where, learner=line())
    start = jax.device_get(program.init(KEY))
    state, metrics = program.run(program.init(KEY), window, KEY, 1)
    rows = epoch_order(KEY, 0, 22, 8)[0]
    data = points()
    weights = []
    losses = []
    for replica in range(2):
        own_rows = rows[4 * replica : 4 * replica + 4]
        batch = {name: jnp.asarray(x[own_rows]) for name, x in data.arrays.items()}
        after, own_metrics = line().step(start, batch, jax.random.fold_in(KEY, replica))
        weights.append(np.asarray(after.params["w"]))
        losses.append(np.asarray(own_metrics["loss"]))
    np.testing.assert_allclose(state.params["w"], sum(weights) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(metrics["loss"])[:, 0], sum(losses), rtol=1e-5)
    assert (weights[0] != weights[1]).any()


def test_pmap_evaluates_every_row_once():
    state = train(
        line(), points(), key=KEY, steps=2, batch_size=8, strategy=Sharded(jax.devices()[:1])
    )
    one = evaluate(line(), state, points(), batch_size=8, strategy=Sharded(jax.devices()[:1]))
    mapped = evaluate(line(), state, points(), batch_size=8, strategy=Pmapped(jax.devices()[:2]))
    assert mapped["loss"] == pytest.approx(one["loss"], rel=1e-5)


def test_many_dispatches_on_forced_devices_end():
    """Without a limit for the dispatches in flight, the few threads deadlock in collectives."""
    where = Sharded(jax.devices()[:4])
    state = train(line(), points(), key=KEY, steps=300, batch_size=8, log_every=1, strategy=where)
    assert int(state.step) == 300
    assert compiled(where, learner=line())[0].in_flight == 1


def test_many_steps_that_the_host_repeats_end(monkeypatch):
    monkeypatch.setattr(program, "convolutions", lambda lowered: "slow")
    where = Sharded(jax.devices()[:4])
    state = train(
        line(),
        points(),
        key=KEY,
        steps=100,
        batch_size=8,
        strategy=where,
        validation=points(),
        log_every=50,
        save_every=50,
    )
    assert int(state.step) == 100


def test_strategies_by_name():
    assert [d.id for d in strategy("single").devices] == [jax.devices()[0].id]
    assert len(strategy("auto").devices) == len(strategy("sharded").devices) == len(jax.devices())
    assert (strategy("fsdp").fsdp, strategy("auto").fsdp) == (True, False)
    assert isinstance(strategy("pmap"), Pmapped)
    with pytest.raises(InputError) as caught:
        strategy("shraded")
    names = "auto, debug, fsdp, pmap, sharded, single"
    message = f"strategy: got 'shraded', allowed: {names} (did you mean 'sharded'?)"
    assert str(caught.value) == message


def test_pmap_refuses_several_processes(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError) as caught:
        Pmapped()
    message = "strategy: got 'pmap', allowed: sharded, when there are several processes"
    assert str(caught.value) == message


# A carry from batch to batch, with one row per example.


@cache
def carried():
    """Builds a language model with a carry, and a contiguous set of random tokens."""
    model = jaxdl.models.SequenceNet(jaxdl.models.OneHot(4), jaxdl.nn.RNN("lstm", 5), 4)
    task = jaxdl.tasks.language(model, carried=True)
    tokens = np.random.default_rng(0).integers(0, 4, 22 * 6 + 1).astype(np.int32)
    fields = {"input": tokens[:-1].reshape(22, 6), "label": tokens[1:].reshape(22, 6)}
    return jaxdl.learner(task.init, *task.updates(optax.sgd(0.5))), Dataset(
        fields, "text", contiguous=True
    )


@cache
def of_one_device():
    learner, data = carried()
    state = train(
        learner, data, key=KEY, steps=7, batch_size=4, strategy=Sharded(jax.devices()[:1])
    )
    return jax.device_get(state)


@pytest.mark.parametrize(
    "where",
    [
        Sharded(jax.devices()[:2]),
        Sharded(jax.devices()[:2], fsdp=True),
        Sharded(jax.devices()[:4]),
        Pmapped(jax.devices()[:2]),
    ],
    ids=["sharded", "fsdp", "four", "pmap"],
)
def test_a_carry_is_sharded_like_the_rows_of_its_batch(where):
    learner, data = carried()
    window = next(training_windows(data, KEY, 4, 0, where.place))
    program = where.compile(learner, window)
    state = train(learner, data, key=KEY, steps=7, batch_size=4, strategy=where)
    carries = (program.abstract.extra["carry"], state.extra["carry"])
    for leaf in jax.tree.leaves(carries):
        assert leaf.shape == (4, 5)
        assert leaf.sharding.spec == PartitionSpec("data")
        assert leaf.sharding.shard_shape(leaf.shape) == (4 // len(where.devices), 5)
    for leaf in jax.tree.leaves((state.params, state.opt, state.step)):
        assert leaf.sharding.is_fully_replicated
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        jax.device_get(state),
        of_one_device(),
    )
    assert all(x.any() for x in jax.tree.leaves(of_one_device().extra["carry"]))


@pytest.mark.slow
def test_a_run_with_a_carry_resumes_on_another_number_of_devices(tmp_path):
    """The run starts on one device and resumes on two."""
    learner, data = carried()
    for devices, stop in ((1, 3), (2, None)):
        state = train(
            learner,
            data,
            key=KEY,
            steps=7,
            batch_size=4,
            strategy=Sharded(jax.devices()[:devices]),
            store=Directory(tmp_path),
            stop_after=stop,
        )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        jax.device_get(state),
        of_one_device(),
    )


@pytest.mark.slow
@pytest.mark.optimized
def test_each_member_with_a_carry_equals_the_run_alone():
    learner, data = carried()
    both = train(learner, data, key=jaxdl.root(range(2)), steps=4, batch_size=4)
    for seed in range(2):
        common = {"steps": 4, "batch_size": 4, "strategy": Sharded(jax.devices()[:1])}
        alone = train(learner, data, key=jaxdl.root(seed), **common)
        member = jax.device_get(both.member(seed))
        assert state_sha256(member) == state_sha256(jax.device_get(alone))
