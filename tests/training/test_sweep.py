"""Sweeps: each run equals the run alone with its hyper-parameters."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import optimizers
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.training import (
    Directory,
    Memory,
    Patience,
    Sharded,
    evaluate,
    state_sha256,
    train,
)
from tests.training.test_ensemble import IMAGES

VALUES = {
    "learning_rate": [0.03, 0.1, 0.01],
    "dropout": [0.0, 0.5, 0.25],
    "weight_decay": [0.0, 0.1, 0.3],
    "label_smoothing": [0.2, 0.0, 0.1],
}
KEYS = jaxdl.root([4, 4, 9])
ONE = Sharded(jax.devices()[:1])


def make(learning_rate, dropout, weight_decay, label_smoothing, decoupled=True):
    model = CNN((Stage(3, dropout=dropout),), (4,), 2, dropout=dropout, norm="batch")
    task = jaxdl.tasks.classify(model, label_smoothing=label_smoothing)
    name = "adamw"
    if not decoupled:
        name = "momentum"
    optimizer = optimizers.optimizer(
        name,
        optimizers.schedule("one_cycle", learning_rate, 10),
        weight_decay=weight_decay,
    )
    return jaxdl.with_ema(jaxdl.learner(task.init, *task.updates(optimizer)), 0.9)


@functools.cache
def swept():
    return jaxdl.sweep(make, **VALUES)


def run(net, key=KEYS, **changed):
    defaults = {"steps": 10, "batch_size": 4, "strategy": ONE, "log_every": 5, "save_every": 5}
    return train(net, IMAGES, key=key, **(defaults | changed))


@functools.cache
def final_state():
    return run(swept())


@pytest.mark.parametrize("i", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2))])
def test_each_run_equals_the_run_alone_with_its_values(i):
    alone = run(make(**{name: values[i] for name, values in VALUES.items()}), KEYS[i])
    member = final_state().member(i)
    stored = {name: float(value) for name, value in member.wrapped.pop("sweep").items()}
    assert stored == {name: float(np.float32(values[i])) for name, values in VALUES.items()}
    # In a sweep the values are inputs, alone they are constants. Some products round differently.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), member, alone)


@pytest.mark.slow
def test_a_sweep_with_momentum_and_l2():
    numbers = {name: values[1] for name, values in VALUES.items()}
    net = jaxdl.sweep(
        functools.partial(make, decoupled=False),
        **{name: [v, v / 2] for name, v in numbers.items()},
    )
    member = run(net, KEYS[:2]).member(0)
    alone = run(make(**numbers, decoupled=False), KEYS[0])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
        member.params,
        alone.params,
    )


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("devices", [2, 3, 4])
def test_a_run_does_not_depend_on_the_other_runs(devices):
    first = jaxdl.sweep(make, **{name: values[:1] for name, values in VALUES.items()})
    alone = run(first, KEYS[:1]).member(0)
    assert state_sha256(final_state().member(0)) == state_sha256(alone)
    sharded = run(swept(), strategy=Sharded(jax.devices()[:devices]))
    assert state_sha256(sharded) == state_sha256(final_state())


def test_an_interruption_changes_nothing(tmp_path):
    for stop in (5, None):
        state = run(swept(), store=Directory(tmp_path), stop_after=stop)
    assert state_sha256(state) == state_sha256(final_state())


def test_metrics_and_learning_rates_of_each_run():
    memory = Memory()
    run(swept(), writers=[memory], validation=IMAGES)
    name = "train/learning_rate/0"
    step, metrics = next(record for record in memory.records if name in record[1])
    for i, rate in enumerate(VALUES["learning_rate"]):
        schedule = optimizers.schedule("one_cycle", rate, 10)
        used = np.mean([schedule(t) for t in range(step)])
        np.testing.assert_allclose(metrics[f"train/learning_rate/{i}"], used, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_states_are_evaluated_together_in_part_and_alone(devices):
    state = final_state()
    where = Sharded(jax.devices()[:devices])
    whole = evaluate(swept(), state, IMAGES, strategy=where)
    first_two = evaluate(swept(), jax.tree.map(lambda x: x[:2], state), IMAGES, strategy=where)
    assert whole["loss"].shape == (3,)
    np.testing.assert_allclose(first_two["loss"], whole["loss"][:2], rtol=1e-5)
    np.testing.assert_allclose(
        evaluate(swept(), state.member(2), IMAGES, strategy=ONE)["loss"],
        whole["loss"][2],
        rtol=1e-5,
    )
    assert set(jaxdl.inference(state.member(1)).extra) == {"batch_stats"}


class LinenConvolution(nn.Module):
    """A network with a convolution of Linen, for which the host runs one member after the other."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2)(nn.relu(nn.Conv(2, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
def test_a_sweep_of_a_convolution_of_linen():
    def make(learning_rate):
        task = jaxdl.tasks.classify(LinenConvolution())
        return jaxdl.learner(task.init, *task.updates(optimizers.optimizer("sgd", learning_rate)))

    state = run(jaxdl.sweep(make, learning_rate=[0.1, 0.01]), KEYS[:2])
    alone = run(make(0.01), KEYS[1])
    np.testing.assert_array_equal(state.wrapped["sweep"]["learning_rate"], np.float32([0.1, 0.01]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        state.member(1).params,
        alone.params,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip", "l1", "weight_decay", "momentum"])
def test_zero_means_none(name):
    def make(**numbers):
        task = jaxdl.tasks.classify(jaxdl.models.MLP((3,), 2))
        optimizer = optimizers.optimizer("momentum", 0.1, **numbers)
        return jaxdl.learner(task.init, *task.updates(optimizer))

    state = run(jaxdl.sweep(make, **{name: [0.0, 0.3]}), KEYS[:2])
    for i, value in enumerate([0.0, 0.3]):
        alone = run(make(**{name: value}), KEYS[i])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            state.member(i).params,
            alone.params,
        )


def test_another_sweeps_checkpoint_is_refused(tmp_path):
    run(swept(), store=Directory(tmp_path), stop_after=5)
    other = jaxdl.sweep(make, **(VALUES | {"learning_rate": [0.03, 0.1, 0.02]}))
    with pytest.raises(
        InputError,
        match=r"^learning_rate: got \[0.03, 0.1, 0.02\], allowed: the values of the checkpoint",
    ):
        run(other, store=Directory(tmp_path))


@pytest.mark.parametrize("wrap", [lambda net: jaxdl.with_ema(net, 0.9), jaxdl.skip_nonfinite])
def test_a_sweep_cannot_be_wrapped(wrap):
    with pytest.raises(
        InputError, match=r"^learner: got 'sweep\(...\)', allowed: a learner that is not a sweep"
    ):
        wrap(swept())


def test_nested_sweeps_are_refused():
    with pytest.raises(InputError, match=r"^learner: got 'sweep"):
        jaxdl.sweep(lambda dropout: swept(), dropout=[0.1])


def test_the_values_of_each_run_are_checked():
    with pytest.raises(
        InputError, match=r"^learning_rate: got -1.0, allowed: a finite number above 0$"
    ):
        jaxdl.sweep(make, **(VALUES | {"learning_rate": [0.1, -1, 0.1]}))
    with pytest.raises(InputError, match=r"^dropout: got 0.5, allowed: one number per run$"):
        jaxdl.sweep(make, **(VALUES | {"dropout": 0.5}))


def test_patience_is_refused_for_a_sweep():
    with pytest.raises(InputError, match=r"^patience: got .*, allowed: None"):
        run(swept(), patience=Patience(), validation=IMAGES)


def test_one_program_for_all_runs():
    """`make` is called once to check the values of each run; the traced calls do not increase."""
    calls = []

    def counted(learning_rate):
        calls.append(learning_rate)
        return make(learning_rate, 0.1, 0.0, 0.0)

    counts = []
    for n in (2, 4):
        calls.clear()
        run(jaxdl.sweep(counted, learning_rate=[0.1] * n), jaxdl.root([0] * n))
        counts.append(len(calls))
    assert counts[1] - counts[0] == 2


@pytest.mark.parametrize("values", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_lists_of_values_of_different_lengths_are_refused(values):
    with pytest.raises(InputError, match=r"^values: got .*, allowed: the same number of values"):
        jaxdl.sweep(make, **values)


@pytest.mark.parametrize("key", [jaxdl.root(0), jaxdl.root([1, 2])])
def test_another_number_of_keys_is_refused(key):
    with pytest.raises(
        InputError, match=r"^key: got .* keys', allowed: 3 in a row, one per run of the sweep$"
    ):
        run(swept(), key)
