"""The loop: what happens at which step, and that an interruption changes nothing."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner, Update
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import epoch_order
from jaxdl.errors import InputError, NonFinite
from jaxdl.metrics import means, merge
from jaxdl.training import (
    Directory,
    InMemory,
    Patience,
    Sharded,
    program,
    state_sha256,
    train,
)
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, line, points

ONE = Sharded(jax.devices()[:1])
NAN = math.nan
INF = math.inf


class Compiled:
    """A strategy that compiles the first learner it is given and hands out that program again."""

    def __init__(self, strategy=ONE):
        self.strategy = strategy
        self.devices = strategy.devices
        self.program = None

    def place(self, tree):
        return self.strategy.place(tree)

    def compile(self, learner, window):
        self.program = self.program or self.strategy.compile(learner, window)
        return self.program


SHARED = Compiled()


def run(**changed):
    """A run of 10 steps over 22 points in batches of 4: two epochs of five steps, two rows resting."""
    memory = Memory()
    defaults = {"key": KEY, "steps": 10, "batch_size": 4, "strategy": SHARED, "writers": [memory]}
    state = train(line(), points(), **(defaults | changed))
    return state, memory.records


def steps_of(records, name):
    return [step for step, metrics in records if any(key.startswith(name) for key in metrics)]


class Recorder(InMemory):
    """Remembers every state that was ever saved."""

    def __init__(self):
        super().__init__()
        self.saved = {}
        self.closed = 0

    def save(self, state, history):
        super().save(state, history)
        self.saved[int(state.step)] = jax.device_get(state), list(history)

    def close(self):
        self.closed += 1


@functools.cache
def by_hand() -> tuple[list, list]:
    """The states and metrics of 12 steps, one by one, without any of the loop."""
    net = line()
    data = points()
    step = jax.jit(net.step)
    key = jaxdl.stream(KEY, "train")
    rows = np.concatenate([epoch_order(KEY, epoch, 22, 4) for epoch in range(3)])
    batches = [{name: jnp.asarray(x[r]) for name, x in data.arrays.items()} for r in rows[:12]]
    states = [net.init(jaxdl.stream(KEY, "init"), batches[0])]
    metrics = []
    for batch in batches:
        state, found = step(states[-1], {**batch, "mask": jnp.ones(4)}, key)
        states.append(state)
        metrics.append(jax.device_get(found))
    return states, metrics


# What happens when.


@pytest.mark.parametrize(
    ("log", "save", "logged", "saved"),
    [
        (1, 0, list(range(1, 11)), [10]),
        (3, 0, [3, 6, 9, 10], [10]),
        (100, 4, [4, 8, 10], [4, 8, 10]),
        (5, 5, [5, 10], [5, 10]),
        (4, 3, [3, 4, 6, 8, 9, 10], [3, 6, 9, 10]),
    ],
)
def test_events_fall_on_their_steps(log, save, logged, saved):
    store = Recorder()
    _, records = run(log_every=log, save_every=save, store=store, validation=points(7, seed=1))
    assert steps_of(records, "train/") == logged
    assert steps_of(records, "validation/") == saved == sorted(store.saved)
    assert [step for step, _ in store.saved[10][1]] == saved
    assert store.closed == 1


def test_states_are_those_of_single_steps():
    store = Recorder()
    run(log_every=4, save_every=1, store=store)
    for step, state in enumerate(by_hand()[0][1:11], 1):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            state,
            store.saved[step][0],
        )


@pytest.mark.parametrize("log", [1, 3, 10])
def test_metrics_are_merged_over_the_steps_between_two_lines(log):
    _, records = run(log_every=log)
    metrics = by_hand()[1]
    begin = 0
    for step, told in records[:-1]:
        expected = means(functools.reduce(merge, metrics[begin:step]))
        assert told["train/loss"] == pytest.approx(expected["loss"], rel=1e-5)
        begin = step
    assert begin == 10


def test_time_and_rate_are_told():
    _, records = run(log_every=5)
    assert records[-2][1]["examples_per_second"] > 0
    assert records[-1][1]["seconds/compile"] > 0
    assert records[-1][1]["seconds/train"] > 0


# Interruption.


@functools.cache
def uninterrupted():
    store = Recorder()
    state, _ = run(log_every=4, save_every=3, validation=points(7, seed=1), store=store)
    return state_sha256(state), store.saved[10][1]


@pytest.mark.parametrize("stop", range(1, 11))
def test_stopped_and_resumed_is_uninterrupted(stop):
    store = Recorder()
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1)}
    first, _ = run(store=store, stop_after=stop, **common)
    assert int(first.step) == stop == max(store.saved)
    last, _ = run(store=store, **common)
    assert (state_sha256(last), store.saved[10][1]) == uninterrupted()


def test_stopped_at_every_step_in_turn():
    store = InMemory()
    for stop in range(1, 11):
        state, _ = run(
            store=store, stop_after=stop, log_every=4, save_every=3, validation=points(7, seed=1)
        )
        assert int(state.step) == stop
    assert state_sha256(state) == uninterrupted()[0]


def test_the_lines_after_an_interruption_are_the_same():
    """Where it stopped on a save: the averages of a line never reach back behind a checkpoint."""

    def lines(records):
        return [
            (step, {k: v for k, v in m.items() if k.startswith("train/")}) for step, m in records
        ]

    _, whole = run(log_every=4, save_every=3, store=InMemory())
    store = InMemory()
    _, first = run(log_every=4, save_every=3, store=store, stop_after=6)
    _, second = run(log_every=4, save_every=3, store=store)
    told = [line for line in lines(whole) if line[1]]
    assert [line for line in lines([*first, *second]) if line[1]] == told
    assert [step for step, _ in told] == [3, 4, 6, 8, 9, 10]


def test_patience_on_a_store_without_validations():
    store = InMemory()
    run(store=store)
    state, _ = run(
        store=store, log_every=4, save_every=3, validation=points(7, seed=1), patience=Patience()
    )
    assert int(state.step) == 10


def test_a_store_that_is_further_on():
    store = InMemory()
    run(store=store)
    with pytest.raises(InputError) as caught:
        run(store=store, steps=7)
    assert (
        str(caught.value)
        == "steps: got 7, allowed: at least 10, the step that the store has reached"
    )


def test_a_key_may_lie_on_any_device():
    there = jax.device_put(KEY, jax.devices()[3])
    state, _ = run(key=there, validation=points(7, seed=1), log_every=4, save_every=3)
    assert state_sha256(state) == uninterrupted()[0]


def test_a_finished_run_is_not_run_again():
    store = Recorder()
    first, _ = run(store=store)
    again, records = run(store=store)
    assert state_sha256(first) == state_sha256(again)
    assert records == []


def test_a_longer_run_goes_on():
    store = InMemory()
    run(steps=4, store=store)
    state, _ = run(store=store)
    assert state_sha256(state) == uninterrupted()[0]


def test_a_directory_does_what_memory_does(tmp_path):
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1)}
    run(store=Directory(tmp_path), stop_after=5, **common)
    state, _ = run(store=Directory(tmp_path), **common)
    assert state_sha256(state) == uninterrupted()[0]
    assert Directory(tmp_path).steps()[-2:] == [9, 10]


# Who watches.


class Watcher:
    """Notes the step and the bits of every state that it is shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, state):
        self.seen.append((int(state.step), state_sha256(state)))


@pytest.mark.parametrize(
    ("save", "seen"), [(0, [10]), (3, [3, 6, 9, 10]), (5, [5, 10]), (1, list(range(1, 11)))]
)
@pytest.mark.parametrize("validation", [None, points(7, seed=1)], ids=["none", "validated"])
def test_every_validation_is_watched_with_its_state_before_it_is_saved(save, seen, validation):
    store = Recorder()
    watcher = Watcher()
    known = []

    def on_validation(state):
        watcher(state)
        known.append(sorted(store.saved))

    state, _ = run(
        log_every=4,
        save_every=save,
        validation=validation,
        store=store,
        on_validation=on_validation,
    )
    assert [step for step, _ in watcher.seen] == seen
    assert watcher.seen == [(step, state_sha256(store.saved[step][0])) for step in seen]
    assert known == [seen[:i] for i in range(len(seen))]
    assert state_sha256(state) == state_sha256(run(log_every=4, save_every=save)[0])


@pytest.mark.parametrize(
    ("stop", "before", "after"),
    [
        (1, [], [3, 6, 9, 10]),
        (3, [3], [6, 9, 10]),
        (5, [3], [6, 9, 10]),
        (9, [3, 6, 9], [10]),
        (10, [3, 6, 9, 10], []),
    ],
)
def test_a_mere_stop_is_not_watched(stop, before, after):
    store = Recorder()
    watchers = [Watcher(), Watcher(), Watcher()]
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1), "store": store}
    run(stop_after=stop, on_validation=watchers[0], **common)
    run(on_validation=watchers[1], **common)
    run(on_validation=watchers[2], **common)
    assert [[step for step, _ in watcher.seen] for watcher in watchers] == [before, after, []]
    whole = Watcher()
    run(log_every=4, save_every=3, validation=points(7, seed=1), on_validation=whole)
    assert watchers[0].seen + watchers[1].seen == whole.seen


def test_a_state_that_was_not_saved_is_watched_again():
    """The process dies after the look and before the save."""
    store = Recorder()
    watcher = Watcher()

    def dies(state):
        watcher(state)
        if int(state.step) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(log_every=4, save_every=3, store=store, on_validation=dies)
    assert (sorted(store.saved), store.closed) == ([3], 1)
    run(log_every=4, save_every=3, store=store, on_validation=watcher)
    assert [step for step, _ in watcher.seen] == [3, 6, 6, 9, 10]
    assert watcher.seen[1] == watcher.seen[2]


def test_what_is_not_finite_is_not_watched():
    watcher = Watcher()
    row = int(epoch_order(KEY, 0, 22, 4)[4, 2])
    with pytest.raises(NonFinite):
        train(
            line(),
            points(rows={row: NAN}),
            key=KEY,
            steps=10,
            batch_size=4,
            log_every=100,
            save_every=1,
            strategy=SHARED,
            on_validation=watcher,
        )
    assert [step for step, _ in watcher.seen] == [1, 2, 3, 4]


# Early stopping, with validation values written down.


def scripted(values: dict[int, float]) -> Compiled:
    """A strategy whose validation at each step gives the number written for it."""

    class Scripted(Compiled):
        def compile(self, learner, window):
            return SHARED.compile(learner, window)._replace(evaluate=evaluate)

    def evaluate(state, window, key, start, end):
        count = end - start
        return {
            "loss": (
                np.full(count, values[int(state.step)], np.float32),
                np.ones(count, np.float32),
            )
        }

    return Scripted()


@pytest.mark.parametrize(
    ("values", "times", "stops", "best"),
    [
        ([5, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1], 1, 10, 10),
        ([5, 4, 6, 7, 8, 1, 1, 1, 1, 1], 3, 5, 2),
        ([5, 4, 6, 3, 8, 9, 9, 1, 1, 1], 3, 7, 4),
        ([5, 4, 4, 4, 0, 0, 0, 0, 0, 0], 2, 4, 2),
        ([NAN, 4, NAN, NAN, 1, 1, 1, 1, 1, 1], 2, 4, 2),
        ([NAN, NAN, 2, 3, 1, INF, NAN, 5, 1, 1], 3, 8, 5),
        ([NAN] * 10, 3, 4, 4),
        ([INF, NAN] * 5, 12, 10, 10),
        ([3, NAN, INF, 4, 5, 6, 7, 8, 2, 3], 9, 10, 9),
    ],
)
def test_patience(values, times, stops, best):
    store = Recorder()
    common = {
        "log_every": 100,
        "save_every": 1,
        "patience": Patience("loss", times),
        "validation": points(4, seed=1),
        "strategy": scripted(dict(enumerate(values, 1))),
    }
    state, _ = run(store=store, **common)
    assert max(store.saved) == stops
    assert int(state.step) == best
    assert state_sha256(state) == state_sha256(store.saved[best][0])
    again, records = run(store=store, **common)
    assert state_sha256(again) == state_sha256(state)
    assert records == []
    interrupted = Recorder()
    for stop in (2, 3, stops):
        run(store=interrupted, stop_after=stop, **common)
    assert state_sha256(run(store=interrupted, **common)[0]) == state_sha256(state)


def test_accuracy_is_better_when_larger():
    assert Patience("accuracy", larger=True).value({"accuracy": 0.75}) == -0.75
    assert Patience("top_accuracy", larger=True).value({"top_accuracy": 0.5}) == -0.5
    assert Patience("loss").value({"loss": 2.0}) == 2.0


# What is not finite.


BAD = 5


@pytest.mark.parametrize("save", [1, 3])
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_nan_in_the_data_stops_at_its_step(save, value):
    row = int(epoch_order(KEY, 0, 22, 4)[BAD - 1, 2])
    store = Recorder()
    memory = Memory()
    with pytest.raises(NonFinite) as caught:
        train(
            line(),
            points(rows={row: value}),
            key=KEY,
            steps=10,
            batch_size=4,
            log_every=100,
            save_every=save,
            strategy=SHARED,
            store=store,
            writers=[memory],
        )
    assert str(caught.value) == (
        f"step {BAD}: loss is not finite; first leaf that is not finite: params/b; nothing of it is saved"
    )
    assert sorted(store.saved) == list(range(save, BAD, save))
    assert all(
        np.isfinite(x).all() for state, _ in store.saved.values() for x in jax.tree.leaves(state)
    )
    assert store.closed == 1


def test_a_nan_in_the_parameters_only_is_not_saved():
    store = Recorder()
    net = line()

    # The metric never sees the parameters that break.
    def step(state, batch, key):
        clean = state.replace(params=jax.tree.map(jnp.nan_to_num, state.params))
        after, metrics = net.step(clean, batch, key)
        b = jnp.where(after.step >= 5, jnp.nan, after.params["b"])
        return after.replace(params={**after.params, "b": b}), metrics

    learner = Learner(net.init, step, net.evaluate)
    with pytest.raises(NonFinite) as caught:
        train(
            learner,
            points(),
            key=KEY,
            steps=10,
            batch_size=4,
            log_every=2,
            save_every=4,
            strategy=ONE,
            store=store,
        )
    assert str(caught.value) == "step 5: params/b is not finite; nothing of it is saved"
    assert sorted(store.saved) == [4]


# Convolutions on a CPU.


class Convolution(nn.Module):
    """A user's own, straight from Linen."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(3)(nn.relu(nn.Conv(2, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
@pytest.mark.exact
def test_linens_convolution_runs_step_by_step_with_the_same_bits(monkeypatch):
    rng = np.random.default_rng(0)
    data = Dataset(
        {
            "input": rng.normal(size=(10, 5, 5, 1)).astype(np.float32),
            "label": rng.integers(0, 3, 10).astype(np.int32),
        },
        "images",
        3,
    )
    task = jaxdl.tasks.classify(Convolution())
    found = []
    look = program.convolutions
    ends = []

    def watched(lowered):
        found.append(look(lowered))
        return found[-1]

    for chosen in (watched, lambda lowered: "fast"):
        monkeypatch.setattr(program, "convolutions", chosen)
        net = jaxdl.learner(task.init, Update(task.loss, optax.sgd(0.1)))
        memory = Memory()
        state = train(
            net,
            data,
            key=KEY,
            steps=7,
            batch_size=4,
            log_every=5,
            save_every=6,
            validation=data,
            strategy=ONE,
            writers=[memory],
        )
        numbers = [
            {k: v for k, v in told.items() if "second" not in k} for _, told in memory.records
        ]
        ends.append((state_sha256(state), numbers))
    assert ends[0] == ends[1]
    assert found == ["slow", "fast"]  # the step, and evaluation, which holds no gradient


def test_a_line_runs_in_the_compiled_loop():
    program = ONE.compile(
        line(), next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    )
    window = next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    state, metrics = program.run(
        program.init(jaxdl.stream(KEY, "init")), window, jaxdl.stream(KEY, "train"), 5
    )
    assert int(state.step) == 5
    _, each = by_hand()
    np.testing.assert_allclose(
        metrics["loss"][0][:5], [found["loss"][0] for found in each[:5]], rtol=1e-5
    )
    assert np.asarray(metrics["loss"][1])[:6].tolist() == [4, 4, 4, 4, 4, 0]


def test_another_number_of_steps_is_the_same_program(caplog):
    window = next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    program = ONE.compile(line(), window)
    key = jaxdl.stream(KEY, "train")
    state, _ = program.run(program.init(KEY), window, key, 2)
    with jax.log_compiles():
        state, _ = program.run(state, window, key, 3)
    assert int(state.step) == 5
    assert not [said for said in caplog.messages if "ompil" in said]


def test_unknown_metric_of_patience_is_refused():
    with pytest.raises(InputError) as caught:
        run(log_every=100, save_every=2, patience=Patience("acuracy"), validation=points(4))
    assert str(caught.value) == "Patience.metric: got 'acuracy', allowed: one of ['loss']"
