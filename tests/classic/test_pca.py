"""Tests of principal components against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from jaxdl.classic import pca
from tests.plots.pictures import raises_input_error

DIGITS = load_digits().data / 16
RNG = np.random.default_rng(4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "count"), [("digits", 10), ("wide", 9), ("tall", 3)])
def test_components_equal_scikit_learn(name, count, dtype):
    x = {
        "digits": DIGITS,
        "wide": RNG.normal(size=(10, 30)),
        "tall": RNG.normal(size=(50, 3)) * [1, 5, 20],
    }[name].astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        found = pca(x, count)
        coordinates = np.asarray(found.transform(x))
    expected = PCA(count, svd_solver="full").fit(x.astype(np.float64))
    tolerance = 1e-12 if dtype == np.float64 else 1e-6
    angles = subspace_angles(np.asarray(found.components, float).T, expected.components_.T)
    assert angles.max() < 1e-5
    np.testing.assert_allclose(found.variance, expected.explained_variance_, rtol=tolerance)
    np.testing.assert_allclose(found.share, expected.explained_variance_ratio_, rtol=tolerance)
    # Signs are equal, too. Directions of nearly equal variance are less accurate than their plane.
    slack = 1e-9 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(found.components, expected.components_, atol=slack)
    np.testing.assert_allclose(coordinates, expected.transform(x), atol=30 * slack)


def test_the_inverse_is_the_nearest_point_and_all_components_are_exact():
    x = RNG.normal(size=(12, 5)).astype(np.float32)
    whole = pca(x, 5)
    np.testing.assert_allclose(whole.inverse(whole.transform(x)), x, atol=1e-5)
    np.testing.assert_allclose(whole.share.sum(), 1, rtol=1e-6)
    two = pca(x, 2)
    rest = x - two.inverse(two.transform(x))
    np.testing.assert_allclose(rest @ two.components.T, 0, atol=1e-5)
    # The error is the variance that was left out.
    expected = (len(x) - 1) * float(whole.variance[2:].sum())
    np.testing.assert_allclose((rest**2).sum(), expected, rtol=1e-5)


def test_small_variances_are_not_lost_beside_large_ones():
    """A covariance in float32 has no digits left for a ratio of 1e8 of the variances."""
    x = (RNG.normal(size=(200, 2)) * [1e2, 1e-2]).astype(np.float32)
    found = pca(x, 2)
    expected = PCA(2, svd_solver="full").fit(x.astype(np.float64))
    np.testing.assert_allclose(found.variance, expected.explained_variance_, rtol=1e-3)


def test_equal_examples_have_no_variance():
    found = pca(np.ones((4, 3), np.float32), 2)
    np.testing.assert_array_equal(found.variance, 0)
    np.testing.assert_array_equal(found.share, 0)


def test_the_mean_of_a_gradient_flows_through_the_coordinates():
    x = jnp.asarray(RNG.normal(size=(6, 3)).astype(np.float32))
    found = pca(x, 2)
    gradient = jax.grad(lambda x: found.transform(x)[:, 0].sum())(x)
    np.testing.assert_allclose(gradient, np.tile(found.components[0], (6, 1)), rtol=1e-6)


def test_bad_inputs():
    x = np.ones((5, 3), np.float32)
    with raises_input_error(
        "count: got 4, allowed: at most 3, the smaller of 5 examples and 3 features"
    ):
        pca(x, 4)
    with raises_input_error("count: got 0, allowed: at least 1"):
        pca(x, 0)
    with raises_input_error("x: got (1, 3), allowed: at least 2 examples"):
        pca(x[:1], 1)
    allowed = "examples [N, D], such as x.reshape(len(x), -1)"
    with raises_input_error(f"x: got (5, 3, 1), allowed: {allowed}"):
        pca(x[..., None], 1)
    with raises_input_error("x dtype: got 'int32', allowed: floats, such as x.astype(float)"):
        pca(x.astype(np.int32), 1)
    with raises_input_error("x: got 'NaN or infinite values', allowed: finite values"):
        pca(np.full((5, 3), np.nan, np.float32), 1)
