"""What is finite, against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.finite import all_finite, finite
from tests.training.linear import state_at


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_is_enough(value):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    assert all_finite(jnp.asarray(x))
    x[2, 3] = value
    assert not all_finite(jnp.asarray(x))
    assert all_finite(jnp.asarray([3, 4])) and all_finite(jnp.asarray([True]))


def test_each_leaf_by_itself():
    state = state_at(3)
    spoiled = state.replace(
        params={**state.params, "b": jnp.asarray(jnp.nan)},
        opt=({"best": jnp.asarray(jnp.inf), "mean": jnp.asarray([0.0, jnp.nan])},),
    )
    fine = finite(spoiled)
    assert fine.params["w"] and not fine.params["b"]
    assert fine.opt[0]["best"] and not fine.opt[0]["mean"]
    assert fine.step and fine.extra["batch_stats"]["mean"]
