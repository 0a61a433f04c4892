"""Dropout against its distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import Dropout


def dropped(rate, shape, seed=0, dtype=jnp.float32):
    x = jnp.asarray(np.random.default_rng(seed).uniform(1, 2, shape), dtype)
    return np.asarray(x), np.asarray(
        jax.jit(lambda key: Dropout(rate).apply({}, x, True, rngs={"dropout": key}))(KEY)
    )


KEY = jax.random.key(7)


@pytest.mark.parametrize("shape", [(400, 31), (20, 7, 7, 8), (9_001,)])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drops_its_rate_and_scales_the_rest(rate, shape):
    x, y = dropped(rate, shape)
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-3)
    assert abs(kept.mean() - (1 - rate)) <= 4.5 * (rate * (1 - rate) / kept.size) ** 0.5


def test_the_two_halves_of_the_bits_are_independent():
    _, y = dropped(0.5, (20_000, 2))
    left, right = (y != 0).T
    assert abs((left == right).mean() - 0.5) < 4.5 * 0.5 / 20_000**0.5


def test_an_array_is_the_same_as_the_number():
    x = jnp.ones((64, 9))

    def at(rate):
        return Dropout(rate).apply({}, x, True, rngs={"dropout": KEY})

    np.testing.assert_array_equal(jax.jit(at)(jnp.float32(0.3)), at(0.3))
    np.testing.assert_array_equal(jax.jit(at)(jnp.float32(0)), x)


def test_none_is_dropped_outside_of_training_or_at_rate_0():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.9).apply({}, x, False), x)
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, True), x)  # needs no key


def test_gradient_is_the_mask():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(50, 5)), jnp.float32)
    f = lambda x: Dropout(0.4).apply({}, x, True, rngs={"dropout": KEY})  # noqa: E731
    np.testing.assert_allclose(jax.grad(lambda x: f(x).sum())(x) * x, f(x), rtol=1e-6)


def test_keeps_bfloat16():
    assert dropped(0.5, (8, 8), dtype=jnp.bfloat16)[1].dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [1, -0.1, float("nan")])
def test_other_rates_are_refused(rate):
    with pytest.raises(InputError, match=r"^rate: got .*, allowed: a number in \[0, 1\)$"):
        Dropout(rate)


@pytest.mark.parametrize("shared", [(1,), (0,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_shared_axes_are_kept_or_dropped_together(shared):
    x = jnp.asarray(np.random.default_rng(2).uniform(1, 2, (30, 6, 41)), jnp.float32)
    y = np.asarray(Dropout(0.4, shared=shared).apply({}, x, True, rngs={"dropout": KEY}))
    kept = y != 0
    one = kept[tuple(slice(1) if axis in shared else slice(None) for axis in range(3))]
    np.testing.assert_array_equal(kept, np.broadcast_to(one, kept.shape))
    assert abs(one.mean() - 0.6) <= max(0.6 * (one.size == 1), 4.5 * (0.24 / one.size) ** 0.5)
    np.testing.assert_allclose(y[kept], np.asarray(x)[kept] / 0.6, rtol=1e-3)


def test_what_is_not_shared_is_independent():
    x = jnp.ones((4000, 5, 2))
    kept = (
        np.asarray(Dropout(0.5, shared=(1,)).apply({}, x, True, rngs={"dropout": KEY}))[:, 0] != 0
    )
    for a, b in ((kept[:, 0], kept[:, 1]), (kept[1:, 0], kept[:-1, 0])):
        assert abs((a == b).mean() - 0.5) < 4.5 * 0.5 / len(a) ** 0.5
