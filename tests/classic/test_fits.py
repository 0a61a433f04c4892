"""Polynomials against NumPy, scikit-learn and closed forms; bands against SciPy and coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Legendre, Polynomial
from scipy import stats
from sklearn.linear_model import Ridge

from jaxdl.classic import fit_polynomial
from jaxdl.errors import InputError


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def points(count, seed=0):
    """Returns noisy values of a sine at random points of [-3, 5]."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 5, count)
    return x, np.sin(x) + 0.3 * rng.normal(size=count)


@pytest.mark.parametrize("degree", [0, 1, 4, 15])
def test_it_is_numpys_polynomial(degree):
    x, y = points(40, degree)
    fit = fit_polynomial(x, y, degree)
    new = np.linspace(x.min(), x.max(), 50)
    np.testing.assert_allclose(fit.predict(new), Polynomial.fit(x, y, degree)(new), atol=1e-8)
    np.testing.assert_allclose(fit.coefficients, Legendre.fit(x, y, degree).coef, atol=1e-9)
    if degree < 5:
        powers = Polynomial.fit(x, y, degree).convert().coef
        np.testing.assert_allclose(fit.powers(), powers, atol=1e-9)


def test_more_coefficients_than_points_have_the_least_norm():
    x, y = points(8)
    fit = fit_polynomial(x, y, 20, domain=(-4, 6))
    basis = np.polynomial.legendre.legvander((x - 1) / 5, 20)
    expected = np.linalg.lstsq(basis, y, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-10)
    np.testing.assert_allclose(fit.predict(x), y, atol=1e-10)


@pytest.mark.parametrize("ridge", [1e-3, 0.5, 100.0])
def test_ridge_is_scikit_learns(ridge):
    x, y = points(30)
    basis = np.polynomial.legendre.legvander(2 * (x - x.min()) / np.ptp(x) - 1, 9)[:, 1:]
    model = Ridge(alpha=ridge).fit(basis, y)
    found = fit_polynomial(x, y, 9, ridge=ridge).coefficients
    np.testing.assert_allclose(found, [model.intercept_, *model.coef_], atol=1e-9)


def test_the_bands_of_a_line_are_those_of_the_textbook():
    x, y = points(25)
    fit = fit_polynomial(x, y, 1)
    line = stats.linregress(x, y)
    new = np.linspace(-5, 8, 9)
    s = np.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / 23)
    leverage = 1 / 25 + (new - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    for level in (0.5, 0.95):
        q = stats.t.ppf((1 + level) / 2, 23)
        for of, extra in (("observation", 1), ("curve", 0)):
            lower, upper = fit.band(new, level, of=of)
            half = q * s * np.sqrt(leverage + extra)
            np.testing.assert_allclose((upper - lower) / 2, half, rtol=1e-10)
            middle = line.intercept + line.slope * new
            np.testing.assert_allclose((upper + lower) / 2, middle, atol=1e-10)


def test_ridge_has_the_effective_number_of_coefficients():
    x, y = points(30)
    fit = fit_polynomial(x, y, 6, ridge=2.0)
    basis = np.polynomial.legendre.legvander(2 * (x - x.min()) / np.ptp(x) - 1, 6)
    penalty = 2.0 * np.diag([0] + [1] * 6)
    inverse = np.linalg.inv(basis.T @ basis + penalty)
    assert float(fit.freedom) == pytest.approx(30 - np.trace(basis @ inverse @ basis.T))
    expected = inverse @ basis.T @ basis @ inverse
    np.testing.assert_allclose(fit.covariance, expected, atol=1e-10)


def test_bands_contain_the_share_of_their_level():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 1, 12)
    inside = {"observation": 0, "curve": 0}
    runs = 300
    fit_all = jax.jit(jax.vmap(lambda y: fit_polynomial(jnp.asarray(x), y, 2)))
    fits = fit_all(1 + x**2 + rng.normal(size=(runs, 12)))
    for i in range(runs):
        fit = jax.tree.map(lambda leaf, i=i: leaf[i], fits)
        for of in inside:
            lower, upper = fit.band(np.array([0.8]), 0.8, of=of)
            value = 1 + 0.8**2 + (of == "observation") * rng.normal()
            inside[of] += int(lower[0] <= value <= upper[0])
    for count in inside.values():
        assert abs(count / runs - 0.8) < 4 * np.sqrt(0.8 * 0.2 / runs)


def test_float32_has_the_same_curve_at_degree_15():
    x, y = points(60)
    wide = fit_polynomial(x, y, 15)
    narrow = fit_polynomial(x.astype(np.float32), y, 15)
    assert narrow.coefficients.dtype == jnp.float32
    np.testing.assert_allclose(narrow.predict(x), wide.predict(x), atol=1e-3)


def test_it_has_a_gradient_and_a_batch():
    x, y = points(20)
    gradient = jax.grad(lambda y: fit_polynomial(jnp.asarray(x), y, 3).predict(0.5))(jnp.asarray(y))
    step = 1e-6 * np.eye(20)[4]
    change = fit_polynomial(x, y + step, 3).predict(0.5) - fit_polynomial(x, y, 3).predict(0.5)
    assert float(gradient[4]) == pytest.approx(float(change) / 1e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: fit_polynomial(np.ones((2, 2)), np.ones(2), 1), "x: got [2, 2], allowed: numbers"),
        (lambda: fit_polynomial(np.arange(3.0), np.ones(2), 1), "y: got [2], allowed: one value"),
        (lambda: fit_polynomial([0, 1], [0, np.nan], 1), "y[1]: got nan, allowed: finite numbers"),
        (lambda: fit_polynomial(np.ones(3), np.ones(3), 1), "x: got '3 equal numbers', allowed: "),
        (lambda: fit_polynomial(np.arange(3.0), np.ones(3), -1), "degree: got -1, allowed: an int"),
        (lambda: fit_polynomial(np.arange(3.0), np.ones(3), 1.5), "degree: got 1.5, allowed: an"),
        (lambda: fit_polynomial(np.arange(3.0), np.ones(3), 10**6), "degree: got 1000000, allo"),
        (lambda: fit_polynomial([0, 1], [0, 1], 1, ridge=-1), "ridge: got -1, allowed: a number"),
        (lambda: fit_polynomial([0, 1], [0, 1], 1, domain=(1, 1)), "domain: got (1, 1), allowed"),
        (
            lambda: fit_polynomial([0, 1], [0, 1], 1).band(0.0),
            "degree: got 1, allowed: more than 2",
        ),
        (lambda: fit_polynomial([0, 1], [0, 1], 0).band(0.0, 95), "level: got 95, allowed: a num"),
        (lambda: fit_polynomial([0, 1], [0, 1], 0).band(0.0, of="x"), "of: got 'x', allowed: 'obs"),
    ],
)
def test_bad_inputs(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(line)
