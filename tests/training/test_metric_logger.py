"""The check of a state on the host, which a run does before it saves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.finite import finite
from jaxdl.training.metric_logger import finite_on_host
from tests.training.linear import state_at


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("runs", [1, 3])
def test_the_test_on_the_host_agrees_with_the_compiled_one(runs, dtype):
    rng = np.random.default_rng(runs)
    states = []
    for seed in range(runs):
        state = jax.tree.map(
            lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else x,
            state_at(3, seed),
        )
        bad = rng.choice([0.0, np.nan, np.inf], size=2)
        params = {**state.params, "b": state.params["b"] + bad[0].astype(dtype)}
        opt = ({"best": jnp.asarray(bad[1], dtype)},)
        states.append(state.replace(params=params, opt=opt))
    together = jax.tree.map(lambda *x: jnp.stack(x), *states)
    if runs == 1:
        together = states[0]
    passed = finite_on_host(together)
    for i, state in enumerate(states):
        expected = [bool(x) for x in jax.tree.leaves(finite(state))]
        assert [bool(each[i]) for each in passed.values()] == expected
    assert list(passed)[:2] == ["step", "params/b"]
