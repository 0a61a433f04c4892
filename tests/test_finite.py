"""Tests for NaN and infinity."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.finite import all_finite, finite
from tests.training.linear import state_at


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_suffices(value):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert all_finite(jnp.asarray(x))
    x[2, 3] = value
    assert not all_finite(jnp.asarray(x))
    assert all_finite(jnp.asarray([3, 4])) and all_finite(jnp.asarray([True]))


def test_each_leaf_separately():
    state = state_at(3)
    broken = state.replace(
        params={**state.params, "b": jnp.asarray(jnp.nan)},
        opt=({"best": jnp.asarray(jnp.inf), "mean": jnp.asarray([0.0, jnp.nan])},),
    )
    passed = finite(broken)
    assert passed.params["w"] and not passed.params["b"]
    assert passed.opt[0]["best"] and not passed.opt[0]["mean"]
    assert passed.step and passed.extra["batch_stats"]["mean"]
