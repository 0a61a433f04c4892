"""Double descent: least squares on p random features, from few features to many."""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, of_kind, one_of, real_array
from jaxdl.metrics import wide_dtype
from jaxdl.rng import check_key, fold, stream

#: Numbers of points `x [N, D]` with their targets `y [N]` or `[N, K]`.
Points = tuple[Float[Array, "N ..."], Float[Array, "N ..."]]


class DoubleDescent(NamedTuple):
    """Errors of least squares by the number of random features.

    Attributes:
      features: `[P]`, numbers of features p.
      train_error: `[S, P]`, mean squared error on the n training points, by key.
      test_error: `[S, P]`, mean squared error on the test points.
      norm: `[S, P]`, Euclidean norm of the coefficients.
      examples: n.

    Example: see `double_descent`.
    """

    features: Int[np.ndarray, " P"]
    train_error: Float[np.ndarray, "S P"]
    test_error: Float[np.ndarray, "S P"]
    norm: Float[np.ndarray, "S P"]
    examples: int

    @property
    def peak(self) -> int:
        """The number of features with the largest mean test error."""
        return int(self.features[self.test_error.mean(0).argmax()])


def double_descent(
    train: Points,
    test: Points,
    features: Sequence[int],
    key: Key[Array, "*S"],
    *,
    kind: Literal["fourier", "relu"] = "fourier",
) -> DoubleDescent:
    """Fits least squares on p random features, for many p and several keys in one program.

        phi_j(x) = cos(w_j . x + b_j)     or     relu(w_j . x + b_j),    j = 1 ... p

        c = argmin ||c||   among all c with the least   ||phi(X) c - y||

    This is a network with p hidden units, of which only the last layer is trained. With p < n
    features the fit is unique. From p = n on it passes through all points, and the coefficients
    with the least norm are chosen. At p = n there is one such fit, usually with a huge norm, so
    the test error has its peak there. The features of a smaller p are the first ones of a larger.

    Weights w_j are normal with the variance 1 / D, which suits inputs of variance 1. Shifts b_j are
    uniform in [0, 2 pi], and normal for "relu". A ReLU that is 0 at all training points is no
    feature, so the peak of "relu" is at a somewhat larger p.

    Args:
      train: `x [n, D]` and `y [n]` or `[n, K]`, floating-point. Axes of x behind the first one are
        flattened.
      test: points of the same kind.
      features: numbers of features p, at least 1.
      key: a key, or keys `[S]`, one for each draw of the features.
      kind: "fourier" or "relu".

    Returns:
      A `DoubleDescent` with S = 1 for a single key.

    Raises:
      InputError: no numbers of features, one below 1, another kind, or arrays whose shapes do not
        fit each other.

    Example:
      >>> import jaxdl
      >>> from jaxdl.classic import double_descent
      >>> x = jax.random.normal(jaxdl.root(0), (60, 5))
      >>> y = jnp.sin(x.sum(1))
      >>> found = double_descent(
      ...     (x[:20], y[:20]), (x[20:], y[20:]), [5, 20, 200], jaxdl.root(range(5))
      ... )
      >>> found.peak, bool(found.train_error[:, 1:].max() < 1e-3)
      (20, True)

    Source: Belkin, Hsu, Ma, Mandal 2019, Reconciling modern machine-learning practice and the
      classical bias-variance trade-off.
    """
    one_of("kind", kind, ("fourier", "relu"))
    of_kind("features", features, Sequence | np.ndarray, "numbers of features, such as [5, 20]")
    counts = np.array([_count(each) for each in features], np.int32)
    if not len(counts):
        raise InputError("features", [], "at least one number of features")
    check_key(key)
    keys = jnp.reshape(key, (-1,))
    x, y = _points("train", train)
    new_x, new_y = _points("test", test)
    if new_x.shape[1:] != x.shape[1:] or new_y.shape[1:] != y.shape[1:]:
        allowed = f"inputs [N, {x.shape[1]}] and targets [N, {y.shape[1]}], as in train"
        raise InputError("test", [list(new_x.shape), list(new_y.shape)], allowed)
    largest = int(counts.max())
    arguments = (jnp.asarray(counts), stream(keys, "features"), largest, kind)
    found = _errors(x, y, new_x, new_y, *arguments)
    train_error, test_error, norm = (np.asarray(each, np.float64) for each in found)
    return DoubleDescent(counts, train_error, test_error, norm, len(x))


@functools.partial(jax.jit, static_argnames=("largest", "kind"))
def _errors(
    x: Array,
    y: Array,
    new_x: Array,
    new_y: Array,
    counts: Array,
    keys: Key[Array, " S"],
    largest: int,
    kind: str,
) -> tuple[Array, Array, Array]:
    """Returns training error, test error and norm, each `[S, P]`."""

    def with_key(key: Key[Array, ""]) -> tuple[Array, Array, Array]:
        seen = _features(x, key, largest, kind)
        new = _features(new_x, key, largest, kind)

        def with_count(p: Array) -> tuple[Array, Array, Array]:
            # A feature that is 0 everywhere has a coefficient of 0 in the fit of least norm.
            used = (jnp.arange(largest, dtype=p.dtype) < p).astype(x.dtype)
            coefficients = _least_squares(seen * used[None], y)
            residual = seen @ coefficients - y
            new_residual = new @ coefficients - new_y
            norm = jnp.sqrt((coefficients**2).sum())
            return (residual**2).mean(), (new_residual**2).mean(), norm

        return jax.lax.map(with_count, counts)

    return jax.lax.map(with_key, keys)


def _features(x: Array, key: Key[Array, ""], count: int, kind: str) -> Array:
    """Returns the random features `[N, count]` of inputs `[N, D]`; each has its own key."""

    def draw(j: Array) -> tuple[Array, Array]:
        one = fold(key, j)
        weights = jax.random.normal(fold(one, 0), (x.shape[1],), x.dtype)
        if kind == "fourier":
            shift = jax.random.uniform(fold(one, 1), (), x.dtype, maxval=2 * jnp.pi)
        else:
            shift = jax.random.normal(fold(one, 1), (), x.dtype)
        return weights, shift

    weights, shifts = jax.vmap(draw)(jnp.arange(count))
    values = x @ weights.T / jnp.sqrt(float(x.shape[1])) + shifts[None]
    if kind == "fourier":
        return jnp.cos(values)
    return jax.nn.relu(values)


def _least_squares(matrix: Float[Array, "N P"], y: Float[Array, "N K"]) -> Float[Array, "P K"]:
    """Returns the solution of least squares with the least norm."""
    u, s, v = jnp.linalg.svd(matrix, full_matrices=False)
    smallest = max(matrix.shape) * jnp.finfo(matrix.dtype).eps * s[0]
    inverse = jnp.where(s > smallest, 1 / jnp.where(s > smallest, s, 1), 0)
    return v.T @ (inverse[:, None] * (u.T @ y))


def _count(value: int) -> int:
    """Returns a number of features; raises InputError below 1."""
    at_least("features", value, 1)
    return int(value)


def _points(name: str, points: Points) -> tuple[Float[Array, "N D"], Float[Array, "N K"]]:
    """Returns inputs and targets with two axes each; raises InputError for others."""
    allowed = "inputs [N, D] and as many targets [N] or [N, K]"
    if not isinstance(points, Sequence) or len(points) != 2:
        raise InputError(name, type(points).__name__, f"a pair, {allowed}")
    x, y = (real_array(name, each, allowed) for each in points)
    for each in (x, y):
        if not jnp.issubdtype(each.dtype, jnp.floating):
            raise InputError(name, str(each.dtype), "floating-point inputs and targets")
    if x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y) or not x.size:
        shapes = [list(x.shape), list(y.shape)]
        raise InputError(name, shapes, allowed)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(name, "NaN or infinite values", "finite values")
    dtype = wide_dtype(x.dtype)
    return x.reshape(len(x), -1).astype(dtype), y.reshape(len(y), -1).astype(dtype)
