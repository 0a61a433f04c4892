"""Bias and variance against a loop, against closed forms of least squares, and as an identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Polynomial

import jaxdl
from jaxdl.classic import bias_variance, fit_polynomial
from jaxdl.data import SINE
from jaxdl.errors import InputError
from jaxdl.rng import fold, stream

X = np.linspace(0, 1, 15)
AT = np.linspace(0, 1, 40)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def cubic(x, y, at):
    return fit_polynomial(x, y, 3).predict(at)


def truth(x):
    return jnp.sin(2 * jnp.pi * x)


def measure(fit=cubic, sets=30, seed=0, **options):
    options = {"at": AT, **options}
    return bias_variance(fit, truth, 0.3, X, jaxdl.root(seed), sets=sets, **options)


def test_it_is_a_loop_over_data_sets():
    found = measure()
    noise, new_noise = (fold(stream(jaxdl.root(0), "bias_variance"), i) for i in range(2))
    predictions = []
    errors = []
    train_errors = []
    for s in range(30):
        y = np.asarray(truth(X) + 0.3 * jax.random.normal(fold(noise, s), (15,)))
        fit = Polynomial.fit(X, y, 3)
        new = np.asarray(truth(AT) + 0.3 * jax.random.normal(fold(new_noise, s), (40,)))
        predictions.append(fit(AT))
        errors.append(((fit(AT) - new) ** 2).mean())
        train_errors.append(((fit(X) - y) ** 2).mean())
    np.testing.assert_allclose(found.predictions, predictions, atol=1e-10)
    np.testing.assert_allclose(found.error, errors, atol=1e-10)
    np.testing.assert_allclose(found.train_error, train_errors, atol=1e-10)
    np.testing.assert_allclose(found.bias2, (np.mean(predictions, 0) - truth(AT)) ** 2, atol=1e-10)
    np.testing.assert_allclose(found.variance, np.var(predictions, 0), atol=1e-10)
    assert found.noise == 0.3**2


@pytest.mark.parametrize("degree", [1, 4, 12])
def test_without_noise_of_new_points_the_sum_is_an_identity(degree):
    found = measure(lambda x, y, at: fit_polynomial(x, y, degree).predict(at), sets=7)
    parts = found.bias2.mean() + found.variance.mean()
    np.testing.assert_allclose(found.noiseless_error.mean(), parts, rtol=1e-12)


def test_the_sum_is_the_measured_error_to_its_standard_error():
    """The differences of 40 measurements have the size of their standard errors."""
    away = []
    for seed in range(40):
        found = measure(sets=100, seed=seed)
        away.append((found.test_error - found.expected) / found.standard_error)
    assert np.abs(away).max() < 4
    assert 0.7 < np.std(away) < 1.3
    assert abs(np.mean(away)) < 0.5


def test_least_squares_has_the_closed_forms():
    """The predictions are H y, so bias is H f - f, and variance s^2 diag(H H^T)."""
    found = measure(sets=4000)
    basis = np.vander(2 * X - 1, 4)
    hat = np.vander(2 * AT - 1, 4) @ np.linalg.pinv(basis)
    variance = 0.3**2 * (hat**2).sum(1)
    bias = hat @ np.asarray(truth(X)) - np.asarray(truth(AT))
    np.testing.assert_allclose(found.variance, variance, rtol=0.12)
    # The mean of the squared bias contains a share of the variance, 1 / S.
    np.testing.assert_allclose(found.bias2.mean(), (bias**2 + variance / 4000).mean(), rtol=0.05)


def test_more_capacity_means_less_bias_and_more_variance():
    fits = [lambda x, y, at, d=d: fit_polynomial(x, y, d).predict(at) for d in (1, 3, 5, 9)]
    found = [measure(fit, sets=200) for fit in fits]
    assert np.all(np.diff([each.bias2.mean() for each in found[:3]]) < 0)
    assert np.all(np.diff([each.variance.mean() for each in found]) > 0)
    assert np.all(np.diff([each.train_error.mean() for each in found]) < 0)


def test_data_sets_do_not_depend_on_their_number():
    few = measure(sets=3)
    np.testing.assert_allclose(measure(sets=9).predictions[:3], few.predictions, atol=1e-12)


def test_float32_and_the_places_of_the_points():
    with jax.enable_x64(False):
        found = bias_variance(cubic, SINE.truth, 0.1, SINE.even(20), jaxdl.root(0))
    assert found.predictions.shape == (100, 20)
    assert abs(found.test_error - found.expected) < 4 * found.standard_error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sets": 1}, "sets: got 1, allowed: at least 2"),
        ({"at": np.ones((2, 2))}, "at: got [2, 2], allowed: places [N], at least one"),
        ({"fit": 3}, "fit: got 3, allowed: a function fit(x, y, at)"),
        (
            {"fit": lambda x, y, at: y.mean()},
            "fit: got 'float64[]', allowed: real numbers [40], one for each place",
        ),
        (
            {"fit": lambda x, y, at: np.interp(at, x, y)},
            "fit: got 'np.sin, math.sin, float(x) or a condition on a number', allowed: operations "
            "of jax.numpy, such as jnp.sin(x) and jnp.where(x > 0, a, b)",
        ),
        ({"at": [0.0, np.nan]}, "at[1]: got nan, allowed: finite numbers"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError) as caught:
        measure(**options)
    assert str(caught.value) == message


def test_a_negative_noise_and_several_keys_are_refused():
    with pytest.raises(InputError, match="noise: got -1"):
        bias_variance(cubic, truth, -1, X, jaxdl.root(0))
    with pytest.raises(InputError, match="key: got '2 keys'"):
        bias_variance(cubic, truth, 1, X, jaxdl.root(range(2)))
