"""Bias, variance and noise: the three parts of the error of a fit on new points."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.classic.checks import finite_rows
from jaxdl.errors import InputError, at_least, in_jax, in_range, of_kind
from jaxdl.rng import check_single_key, fold, stream

#: A fit, `fit(x [N], y [N], at [M]) -> predictions [M]`.
Fit = Callable[[Float[Array, " N"], Float[Array, " N"], Float[Array, " M"]], Float[Array, " M"]]

#: A known function of an array, with values of the same shape.
Truth = Callable[[Float[Array, "*N"]], Float[Array, "*N"]]


class BiasVariance(NamedTuple):
    """Bias, variance and noise of a fit, and the error on new points that they add up to.

    Attributes:
      bias2: `[M]`, squared difference of the mean prediction and the truth.
      variance: `[M]`, variance of the predictions over the data sets, with the divisor S.
      noise: variance of the noise, which no fit can remove.
      error: `[S]`, mean squared error of each fit on new noisy points.
      noiseless_error: `[S]`, mean squared error of each fit against the truth.
      train_error: `[S]`, mean squared error of each fit on the points that it was fitted to.
      predictions: `[S, M]`, the predictions of each fit.

    Example: see `bias_variance`.
    """

    bias2: Float[np.ndarray, " M"]
    variance: Float[np.ndarray, " M"]
    noise: float
    error: Float[np.ndarray, " S"]
    noiseless_error: Float[np.ndarray, " S"]
    train_error: Float[np.ndarray, " S"]
    predictions: Float[np.ndarray, "S M"]

    @property
    def expected(self) -> float:
        """The mean of bias^2, plus the mean of the variance, plus the noise."""
        return float(self.bias2.mean() + self.variance.mean()) + self.noise

    @property
    def test_error(self) -> float:
        """The mean error of all fits on new noisy points."""
        return float(self.error.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of `test_error - expected`, from the random noise of the points."""
        difference = self.error - self.noiseless_error
        return float(difference.std(ddof=1) / np.sqrt(len(difference)))


def bias_variance(
    fit: Fit,
    truth: Truth,
    noise: float,
    x: Float[Array, " N"],
    key: Key[Array, ""],
    *,
    at: Float[Array, " M"] | None = None,
    sets: int = 100,
) -> BiasVariance:
    """Measures bias, variance and noise of a fit with S data sets from a known truth.

        y_s = f(x) + sigma e_s,                g_s = fit(x, y_s),    s = 1 ... S

        bias^2(t)   = (mean_s g_s(t) - f(t))^2
        variance(t) = mean_s (g_s(t) - mean_r g_r(t))^2
        noise       = sigma^2

        mean_s (f(t) + sigma e'_s - g_s(t))^2  ~  bias^2(t) + variance(t) + noise

    Without the noise of the new points, e', the last line is an exact identity. So its two sides
    differ by the randomness of e' alone, of which `standard_error` is the size. All fits are one
    compiled program.

    Args:
      fit: a pure function `fit(x [N], y [N], at [M]) -> [M]`, on which `jax.vmap` works.
      truth: f, a function of an array.
      noise: sigma, the standard deviation of the noise, at least 0.
      x: `[N]`, the places of the points, the same in every data set.
      key: root key of the noise. Set s does not depend on the number of sets.
      at: `[M]`, places at which the errors are measured. None means x.
      sets: S, at least 2.

    Returns:
      A `BiasVariance`.

    Raises:
      InputError: fewer than 2 sets, a negative noise, places that are not `[N]`, or a fit that
        returns another shape than `[M]`.

    Example:
      >>> import jaxdl
      >>> from jaxdl.classic import bias_variance
      >>> mean = lambda x, y, at: jnp.full(at.shape, y.mean())
      >>> x = jnp.linspace(-1, 1, 10)
      >>> found = bias_variance(mean, lambda x: x, 0.5, x, jaxdl.root(0), sets=1000)
      >>> round(float(found.bias2.mean()), 2), round(float(found.variance.mean()), 3)
      (0.41, 0.025)
      >>> abs(found.test_error - found.expected) < 3 * found.standard_error
      True

    Source: Geman, Bienenstock, Doursat 1992, Neural networks and the bias/variance dilemma.
    """
    at_least("sets", sets, 2)
    in_range("noise", noise, 0, float("inf"))
    of_kind("fit", fit, Callable, "a function fit(x, y, at)")
    of_kind("truth", truth, Callable, "a function of an array")
    check_single_key(key)
    x = _places("x", x)
    at = x if at is None else _places("at", at)
    with in_jax("fit"):
        _check_values("fit", jax.eval_shape(fit, x, x, at), at)
    with in_jax("truth"):
        _check_values("truth", jax.eval_shape(truth, at), at)
    keys = fold(stream(key, "bias_variance"), 0), fold(stream(key, "bias_variance"), 1)
    found = _fits(fit, truth, noise, x, at, *keys, sets)
    predictions, goal, targets, train_error = (np.asarray(each, np.float64) for each in found)
    mean = predictions.mean(0)
    return BiasVariance(
        (mean - goal) ** 2,
        ((predictions - mean) ** 2).mean(0),
        float(noise) ** 2,
        ((targets - predictions) ** 2).mean(1),
        ((goal - predictions) ** 2).mean(1),
        train_error,
        predictions,
    )


@functools.partial(jax.jit, static_argnames=("fit", "truth", "sets"))
def _fits(
    fit: Fit,
    truth: Truth,
    noise: float,
    x: Array,
    at: Array,
    key: Key[Array, ""],
    new_key: Key[Array, ""],
    sets: int,
) -> tuple[Array, Array, Array, Array]:
    """Returns predictions `[S, M]`, truth `[M]`, new points `[S, M]` and training errors `[S]`."""

    def one(s: Array) -> tuple[Array, Array, Array]:
        y = truth(x) + noise * jax.random.normal(fold(key, s), x.shape, x.dtype)
        new = truth(at) + noise * jax.random.normal(fold(new_key, s), at.shape, at.dtype)
        values = fit(x, y, jnp.concatenate([at, x]))
        train_error = ((values[len(at) :] - y) ** 2).mean()
        return values[: len(at)], new, train_error

    predictions, new, train_error = jax.vmap(one)(jnp.arange(sets))
    return predictions, truth(at), new, train_error


def _check_values(name: str, found: Any, at: Float[Array, " M"]) -> None:
    """Raises unless a function has one real number for each place."""
    shown = found
    if isinstance(found, jax.ShapeDtypeStruct):
        if found.shape == at.shape and jnp.issubdtype(found.dtype, jnp.floating):
            return
        shown = f"{found.dtype}{list(found.shape)}"
    raise InputError(name, shown, f"real numbers {list(at.shape)}, one for each place")


def _places(name: str, x: Float[Array, " N"]) -> Float[Array, " N"]:
    """Returns places as a floating-point array `[N]`; raises InputError for others."""
    return finite_rows(name, x, 1, "places [N], at least one")
