"""Whether numbers are still numbers."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxdl.core import State


def finite(state: State) -> State:
    """Of each leaf whether it is as it should be: finite; an optimizer may hold an infinity on purpose, never a NaN.

    Example:
      >>> state = State(jnp.zeros((), jnp.int32), {"w": jnp.array([1.0, jnp.inf])}, ({"best": jnp.array(jnp.inf)},), {})
      >>> bool(finite(state).params["w"]), bool(finite(state).opt[0]["best"])
      (False, True)
    """

    def fine(path: Any, x: Array) -> Array:
        if path[0].name == "opt" and jnp.issubdtype(x.dtype, jnp.inexact):
            return ~jnp.isnan(x).any()
        return all_finite(x)

    return jax.tree_util.tree_map_with_path(fine, state)


def all_finite(x: Array) -> Bool[Array, ""]:
    """Whether no number of an array is NaN or infinite; true for what is not made of floating numbers."""
    return jnp.isfinite(x).all() if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.ones((), bool)
