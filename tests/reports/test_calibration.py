"""Calibration against a loop over bins, scikit-learn and a minimizer of SciPy."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve

from jaxdl import reports
from jaxdl.errors import InputError
from jaxdl.reports.calibration import TEMPERATURES
from tests.reports.predictions import predictions


@pytest.mark.parametrize("bins", [1, 3, 15])
def test_calibration_error_against_a_loop(bins):
    p, label, weight = predictions(0, 4)
    p[0] = np.eye(4)[label[0]]
    weight[0] = 2.0
    error = 0.0
    count = 0
    for m in range(bins):
        inside = [
            i for i in range(len(p)) if m / bins < p[i].max() <= (m + 1) / bins and weight[i] > 0
        ]
        count += len(inside)
        if inside:
            w = weight[inside]
            right = np.average(p[inside].argmax(1) == label[inside], weights=w)
            error += w.sum() * abs(right - np.average(p[inside].max(1), weights=w))
    assert count == (weight > 0).sum(), "every confidence is in one bin, 1 in the last one"
    ours = reports.calibration_error(p, label, bins, weight)
    assert ours == pytest.approx(error / weight.sum(), abs=1e-12)


def test_reliability_agrees_with_scikit_learn():
    """Class 1 of two is always predicted, so its frequency is the accuracy."""
    rng = np.random.default_rng(1)
    one = rng.uniform(0.5001, 1.0, 300)
    label = (rng.random(300) < one**2).astype(int)
    found = reports.reliability(np.stack([1 - one, one], 1), label, 10)
    accuracy, confidence = calibration_curve(label, one, n_bins=10)
    used = found.examples > 0
    np.testing.assert_allclose(found.accuracy[used], accuracy, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.confidence[used], confidence, rtol=0, atol=1e-12)
    assert np.isnan(found.accuracy[~used]).all()
    assert found.examples.sum() == 300


def softmax(z):
    q = np.exp(z - z.max(1, keepdims=True))
    return q / q.sum(1, keepdims=True)


def entropy(p, label, weight=None):
    return -np.average(np.log(p[np.arange(len(p)), label]), weights=weight)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_the_temperature_minimizes_the_cross_entropy(scale):
    rng = np.random.default_rng(2)
    z = rng.normal(size=(400, 5)) * 2
    label = np.array([rng.choice(5, p=q) for q in softmax(z)])
    weight = rng.integers(0, 3, 400)
    p = softmax(scale * z)
    ours = reports.fit_temperature(p, label, weight)
    found = minimize_scalar(
        lambda log_t: entropy(softmax(scale * z / np.exp(log_t)), label, weight),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert ours == pytest.approx(np.exp(found.x), rel=1e-6)
    scaled = reports.rescale(p, ours)
    np.testing.assert_allclose(scaled, softmax(scale * z / ours), rtol=1e-10)
    assert entropy(scaled, label, weight) <= entropy(p, label, weight)


def test_labels_of_the_true_distribution_need_no_temperature():
    """The fitted temperature undoes a known one, within its standard deviation."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(20_000, 3)) * 2
    uniform = rng.random((20_000, 1))
    label = (uniform > softmax(z).cumsum(1)).sum(1)
    sharpened = softmax(2.5 * z)
    assert reports.fit_temperature(sharpened, label) == pytest.approx(2.5, rel=0.05)
    before = reports.calibration_error(sharpened, label)
    after = reports.calibration_error(reports.rescale(sharpened, 2.5), label)
    assert before > 0.1 and after < 0.02


@pytest.mark.parametrize("temperature", [*TEMPERATURES, 0.3, 1.0, 2.0])
def test_rescaled_predictions_have_the_same_classes(temperature):
    """Also where two probabilities are neighbours in float32, equal, or 0."""
    rng = np.random.default_rng(4)
    p = softmax(rng.normal(size=(500, 6)) * 5).astype(np.float32)
    p[:100, 1] = np.nextafter(p[:100, 0], np.float32(1))
    p[100:200, 2] = p[100:200, 0]
    p[200:300] = np.where(p[200:300] < 0.3, np.float32(0), p[200:300])
    # Sums other than 1 do not matter to `rescale`.
    scaled = reports.rescale(p, temperature)
    np.testing.assert_array_equal(scaled.argmax(1), p.argmax(1))
    for row, q in zip(p, scaled, strict=True):
        order = np.argsort(row, kind="stable")
        assert (np.diff(q[order]) >= 0).all()
    np.testing.assert_allclose(scaled.sum(1), 1, rtol=1e-12)


def test_sets_that_determine_no_temperature():
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert reports.fit_temperature(p, np.array([0, 1])) == 1.0, "all right"
    assert reports.fit_temperature(p, np.array([1, 0])) == 1.0, "all wrong"
    assert reports.fit_temperature(np.full((2, 2), 0.5), np.array([0, 1])) == 1.0, "all equal"


def test_probabilities_of_0_have_a_finite_temperature():
    p = np.repeat([[1.0, 0.0]], 100, 0)
    label = np.arange(100) < 10
    temperature = reports.fit_temperature(p, label.astype(int))
    assert TEMPERATURES[0] < temperature <= TEMPERATURES[1]


def test_bad_arguments():
    with pytest.raises(InputError, match="^temperature: got 0, allowed: a number in"):
        reports.rescale(np.full((1, 2), 0.5), 0)
    with pytest.raises(InputError, match="^probabilities: got"):
        reports.rescale(np.full(2, 0.5), 1.0)
    with pytest.raises(InputError, match="^bins: got 0, allowed: at least 1"):
        reports.reliability(np.full((1, 2), 0.5), np.array([0]), 0)
