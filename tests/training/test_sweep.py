"""Runs that differ in their hyper-parameters: each is the run alone with its numbers."""

import functools

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import optimizers
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.training import Directory, Every, Memory, Sharded, evaluate, state_sha256, train
from tests.training.test_members import IMAGES

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
    defaults = {"steps": 10, "batch_size": 4, "strategy": ONE, "every": Every(5, 5)}
    return train(net, IMAGES, key=key, **(defaults | changed))


@functools.cache
def together():
    return run(swept())


@pytest.mark.parametrize("i", [0, 1, 2])
def test_each_is_the_run_alone_with_its_numbers(i):
    alone = run(make(**{name: values[i] for name, values in VALUES.items()}), KEYS[i])
    mine = together().member(i)
    own = mine.extra.pop("sweep")
    assert {name: float(value) for name, value in own.items()} == {
        name: float(np.float32(values[i])) for name, values in VALUES.items()
    }
    # Numbers are inputs here and constants there, which rounds some products differently.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), mine, alone)


def test_l2_and_other_optimizers_too():
    numbers = {name: values[1] for name, values in VALUES.items()}
    net = jaxdl.sweep(functools.partial(make, decoupled=False), **{name: [v, v / 2] for name, v in numbers.items()})
    mine = run(net, KEYS[:2]).member(0)
    alone = run(make(**numbers, decoupled=False), KEYS[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), mine.params, alone.params)


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_it_does_not_matter_who_runs_beside(devices):
    first = jaxdl.sweep(make, **{name: values[:1] for name, values in VALUES.items()})
    alone = run(first, KEYS[:1]).member(0)
    assert state_sha256(together().member(0)) == state_sha256(alone)
    assert state_sha256(run(swept(), strategy=Sharded(jax.devices()[:devices]))) == state_sha256(together())


def test_an_interruption_changes_nothing(tmp_path):
    for stop in (5, None):
        state = run(swept(), store=Directory(tmp_path), stop_after=stop)
    assert state_sha256(state) == state_sha256(together())


def test_metrics_and_rates_are_each_runs_own():
    memory = Memory()
    state = run(swept(), writers=[memory], validation=IMAGES)
    assert evaluate(swept(), state, IMAGES, strategy=ONE)["accuracy"].shape == (3,)
    rates = next(told["train/learning_rate"] for _, told in memory.records if "train/learning_rate" in told)
    assert rates is not None
    predicted = jaxdl.inference(state.member(1))
    assert set(predicted.extra) == {"batch_stats"}


def test_one_program_for_all():
    counts = []

    def counted(learning_rate):
        counts.append(learning_rate)
        return make(learning_rate, 0.1, 0.0, 0.0)

    few, many = (jaxdl.sweep(counted, learning_rate=[0.1] * n) for n in (2, 4))
    made = []
    for net, n in ((few, 2), (many, 4)):
        counts.clear()
        run(net, jaxdl.root([0] * n))
        made.append(len(counts))
    assert made[0] == made[1]  # traced, not repeated for each run


@pytest.mark.parametrize("values", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_values_have_to_be_as_many(values):
    with pytest.raises(InputError, match=r"^values: got .*, allowed: the same number of values"):
        jaxdl.sweep(make, **values)


@pytest.mark.parametrize("key", [jaxdl.root(0), jaxdl.root([1, 2])])
def test_keys_have_to_be_as_many(key):
    with pytest.raises(InputError, match=r"^key: got .* keys', allowed: 3, one per run of the sweep$"):
        run(swept(), key)
