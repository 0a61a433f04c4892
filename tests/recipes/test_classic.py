"""Tests of methods that are not networks, applied to the digits."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import jaxdl
from jaxdl.recipes import classic

DIGITS = jaxdl.data.load("digits")


@pytest.fixture(scope="module")
def images():
    """The digits as vectors, a part of them."""
    return classic.as_vectors(*DIGITS, 200)


@pytest.fixture
def figure(tmp_path):
    """The function from names of figures to paths."""
    return lambda name: tmp_path / f"{name}.png"


def test_vectors_are_spread_over_the_sets(images):
    assert images.train.shape == (200, 64)
    assert images.test.shape == (200, 64)
    assert images.shape == (8, 8)
    np.testing.assert_array_equal(images.train[0], DIGITS[0]["input"][0].ravel())
    np.testing.assert_array_equal(images.train[-1], DIGITS[0]["input"][-1].ravel())
    assert set(images.train_label) == set(range(10))


def test_colors_become_brightness():
    pixels = np.random.default_rng(0).random((3, 4, 5, 3)).astype(np.float32)
    data = jaxdl.data.Dataset({"input": pixels, "label": np.zeros(3, np.int32)}, "color", 1)
    found = classic.as_vectors(data, data, 10)
    np.testing.assert_allclose(found.train.reshape(3, 4, 5), pixels @ [0.299, 0.587, 0.114], 1e-5)


def test_more_components_explain_more(images, figure):
    found = classic.components_of(images, figure)
    for name, sign in (("explained_variance", 1), ("test_error", -1)):
        values = [found[f"{name}/components_{count}"] for count in classic.COMPONENTS]
        assert (sign * np.diff(values) > 0).all()
    assert figure("eigen_images").exists()
    assert figure("reconstructions").exists()


def test_clusters_have_a_purity_and_the_inertia_never_rises(figure):
    few = classic.as_vectors(*DIGITS, 40)
    found = classic.clusters_of(few, 3, 0, figure)
    assert 0.3 < found["kmeans/purity"] <= 1
    assert found["kmeans/inertia"] < found["kmeans/inertia_of_the_start"]
    assert found["kmeans/largest_rise_of_the_inertia"] <= 0
    for name in ("centers.png", "kmeans.png", "kmeans.gif"):
        assert figure("centers").with_name(name).exists()


def test_the_nearest_neighbour_is_that_of_scikit_learn(images, figure):
    found = classic.neighbours_of(images, figure)
    model = KNeighborsClassifier(1).fit(images.train, images.train_label)
    expected = model.score(images.test, images.test_label)
    np.testing.assert_allclose(found["accuracy/1_nearest_neighbours"], expected)
    assert figure("neighbours").exists()


def test_other_classifiers_are_better_than_chance(images, figure):
    found = classic.other_classifiers(images, 10, 0)
    assert list(found) == [
        "accuracy/nearest_of_clusters",
        "accuracy/nearest_mean",
        "accuracy/softmax_regression",
    ]
    assert min(found.values()) > 0.5
    classic.draw_accuracies(found, figure)
    assert figure("accuracies").exists()


def test_a_line_is_too_simple_and_degree_15_too_flexible(figure):
    found = classic.fits_of(0, figure)
    points, new = (
        [found[f"fit/degree_{degree}/{part}"] for degree in classic.DEGREES]
        for part in ("points", "new_points")
    )
    assert points[0] > points[1] > points[2]
    assert new[1] < min(new[0], new[2])
    assert figure("fits").exists()
