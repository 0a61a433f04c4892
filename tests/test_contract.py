"""Laws of the contract, checked on every row of the table in `contract.py`."""

import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner, State
from jaxdl.data.order import gather
from jaxdl.errors import InputError
from jaxdl.layer_names import path_name
from jaxdl.metrics import means
from jaxdl.training import Directory, Pmapped, Sharded, state_sha256, train
from jaxdl.training.writers import Memory
from jaxdl.updates import Rule, Update
from tests.contract import BATCH, ROWS, Row

KEY = jax.random.key(3)
LIMITS = {"rtol": 2e-5, "atol": 2e-6}

#: Number of traces of each row's step and evaluation.
TRACES: Counter[tuple[str, str]] = Counter()

rows = pytest.mark.parametrize("name", ROWS)

#: Rows of the default tests, for laws that compile long.
REPRESENTATIVE = ("mlp", "cnn_batchnorm", "lstm_language", "gru_language_carried", "vae", "gan")
#: Rows of the slow tests: learners with rules, several networks, or loops inside of a step.
KINDS = ("translation", "gated_pixelcnn", "q_network", "reinforce", "skip_gram")

#: Marks of tests that are close to others: strategies on the other rows, and on two devices.
RELEASE = [pytest.mark.slow, pytest.mark.release]


def fast_for(*names: str, slow: Iterable[str] = ROWS) -> list:
    """Returns all rows. Those in `slow` run in the slow tests, and the rest before a release."""
    params = {name: pytest.param(name, marks=RELEASE) for name in ROWS}
    params |= {name: pytest.param(name, marks=pytest.mark.slow) for name in slow}
    params |= {name: pytest.param(name) for name in names}
    return list(params.values())


@cache
def row(name: str) -> Row:
    return ROWS[name]()


@cache
def sgd(name: str) -> Learner:
    """Returns the row's learner, always the same object, so that its programs are compiled once."""
    net = row(name).learner(optax.sgd(0.05, momentum=0.5))

    def counted(part: str) -> Callable:
        def call(*args):
            TRACES[name, part] += 1
            return getattr(net, part)(*args)

        return call

    return Learner(net.init, counted("step"), counted("evaluate"))


@cache
def step(name: str) -> Callable:
    """Returns the compiled step of the row's learner."""
    return jax.jit(sgd(name).step)


@cache
def init(name: str) -> Callable:
    """Returns the compiled `init` of the row's learner."""
    return jax.jit(sgd(name).init)


@cache
def alone(name: str, i: int) -> tuple:
    """Trains with the i-th update of the row alone, by 25 steps of Adam on one batch.

    Returns:
      The update, the learner, all states, and the metrics of all steps.
    """
    update = row(name).updates(optax.adam(3e-2))[i]
    batch = batch_of(row(name))
    net = row(name).learner_of(update)
    compiled_step = jax.jit(net.step)
    states = [jax.jit(net.init)(KEY, batch)]
    records = []
    for _ in range(25):
        state, metrics = compiled_step(states[-1], batch, KEY)
        states.append(state)
        records.append(means(metrics))
    return update, net, states, records


def each_alone(name: str) -> list[tuple]:
    """Returns `alone` for each update of the row; rules have no loss."""
    updates = row(name).updates(optax.sgd(0.1))
    return [alone(name, i) for i, each in enumerate(updates) if isinstance(each, Update)]


@cache
def by_rule(name: str, i: int) -> list[State]:
    """Returns the states of three steps of the i-th update of the row alone, a rule."""
    net = row(name).learner_of(row(name).updates(optax.sgd(0.1))[i])
    batch = batch_of(row(name))
    states = [jax.jit(net.init)(KEY, batch)]
    for _ in range(3):
        states.append(jax.jit(net.step)(states[-1], batch, KEY)[0])
    return states


@cache
def run(name: str, devices: int, log: int = 1) -> tuple:
    """Trains for six steps of SGD over three epochs, with validation.

    Returns:
      The state, the records, and the number of traces by function.
    """
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


@pytest.mark.parametrize("name", fast_for(*REPRESENTATIVE, slow=KINDS))
@pytest.mark.parametrize("devices", [pytest.param(2, marks=RELEASE), 4])
def test_sharded_equals_single(name, devices):
    one, one_records, _ = run(name, 1)
    many, many_records, _ = run(name, devices)
    assert_close(one, many)
    for metric in jax.eval_shape(sgd(name).evaluate, one, batch_of(row(name)), KEY):
        for part in ("train", "validation"):
            expected = history(one_records, f"{part}/{metric}")
            np.testing.assert_allclose(
                history(many_records, f"{part}/{metric}"), expected, **LIMITS
            )


@pytest.mark.parametrize(
    "name", fast_for("mlp", "mlp_dropout", "cnn_batchnorm", "gru_language_carried", slow=KINDS)
)
def test_pmap_agrees_with_its_docstring(name):
    made = row(name)
    options = {"key": KEY, "steps": 6, "batch_size": BATCH, "strategy": Pmapped(jax.devices()[:2])}
    if not made.pmap:
        with pytest.raises(InputError, match="strategy: got 'pmap', allowed: single"):
            train(sgd(name), made.data, **options)
        return
    mapped = train(sgd(name), made.data, **options)
    single = run(name, 1)[0]
    if made.exact_pmap:
        assert_close(single, jax.device_get(mapped))
    else:
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(mapped))
        with pytest.raises(AssertionError):
            assert_close(single, jax.device_get(mapped))


@pytest.mark.optimized
@rows
def test_steps_in_one_dispatch_equal_single_dispatches(name):
    assert state_sha256(run(name, 1)[0]) == state_sha256(run(name, 1, log=100)[0])


@rows
def test_traced_once(name):
    assert run(name, 1)[2] == {"step": 1, "evaluate": 1}


@pytest.mark.parametrize("name", fast_for(*REPRESENTATIVE, slow=KINDS))
def test_member_equals_the_run_alone(name):
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
        member_batch = jax.tree.map(lambda x: x[i], batches)
        state, _ = step(name)(state, member_batch, keys[i])
        state, expected = step(name)(state, member_batch, keys[i])
        assert_close(state, jax.tree.map(lambda x: x[i], states))
        assert_close(expected, jax.tree.map(lambda x: x[i], metrics))
    assert len({state_sha256(jax.tree.map(lambda x: x[i], states)) for i in range(3)}) == 3


@rows
def test_the_loss_of_each_update_falls_and_stays_finite(name):
    for _, _, states, records in each_alone(name):
        losses = [
            value
            for metrics in records
            for metric, value in metrics.items()
            if metric.endswith("loss")
        ]
        assert np.isfinite(losses).all()
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(states[-1]))
        first = np.mean(losses[:2])  # the generator's hinge loss can be negative
        assert first - np.mean(losses[-5:]) > 0.1 * abs(first)


@rows
def test_an_update_changes_its_parameters_and_no_others(name):
    for update, _, (before, _, after, *_), _ in each_alone(name):
        for path, old in jax.tree_util.tree_flatten_with_path(before.params)[0]:
            new = dict(jax.tree_util.tree_flatten_with_path(after.params)[0])[path]
            should = update.on is None or path[0].key == update.on
            if update.frozen is not None:
                should &= not update.frozen.has(path_name(path))
            # A bias before BatchNorm would have a gradient of rounding errors; no row has one.
            assert (np.asarray(old) != np.asarray(new)).any() == should, jax.tree_util.keystr(path)


@rows
def test_a_collection_changes_in_exactly_one_update(name):
    first = init(name)(KEY, batch_of(row(name))).extra
    if not first:
        pytest.skip("has parameters only")
    rules = enumerate(row(name).updates(optax.sgd(0.1)))
    ends = [states[:2] for _, _, states, _ in each_alone(name)]
    ends += [by_rule(name, i)[:2] for i, each in rules if isinstance(each, Rule)]
    for part in first:  # a collection, or for a GAN the collections of one network
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
        if isinstance(update, Rule):
            names = inspect.signature(update.change).parameters
            assert list(names) == ["params", "extra", "batch", "key"]
            continue
        names = inspect.signature(update.loss).parameters
        assert list(names) == ["params", "extra", "batch", "key", "train"]
        assert names["train"].kind is inspect.Parameter.KEYWORD_ONLY


@rows
def test_step_and_evaluation_are_the_same_program_twice(name):
    """Tracing twice gives one program: it depends on no host numbers, clocks or globals."""
    batch = batch_of(row(name))
    state = init(name)(KEY, batch)

    def program(part):
        traced = jax.make_jaxpr(
            lambda *args: getattr(row(name).learner(optax.sgd(0.1)), part)(*args)
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
    states = [init(name)(KEY, batch_of(row(name)))]
    states += [first for _, _, (first, *_), _ in each_alone(name)]
    for first in states:
        assert all(isinstance(x, jax.Array) and not x.weak_type for x in jax.tree.leaves(first))


@rows
def test_accumulated_update_equals_the_whole_batch(name):
    made = row(name)
    batch = batch_of(made)
    if name not in ("mlp", "lstm_language", "pretrained"):
        pytest.skip("samples noise for the whole batch, or normalizes over it")
    ragged = {**batch, "mask": jnp.array([1, 1, 0, 1, 1, 1, 0, 1], jnp.float32)}
    if name == "lstm_language":
        ragged = {**batch, "length": jnp.full_like(batch["length"], 5)}
    net = made.learner(optax.sgd(0.1))
    parts = made.learner_of(
        *(jaxdl.accumulate(update, 4) for update in made.updates(optax.sgd(0.1)))
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
    """Resumes a run at each saved step; returns the hash of each final state."""
    made = row(name)
    strategy = Sharded(jax.devices()[:1])
    hashes = []
    program = strategy.compile(sgd(name), next(made.data.training(KEY, BATCH, 0, strategy.place)))
    store = Directory(f"{directory}/{name}", last=9)
    for number in store.steps():
        state, *_ = store.restore(program.abstract, number)
        windows = made.data.training(KEY, BATCH, number, strategy.place)
        window = next(windows)
        while int(state.step) < 5:
            if int(state.step) >= window.end:
                window = next(windows)
            k = min(5, window.end) - int(state.step)
            state, _ = program.run(state, window, jaxdl.stream(KEY, "train"), k)
        hashes.append(state_sha256(state))
    return hashes


@pytest.mark.slow
@pytest.mark.optimized
def test_a_run_resumed_at_any_step_in_a_new_process_is_the_same(tmp_path):
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
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)
    assert child.returncode == 0, child.stderr[-2000:]
    hashes = {line.split()[0]: line.split()[1:] for line in child.stdout.splitlines()}
    assert hashes == {name: [expected[name]] * 5 for name in ROWS}
