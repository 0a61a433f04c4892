"""The training loop: its events happen at their steps, and interruptions change nothing."""

import functools
import math
import multiprocessing

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import epoch_order
from jaxdl.errors import InputError, NonFinite, RunError
from jaxdl.metrics import means, merge
from jaxdl.training import Directory, InMemory, Patience, program, state_sha256, train
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, line, points
from tests.training.runs import ONE, SHARED, Recorder, by_hand, run, steps_of, uninterrupted

NAN = math.nan
INF = math.inf

# Events.


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


def test_states_equal_those_of_single_steps():
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
    for step, written in records[:-1]:
        expected = means(functools.reduce(merge, metrics[begin:step]))
        assert written["train/loss"] == pytest.approx(expected["loss"], rel=1e-5)
        begin = step
    assert begin == 10


def test_times_and_rate_are_written():
    _, records = run(log_every=5)
    assert records[-2][1]["examples_per_second"] > 0
    assert records[-1][1]["seconds/compile"] > 0
    assert records[-1][1]["seconds/train"] > 0


# Interruption.


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:.*multi-threaded")
def test_training_in_a_forked_process_is_refused():
    """It would wait forever for the threads of JAX, which a fork does not copy."""
    run()
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def work():
        with pytest.raises(RunError) as raised:
            run()
        sender.send(str(raised.value))

    child = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    child.start()
    assert receiver.poll(120), "the forked process waits"
    assert receiver.recv().endswith("start it with multiprocessing.get_context('spawn')")
    child.kill()
    child.join()


@pytest.mark.parametrize("stop", range(1, 11))
def test_a_resumed_run_equals_the_uninterrupted_one(stop):
    store = Recorder()
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1)}
    first, _ = run(store=store, stop_after=stop, **common)
    assert int(first.step) == stop == max(store.saved)
    last, _ = run(store=store, **common)
    assert (state_sha256(last), store.saved[10][1]) == uninterrupted()


def test_a_run_stopped_after_every_step():
    store = InMemory()
    for stop in range(1, 11):
        state, _ = run(
            store=store, stop_after=stop, log_every=4, save_every=3, validation=points(7, seed=1)
        )
        assert int(state.step) == stop
    assert state_sha256(state) == uninterrupted()[0]


def test_the_lines_after_an_interruption_are_the_same():
    """For a stop at a checkpoint: the averages of a line never include steps before it."""

    def lines(records):
        return [
            (step, {k: v for k, v in m.items() if k.startswith("train/")}) for step, m in records
        ]

    _, whole = run(log_every=4, save_every=3, store=InMemory())
    store = InMemory()
    _, first = run(log_every=4, save_every=3, store=store, stop_after=6)
    _, second = run(log_every=4, save_every=3, store=store)
    expected = [line for line in lines(whole) if line[1]]
    assert [line for line in lines([*first, *second]) if line[1]] == expected
    assert [step for step, _ in expected] == [3, 4, 6, 8, 9, 10]


def test_patience_on_a_store_without_validations():
    store = InMemory()
    run(store=store)
    state, _ = run(
        store=store, log_every=4, save_every=3, validation=points(7, seed=1), patience=Patience()
    )
    assert int(state.step) == 10


def test_fewer_steps_than_the_store_has_reached():
    store = InMemory()
    run(store=store)
    with pytest.raises(InputError) as caught:
        run(store=store, steps=7)
    message = "steps: got 7, allowed: at least 10, the step that the store has reached"
    assert str(caught.value) == message


def test_a_key_may_be_on_any_device():
    key = jax.device_put(KEY, jax.devices()[3])
    state, _ = run(key=key, validation=points(7, seed=1), log_every=4, save_every=3)
    assert state_sha256(state) == uninterrupted()[0]


def test_a_finished_run_is_not_run_again():
    store = Recorder()
    first, _ = run(store=store)
    again, records = run(store=store)
    assert state_sha256(first) == state_sha256(again)
    assert records == []


def test_a_run_is_extended_with_more_steps():
    store = InMemory()
    run(steps=4, store=store)
    state, _ = run(store=store)
    assert state_sha256(state) == uninterrupted()[0]


def test_a_directory_works_like_a_store_in_memory(tmp_path):
    common = {"log_every": 4, "save_every": 3, "validation": points(7, seed=1)}
    run(store=Directory(tmp_path), stop_after=5, **common)
    state, _ = run(store=Directory(tmp_path), **common)
    assert state_sha256(state) == uninterrupted()[0]
    assert Directory(tmp_path).steps()[-2:] == [9, 10]


# States that are not finite.

#: The step with a value that is not finite.
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
        f"step {BAD}: input[2] of the batch contains {value}; loss is not finite; "
        "first leaf that is not finite: params/b; this state is not saved"
    )
    assert sorted(store.saved) == list(range(save, BAD, save))
    assert all(
        np.isfinite(x).all() for state, _ in store.saved.values() for x in jax.tree.leaves(state)
    )
    assert store.closed == 1


def test_a_nan_in_the_parameters_only_is_not_saved():
    store = Recorder()
    net = line()

    # The loss is computed from finite parameters only.
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
    assert str(caught.value) == "step 5: params/b is not finite; this state is not saved"
    assert sorted(store.saved) == [4]


# Convolutions on a CPU.


class LinenConvolution(nn.Module):
    """A network with a convolution of Linen."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(3)(nn.relu(nn.Conv(2, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
@pytest.mark.optimized
def test_a_convolution_of_linen_gives_the_same_bits_step_by_step(monkeypatch):
    rng = np.random.default_rng(0)
    data = Dataset(
        {
            "input": rng.normal(size=(10, 5, 5, 1)).astype(np.float32),
            "label": rng.integers(0, 3, 10).astype(np.int32),
        },
        "images",
        3,
    )
    task = jaxdl.tasks.classify(LinenConvolution())
    kinds = []
    classify = program.convolutions
    results = []

    def recorded(lowered):
        kinds.append(classify(lowered))
        return kinds[-1]

    for replacement in (recorded, lambda lowered: "fast"):
        monkeypatch.setattr(program, "convolutions", replacement)
        net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
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
        records = [
            {name: value for name, value in metrics.items() if "second" not in name}
            for _, metrics in memory.records
        ]
        results.append((state_sha256(state), records))
    assert results[0] == results[1]
    # The step is slow because of the gradient; the evaluation has none.
    assert kinds == ["slow", "fast"]


def test_the_linear_learner_runs_in_the_compiled_loop():
    program = ONE.compile(
        line(), next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    )
    window = next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    state, metrics = program.run(
        program.init(jaxdl.stream(KEY, "init")), window, jaxdl.stream(KEY, "train"), 5
    )
    assert int(state.step) == 5
    _, expected = by_hand()
    np.testing.assert_allclose(
        metrics["loss"][0][:5], [each["loss"][0] for each in expected[:5]], rtol=1e-5
    )
    assert np.asarray(metrics["loss"][1])[:6].tolist() == [4, 4, 4, 4, 4, 0]


def test_another_number_of_steps_compiles_nothing(caplog):
    window = next(jaxdl.data.order.training_windows(points(), KEY, 4, 0, ONE.place))
    program = ONE.compile(line(), window)
    key = jaxdl.stream(KEY, "train")
    state, _ = program.run(program.init(KEY), window, key, 2)
    with jax.log_compiles():
        state, _ = program.run(state, window, key, 3)
    assert int(state.step) == 5
    assert not [message for message in caplog.messages if "ompil" in message]
