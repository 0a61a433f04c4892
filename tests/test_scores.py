"""Scores against SciPy, scikit-learn, brute force and cases with known results."""

import numpy as np
import pytest
import scipy.linalg

from jaxdl.errors import InputError
from jaxdl.scores import (
    coverage,
    frechet_distance,
    nearest,
    neighbour_accuracy,
    precision_recall,
    psnr,
    ssim,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [3, 20])
def test_frechet_distance_agrees_with_scipy(size):
    mix = RNG.normal(size=(size, size))
    a = RNG.normal(size=(200, size))
    b = RNG.normal(size=(300, size)) @ mix + 0.5
    c1 = np.cov(a.T)
    c2 = np.cov(b.T)
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_agrees_with_scikit_image(channels):
    metrics = pytest.importorskip("skimage.metrics", reason="needs jaxdl[explain]")
    x = RNG.random((4, 9, 12, channels))
    y = (0.7 * x + 0.3 * RNG.random(x.shape)).astype(np.float32)
    found = ssim(x, y)
    for a, b, value in zip(x, y.astype(float), found, strict=True):
        expected = metrics.structural_similarity(a, b, data_range=1.0, channel_axis=-1)
        assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(ssim(x, x), 1)


@pytest.mark.parametrize("shapes", [((2, 6, 9, 1), (2, 6, 9, 1)), ((2, 8, 8, 1), (2, 8, 8, 3))])
def test_images_without_a_structural_similarity(shapes):
    with pytest.raises(InputError):
        ssim(*map(np.zeros, shapes))


def test_frechet_distance_to_the_same_set_is_zero_with_redundant_features():
    a = RNG.normal(size=(50, 2))
    a = np.concatenate([a, a, np.zeros((50, 1))], 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_fewer_rows_than_features():
    """With C = A^T A and centred rows A, the trace of the root is the nuclear norm of A_1 A_2^T."""
    for _ in range(10):
        a = RNG.normal(size=(6, 20))
        b = RNG.normal(0.5, 2, (9, 20))
        roots = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b)]
        expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum((x**2).sum() for x in roots)
        expected -= 2 * np.linalg.norm(roots[0] @ roots[1].T, "nuc")
        assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
        assert 0 <= frechet_distance(a, a) < 1e-6


def test_frechet_distance_of_one_feature_has_a_closed_form():
    a = RNG.normal(1, 2, (400, 1))
    b = RNG.normal(3, 0.5, (300, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_coverage_counts_classes_and_their_entropy():
    label = RNG.permutation(np.repeat([0, 1, 3], [600, 399, 1]))
    p = np.array([0.6, 0.399, 0.001])
    assert coverage(label, 4) == (2, pytest.approx(-(p * np.log(p)).sum()))
    assert coverage(np.arange(10), 10) == (10, pytest.approx(np.log(10)))
    # A class needs a tenth of the even share of 1000, which is 100.
    assert coverage(np.repeat(np.arange(4), [100, 99, 1801, 2000]), 4)[0] == 3


@pytest.mark.parametrize("k", [1, 4, 200])
def test_nearest_agrees_with_brute_force(k):
    a = RNG.normal(size=(1100, 5))
    b = RNG.normal(size=(300, 5))
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    distance, row = nearest(a, b, k)
    np.testing.assert_array_equal(row, apart.argsort(1)[:, :k])
    np.testing.assert_allclose(distance, np.sort(apart, 1)[:, :k])


def test_a_copy_far_from_the_origin_has_distance_zero():
    b = RNG.normal(1e4, 1, (30, 5))
    distance, row = nearest(b[[7, 3]], b)
    assert row.tolist() == [[7], [3]]
    assert distance.tolist() == [[0.0], [0.0]]


def test_scores_do_not_depend_on_the_origin():
    a = RNG.normal(0, 0.01, (200, 3))
    b = RNG.normal(0.1, 0.01, (200, 3))
    assert precision_recall(a, b) == precision_recall(a + 1e4, b + 1e4) == (0, 0)
    points = RNG.normal(0, 1e-5, (500, 3)) + 1e3
    copies = points[:100] + RNG.normal(0, 1e-9, (100, 3))
    np.testing.assert_array_equal(nearest(copies, points)[1][:, 0], np.arange(100))


@pytest.mark.parametrize(("middle", "size"), [(0, 1), (1e4, 0.01)])
def test_precision_and_recall_agree_with_brute_force(middle, size):
    real = RNG.normal(middle, size, (60, 3))
    generated = RNG.normal(middle, 0.4 * size, (50, 3))

    def share(queries, points):
        radii = [np.sort(np.linalg.norm(x - points, axis=1))[3] for x in points]
        pairs = list(zip(points, radii, strict=True))
        return np.mean([any(np.linalg.norm(q - x) <= r for x, r in pairs) for q in queries])

    precision, recall = precision_recall(real, generated)
    assert (precision, recall) == (share(generated, real), share(real, generated))
    assert recall < precision  # the generated examples are near the mean only


def test_repeated_examples_with_radius_zero_are_within_it():
    x = np.repeat(RNG.normal(size=(40, 30)), 4, 0)
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x, x + 1e-4) == (0, 0)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: frechet_distance(np.zeros((3, 2)), np.zeros((3, 4))),
            "features: got [(3, 2), (3, 4)], allowed: [N, D] and [M, D], N and M at least 2",
        ),
        (
            lambda: frechet_distance(np.zeros((1, 2)), np.zeros((3, 2))),
            "features: got [(1, 2), (3, 2)], allowed: [N, D] and [M, D], N and M at least 2",
        ),
        (
            lambda: nearest(np.full((2, 2), np.nan), np.zeros((3, 2))),
            "features: got 'nan or infinite', allowed: finite numbers",
        ),
        (
            lambda: nearest(np.zeros((2, 2)), np.zeros((3, 2)), 4),
            "k: got 4, allowed: at most the number of points, 3",
        ),
        (
            lambda: precision_recall(np.zeros((3, 2)), np.zeros((9, 2))),
            "features: got [(3, 2), (9, 2)], allowed: [N, D] and [M, D], N and M at least 4",
        ),
        (lambda: coverage(np.array([0, 3]), 3), "label: got 3, allowed: an integer in [0, 3)"),
        (
            lambda: coverage(np.array([0.5]), 3),
            "label: got 'float64[1]', allowed: integers [N], at least one",
        ),
    ],
)
def test_bad_input(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line


@pytest.mark.parametrize("k", [1, 5])
def test_neighbour_accuracy_agrees_with_scikit_learn(k):
    from sklearn.neighbors import KNeighborsClassifier

    known = RNG.normal(size=(300, 3))
    label = RNG.integers(0, 2, 300)
    known[:, 0] += 1.5 * label
    queries = RNG.normal(size=(100, 3))
    truth = RNG.integers(0, 2, 100)
    queries[:, 0] += 1.5 * truth
    expected = KNeighborsClassifier(k).fit(known, label).score(queries, truth)
    assert neighbour_accuracy(known, label, queries, truth, k) == pytest.approx(expected)


def test_the_nearest_of_equally_frequent_classes_is_predicted():
    known = np.array([[0.1], [0.2], [0.3], [0.4], [9.0]])
    label = np.array([7, 3, 3, 7, 1])
    assert neighbour_accuracy(known, label, np.zeros((1, 1)), np.array([7]), 4) == 1.0


def test_psnr_agrees_with_its_formula():
    x, y = RNG.random((2, 5, 8, 8, 1))
    assert psnr(x, y) == pytest.approx(10 * np.log10(1 / np.mean((x - y) ** 2)))
    assert psnr(x, x) == np.inf
    message = r"estimate: got \(4, 8, 8, 1\), allowed: the shape of the true images"
    with pytest.raises(InputError, match=message):
        psnr(x, y[:4])


def test_other_numbers_of_labels_are_refused():
    vectors = np.zeros((3, 1))
    with pytest.raises(InputError, match="label: got"):
        neighbour_accuracy(vectors, np.zeros(2, int), vectors, np.zeros(3, int), 1)


def with_far_cluster(rows: int, distance: float, spread: float = 1.0) -> np.ndarray:
    """Returns points, a third of which form a second cluster."""
    x = spread * RNG.normal(size=(rows, 4))
    x[: rows // 3] += distance
    return x


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(2))


@pytest.mark.parametrize("distance", [0.0, 1e4, 1e7, 1e9])
def test_neighbours_in_a_far_cluster_are_those_of_brute_force(distance):
    queries = with_far_cluster(40, distance)
    points = with_far_cluster(60, distance)
    apart, rows = nearest(queries, points, 4)
    expected = np.argsort(distances(queries, points), 1)[:, :4]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(apart, np.sort(distances(queries, points), 1)[:, :4], rtol=1e-12)


@pytest.mark.parametrize("distance", [0.0, 1e4, 1e7, 1e9])
def test_precision_and_recall_with_a_far_cluster(distance):
    real = with_far_cluster(60, distance)
    generated = with_far_cluster(45, distance, 1.5)

    def within(queries, points):
        radius = np.sort(distances(points, points), 1)[:, 3]
        return (distances(queries, points) <= radius[None]).any(1).mean()

    expected = within(generated, real), within(real, generated)
    assert precision_recall(real, generated) == pytest.approx(expected)
    assert precision_recall(real, real) == (1, 1)
    # All points of both sets are apart from each other, but for one far point.
    generated = RNG.normal(size=(45, 4)) + 1e3
    real = np.concatenate([RNG.normal(size=(60, 4)), np.full((1, 4), distance + 1e4)])
    assert precision_recall(real, generated)[1] == 0


def test_one_far_point_brings_no_point_within_a_radius():
    real = RNG.normal(size=(50, 3)).astype(np.float32)
    generated = real[:40] + 100
    real[:4] += 1e7
    real[:4] += 10 * np.arange(4, dtype=np.float32)[:, None]
    assert precision_recall(real, generated) == (0, 0)


def test_many_candidates_are_compared_in_parts(monkeypatch):
    points = with_far_cluster(60, 1e9)
    expected = nearest(points, points, 3)
    monkeypatch.setattr("jaxdl.scores._DIFFERENCES", 100)
    for a, b in zip(nearest(points, points, 3), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("distance", [1e3, 1e7])
def test_frechet_distance_with_a_far_cluster(distance):
    """A feature that is the same in both sets changes the distance by nothing but chance."""
    a = RNG.normal(size=(500, 4))
    b = RNG.normal(size=(500, 4)) + [3.0, 0.0, 0.0, 0.0]
    far = distance * (np.arange(500) % 2)[:, None]
    together = frechet_distance(np.hstack([a, far]), np.hstack([b, far]))
    assert together == pytest.approx(frechet_distance(a, b), rel=0.02)
    assert frechet_distance(np.hstack([a, far]), np.hstack([a, far])) < 1e-9
