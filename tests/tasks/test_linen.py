"""Calling a model: what goes in, what comes back, and a whole set in parts."""

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


class Noted(nn.Module):
    """Counts its calls in a collection, drops, and says what it was given."""

    @nn.compact
    def __call__(self, x, train, lengths=None):
        calls = self.variable("notes", "calls", lambda: jnp.zeros((), jnp.int32))
        if train:
            calls.value += 1
        y = nn.Dense(2)(x) if lengths is None else nn.Dense(2)(x) * lengths[:, None].astype(x.dtype)
        return nn.Dropout(0.5, deterministic=not train)(y)

    def twice(self, x, train):
        return 2 * x


class Nothing(nn.Module):
    """Has no parameters."""

    def __call__(self, x, train):
        return x


def started():
    task = classify(MLP((6,), 3))
    net = jaxdl.learner(task.init, Update(task.loss, optax.sgd(0.1)))
    return task, net.init(KEY, {"input": jnp.asarray(X)})


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, 13, 14, 500])
def test_parts_are_the_whole(batch_size):
    task, state = started()
    found = predict_batched(task.predict, state, X, batch_size=batch_size)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, task.predict(state.params, state.extra, X), rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "batch_size", "seen"), [(13, 4, 4), (12, 4, 4), (3, 4, 3), (13, 1, 1)]
)
def test_one_program_for_all_parts(size, batch_size, seen):
    shapes = []

    def predict(params, extra, x, lengths):
        shapes.append((x.shape, lengths.shape))
        return x.sum(1) * lengths.astype(x.dtype) + params + extra["more"]

    state = started()[1].replace(params=jnp.float32(2), extra={"more": jnp.float32(1)})
    found = predict_batched(predict, state, X[:size], LENGTHS[:size], batch_size=batch_size)
    assert shapes == [((seen, 4), (seen,))]
    np.testing.assert_allclose(found, X[:size].sum(1) * LENGTHS[:size] + 3, rtol=1e-5)


def test_lengths_are_those_of_the_batch():
    assert lengths_kwargs({"input": X}) == {}
    assert lengths_kwargs({"input": X, "length": LENGTHS}) == {"lengths": LENGTHS}


def test_a_start_is_the_models_own():
    params, extra = init_variables(Noted(), KEY, {"input": jnp.asarray(X)})
    own = Noted().init(KEY, jnp.asarray(X), train=False)
    jax.tree.map(np.testing.assert_array_equal, {"params": params, **extra}, own)
    assert list(extra) == ["notes"]
    assert init_variables(Nothing(), KEY, {"input": jnp.asarray(X)}) == ({}, {})
    with pytest.raises(TypeError, match="lengths"):
        init_variables(Nothing(), KEY, {"input": jnp.asarray(X), "length": jnp.asarray(LENGTHS)})


def test_collections_move_in_training_only():
    x = jnp.asarray(X)
    params, extra = init_variables(Noted(), KEY, {"input": x})
    quiet, same = apply(Noted(), params, extra, x, KEY, train=False)
    noisy, moved = apply(Noted(), params, extra, x, KEY, train=True)
    assert [int(e["notes"]["calls"]) for e in (extra, same, moved)] == [0, 0, 1]
    kept = np.asarray(noisy) != 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(np.asarray(noisy)[kept], 2 * np.asarray(quiet)[kept], rtol=1e-5)
    other, _ = apply(Noted(), params, extra, x, jax.random.key(1), train=True)
    assert (np.asarray(other) != np.asarray(noisy)).any()
    again, _ = apply(Noted(), params, extra, x, KEY, train=True)
    np.testing.assert_array_equal(again, noisy)


def test_more_is_handed_on():
    x = jnp.asarray(X)
    params, extra = init_variables(Noted(), KEY, {"input": x})
    plain, _ = apply(Noted(), params, extra, x, KEY, train=False)
    scaled, _ = apply(Noted(), params, extra, x, KEY, train=False, lengths=jnp.asarray(LENGTHS))
    np.testing.assert_allclose(scaled, np.asarray(plain) * LENGTHS[:, None], rtol=1e-5)
    np.testing.assert_array_equal(
        apply(Noted(), params, extra, x, KEY, train=False, method="twice")[0], 2 * x
    )
