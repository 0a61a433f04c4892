"""Tests for NaN and infinity."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxdl.core import State


def finite(state: State) -> State:
    """Tests each leaf of a state for NaN and infinity.

    An optimizer may use infinities on purpose, so its state is tested for NaN only. States
    on the host are tested by `jaxdl.training.metric_logger.finite_on_host`.

    Args:
      state: the state of a learner.

    Returns:
      A state of booleans, True for each leaf that passes.

    Example:
      >>> params = {"w": jnp.array([1.0, jnp.inf])}
      >>> opt = ({"best": jnp.array(jnp.inf)},)
      >>> passed = finite(State(jnp.zeros((), jnp.int32), params, opt, {}))
      >>> bool(passed.params["w"]), bool(passed.opt[0]["best"])
      (False, True)
    """

    def test(path: Any, x: Array) -> Array:
        if path[0].name == "opt" and jnp.issubdtype(x.dtype, jnp.inexact):
            return ~jnp.isnan(x).any()
        return all_finite(x)

    return jax.tree_util.tree_map_with_path(test, state)


def all_finite(x: Array) -> Bool[Array, ""]:
    """Returns True if no number of an array is NaN or infinite; always for integers and booleans.

    Example:
      >>> bool(all_finite(jnp.array([1.0, jnp.nan]))), bool(all_finite(jnp.array([1, 2])))
      (False, True)
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.ones((), bool)
    return jnp.isfinite(x).all()
