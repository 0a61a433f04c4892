"""Replay: it finds the first non-finite step; if it fails, the first error is raised."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Learner
from jaxdl.data.checks import unusable
from jaxdl.data.order import epoch_order
from jaxdl.errors import CheckpointError, NonFinite
from jaxdl.training import InMemory
from tests.training.linear import KEY, line, points

BAD = 6


def breaking(
    net: Learner, name: str = "b", steps: tuple[int, ...] = (BAD,), value: float = jnp.nan
) -> Learner:
    """Returns the learner with one leaf of `params` set to a value after these steps."""

    def step(state, batch, key):
        after, metrics = net.step(state, batch, key)
        bad = jnp.stack([after.step == each for each in steps]).any()
        leaf = jnp.where(bad, value, after.params[name])
        return after.replace(params={**after.params, name: leaf}), metrics

    return net._replace(step=step)


def error_of_run(net: Learner, store=None, key=KEY, **changed) -> str:
    """Returns the error of a run whose dispatches have several steps, with its notes."""
    defaults = {
        "steps": 20,
        "batch_size": 4,
        "log_every": 100,
        "save_every": 4,
        "strategy": jaxdl.strategy("single"),
    }
    options = defaults | changed
    with pytest.raises(NonFinite) as caught:
        jaxdl.train(net, points(80), key=key, store=store, **options)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_the_step_and_the_leaf():
    """The loss is not finite until step 7."""
    store = InMemory()
    assert error_of_run(breaking(line()), store) == (
        f"step {BAD}: params/b is not finite; this state is not saved"
    )
    assert max(store.states) == 4
    error = error_of_run(breaking(line(), "w"), InMemory())
    assert error.startswith(f"step {BAD}: params/w is not finite")


def test_the_replay_starts_at_step_0_if_nothing_is_saved_yet():
    error = error_of_run(breaking(line()), InMemory(), log_every=100, save_every=0)
    assert error.startswith(f"step {BAD}: params/b")


def test_without_a_store_there_is_no_replay():
    error = error_of_run(breaking(line()))
    assert error.startswith(f"step {BAD + 1}: loss is not finite; first leaf")


def test_a_leaf_that_becomes_finite_again_is_no_error():
    def step(state, batch, key):
        after, metrics = net.step(state.replace(extra={}), batch, key)
        # Infinite after step 5 only.
        value = jnp.where(after.step == 5, jnp.inf, 0.0)
        return after.replace(extra={"value": value}), metrics

    net = breaking(line(), steps=(7,))
    recovering = Learner(
        lambda *args: net.init(*args).replace(extra={"value": jnp.zeros(())}), step, net.evaluate
    )
    assert error_of_run(recovering, InMemory()).startswith("step 7: params/b is not finite")


def test_the_first_error_is_raised_if_the_replay_fails():
    class Lost(InMemory):
        def restore(self, abstract, step=None):
            if self.states:
                raise CheckpointError("the disk is gone")
            return super().restore(abstract, step)

    first, note = error_of_run(breaking(line()), Lost()).splitlines()
    assert first.startswith(f"step {BAD + 1}: loss is not finite")
    assert note == "the first non-finite step was not found: the disk is gone"


def test_for_several_runs_the_step_after_which_none_is_finite():
    net = line()
    keys = jaxdl.root(range(4))

    def late(key):
        """Returns 0 or 1, depending on the key of the run."""
        return (jax.random.key_data(key)[..., -1] % 2).astype(jnp.int32)

    def step(state, batch, key):
        after, metrics = net.step(state, batch, key)
        b = jnp.where(after.step == 5 + late(key), jnp.nan, after.params["b"])
        return after.replace(params={**after.params, "b": b}), metrics

    assert set(late(jaxdl.stream(keys, "train")).tolist()) == {0, 1}
    with warnings.catch_warnings(action="ignore"):
        error = error_of_run(net._replace(step=step), InMemory(), keys)
    assert error.startswith("step 6: params/b is not finite")


# The cause is in the batch.

LABELS = {"label": np.arange(80, dtype=np.int32) % 3}


def classifier():
    task = jaxdl.tasks.classify(jaxdl.models.MLP((), 3))
    return jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))


@pytest.mark.parametrize("store", [None, InMemory()], ids=["no store", "store"])
@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("label", 7, "label[{row}] of the batch is 7, not a class in [0, 3); loss"),
        ("label", -1, "label[{row}] of the batch is -1, not a class in [0, 3); loss"),
        ("input", np.nan, "input[{row}] of the batch contains nan; loss"),
        ("input", np.inf, "input[{row}] of the batch contains inf; loss"),
    ],
)
def test_the_row_of_the_batch_comes_first(store, field, value, text):
    arrays = {**points(80).arrays, **LABELS}
    arrays = {name: np.array(x) for name, x in arrays.items() if name != "target"}
    arrays[field][33] = value
    data = jaxdl.data.Dataset(arrays, "bad")
    # A set with classes refuses such labels, but other sources may not.
    object.__setattr__(data, "classes", 3)
    order = epoch_order(KEY, 0, 80, 4)
    (step,), (row,) = np.nonzero(order == 33)
    if store is not None:
        store = InMemory()
    with pytest.raises(NonFinite) as caught:
        jaxdl.train(
            classifier(),
            data,
            key=KEY,
            steps=20,
            batch_size=4,
            save_every=20,
            store=store,
            strategy=jaxdl.strategy("single"),
        )
    message = str(caught.value)
    assert message.startswith(f"step {step + 1}: {text.format(row=row)}"), message
    assert "\n" not in message


@pytest.mark.parametrize("strategy", ["single", "sharded", "pmap"])
@pytest.mark.parametrize("label", [3, 1000])
def test_a_label_above_the_outputs_of_the_model_is_named(strategy, label):
    arrays = {"input": points(80)["input"], "label": np.array(LABELS["label"])}
    arrays["label"][33] = label
    (step,), (row,) = np.nonzero(epoch_order(KEY, 0, 80, 4) == 33)
    with pytest.raises(NonFinite) as caught:
        jaxdl.train(
            classifier(),
            jaxdl.data.Dataset(arrays, "without classes"),
            key=KEY,
            steps=20,
            batch_size=4,
            strategy=jaxdl.strategy(strategy),
        )
    expected = f"step {step + 1}: label[{row}] of the batch is {label}, not a class in [0, 3); loss"
    assert str(caught.value).startswith(expected)


def test_valid_labels_are_no_cause():
    arrays = {"input": np.full((8, 1), 1e38, np.float32), "label": np.arange(8) % 3}
    net = classifier()
    for keys in (KEY, jaxdl.root(range(2))):
        with pytest.raises(NonFinite) as caught:
            jaxdl.train(net, jaxdl.data.Dataset(arrays, "large"), key=keys, steps=20, batch_size=4)
        assert "label" not in str(caught.value)


def test_rows_that_do_not_count_are_no_cause():
    nan = np.array([[0.0], [np.nan], [np.nan]], np.float32)
    assert unusable({"input": nan, "mask": np.array([1, 0, 0])}) == ""
    expected = "input[1] of the batch contains nan (one of 2 such rows)"
    assert unusable({"input": nan, "mask": np.array([1, 1, 1])}) == expected
    label = np.array([[0, 9], [-1, 1]])
    assert unusable({"label": label, "mask": np.array([[1, 0], [0, 1]])}, 3) == ""
    steps = {"input": np.zeros((2, 5)), "length": np.array([5, 6])}
    assert unusable(steps) == "length[1] of the batch is 6, not in [1, 5]"
