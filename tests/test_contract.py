"""The laws of the contract, on every row of the table."""

import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner
from jaxdl.data.order import gather, training_windows
from jaxdl.metrics import means
from jaxdl.training import Directory, Every, Pmapped, Sharded, state_sha256, train
from jaxdl.training.writers import Memory
from tests.contract import BATCH, ROWS, Row

KEY = jax.random.key(3)
LIMITS = {"rtol": 2e-5, "atol": 2e-6}

rows = pytest.mark.parametrize("name", ROWS)


@cache
def row(name: str) -> Row:
    return ROWS[name]()


@cache
def run(name: str, devices: int, log: int = 1) -> tuple:
    """Six steps of SGD over three epochs, with validation; shared by the laws."""
    memory, made = Memory(), row(name)
    state = train(
        made.learner(optax.sgd(0.05)),
        made.data,
        key=KEY,
        steps=6,
        batch_size=BATCH,
        every=Every(log=log, save=3),
        validation=made.data,
        strategy=Sharded(jax.devices()[:devices]),
        writers=[memory],
    )
    return jax.device_get(state), memory.records


def batch_of(made: Row) -> dict:
    return gather({name: jnp.asarray(x) for name, x in made.data.arrays.items()}, jnp.arange(BATCH))


def history(records: list, name: str) -> np.ndarray:
    return np.array([metrics[name] for _, metrics in records if name in metrics])


def assert_close(a, b, **limits):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **(limits or LIMITS)), a, b)


@rows
def test_jit_equals_eager(name):
    made = row(name)
    net, batch = made.learner(optax.sgd(0.05)), batch_of(made)
    state = net.init(KEY, batch)
    eager, eager_metrics = net.step(state, batch, KEY)
    fast, metrics = jax.jit(net.step)(state, batch, KEY)
    assert_close(eager, fast)
    assert_close(eager_metrics, metrics)


@rows
@pytest.mark.parametrize("devices", [2, 4])
def test_sharded_equals_single(name, devices):
    (one, one_records), (many, many_records) = run(name, 1), run(name, devices)
    assert_close(one, many)
    for metric in means(row(name).learner(optax.sgd(0.05)).evaluate(one, batch_of(row(name)), KEY)):
        for part in ("train", "validation"):
            expected = history(one_records, f"{part}/{metric}")
            np.testing.assert_allclose(history(many_records, f"{part}/{metric}"), expected, rtol=1e-6, atol=1e-6)


@rows
def test_pmap_means_what_its_docstring_says(name):
    made = row(name)
    mapped = train(
        made.learner(optax.sgd(0.05)),
        made.data,
        key=KEY,
        steps=6,
        batch_size=BATCH,
        strategy=Pmapped(jax.devices()[:2]),
    )
    single = run(name, 1)[0]
    if made.exact_pmap:
        assert_close(single, jax.device_get(mapped))
    else:
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(mapped))
        with pytest.raises(AssertionError):
            assert_close(single, jax.device_get(mapped))


@rows
def test_steps_in_one_dispatch_equal_single_dispatches(name):
    assert state_sha256(run(name, 1, log=1)[0]) == state_sha256(run(name, 1, log=100)[0])


@rows
def test_traced_once(name):
    made, counts = row(name), {"step": 0, "evaluate": 0}
    net = made.learner(optax.sgd(0.05))

    def counted(function):
        def call(*args):
            counts[function] += 1
            return getattr(net, function)(*args)

        return call

    watched = Learner(net.init, counted("step"), counted("evaluate"))
    train(watched, made.data, key=KEY, steps=5, batch_size=BATCH, every=Every(2, 2), validation=made.data)
    assert counts == {"step": 1, "evaluate": 1}


@rows
def test_replica_equals_the_run_alone(name):
    made = row(name)
    net, batch = made.learner(optax.sgd(0.05)), batch_of(made)
    keys = jnp.stack([jaxdl.root(seed) for seed in (5, 6, 7)])
    batches = jax.tree.map(lambda x: jnp.stack([x, x[::-1], jnp.roll(x, 1, 0)]), batch)
    many = jaxdl.replicas(net)
    states = many.init(keys, batch)
    states, metrics = jax.jit(many.step)(states, batches, keys)
    states, metrics = jax.jit(many.step)(states, batches, keys)
    step = jax.jit(net.step)
    for i in range(3):
        state, mine = net.init(keys[i], batch), jax.tree.map(lambda x: x[i], batches)
        state, _ = step(state, mine, keys[i])
        state, alone = step(state, mine, keys[i])
        assert_close(state, jax.tree.map(lambda x: x[i], states))
        assert_close(alone, jax.tree.map(lambda x: x[i], metrics))
    assert len({state_sha256(jax.tree.map(lambda x: x[i], states)) for i in range(3)}) == 3


@rows
def test_the_loss_of_each_update_falls_and_stays_finite(name):
    made = row(name)
    batch = batch_of(made)
    for update in made.updates(optax.adam(3e-2)):
        net = jaxdl.learner(made.init, update)
        step, state, seen = jax.jit(net.step), net.init(KEY, batch), []
        for _ in range(25):
            state, metrics = step(state, batch, KEY)
            seen += [value for metric, value in means(metrics).items() if metric.endswith("loss")]
        assert np.isfinite(seen).all()
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))
        assert np.mean(seen[-5:]) < 0.9 * np.mean(seen[:2])


@rows
def test_every_update_moves_its_parameters_and_no_other(name):
    made = row(name)
    batch = batch_of(made)
    for update in made.updates(optax.sgd(0.1)):
        net = jaxdl.learner(made.init, update)
        before = net.init(KEY, batch)
        after = before
        for _ in range(2):
            after, _ = jax.jit(net.step)(after, batch, KEY)
        for path, old in jax.tree_util.tree_flatten_with_path(before.params)[0]:
            new = dict(jax.tree_util.tree_flatten_with_path(after.params)[0])[path]
            should = update.on is None or path[0].key == update.on
            # A bias in front of BatchNorm has no gradient but rounding noise: there is none in this table.
            assert (np.asarray(old) != np.asarray(new)).any() == should, jax.tree_util.keystr(path)


@rows
def test_running_statistics_move_in_exactly_one_update(name):
    made = row(name)
    batch, movers = batch_of(made), 0
    for update in made.updates(optax.sgd(0.1)):
        net = jaxdl.learner(made.init, update)
        before = net.init(KEY, batch)
        if not before.extra:
            pytest.skip("carries nothing but parameters")
        after, _ = jax.jit(net.step)(before, batch, KEY)
        movers += state_sha256(before.extra) != state_sha256(after.extra)
        assert state_sha256(net.evaluate(before, batch, KEY)) == state_sha256(net.evaluate(before, batch, KEY))
    assert movers == 1


@rows
def test_signatures(name):
    made = row(name)
    net = made.learner(optax.sgd(0.1))
    assert list(inspect.signature(made.init).parameters) == ["key", "batch"]
    assert list(inspect.signature(net.init).parameters) == ["key", "batch"]
    assert list(inspect.signature(net.step).parameters) == ["state", "batch", "key"]
    assert list(inspect.signature(net.evaluate).parameters) == ["state", "batch", "key"]
    for update in made.updates(optax.sgd(0.1)):
        names = inspect.signature(update.loss).parameters
        assert list(names) == ["params", "extra", "batch", "key", "train"]
        assert names["train"].kind is inspect.Parameter.KEYWORD_ONLY


@rows
def test_state_holds_arrays_only(name):
    made = row(name)
    state = made.learner(optax.adam(0.1)).init(KEY, batch_of(made))
    assert all(isinstance(x, jax.Array) and not x.weak_type for x in jax.tree.leaves(state))


@rows
def test_accumulated_update_equals_the_whole_batch(name):
    made = row(name)
    batch = batch_of(made)
    if name not in ("mlp", "lstm_language"):
        pytest.skip("draws noise, or normalises, over the whole batch")
    ragged = {**batch, "mask": jnp.array([1, 1, 0, 1, 1, 1, 0, 1], jnp.float32)}
    if name == "lstm_language":
        ragged = {**batch, "length": jnp.full_like(batch["length"], 5)}
    net = made.learner(optax.sgd(0.1))
    parts = jaxdl.learner(made.init, *(jaxdl.accumulate(update, 4) for update in made.updates(optax.sgd(0.1))))
    state = net.init(KEY, batch)
    whole, whole_metrics = jax.jit(net.step)(state, ragged, KEY)
    summed, summed_metrics = jax.jit(parts.step)(state, ragged, KEY)
    assert_close(whole, summed)
    assert_close(whole_metrics, summed_metrics)


CHILD = """
import sys, jax, optax
sys.path.insert(0, sys.argv[2])
import tests.conftest
from tests.test_contract import finish
for name in sys.argv[3:]:
    print(name, *finish(name, sys.argv[1]), flush=True)
"""


def finish(name: str, directory: str) -> list[str]:
    """From every saved step to the end of the run; the hash of each end."""
    made, strategy = row(name), Sharded(jax.devices()[:1])
    net, hashes = made.learner(optax.adam(0.01)), []
    program = strategy.compile(net, next(training_windows(made.data, KEY, BATCH, 0, strategy.place)))
    store = Directory(f"{directory}/{name}", last=9)
    for number in store.steps():
        state, _ = store.restore(program.abstract, number)
        windows = training_windows(made.data, KEY, BATCH, number, strategy.place)
        window = next(windows)
        while int(state.step) < 5:
            window = window if int(state.step) < window.last else next(windows)
            k = min(5, window.last) - int(state.step)
            state, _ = program.run(state, window, jaxdl.stream(KEY, "train"), k)
        hashes.append(state_sha256(state))
    return hashes


def test_stopped_at_every_step_and_finished_in_a_fresh_process(tmp_path):
    expected = {}
    for name in ROWS:
        state = train(
            row(name).learner(optax.adam(0.01)),
            row(name).data,
            key=KEY,
            steps=5,
            batch_size=BATCH,
            every=Every(save=1),
            strategy=Sharded(jax.devices()[:1]),
            store=Directory(tmp_path / name, last=9),
        )
        expected[name] = state_sha256(state)
    root = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", CHILD, str(tmp_path), root, *ROWS]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert child.returncode == 0, child.stderr[-2000:]
    ends = {line.split()[0]: line.split()[1:] for line in child.stdout.splitlines()}
    assert ends == {name: [expected[name]] * 5 for name in ROWS}
