"""Calls of a model by a task, and the prediction of a whole set in batches."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Update
from jaxdl.models import MLP
from jaxdl.tasks import classify, predict_batched
from jaxdl.tasks.linen import apply, init_variables, lengths_kwargs
from tests.training.linear import KEY

X = np.random.default_rng(0).normal(size=(13, 4)).astype(np.float32)
LENGTHS = np.arange(13, dtype=np.int32) % 4 + 1


class Counter(nn.Module):
    """A dense layer with dropout that counts its training calls in a collection."""

    @nn.compact
    def __call__(self, x, train, lengths=None):
        calls = self.variable("notes", "calls", lambda: jnp.zeros((), jnp.int32))
        if train:
            calls.value += 1
        y = nn.Dense(2)(x)
        if lengths is not None:
            y = y * lengths[:, None].astype(x.dtype)
        return nn.Dropout(0.5, deterministic=not train)(y)

    def twice(self, x, train):
        return 2 * x


class Identity(nn.Module):
    """A module without parameters."""

    def __call__(self, x, train):
        return x


def started():
    task = classify(MLP((6,), 3))
    net = jaxdl.learner(task.init, Update(task.loss, optax.sgd(0.1)))
    return task, net.init(KEY, {"input": jnp.asarray(X)})


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, 13, 14, 500])
def test_batches_give_the_predictions_of_the_whole_set(batch_size):
    task, state = started()
    predictions = predict_batched(task.predict, state, X, batch_size=batch_size)
    assert isinstance(predictions, np.ndarray)
    np.testing.assert_allclose(predictions, task.predict(state.params, state.extra, X), rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "batch_size", "rows"), [(13, 4, 4), (12, 4, 4), (3, 4, 3), (13, 1, 1)]
)
def test_all_batches_share_one_program(size, batch_size, rows):
    shapes = []

    def predict(params, extra, x, lengths):
        shapes.append((x.shape, lengths.shape))
        return x.sum(1) * lengths.astype(x.dtype) + params + extra["more"]

    state = started()[1].replace(params=jnp.float32(2), extra={"more": jnp.float32(1)})
    predictions = predict_batched(predict, state, X[:size], LENGTHS[:size], batch_size=batch_size)
    assert shapes == [((rows, 4), (rows,))]
    np.testing.assert_allclose(predictions, X[:size].sum(1) * LENGTHS[:size] + 3, rtol=1e-5)


def test_lengths_come_from_the_batch():
    assert lengths_kwargs({"input": X}) == {}
    assert lengths_kwargs({"input": X, "length": LENGTHS}) == {"lengths": LENGTHS}


def test_initial_variables_are_those_of_the_model():
    params, extra = init_variables(Counter(), KEY, {"input": jnp.asarray(X)})
    expected = Counter().init(KEY, jnp.asarray(X), train=False)
    jax.tree.map(np.testing.assert_array_equal, {"params": params, **extra}, expected)
    assert list(extra) == ["notes"]
    assert init_variables(Identity(), KEY, {"input": jnp.asarray(X)}) == ({}, {})
    with pytest.raises(TypeError, match="lengths"):
        init_variables(Identity(), KEY, {"input": jnp.asarray(X), "length": jnp.asarray(LENGTHS)})


def test_collections_change_in_training_only():
    x = jnp.asarray(X)
    params, extra = init_variables(Counter(), KEY, {"input": x})
    evaluated, same = apply(Counter(), params, extra, x, KEY, train=False)
    trained, updated = apply(Counter(), params, extra, x, KEY, train=True)
    assert [int(e["notes"]["calls"]) for e in (extra, same, updated)] == [0, 0, 1]
    not_dropped = np.asarray(trained) != 0
    assert 0 < not_dropped.mean() < 1
    np.testing.assert_allclose(
        np.asarray(trained)[not_dropped], 2 * np.asarray(evaluated)[not_dropped], rtol=1e-5
    )
    other, _ = apply(Counter(), params, extra, x, jax.random.key(1), train=True)
    assert (np.asarray(other) != np.asarray(trained)).any()
    again, _ = apply(Counter(), params, extra, x, KEY, train=True)
    np.testing.assert_array_equal(again, trained)


def test_further_arguments_are_passed_to_the_model():
    x = jnp.asarray(X)
    params, extra = init_variables(Counter(), KEY, {"input": x})
    plain, _ = apply(Counter(), params, extra, x, KEY, train=False)
    scaled, _ = apply(Counter(), params, extra, x, KEY, train=False, lengths=jnp.asarray(LENGTHS))
    np.testing.assert_allclose(scaled, np.asarray(plain) * LENGTHS[:, None], rtol=1e-5)
    np.testing.assert_array_equal(
        apply(Counter(), params, extra, x, KEY, train=False, method="twice")[0], 2 * x
    )
