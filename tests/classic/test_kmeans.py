"""Tests of k-means against scikit-learn and a loop."""

import warnings

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from jaxdl.classic import kmeans, kmeans_starts, purity
from tests.plots.pictures import raises_input_error

DIGITS = load_digits()
RNG = np.random.default_rng(5)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_the_same_start_gives_the_same_centers_as_scikit_learn(count):
    # Pixels are multiples of 1/16. Noise removes equal distances, which rounding would decide.
    x = DIGITS.data / 16 + 1e-3 * RNG.normal(size=DIGITS.data.shape)
    start = kmeans_starts(x, count, seed=count)
    with jax.enable_x64(True):
        found = kmeans(x, start, 300)
    expected = KMeans(count, init=start, n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(x)
    assert found.centers.dtype == np.float64
    np.testing.assert_allclose(found.centers[-1], expected.cluster_centers_, atol=1e-12)
    np.testing.assert_array_equal(found.label[-1], expected.labels_)
    np.testing.assert_allclose(found.inertia[-1], expected.inertia_, rtol=1e-12)


def loop(x, centers):
    """Returns label, inertia and the next centers by a loop over the examples."""
    label = np.array([((each - centers) ** 2).sum(1).argmin() for each in x])
    inertia = sum(((each - centers[k]) ** 2).sum() for each, k in zip(x, label, strict=True))
    following = [
        x[label == k].mean(0) if (label == k).any() else center for k, center in enumerate(centers)
    ]
    return label, inertia, np.array(following)


@pytest.mark.parametrize("seed", range(5))
def test_every_step_equals_a_loop_and_the_inertia_never_rises(seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(60, 3)).astype(np.float32)
    centers = random.normal(size=(4, 3)).astype(np.float32)
    found = kmeans(x, centers)
    for t in range(found.steps + 1):
        label, inertia, following = loop(x.astype(np.float64), found.centers[t].astype(np.float64))
        np.testing.assert_array_equal(found.label[t], label)
        np.testing.assert_allclose(found.inertia[t], inertia, rtol=1e-5)
        if t < found.steps:
            np.testing.assert_allclose(found.centers[t + 1], following, atol=1e-5)
    np.testing.assert_array_equal(found.label[-1], found.label[-2])
    assert (np.diff(found.inertia) <= 1e-6 * found.inertia[0]).all()


def test_a_center_without_examples_stays():
    x = RNG.normal(size=(20, 2)).astype(np.float32)
    start = np.array([[0, 0], [100, 100], [1, 1]], np.float32)
    found = kmeans(x, start)
    assert (found.centers[:, 1] == 100).all()
    assert not (found.label == 1).any()
    assert (np.diff(found.inertia) <= 1e-6 * found.inertia[0]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = KMeans(3, init=start, n_init=1, tol=0).fit(x)
    # scikit-learn moves it to an example.
    assert len(np.unique(other.labels_)) == 3


def test_as_many_centers_as_examples_and_a_limit_of_steps():
    x = RNG.normal(size=(7, 2)).astype(np.float32)
    found = kmeans(x, x)
    assert found.inertia[-1] == 0
    assert sorted(found.label[-1]) == list(range(7))
    assert kmeans(x, x[:3] + 5, steps=1).steps == 1


def test_starts_are_different_examples_of_the_set():
    x = RNG.normal(size=(30, 4)).astype(np.float32)
    start = kmeans_starts(x, 6, seed=1)
    rows = [np.flatnonzero((x == each).all(1)) for each in start]
    assert len({int(row[0]) for row in rows}) == 6
    np.testing.assert_array_equal(start, kmeans_starts(x, 6, seed=1))
    assert (start != kmeans_starts(x, 6, seed=2)).any()


def test_purity_equals_the_table_of_clusters_and_classes():
    label = RNG.integers(0, 4, 200)
    classes = RNG.integers(0, 6, 200)
    table = np.zeros((4, 6))
    np.add.at(table, (label, classes), 1)
    np.testing.assert_allclose(purity(label, classes), table.max(1).sum() / 200)
    assert purity(classes, classes) == 1


def test_bad_inputs():
    x = np.zeros((3, 2), np.float32)
    with raises_input_error("clusters: got 4, allowed: at most 3, one for each example"):
        kmeans(x, np.zeros((4, 2), np.float32))
    with raises_input_error("clusters: got 4, allowed: at most 3, one for each example"):
        kmeans_starts(x, 4)
    with raises_input_error("clusters: got 0, allowed: at least 1"):
        kmeans_starts(x, 0)
    with raises_input_error("start: got (2, 3), allowed: [K, 2]"):
        kmeans(x, np.zeros((2, 3), np.float32))
    with raises_input_error("steps: got 0, allowed: at least 1"):
        kmeans(x, x, 0)
    with raises_input_error("start: got 'NaN or infinite values', allowed: finite values"):
        kmeans(x, x * np.nan)
    with raises_input_error("classes: got (2,), allowed: as label, (3,), not empty"):
        purity(np.zeros(3), np.zeros(2))
