"""Least squares with polynomials, and bands for their predictions."""

from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxdl.classic.checks import finite_rows
from jaxdl.errors import InputError, in_range, is_traced, real_array

#: Largest degree of a polynomial.
MAX_DEGREE = 10_000


class Polynomial(NamedTuple):
    """A polynomial that was fitted to points, as arrays.

        y(x) = sum_k c_k P_k(t),    t = 2 (x - low) / (high - low) - 1

    P_k is the Legendre polynomial of degree k. The fields may have further axes in front, from
    `jax.vmap` of `fit_polynomial`; the methods are those of one polynomial.

    Attributes:
      coefficients: `[degree + 1]`, c.
      low: lower end of the interval on which t is in [-1, 1].
      high: its upper end.
      variance: estimated variance of the noise, in squared units of y.
      covariance: `[degree + 1, degree + 1]`, covariance of the coefficients for noise of
        variance 1.
      freedom: number of points minus the effective number of coefficients.
    """

    coefficients: Float[Array, " P"]
    low: Float[Array, ""]
    high: Float[Array, ""]
    variance: Float[Array, ""]
    covariance: Float[Array, "P P"]
    freedom: Float[Array, ""]

    def predict(self, x: Any) -> Float[Array, "*S"]:
        """Computes the polynomial at points of any shape.

        Example:
          >>> x = np.linspace(0, 1, 5)
          >>> fit_polynomial(x, 1 + 2 * x, 1).predict([0.0, 3.0]).round(4).tolist()
          [1.0, 7.0]
        """
        return _basis(self._scaled(x), self.coefficients.shape[-1]) @ self.coefficients

    def band(
        self, x: Any, level: float = 0.95, *, of: str = "observation"
    ) -> tuple[Float[Array, "*S"], Float[Array, "*S"]]:
        """Computes a band around the prediction for independent Gaussian noise.

            y(x) -+ q s sqrt(1 + p(x)^T C p(x)),    p_k(x) = P_k(t)

        Here s^2 is the variance, C the covariance, and q the quantile (1 + level) / 2 of Student's
        t distribution. The band of the curve lacks the 1. With `ridge` the band ignores the bias.

        Args:
          x: points of any shape.
          level: probability that the band contains the value at a point, in (0, 1).
          of: "observation" for a new y with its noise, or "curve" for the curve without noise.

        Returns:
          `(lower, upper)`, each with the shape of x.

        Raises:
          InputError: a level outside (0, 1); another name; not more points than coefficients; or a
            call inside `jax.jit`.

        Example:
          >>> x = np.linspace(-1, 1, 50)
          >>> y = x + 0.1 * np.random.default_rng(0).normal(size=50)
          >>> lower, upper = fit_polynomial(x, y, 1).band([0.0])
          >>> round(float(upper[0] - lower[0]), 2)
          0.35

        Source: Seber, Lee 2003, Linear regression analysis, section 5.3.
        """
        from scipy.stats import t

        if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
            raise InputError("level", level, "a number between 0 and 1, such as 0.95")
        if not isinstance(of, str) or of not in ("observation", "curve"):
            raise InputError("of", of, "'observation' or 'curve'")
        if is_traced(self.freedom):
            raise InputError("band", "a call inside of jax.jit", "a call outside of it")
        freedom = float(self.freedom)
        if freedom < 1e-3:
            count = self.coefficients.shape[-1]
            raise InputError("degree", count - 1, f"more than {count} points for a band")
        quantile = float(t.ppf((1 + level) / 2, freedom))
        y, half = _with_spread(self, self._scaled(x), of == "observation")
        return y - quantile * half, y + quantile * half

    def powers(self) -> Float[np.ndarray, " P"]:
        """Returns the coefficients of 1, x, x^2, ... in float64.

        Example:
          >>> x = np.linspace(0, 1, 5)
          >>> fit_polynomial(x, 1 + 2 * x, 1).powers().round(4).tolist()
          [1.0, 2.0]
        """
        from numpy.polynomial import Legendre
        from numpy.polynomial import Polynomial as Powers

        coefficients = np.asarray(self.coefficients, np.float64)
        series = Legendre(coefficients, (float(self.low), float(self.high)))
        # NumPy leaves out leading zeros.
        found = series.convert(kind=Powers).coef
        return np.pad(found, (0, len(coefficients) - len(found)))

    def _scaled(self, x: Any) -> Float[Array, "*S"]:
        """Returns t, which is in [-1, 1] between `low` and `high`."""
        x = real_array("x", x, "numbers of any shape")
        return _scale(jnp.asarray(x, self.coefficients.dtype), self.low, self.high)


def fit_polynomial(
    x: Float[Array | np.ndarray, " N"],
    y: Float[Array | np.ndarray, " N"],
    degree: int,
    *,
    ridge: float = 0.0,
    domain: tuple[float, float] | None = None,
) -> Polynomial:
    """Fits a polynomial by least squares.

        min_c  sum_i (y_i - sum_k c_k P_k(t_i))^2 + ridge sum_{k >= 1} c_k^2

    The singular value decomposition solves it. So without a unique solution, such as with more
    coefficients than points, the coefficients have the least sum of squares. The function is pure
    and works inside `jax.jit` and `jax.vmap`.

    Args:
      x: `[N]`, float.
      y: `[N]`, values at x.
      degree: degree of the polynomial, at least 0.
      ridge: weight of the squared coefficients, at least 0. The constant is not penalized.
      domain: interval that is scaled to [-1, 1]. None means from the lowest to the highest x.

    Returns:
      A `Polynomial` with the dtype of x, in float32 or float64.

    Raises:
      InputError: other shapes, values that are not finite, equal x for a degree above 0, a
        negative degree or ridge, or an empty domain.

    Example:
      >>> x = np.linspace(-1, 1, 9)
      >>> fit = fit_polynomial(x, x**2, 2)
      >>> fit.predict(0.5).round(4).item(), abs(fit.powers()).round(4).tolist()
      (0.25, [0.0, 0.0, 1.0])

    Source: Legendre 1805, the method of least squares; Hoerl, Kennard 1970, Ridge regression.
    """
    x, y = _checked(x, y)
    if isinstance(degree, bool) or not isinstance(degree, Integral) or degree < 0:
        raise InputError("degree", degree, "an integer, at least 0")
    if degree > MAX_DEGREE:
        raise InputError("degree", degree, f"at most {MAX_DEGREE}")
    in_range("ridge", ridge, 0, float("inf"))
    low, high = _ends(x, domain, int(degree))
    return _least_squares(x, y, low, high, ridge, int(degree) + 1)


@partial(jax.jit, static_argnums=5)
def _least_squares(
    x: Float[Array, " N"],
    y: Float[Array, " N"],
    low: Float[Array, ""],
    high: Float[Array, ""],
    ridge: Any,
    count: int,
) -> Polynomial:
    """Fits `count` coefficients."""
    basis = _basis(_scale(x, low, high), count)
    # The rows below the points penalize all coefficients but the first.
    weights = jnp.full(count, jnp.sqrt(jnp.asarray(ridge, x.dtype))).at[0].set(0)
    rows = jnp.concatenate([basis, jnp.diag(weights)])
    values = jnp.concatenate([y, jnp.zeros_like(weights)])
    # Singular values below the rounding of the largest one count as 0.
    u, s, v = jnp.linalg.svd(rows, full_matrices=False)
    smallest = max(rows.shape) * jnp.finfo(x.dtype).eps * s[0]
    inverse = jnp.where(s > smallest, 1 / jnp.where(s > smallest, s, 1), 0)
    solve = v.T @ (inverse[:, None] * u.T)
    coefficients = solve @ values
    on_points = solve[:, : len(x)]
    residual = y - basis @ coefficients
    # The trace of the matrix that maps y to the predictions at x.
    freedom = len(x) - jnp.einsum("np,pn->", basis, on_points)
    variance = (residual**2).sum() / jnp.maximum(freedom, 1e-3)
    return Polynomial(coefficients, low, high, variance, on_points @ on_points.T, freedom)


@partial(jax.jit, static_argnums=2)
def _with_spread(
    fit: Polynomial, t: Float[Array, "*S"], is_observation: bool
) -> tuple[Float[Array, "*S"], Float[Array, "*S"]]:
    """Returns the predictions and their standard errors."""
    basis = _basis(t, fit.coefficients.shape[-1])
    spread = jnp.einsum("...p,pq,...q->...", basis, fit.covariance, basis)
    if is_observation:
        spread = spread + 1
    return basis @ fit.coefficients, jnp.sqrt(fit.variance * spread)


def _checked(x: Any, y: Any) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Returns points as arrays of one dtype; raises an error for others."""
    x = finite_rows("x", x, 1, "numbers [N], N at least 1")
    y = finite_rows("y", y, 1, f"one value for each of {len(x)} points")
    if y.shape != x.shape:
        raise InputError("y", list(y.shape), f"one value for each of {len(x)} points")
    return x, y.astype(x.dtype)


def _ends(x: Float[Array, " N"], domain: Any, degree: int) -> tuple[Array, Array]:
    """Returns the ends of the interval that is scaled to [-1, 1]."""
    if domain is not None:
        allowed = "(low, high) with low < high"
        ends = real_array("domain", domain, allowed)
        if ends.shape != (2,):
            raise InputError("domain", domain, allowed)
        if not is_traced(ends):
            first, last = np.asarray(ends, np.float64)
            if not -np.inf < first < last < np.inf:
                raise InputError("domain", domain, allowed)
        return jnp.asarray(domain[0], x.dtype), jnp.asarray(domain[1], x.dtype)
    low = x.min()
    high = x.max()
    if not is_traced(x) and low == high and degree:
        raise InputError("x", f"{len(x)} equal numbers", "two different ones, or degree 0")
    return low, jnp.where(low == high, low + 1, high)


def _scale(x: Array, low: Array, high: Array) -> Array:
    return 2 * (x - low) / (high - low) - 1


def _basis(t: Float[Array, "*S"], count: int) -> Float[Array, "*S P"]:
    """Returns the Legendre polynomials of degree 0 to `count - 1`.

    (k + 1) P_{k+1}(t) = (2 k + 1) t P_k(t) - k P_{k-1}(t)
    """

    def following(pair: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Array]:
        before, now = pair
        after = ((2 * k + 1) * t * now - k * before) / (k + 1)
        return (now, after), now

    start = (jnp.zeros_like(t), jnp.ones_like(t))
    _, found = lax.scan(following, start, jnp.arange(count, dtype=t.dtype))
    return jnp.moveaxis(found, 0, -1)
