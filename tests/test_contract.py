"""The laws of the contract, on every row of the table."""

import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
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
from jaxdl.training import Directory, Pmapped, Sharded, state_sha256, train
from jaxdl.training.writers import Memory
from tests.contract import BATCH, ROWS, Row

KEY = jax.random.key(3)
LIMITS = {"rtol": 2e-5, "atol": 2e-6}

#: How often a row's step and evaluation were traced.
TRACES: Counter[tuple[str, str]] = Counter()

rows = pytest.mark.parametrize("name", ROWS)


def fast_for(*names: str) -> list:
    """Every row; all but those named in the slow tests."""
    return [pytest.param(name, marks=() if name in names else pytest.mark.slow) for name in ROWS]


@cache
def row(name: str) -> Row:
    return ROWS[name]()


@cache
def sgd(name: str) -> Learner:
    """The row's learner; one and the same, so that what is compiled for one law serves the others."""
    net = row(name).learner(optax.sgd(0.05, momentum=0.5))

    def counted(part: str) -> Callable:
        def call(*args):
            TRACES[name, part] += 1
            return getattr(net, part)(*args)

        return call

    return Learner(net.init, counted("step"), counted("evaluate"))


@cache
def step(name: str) -> Callable:
    """Its compiled step."""
    return jax.jit(sgd(name).step)


@cache
def init(name: str) -> Callable:
    """Its compiled start."""
    return jax.jit(sgd(name).init)


@cache
def alone(name: str, i: int) -> tuple:
    """25 steps of Adam by the i-th of the row's updates alone, on one batch: update, learner, states and metrics."""
    update = row(name).updates(optax.adam(3e-2))[i]
    batch = batch_of(row(name))
    net = jaxdl.learner(row(name).init, update)
    move = jax.jit(net.step)
    states = [jax.jit(net.init)(KEY, batch)]
    seen = []
    for _ in range(25):
        state, metrics = move(states[-1], batch, KEY)
        states = [*states, state]
        seen = [*seen, means(metrics)]
    return update, net, states, seen


def each_alone(name: str) -> list[tuple]:
    """`alone`, for every update of the row."""
    return [alone(name, i) for i in range(len(row(name).updates(optax.sgd(0.1))))]


@cache
def run(name: str, devices: int, log: int = 1) -> tuple:
    """Six steps of SGD over three epochs, with validation: state, records, how often what was traced."""
    memory = Memory()
    made = row(name)
    before = Counter(TRACES)
    state = train(
        sgd(name),
        made.data,
        key=KEY,
        steps=6,
        batch_size=BATCH,
        log_every=log,
        save_every=3,
        validation=made.data,
        strategy=Sharded(jax.devices()[:devices]),
        writers=[memory],
    )
    return (
        jax.device_get(state),
        memory.records,
        {part: n for (_, part), n in (TRACES - before).items()},
    )


def batch_of(made: Row) -> dict:
    return gather({name: jnp.asarray(x) for name, x in made.data.arrays.items()}, jnp.arange(BATCH))


def history(records: list, name: str) -> np.ndarray:
    return np.array([metrics[name] for _, metrics in records if name in metrics])


def assert_close(a, b, **limits):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **(limits or LIMITS)), a, b)


@pytest.mark.parametrize("name", fast_for("mlp", "gan"))
def test_jit_equals_eager(name):
    batch = batch_of(row(name))
    state = init(name)(KEY, batch)
    eager, eager_metrics = sgd(name).step(state, batch, KEY)
    fast, metrics = step(name)(state, batch, KEY)
    assert_close(eager, fast)
    assert_close(eager_metrics, metrics)


@rows
@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_sharded_equals_single(name, devices):
    (one, one_records, _), (many, many_records, _) = run(name, 1), run(name, devices)
    assert_close(one, many)
    for metric in jax.eval_shape(sgd(name).evaluate, one, batch_of(row(name)), KEY):
        for part in ("train", "validation"):
            expected = history(one_records, f"{part}/{metric}")
            np.testing.assert_allclose(
                history(many_records, f"{part}/{metric}"), expected, rtol=1e-6, atol=1e-6
            )


@pytest.mark.parametrize(
    "name", fast_for("mlp", "mlp_dropout", "cnn_batchnorm", "gru_language_carried")
)
def test_pmap_means_what_its_docstring_says(name):
    made = row(name)
    mapped = train(
        sgd(name),
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


@pytest.mark.exact
@rows
def test_steps_in_one_dispatch_equal_single_dispatches(name):
    assert state_sha256(run(name, 1, log=1)[0]) == state_sha256(run(name, 1, log=100)[0])


@rows
def test_traced_once(name):
    assert run(name, 1)[2] == {"step": 1, "evaluate": 1}


@rows
def test_replica_equals_the_run_alone(name):
    batch = batch_of(row(name))
    net = sgd(name)
    keys = jnp.stack([jaxdl.root(seed) for seed in (5, 6, 7)])
    batches = jax.tree.map(lambda x: jnp.stack([x, x[::-1], jnp.roll(x, 1, 0)]), batch)
    states = jax.jit(jax.vmap(net.init, in_axes=(0, None)))(keys, batch)
    all_step = jax.jit(jax.vmap(net.step))
    states, metrics = all_step(states, batches, keys)
    states, metrics = all_step(states, batches, keys)
    for i in range(3):
        state = init(name)(keys[i], batch)
        mine = jax.tree.map(lambda x: x[i], batches)
        state, _ = step(name)(state, mine, keys[i])
        state, own = step(name)(state, mine, keys[i])
        assert_close(state, jax.tree.map(lambda x: x[i], states))
        assert_close(own, jax.tree.map(lambda x: x[i], metrics))
    assert len({state_sha256(jax.tree.map(lambda x: x[i], states)) for i in range(3)}) == 3


@rows
def test_the_loss_of_each_update_falls_and_stays_finite(name):
    for _, _, states, metrics in each_alone(name):
        seen = [
            value for found in metrics for metric, value in found.items() if metric.endswith("loss")
        ]
        assert np.isfinite(seen).all()
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(states[-1]))
        first = np.mean(seen[:2])  # of a hinge below 0
        assert first - np.mean(seen[-5:]) > 0.1 * abs(first)


@rows
def test_every_update_moves_its_parameters_and_no_other(name):
    for update, _, (before, _, after, *_), _ in each_alone(name):
        for path, old in jax.tree_util.tree_flatten_with_path(before.params)[0]:
            new = dict(jax.tree_util.tree_flatten_with_path(after.params)[0])[path]
            should = update.on is None or path[0].key == update.on
            # A bias in front of BatchNorm has no gradient but rounding noise: there is none in this table.
            assert (np.asarray(old) != np.asarray(new)).any() == should, jax.tree_util.keystr(path)


@rows
def test_what_a_network_carries_moves_in_exactly_one_update(name):
    first = init(name)(KEY, batch_of(row(name))).extra
    if not first:
        pytest.skip("carries nothing but parameters")
    for part in first:  # a collection, or of several players what each carries
        ends = [states[:2] for _, _, states, _ in each_alone(name)]
        assert (
            sum(state_sha256(old.extra[part]) != state_sha256(new.extra[part]) for old, new in ends)
            == 1
        ), part


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
def test_step_and_evaluation_are_the_same_program_twice(name):
    """Nothing is drawn, counted or looked up while a function is traced: not host numbers, clocks or globals."""
    batch = batch_of(row(name))
    state = init(name)(KEY, batch)

    def program(part):
        traced = jax.make_jaxpr(
            lambda *given: getattr(row(name).learner(optax.sgd(0.1)), part)(*given)
        )
        closed = traced(state, batch, KEY)
        return str(closed), [
            np.asarray(x).tobytes()
            for x in closed.consts
            if not jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        ]

    for part in ("step", "evaluate"):
        assert program(part) == program(part)


@rows
def test_state_holds_arrays_only(name):
    for _, _, (first, *_), _ in each_alone(name):
        assert all(isinstance(x, jax.Array) and not x.weak_type for x in jax.tree.leaves(first))


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
    parts = jaxdl.learner(
        made.init, *(jaxdl.accumulate(update, 4) for update in made.updates(optax.sgd(0.1)))
    )
    state = jax.jit(net.init)(KEY, batch)
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
    made = row(name)
    strategy = Sharded(jax.devices()[:1])
    hashes = []
    program = strategy.compile(
        sgd(name), next(training_windows(made.data, KEY, BATCH, 0, strategy.place))
    )
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


@pytest.mark.exact
def test_stopped_at_every_step_and_finished_in_a_fresh_process(tmp_path):
    expected = {}
    for name in ROWS:
        state = train(
            sgd(name),
            row(name).data,
            key=KEY,
            steps=5,
            batch_size=BATCH,
            save_every=1,
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
