"""Sources other than data sets: paired sets, and steps without data."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import State
from jaxdl.data import Dataset, Simulated, paired
from jaxdl.data.order import gather
from jaxdl.errors import InputError
from jaxdl.metrics import total
from tests.training.linear import KEY

ONE = jaxdl.strategy("single")


def host(tree):
    """Returns JAX arrays, which `gather` expects."""
    return jax.tree.map(jnp.asarray, tree)


def numbered(size: int, name: str, offset: int) -> Dataset:
    """Returns a set whose inputs are the numbers of its rows."""
    rows = np.arange(offset, offset + size, dtype=np.float32)
    return Dataset({"input": rows[:, None]}, name)


A = numbered(11, "a", 0)
B = numbered(7, "b", 100)


def batches(source, key, batch_size, start, count):
    """Returns the batches of some steps of a source."""
    found = []
    for window in source.training(key, batch_size, start, host):
        for step in range(max(start, window.first), window.end):
            found.append(gather(window.arrays, jnp.asarray(window.order[step - window.first])))
            if len(found) == count:
                return found
    return found


def test_each_set_has_an_order_of_its_own():
    both = paired(A, B)
    assert (both.steps_per_epoch(3), both.size, both.name) == (2, 7, "a and b")
    epochs = []
    for first in range(0, 40, 2):
        read = batches(both, KEY, 3, first, 2)
        a = np.concatenate([batch["input_a"][:, 0] for batch in read])
        b = np.concatenate([batch["input_b"][:, 0] for batch in read])
        assert len(set(a.tolist())) == len(set(b.tolist())) == 6
        assert set(a) <= set(range(11)) and set(b) <= set(range(100, 107))
        epochs.append((tuple(a), tuple(b - 100)))
    assert len(set(epochs)) == 20
    assert {row for a, _ in epochs for row in a} == set(range(11))
    assert all(a != b for a, b in epochs)


def test_a_run_of_pairs_resumes_at_any_step():
    both = paired(A, B)
    whole = batches(both, KEY, 2, 0, 12)
    for start in range(12):
        for read, expected in zip(batches(both, KEY, 2, start, 3), whole[start:], strict=False):
            jax.tree.map(np.testing.assert_array_equal, read, expected)


def test_several_runs_read_the_rows_of_each_run_alone():
    both = paired(A, B)
    keys = jaxdl.root([3, 4])
    window = next(both.training(keys, 2, 0, host))
    for i, key in enumerate(keys):
        alone = batches(both, key, 2, 0, 3)
        for step, expected in enumerate(alone):
            read = gather(window.arrays, jnp.asarray(window.order[step, i]))
            jax.tree.map(np.testing.assert_array_equal, read, expected)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 20])
def test_an_evaluation_counts_every_example_of_both_sets_once(batch_size):
    (window,) = paired(A, B).evaluation(batch_size, host)
    counted = {"a": [], "b": []}
    for rows in window.order:
        batch = gather(window.arrays, jnp.asarray(rows))
        for name, found in counted.items():
            mask = np.asarray(batch[f"mask_{name}"]) > 0
            found += np.asarray(batch[f"input_{name}"])[mask, 0].tolist()
    assert counted == {"a": list(range(11)), "b": list(range(100, 107))}


def difference(params, extra, batch, key, *, train):
    """Computes a loss whose minimum is the difference of the means of both sets."""
    target = batch["input_b"].mean() - batch["input_a"].mean()
    loss = total((params["d"] - target) ** 2 * batch["mask_a"])
    return loss, (extra, {"loss": loss})


def test_a_learner_trains_on_paired_sets():
    net = jaxdl.learner(
        lambda key, batch: ({"d": jnp.zeros(())}, {}),
        jaxdl.Update(difference, optax.sgd(optax.exponential_decay(0.3, 60, 0.1))),
    )
    data = paired(A, B)
    state = jaxdl.train(net, data, key=KEY, steps=300, batch_size=6, validation=data, strategy=ONE)
    assert float(state.params["d"]) == pytest.approx(98.0, abs=1.0)
    states = jaxdl.train(net, data, key=jaxdl.root([0, 1]), steps=40, batch_size=6, strategy=ONE)
    alone = jaxdl.train(net, data, key=jaxdl.root(1), steps=40, batch_size=6, strategy=ONE)
    assert float(states.member(1).params["d"]) == float(alone.params["d"])


def walk(state: State, batch, key):
    """Moves a walker one step to the right or left; the metric is its position."""
    key = jax.random.fold_in(key, state.step)
    move = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
    position = state.extra["position"] + move
    state = state.replace(step=state.step + 1, extra={"position": position})
    return state, {"position": (position, jnp.ones(()))}


def evaluate(state: State, batch, key):
    return {"position": (state.extra["position"], jnp.ones(()))}


def test_a_learner_acts_in_an_environment_without_data():
    def init(key, batch):
        assert set(batch) == {"mask"}
        return State(jnp.zeros((), jnp.int32), {}, (), {"position": jnp.zeros(())})

    net = jaxdl.core.Learner(init, walk, evaluate)
    source = Simulated(steps_per_epoch=10)
    assert source.steps_per_epoch(4) == 10
    state = jaxdl.train(net, source, key=KEY, steps=35, batch_size=1, strategy=ONE)
    keys = [jax.random.fold_in(jaxdl.stream(KEY, "train"), i) for i in range(35)]
    moves = [1.0 if jax.random.bernoulli(key) else -1.0 for key in keys]
    assert float(state.extra["position"]) == sum(moves)
    assert jaxdl.evaluate(net, state, source, strategy=ONE)["position"] == sum(moves)
    states = jaxdl.train(net, source, key=jaxdl.root([0, 0]), steps=35, batch_size=1, strategy=ONE)
    assert np.unique(states.extra["position"]).size == 1


def test_windows_of_simulated_steps_have_no_gaps():
    windows = itertools.islice(Simulated(4).training(KEY, 2, 6, host), 3)
    assert [(window.first, window.end) for window in windows] == [(4, 8), (8, 12), (12, 16)]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Simulated(0), "steps_per_epoch: got 0, allowed: at least 1"),
        (
            lambda: paired(A, Dataset({"input": np.zeros((3, 1))}, "text", contiguous=True)),
            "data: got 'text', allowed: a set whose rows can be shuffled",
        ),
        (
            lambda: jaxdl.train(None, A, key=KEY, steps=1),
            "learner: got <class 'NoneType'>, allowed: a Learner, such as "
            "jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))",
        ),
    ],
)
def test_bad_inputs_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
