"""The path of a training in the plane that contains most of it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, not_in_jit
from jaxdl.landscape.directions import check_params, check_same
from jaxdl.updates import Params


class Plane(NamedTuple):
    """The plane through the end of a path that is nearest to the path.

    Attributes:
      x: the first principal direction, of length 1.
      y: the second one, of length 1 and orthogonal to x.
      share: `[2]`, the share of the path's variance along each direction, in [0, 1].
      coordinates: `[S, 2]`, the coordinates of each state along x and y. The last one is (0, 0).

    Example: see `plane`.
    """

    x: Params
    y: Params
    share: Float[np.ndarray, "2"]
    coordinates: Float[np.ndarray, "S 2"]


def plane(states: Sequence[Params]) -> Plane:
    """Returns the principal directions of a path of parameters, and the path in their plane.

        M_s = w_s - w_S,    M'M = V diag(v) V',    x = V_1, y = V_2,    share_i = v_i / sum_j v_j

    The plane is that of `surface(f, states[-1], plane.x, plane.y, span=...)`. Random directions
    show almost nothing of a path: it is nearly orthogonal to them. Even these two directions leave
    out the share `1 - share.sum()`. A large share alone means little: a random walk in many
    dimensions has 8 / pi^2 and 8 / (9 pi^2), which is 90 %.

    The variance is around the last state, as in the reference. Both directions have the sign for
    which the first coordinate that is not zero is positive.

    Source: Li et al. 2018, Visualizing the loss landscape of neural nets, section 7; Antognini,
    Sohl-Dickstein 2018, PCA of high dimensional random walks.

    Args:
      states: S trees of parameters in order, at least 3, such as those of a training.

    Returns:
      The plane with the coordinates of the states.

    Raises:
      InputError: fewer than 3 states, states of different networks, or states on one line.

    Example:
      >>> found = plane([{"w": jnp.array(w)} for w in ([2.0, 0.0], [0.0, 1.0], [0.0, 0.0])])
      >>> found.coordinates.tolist(), found.share.round(3).tolist()
      ([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.8, 0.2])
    """
    not_in_jit("plane")
    if not isinstance(states, Sequence) or len(states) < 3:
        shown = f"{len(states)} states" if isinstance(states, Sequence) else type(states).__name__
        raise InputError("states", shown, "a list of the parameters at 3 or more steps")
    last = states[-1]
    check_params("states[-1]", last)
    for i, state in enumerate(states):
        check_same(last, state, f"states[{i}]")
    leaves, structure = jax.tree.flatten(last)
    paths = [
        np.stack([np.ravel(x).astype(np.float64) - np.ravel(end).astype(np.float64) for x in each])
        for each, end in zip(zip(*map(jax.tree.leaves, states), strict=True), leaves, strict=True)
    ]
    # There are few states and many parameters, so the products of states are decomposed.
    values, vectors = np.linalg.eigh(sum((m @ m.T for m in paths), np.zeros(())))
    values = values[::-1].clip(0)
    vectors = vectors[:, ::-1]
    if not values[1] > 1e-12 * values[0]:
        raise InputError("states", "a path on one line", "states that span a plane")
    scale = np.sqrt(values[:2])
    coordinates = vectors[:, :2] * scale
    signs = np.array([_sign(coordinates[:, k]) for k in range(2)])
    weights = vectors[:, :2] * signs / scale
    directions = []
    for k in range(2):
        parts = [weights[:, k] @ m for m in paths]
        arrays = [_like(w, part) for w, part in zip(leaves, parts, strict=True)]
        directions.append(jax.tree.unflatten(structure, arrays))
    x, y = directions
    # The sum turns -0 into 0.
    return Plane(x, y, values[:2] / values.sum(), coordinates * signs + 0.0)


def _sign(values: Float[np.ndarray, " S"]) -> float:
    """Returns the sign of the first number that is not small."""
    large = values[np.abs(values) > 1e-6 * np.abs(values).max()]
    return float(np.sign(large[0]))


def _like(w: Float[Array, "..."], numbers: Float[np.ndarray, " N"]) -> Float[Array, "..."]:
    return jnp.asarray(numbers.reshape(np.shape(w)), w.dtype)
