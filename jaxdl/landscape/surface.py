"""The loss along a line and on a plane of parameters: one compiled program for all points."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, in_range, not_in_jit
from jaxdl.explain.layers import as_partial
from jaxdl.landscape.directions import check_params, check_same
from jaxdl.landscape.loss import Loss, check_loss, compiled
from jaxdl.landscape.unfinished import Unfinished
from jaxdl.updates import Params
from jaxdl.xla import materialize

Progress = Callable[[str], Any]


class Surface(NamedTuple):
    """The loss on a plane.

    Attributes:
      losses: `[Q, P]`, float32. Row i has the points with y[i], and column j those with x[j].
      x: `[P]`, coordinates along the first direction.
      y: `[Q]`, coordinates along the second direction.

    Example: see `surface`.
    """

    losses: Float[np.ndarray, "Q P"]
    x: Float[np.ndarray, " P"]
    y: Float[np.ndarray, " Q"]


class Line(NamedTuple):
    """The loss on the line between two networks.

    Attributes:
      losses: `[P]`, float32.
      t: `[P]`, the share of the second network.

    Example: see `line`.
    """

    losses: Float[np.ndarray, " P"]
    t: Float[np.ndarray, " P"]


def surface(
    f: Loss,
    params: Params,
    x: Params,
    y: Params,
    *,
    span: Any = 1.0,
    points: int = 51,
    path: str | Path | None = None,
    progress: Progress | None = None,
) -> Surface:
    """Returns the loss on a plane of parameters.

        losses[i, j] = f(w + a_j x + b_i y)

    With an odd number of points and a symmetric span the middle point is w itself. Its loss has
    the bits of `f(params)`. Losses far from w may be infinite or NaN.

    Source: Li et al. 2018, Visualizing the loss landscape of neural nets.

    Args:
      f: the loss, such as `loss_of(task.loss, state, data)`.
      params: w, the parameters in the middle.
      x: the first direction, such as `random_direction(params, key)`.
      y: the second direction.
      span: the largest coordinate, for -span to span along both; or two pairs of least and largest
        coordinates, `((-1, 3), (0, 2))`, for x and y.
      points: P, number of points along each direction, at least 2.
      path: file for finished rows, an `.npz`. A call that finds it there continues with the next
        row. None means no file.
      progress: function of one line of text per row, such as `print`.

    Returns:
      The losses with their coordinates.

    Raises:
      InputError: directions of another network, a function without a single number as result, a
        span or number of points out of range, or a file of another surface.

    Example:
      >>> w = {"w": jnp.array([1.0, 0.0])}
      >>> x = {"w": jnp.array([1.0, 0.0])}
      >>> y = {"w": jnp.array([0.0, 2.0])}
      >>> found = surface(lambda w: (w["w"] ** 2).sum(), w, x, y, points=3)
      >>> found.losses.tolist()
      [[4.0, 5.0, 8.0], [0.0, 1.0, 4.0], [4.0, 5.0, 8.0]]
    """
    not_in_jit("surface")
    at_least("points", points, 2)
    check_params("params", params)
    check_same(params, x, "x")
    check_same(params, y, "y")
    xs, ys = (_coordinates(pair, points) for pair in _ranges(span))
    ones = np.ones(points, np.float32)
    rows = [np.stack([ones, xs, np.full(points, b)], -1) for b in ys]
    losses = _losses(f, (params, x, y), np.stack(rows), path, progress)
    return Surface(losses, xs, ys)


def line(
    f: Loss, a: Params, b: Params, *, points: int = 51, span: tuple[float, float] = (0.0, 1.0)
) -> Line:
    """Returns the loss on the line between two networks.

        losses[i] = f((1 - t_i) a + t_i b)

    The losses at t = 0 and t = 1 have the bits of `f(a)` and `f(b)`.

    Source: Goodfellow, Vinyals and Saxe 2015, Qualitatively characterizing neural network
    optimization problems.

    Args:
      f: the loss, such as `loss_of(task.loss, state, data)`.
      a: parameters at t = 0.
      b: parameters at t = 1, of the same shapes.
      points: P, number of points, at least 2.
      span: first and last t.

    Returns:
      The losses with their t.

    Raises:
      InputError: parameters of another network, a function without a single number as result, or a
        span or number of points out of range.

    Example:
      >>> a = {"w": jnp.ones(2)}
      >>> b = {"w": -jnp.ones(2)}
      >>> found = line(lambda w: (w["w"] ** 2).sum(), a, b, points=5)
      >>> found.losses.tolist(), found.t.tolist()
      ([2.0, 0.5, 0.0, 0.5, 2.0], [0.0, 0.25, 0.5, 0.75, 1.0])
    """
    not_in_jit("line")
    at_least("points", points, 2)
    check_params("a", a)
    check_same(a, b, "b")
    t = _coordinates(_range(span, "first and last t, such as (0, 1)"), points)
    losses = _losses(f, (a, b), np.stack([1 - t, t], -1)[None], None, None)
    return Line(losses[0], t)


def _ranges(span: Any) -> list[tuple[float, float]]:
    """Returns the ranges of x and y."""
    allowed = "a positive number, or pairs (least, largest) such as ((-1, 3), (0, 2))"
    if isinstance(span, tuple | list) and len(span) == 2:
        return [_range(each, allowed) for each in span]
    in_range("span", span, 0, np.inf)
    return 2 * [_range((-float(span), float(span)), allowed)]


def _range(pair: Any, allowed: str) -> tuple[float, float]:
    """Returns a range as two numbers; raises unless they ascend."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError("span", pair, allowed)
    for value in pair:
        in_range("span", value, -np.inf, np.inf)
    if not pair[0] < pair[1]:
        raise InputError("span", pair, allowed)
    return float(pair[0]), float(pair[1])


def _coordinates(pair: tuple[float, float], points: int) -> Float[np.ndarray, " P"]:
    """Returns equally spaced numbers, with exact ends and an exact middle."""
    low, high = pair
    i = np.arange(points)
    # The sum of both weights is exact, so a symmetric range has an exact 0.
    with np.errstate(over="ignore", invalid="ignore"):
        found = ((low * (points - 1 - i) + high * i) / (points - 1)).astype(np.float32)
        is_ascending = np.isfinite(found).all() and (np.diff(found) > 0).all()
    if not is_ascending:
        raise InputError("span", pair, f"{points} different numbers in float32")
    return found


def _losses(
    f: Loss,
    trees: tuple[Params, ...],
    coefficients: Float[np.ndarray, "Q P K"],
    path: str | Path | None,
    progress: Progress | None,
) -> Float[np.ndarray, "Q P"]:
    """Returns the losses of combinations `sum_k c_k w_k`, row by row.

    The host calls a compiled program for each point. Processor time of a point in ms, for 2,000
    images of MNIST's size in batches of 100:

                                       calls   lax.map   vmap of 16 or 4
        MLP 784-512-10                  18.1      18.9              24.8
        the lectures' 3x3 CNN            536       538               850

    In a loop Linen's own convolutions would be slow, and `vmap` changes the bits.

    Args:
      f: the loss.
      trees: K trees of parameters.
      coefficients: `[Q, P, K]`.
      path: file of finished rows.
      progress: function of one line of text.
    """
    trees = jax.tree.map(jnp.asarray, trees)
    check_loss(f, trees[0])
    f = as_partial(f)
    program = compiled(_loss_at)
    inputs = {"data": f, "parameters and directions": trees, "span and points": coefficients}
    rows = Unfinished(coefficients.shape[:2], path, inputs)
    rows.check_first(lambda: float(program(f, trees, coefficients[0, 0])))
    for i in range(rows.count, len(coefficients)):
        # All points of a row are queued before the first one is read.
        values = [program(f, trees, each) for each in coefficients[i]]
        rows.add(np.array(values, np.float32))
        if progress is not None:
            progress(f"row {i + 1} of {len(coefficients)}, {rows.seconds:.1f} s in all")
    return rows.values


def _loss_at(f: Partial, trees: tuple[Params, ...], c: Float[Array, " K"]) -> Float[Array, ""]:
    # The weights are stored before they are used, so that the rest is the program of f alone.
    return jnp.float32(f(materialize(_combine(trees, c))))


def _combine(trees: tuple[Params, ...], c: Float[Array, " K"]) -> Params:
    """Returns the sum of trees with coefficients; exactly the k-th tree if c is 1 there, else 0."""

    def combined(*leaves: Array) -> Array:
        wide = [c[k] * leaf.astype(jnp.float32) for k, leaf in enumerate(leaves)]
        return sum(wide[1:], wide[0]).astype(leaves[0].dtype)

    return jax.tree.map(combined, *trees)
