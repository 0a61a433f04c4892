"""Calls of a model by a task."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.tasks.task import apply, init_variables, more_inputs
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


def test_lengths_come_from_the_batch():
    assert more_inputs(MLP(), {"input": X}) == {}
    assert more_inputs(MLP(), {"input": X, "length": LENGTHS}) == {"lengths": LENGTHS}


def test_initial_variables_are_those_of_the_model():
    params, extra = init_variables(Counter(), KEY, {"input": jnp.asarray(X)})
    expected = Counter().init(KEY, jnp.asarray(X), train=False)
    jax.tree.map(np.testing.assert_array_equal, {"params": params, **extra}, expected)
    assert list(extra) == ["notes"]
    assert init_variables(Identity(), KEY, {"input": jnp.asarray(X)}) == ({}, {})
    with pytest.raises(InputError, match="a parameter `lengths` for a set with a `length`"):
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
