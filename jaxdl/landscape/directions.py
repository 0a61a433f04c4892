"""Directions in the space of parameters: random ones with the norms of filters, and differences."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.core import State
from jaxdl.errors import InputError, not_in_jit, one_of
from jaxdl.layer_names import named_leaves, path_name
from jaxdl.rng import check_single_key, fold, stream
from jaxdl.updates import Params

Normalization = Literal["filter", "layer"] | None


def random_direction(
    params: Params,
    key: Key[Array, ""],
    normalization: Normalization = "filter",
    *,
    vectors: bool = False,
) -> Params:
    """Returns a random direction, scaled like the weights of a trained network.

        d_u <- ||w_u|| d_u / ||d_u||,    d ~ N(0, 1), u an output unit of a kernel

    A ReLU network computes the same function if one layer is scaled by c and the next one by 1 / c.
    With the norms of filters a picture of the loss is the same for both. Without normalization it
    is not.

    A filter is all weights of one output unit. That is a column of a dense kernel `[D, U]`, a slice
    `[F, G, C]` of a convolution `[F, G, C, U]`, or the weights of one unit of a gate. In an
    embedding `[V, D]` it is the row of a token.

    Source: Li et al. 2018, Visualizing the loss landscape of neural nets, section 4.

    Args:
      params: the trained parameters.
      key: root key; its stream "direction" is used. Fold a number into it for a second direction.
      normalization: "filter"; "layer" for one norm per array; None leaves the normal numbers.
      vectors: if True, arrays with one axis, such as biases and the scales of norms, change too.
        They have the norm of the trained vector. If False they have the direction 0.

    Returns:
      Arrays of the shapes and dtypes of `params`.

    Raises:
      InputError: another normalization, several keys, or parameters that are not finite floats.

    Example:
      >>> from jaxdl.rng import root
      >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 2.0]]), "bias": jnp.ones(2)}
      >>> d = random_direction(params, root(0))
      >>> jnp.linalg.norm(d["kernel"], axis=0).round(4).tolist(), d["bias"].tolist()
      ([5.0, 2.0], [0.0, 0.0])
    """
    not_in_jit("random_direction")
    if normalization is not None:
        one_of("normalization", normalization, ("filter", "layer"))
    check_single_key(key)
    check_params("params", params)
    own = stream(key, "direction")
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    directions = [
        _direction(path_name(path), jnp.asarray(leaf), fold(own, i), normalization, vectors)
        for i, (path, leaf) in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, directions)


def between(a: Params, b: Params) -> Params:
    """Returns the direction from one network to another.

        d = b - a

    Args:
      a: parameters.
      b: parameters of the same shapes.

    Raises:
      InputError: parameters of another network.

    Example:
      >>> between({"w": jnp.array([1.0])}, {"w": jnp.array([3.0])})["w"].tolist()
      [2.0]
    """
    check_params("a", a)
    check_same(a, b, "b")
    return jax.tree.map(lambda x, y: jnp.asarray(y) - jnp.asarray(x), a, b)


def _direction(
    name: str,
    w: Float[Array, "..."],
    key: Key[Array, ""],
    normalization: Normalization,
    vectors: bool,
) -> Float[Array, "..."]:
    """Returns the direction of one array."""
    if w.ndim < 2 and not vectors:
        return jnp.zeros_like(w)
    d = jax.random.normal(key, w.shape, jnp.float32)
    if normalization is not None:
        axes = _filter_axes(name, w.ndim, normalization)
        d = d * (_norm(w.astype(jnp.float32), axes) / _norm(d, axes))
    return d.astype(w.dtype)


def _filter_axes(name: str, ndim: int, normalization: Normalization) -> tuple[int, ...]:
    """Returns the axes of an array whose numbers share a norm."""
    if normalization == "layer" or ndim < 2:
        return tuple(range(ndim))
    if name.rsplit("/")[-1] == "embedding":
        return tuple(range(1, ndim))
    return tuple(range(ndim - 1))


def _norm(x: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "..."]:
    """Returns Euclidean norms with axes of length 1, as an array of the shape of `x`."""
    # The largest number is divided out, because squares of small weights underflow.
    largest = jnp.max(jnp.abs(x), axes, keepdims=True, initial=0.0)
    scale = jnp.where(largest > 0, largest, 1.0)
    norm = scale * jnp.sqrt(((x / scale) ** 2).sum(axes, keepdims=True))
    return jnp.broadcast_to(norm, x.shape)


def check_params(field: str, params: Any) -> None:
    """Raises unless a value is a tree of finite arrays of floats, the parameters of a network.

    Args:
      field: name of the argument, for the message.
      params: the value.

    Raises:
      InputError: another value, such as a whole state, or other arrays.

    Example:
      >>> check_params("params", {"kernel": np.array([np.nan])})
      Traceback (most recent call last):
      jaxdl.errors.InputError: params: got 'NaN or infinity in kernel', allowed: finite parameters
    """
    leaves = named_leaves(params)
    if isinstance(params, State):
        raise InputError(field, "a State", "its parameters, state.params")
    if not leaves or not all(isinstance(x, jax.Array | np.ndarray) for x in leaves.values()):
        shown = type(params).__name__
        raise InputError(field, shown, "the parameters of a network, such as state.params")
    for name, leaf in leaves.items():
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise InputError(field, f"{leaf.dtype} in {name}", "parameters in floats")
        if not bool(jnp.isfinite(leaf).all()):
            raise InputError(field, f"NaN or infinity in {name}", "finite parameters")


def check_same(a: Params, b: Any, field: str) -> None:
    """Raises unless two trees have arrays of the same names and shapes, and `b` is finite.

    Args:
      a: the parameters of a network.
      b: the other tree.
      field: its name for the message.

    Raises:
      InputError: arrays that `b` lacks or has in addition, or an array of another shape.

    Example:
      >>> a = {"out": {"bias": np.zeros(3)}}
      >>> b = {"out": {"bias": np.zeros(4)}}
      >>> check_same(a, b, "direction")
      Traceback (most recent call last):
      jaxdl.errors.InputError: direction: got 'out/bias [4]', allowed: the shape [3], as in the ...
    """
    leaves = named_leaves(a)
    others = named_leaves(b)
    for name in [*leaves, *others]:
        if name in leaves and name in others:
            continue
        got = f"no {name}" if name in leaves else name
        allowed = "the arrays of the same network, such as those of random_direction(params, key)"
        raise InputError(field, got, allowed)
    for name, leaf in leaves.items():
        shape = list(np.shape(leaf))
        if list(np.shape(others[name])) != shape:
            got = f"{name} {list(np.shape(others[name]))}"
            raise InputError(field, got, f"the shape {shape}, as in the network")
    check_params(field, b)
