"""The path of an optimizer on a function of a few numbers, as one compiled program."""

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from jaxdl.errors import (
    InputError,
    at_least,
    in_jax,
    in_range,
    not_in_jit,
    of_kind,
    one_of,
    real_array,
)
from jaxdl.landscape.terrains import Function
from jaxdl.optimizers import optimizer
from jaxdl.rng import check_single_key, fold, root, stream

#: Learning rates among which `tuned_rate` chooses: four per decade.
RATES = tuple(float(f"{10 ** (i / 4):.3g}") for i in range(-16, 9))


class Descent(NamedTuple):
    """The path of an optimizer.

    Attributes:
      points: `[S + 1, D]`, the start and the point after each step.
      values: `[S + 1]`, the function there.

    Example: see `descend`.
    """

    points: Float[np.ndarray, "S D"]
    values: Float[np.ndarray, " S"]


class Tuned(NamedTuple):
    """The best learning rate of a grid.

    Attributes:
      rate: the learning rate with the lowest measure.
      descent: the path with this rate.
      measures: `[R]`, the measure for each rate of the grid. It is infinite if the path ends
        higher than it starts.

    Example: see `tuned_rate`.
    """

    rate: float
    descent: Descent
    measures: Float[np.ndarray, " R"]


class Optimum(NamedTuple):
    """The best constants of an optimizer on a quadratic.

    Attributes:
      rate: learning rate, in units of 1 / (smallest curvature).
      momentum: decay of the running sum of gradients.
      factor: factor by which the distance shrinks per step, in the long run.

    Example: see `quadratic_optimum`.
    """

    rate: float
    momentum: float
    factor: float


def descend(
    made: optax.GradientTransformation,
    f: Function,
    start: Any,
    steps: int,
    *,
    noise: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> Descent:
    """Returns the path of an optimizer on a function.

        x_{t+1} = x_t + update(g_t),    g_t = grad f(x_t) + noise * n_t,    n_t ~ N(0, I)

    The noise stands for that of batches: with B examples it is sigma / sqrt(B).

    Args:
      made: an Optax transformation, such as `optimizers.optimizer("adam", 0.1)`.
      f: a function of a point `[D]` with one number as result, such as
        `TERRAINS["beale"].function`.
      start: `[D]`, the first point. The path is computed in its dtype, integers in float32.
      steps: S, number of steps, at least 1.
      noise: standard deviation of the noise of each partial derivative, at least 0.
      key: key of the noise; None means that of seed 0.

    Returns:
      All points and values. They may be infinite or NaN if the path diverges.

    Raises:
      InputError: a start that is not a point of `f`, a function without one number as result, or a
        number out of range.

    Example:
      >>> found = descend(optax.sgd(0.5), lambda x: (x**2).sum() / 2, [4.0, 2.0], 2)
      >>> found.points.tolist(), found.values.tolist()
      ([[4.0, 2.0], [2.0, 1.0], [1.0, 0.5]], [10.0, 2.5, 0.625])
    """
    not_in_jit("descend")
    allowed = "an Optax transformation, such as optimizers.optimizer('adam', 0.1)"
    of_kind("made", made, optax.GradientTransformation, allowed)
    at_least("steps", steps, 1)
    in_range("noise", noise, 0, np.inf)
    point = _start(f, start)
    if key is not None:
        check_single_key(key)
    noise_key = stream(root(0) if key is None else key, "gradient_noise")
    points, values = _program(made, f, steps, point, noise, noise_key)
    return Descent(np.asarray(points), np.asarray(values))


def tuned_rate(
    name: str,
    f: Function,
    start: Any,
    steps: int,
    rates: Sequence[float] = RATES,
    measure: Literal["final", "mean"] = "final",
    **options: float,
) -> Tuned:
    """Returns the best learning rate of a grid for a number of steps.

    Optimizers are comparable only if all of them have the same steps and the same grid. All rates
    are computed in one program.

    Args:
      name: name of the optimizer, one of `optimizers.OPTIMIZERS`.
      f: a function of a point `[D]` with one number as result.
      start: `[D]`, the first point.
      steps: number of steps, at least 1.
      rates: R learning rates above 0; the default has four per decade from 1e-4 to 100.
      measure: the number that is lowest for the best rate. "final" is the value after all steps.
        "mean" is the mean value of the path, which prefers fast and steady paths.
      **options: further arguments of `optimizers.optimizer`, such as `momentum=0.5`.

    Returns:
      The best rate with its path, and the measures of all rates.

    Raises:
      InputError: rates with which all paths end higher than they start, no rates, or a bad argument
        of `descend`.

    Example:
      >>> found = tuned_rate("sgd", lambda x: (x**2).sum() / 2, [4.0, 2.0], 5, [0.1, 1.0, 3.0])
      >>> found.rate, float(found.descent.values[-1])
      (1.0, 0.0)
    """
    not_in_jit("tuned_rate")
    at_least("steps", steps, 1)
    one_of("measure", measure, ("final", "mean"))
    point = _start(f, start)
    real_array("rates", rates, "at least one number above 0")
    grid = np.asarray(rates, float)
    if grid.ndim != 1 or not grid.size or not (np.isfinite(grid) & (grid > 0)).all():
        raise InputError("rates", np.ravel(grid).tolist(), "at least one number above 0")
    # A mistake in the name or the options is found before anything compiles.
    optimizer(name, grid[0], **options)
    given = tuple(sorted(options.items()))
    points, values = _all_rates(name, given, f, steps, point, jnp.asarray(grid, point.dtype))
    paths = np.asarray(values)
    measures = paths.mean(1)
    if measure == "final":
        measures = paths[:, -1]
    is_lower = np.isfinite(paths).all(1) & (paths[:, -1] <= paths[:, 0])
    if not is_lower.any():
        raise InputError("rates", grid.tolist(), f"smaller ones; {name} diverges")
    measures = np.where(is_lower, measures, np.inf)
    best = int(measures.argmin())
    return Tuned(float(grid[best]), Descent(np.asarray(points[best]), paths[best]), measures)


def quadratic_optimum(name: str, condition: float) -> Optimum:
    """Returns the best constants on a quadratic with curvatures from 1 to k.

        sgd         rate 2 / (k + 1)              factor (k - 1) / (k + 1)
        momentum    rate 4 / (sqrt(k) + 1)^2      factor (sqrt(k) - 1) / (sqrt(k) + 1)
                    momentum factor^2

    Args:
      name: sgd or momentum.
      condition: k, the largest curvature divided by the smallest one, at least 1.

    Returns:
      The constants, and the factor by which the distance to the minimum shrinks in each step.

    Raises:
      InputError: another name, or a condition below 1.

    Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Goh
      (2017), Why momentum really works.

    Example:
      >>> for name in ("sgd", "momentum"):
      ...     print([round(number, 4) for number in quadratic_optimum(name, 100.0)])
      [0.0198, 0.0, 0.9802]
      [0.0331, 0.6694, 0.8182]
    """
    of_kind("name", name, str, "sgd or momentum")
    in_range("condition", condition, 1, np.inf)
    k = float(condition)
    if name == "sgd":
        return Optimum(2 / (k + 1), 0.0, (k - 1) / (k + 1))
    if name == "momentum":
        factor = (k**0.5 - 1) / (k**0.5 + 1)
        return Optimum(4 / (k**0.5 + 1) ** 2, factor**2, factor)
    raise InputError("name", name, "sgd or momentum")


def _start(f: Function, start: Any) -> Float[Array, " D"]:
    """Returns the first point; raises unless the function has one number as result there."""
    allowed = "a point [D] of real numbers"
    point = real_array("start", start, allowed)
    if not jnp.issubdtype(point.dtype, jnp.floating):
        point = point.astype(float)
    if point.ndim != 1 or not point.size:
        raise InputError("start", f"{point.dtype}{list(point.shape)}", allowed)
    # A list of Python numbers has a weak type, which the optimizer's state does not keep.
    point = jax.lax.convert_element_type(point, point.dtype)
    if not callable(f):
        raise InputError("f", f, "a function of a point [D], such as landscape.beale")
    with in_jax("f"):
        shape = jax.eval_shape(f, point)
    if not isinstance(shape, jax.ShapeDtypeStruct) or shape.shape:
        shown = shape
        if isinstance(shape, jax.ShapeDtypeStruct):
            shown = f"{shape.dtype}{list(shape.shape)}"
        raise InputError("f", shown, "a function with one number as result")
    return point


def _path(
    made: Any, f: Function, steps: int, start: Array, noise: Any, key: Any
) -> tuple[Array, Array]:
    """Returns the points `[S + 1, D]` and values `[S + 1]` of a path."""

    def step(carry: Any, t: Array) -> Any:
        point, state = carry
        value, gradient = jax.value_and_grad(f)(point)
        if noise is not None:
            normal = jax.random.normal(fold(key, t), point.shape, point.dtype)
            gradient = gradient + jnp.asarray(noise, point.dtype) * normal
        with jax.numpy_dtype_promotion("standard"):
            updates, state = made.update(gradient, state, point)
        return (optax.apply_updates(point, updates), state), (point, value)

    with jax.numpy_dtype_promotion("standard"):
        state = made.init(start)
    (last, _), (points, values) = jax.lax.scan(step, (start, state), jnp.arange(steps))
    return jnp.concatenate([points, last[None]]), jnp.append(values, f(last))


@functools.partial(jax.jit, static_argnames=("made", "f", "steps"))
def _with_noise(made: Any, f: Any, steps: int, start: Any, noise: Any, key: Any) -> Any:
    return _path(made, f, steps, start, noise, key)


@functools.partial(jax.jit, static_argnames=("made", "f", "steps"))
def _without_noise(made: Any, f: Any, steps: int, start: Any) -> Any:
    return _path(made, f, steps, start, None, None)


def _program(made: Any, f: Any, steps: int, start: Any, noise: float, key: Any) -> Any:
    """Returns the points and values of a path, with or without noise."""
    if noise:
        return _with_noise(made, f, steps, start, noise, key)
    return _without_noise(made, f, steps, start)


@functools.partial(jax.jit, static_argnames=("name", "options", "f", "steps"))
def _all_rates(name: str, options: Any, f: Any, steps: int, start: Any, rates: Any) -> Any:
    def path(rate: Array) -> Any:
        return _path(optimizer(name, rate, **dict(options)), f, steps, start, None, None)

    return jax.vmap(path)(rates)
