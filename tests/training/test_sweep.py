"""Runs that differ in their hyper-parameters: each is the run alone with its numbers."""

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
    made = optimizers.optimizer(
        "adamw" if decoupled else "momentum",
        optimizers.schedule("one_cycle", learning_rate, 10),
        weight_decay=weight_decay,
    )
    return jaxdl.with_ema(jaxdl.learner(task.init, jaxdl.Update(task.loss, made)), 0.9)


@functools.cache
def swept():
    return jaxdl.sweep(make, **VALUES)


def run(net, key=KEYS, **changed):
    defaults = {"steps": 10, "batch_size": 4, "strategy": ONE, "log_every": 5, "save_every": 5}
    return train(net, IMAGES, key=key, **(defaults | changed))


@functools.cache
def together():
    return run(swept())


@pytest.mark.parametrize("i", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2))])
def test_each_is_the_run_alone_with_its_numbers(i):
    alone = run(make(**{name: values[i] for name, values in VALUES.items()}), KEYS[i])
    mine = together().member(i)
    own = mine.extra.pop("sweep")
    assert {name: float(value) for name, value in own.items()} == {
        name: float(np.float32(values[i])) for name, values in VALUES.items()
    }
    # Numbers are inputs here and constants there, which rounds some products differently.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), mine, alone)


@pytest.mark.slow
def test_l2_and_other_optimizers_too():
    numbers = {name: values[1] for name, values in VALUES.items()}
    net = jaxdl.sweep(
        functools.partial(make, decoupled=False),
        **{name: [v, v / 2] for name, v in numbers.items()},
    )
    mine = run(net, KEYS[:2]).member(0)
    alone = run(make(**numbers, decoupled=False), KEYS[0])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
        mine.params,
        alone.params,
    )


@pytest.mark.slow
@pytest.mark.exact
@pytest.mark.parametrize("devices", [2, 3, 4])
def test_it_does_not_matter_who_runs_beside(devices):
    first = jaxdl.sweep(make, **{name: values[:1] for name, values in VALUES.items()})
    alone = run(first, KEYS[:1]).member(0)
    assert state_sha256(together().member(0)) == state_sha256(alone)
    assert state_sha256(run(swept(), strategy=Sharded(jax.devices()[:devices]))) == state_sha256(
        together()
    )


def test_an_interruption_changes_nothing(tmp_path):
    for stop in (5, None):
        state = run(swept(), store=Directory(tmp_path), stop_after=stop)
    assert state_sha256(state) == state_sha256(together())


def test_metrics_and_rates_are_each_runs_own():
    memory = Memory()
    run(swept(), writers=[memory], validation=IMAGES)
    step, told = next(
        (step, told) for step, told in memory.records if "train/learning_rate/0" in told
    )
    for i, rate in enumerate(VALUES["learning_rate"]):
        plan = optimizers.schedule("one_cycle", rate, 10)
        used = np.mean([plan(t) for t in range(step)])
        np.testing.assert_allclose(told[f"train/learning_rate/{i}"], used, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_states_are_evaluated_together_in_part_and_alone(devices):
    state = together()
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


class Linens(nn.Module):
    """Its convolution has the host drive one run after the other on a CPU."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(2)(nn.relu(nn.Conv(2, (3, 3))(x)).reshape(x.shape[0], -1))


@pytest.mark.slow
def test_the_host_gives_each_run_its_numbers_too():
    def make(learning_rate):
        task = jaxdl.tasks.classify(Linens())
        return jaxdl.learner(
            task.init, jaxdl.Update(task.loss, optimizers.optimizer("sgd", learning_rate))
        )

    state = run(jaxdl.sweep(make, learning_rate=[0.1, 0.01]), KEYS[:2])
    alone = run(make(0.01), KEYS[1])
    np.testing.assert_array_equal(state.extra["sweep"]["learning_rate"], np.float32([0.1, 0.01]))
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
        made = optimizers.optimizer("momentum", 0.1, **numbers)
        return jaxdl.learner(task.init, jaxdl.Update(task.loss, made))

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
        match=r"^learning_rate: got \[0.03, 0.1, 0.02\], allowed: those of the checkpoint",
    ):
        run(other, store=Directory(tmp_path))


@pytest.mark.parametrize("wrap", [lambda net: jaxdl.with_ema(net, 0.9), jaxdl.skip_nonfinite])
def test_other_wrappers_belong_inside(wrap):
    with pytest.raises(
        InputError, match=r"^learner: got 'sweep\(...\)', allowed: a learner that is not swept"
    ):
        wrap(swept())


def test_nested_sweeps_are_refused():
    with pytest.raises(InputError, match=r"^learner: got 'sweep"):
        jaxdl.sweep(lambda dropout: swept(), dropout=[0.1])


def test_each_runs_numbers_are_checked():
    with pytest.raises(
        InputError, match=r"^learning_rate: got -1.0, allowed: a finite number above 0$"
    ):
        jaxdl.sweep(make, **(VALUES | {"learning_rate": [0.1, -1, 0.1]}))
    with pytest.raises(InputError, match=r"^dropout: got 0.5, allowed: one number per run$"):
        jaxdl.sweep(make, **(VALUES | {"dropout": 0.5}))


def test_patience_has_no_meaning_for_different_runs():
    with pytest.raises(InputError, match=r"^patience: got .*, allowed: None"):
        run(swept(), patience=Patience(), validation=IMAGES)


def test_one_program_for_all():
    counts = []

    def counted(learning_rate):
        counts.append(learning_rate)
        return make(learning_rate, 0.1, 0.0, 0.0)

    made = []
    for n in (2, 4):
        counts.clear()
        run(jaxdl.sweep(counted, learning_rate=[0.1] * n), jaxdl.root([0] * n))
        made.append(len(counts))
    assert (
        made[1] - made[0] == 2
    )  # each run's numbers are checked once; what is traced does not grow


@pytest.mark.parametrize("values", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_values_have_to_be_as_many(values):
    with pytest.raises(InputError, match=r"^values: got .*, allowed: the same number of values"):
        jaxdl.sweep(make, **values)


@pytest.mark.parametrize("key", [jaxdl.root(0), jaxdl.root([1, 2])])
def test_keys_have_to_be_as_many(key):
    with pytest.raises(
        InputError, match=r"^key: got .* keys', allowed: 3 in a row, one per run of the sweep$"
    ):
        run(swept(), key)
