"""Likelihoods against the losses, and their means against numerical integrals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from jaxdl import losses
from jaxdl.errors import InputError
from jaxdl.tasks import likelihood

RNG = np.random.default_rng(0)
OUTPUTS = jnp.asarray(3 * RNG.normal(size=(4, 3, 1)), jnp.float32)
IMAGE = jnp.asarray(RNG.uniform(size=(4, 3, 1)), jnp.float32)
LOSSES = {
    "bernoulli": losses.binary_cross_entropy,
    "continuous_bernoulli": losses.continuous_bernoulli,
    "gaussian": functools.partial(losses.gaussian_nll, sigma=0.3),
}
NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
NODES = (NODES + 1) / 2
WEIGHTS = WEIGHTS / 2


@pytest.mark.parametrize("name", LOSSES)
def test_nll_is_the_loss(name):
    value = likelihood(name, sigma=0.3).nll(OUTPUTS, IMAGE)
    assert float(value) == pytest.approx(float(LOSSES[name](OUTPUTS, IMAGE)), rel=1e-6)
    assert value.shape == ()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_a_pixel_outside_the_unit_interval_gives_nan(name, value):
    nll = jax.jit(likelihood(name, sigma=0.3).nll)(OUTPUTS, IMAGE.at[2, 1, 0].set(value))
    assert np.isnan(float(nll)) == (name != "gaussian" or np.isnan(value))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_white_pixels_have_a_finite_loss(value):
    for name in LOSSES:
        assert np.isfinite(float(likelihood(name).nll(OUTPUTS, IMAGE.at[2, 1, 0].set(value))))


LOGITS = np.concatenate(
    [RNG.normal(size=20) * 8, RNG.normal(size=20) * 0.1, [0.0, 0.0999, 0.1001, -0.0999, -0.1001]]
)


def test_mean_of_the_continuous_bernoulli_is_the_integral_of_its_density():
    """Integrates the density at t, which is proportional to `e^(x t)`."""
    density = np.exp(np.outer(LOGITS, NODES) - np.maximum(LOGITS, 0)[:, None])
    expected = (density * NODES) @ WEIGHTS / (density @ WEIGHTS)
    mean = likelihood("continuous_bernoulli").mean(jnp.asarray(LOGITS, jnp.float32))
    np.testing.assert_allclose(mean, expected, atol=3e-6)


def test_nll_and_mean_of_the_continuous_bernoulli_are_consistent():
    distribution = likelihood("continuous_bernoulli")
    logits = jnp.asarray(LOGITS, jnp.float32)
    nll = jax.vmap(jax.vmap(distribution.nll, (None, 0)), (0, None))(
        logits, jnp.asarray(NODES, jnp.float32)
    )
    density = np.exp(-np.asarray(nll, np.float64))
    np.testing.assert_allclose(density @ WEIGHTS, 1, rtol=2e-5)
    np.testing.assert_allclose((density * NODES) @ WEIGHTS, distribution.mean(logits), atol=2e-5)


def test_mean_of_the_continuous_bernoulli_is_continuous_where_the_series_begins():
    x = jnp.asarray(
        np.sort(np.concatenate([np.linspace(-0.11, 0.11, 45), [-0.1, 0.1]])), jnp.float32
    )
    mean = likelihood("continuous_bernoulli").mean
    error = np.diff(np.asarray(mean(x), np.float64)) - np.diff(np.asarray(x, np.float64)) / 12
    assert np.abs(error).max() < 5e-6
    gradient = jax.vmap(jax.grad(mean))(x)
    np.testing.assert_allclose(gradient, 1 / 12 - np.asarray(x, np.float64) ** 2 / 240, atol=2e-4)


def test_means_of_the_other_likelihoods():
    np.testing.assert_allclose(
        likelihood("bernoulli").mean(OUTPUTS), expit(np.asarray(OUTPUTS)), rtol=1e-5
    )
    np.testing.assert_array_equal(likelihood("gaussian").mean(OUTPUTS), OUTPUTS)


def test_bad_values_are_refused():
    with pytest.raises(InputError) as caught:
        likelihood("poisson")
    assert (
        str(caught.value)
        == "likelihood: got 'poisson', allowed: bernoulli, continuous_bernoulli, gaussian"
    )
    with pytest.raises(InputError) as caught:
        likelihood("gaussian", sigma=0.0)
    assert str(caught.value) == "sigma: got 0.0, allowed: a finite number above 0"
