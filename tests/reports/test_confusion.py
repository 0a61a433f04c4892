"""Confusion matrices against brute force; their scores against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from jaxdl import reports
from tests.plots.pictures import raises_input_error
from tests.reports.predictions import no_warnings, predictions


def test_confusion_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, 200)
    prediction = rng.integers(0, 5, 200)
    weight = rng.integers(0, 3, 200)
    counts = reports.confusion(label, prediction, 6)
    weighted = reports.confusion(label, prediction, 6, weight)
    assert (counts.dtype, weighted.dtype) == (np.int64, np.float64)
    for i in range(6):
        for j in range(6):
            equal = [t == i and p == j for t, p in zip(label, prediction, strict=True)]
            assert counts[i, j] == sum(equal)
            assert weighted[i, j] == sum(w for w, e in zip(weight, equal, strict=True) if e)


def test_the_matrix_of_two_sets_is_a_sum():
    rng = np.random.default_rng(1)
    label, prediction = rng.integers(0, 4, (2, 90))
    parts = [reports.confusion(label[i::3], prediction[i::3], 4) for i in range(3)]
    np.testing.assert_array_equal(sum(parts), reports.confusion(label, prediction, 4))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
@pytest.mark.parametrize("classes", [100, 300])
def test_confusion_is_the_same_in_every_integer_dtype(dtype, classes):
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(0, 100, (2, 500))
    expected = np.zeros((classes, classes), int)
    for i, j in zip(label, prediction, strict=True):
        expected[i, j] += 1
    np.testing.assert_array_equal(
        reports.confusion(label.astype(dtype), prediction.astype(dtype), classes), expected
    )


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("average", [None, "macro", "weighted", "micro"])
@pytest.mark.parametrize("weighted", [False, True])
def test_precision_recall_f1_agree_with_scikit_learn(absent, average, weighted):
    p, label, weight = predictions(3, 5, absent=absent)
    if not weighted:
        weight = None
    predicted = p.argmax(1)
    counts = reports.confusion(label, predicted, 5, weight)
    labels = None
    if average is None:
        labels = range(5)
    expected = metrics.precision_recall_fscore_support(
        label,
        predicted,
        labels=labels,
        average=average,
        sample_weight=weight,
        zero_division=0.0,
    )
    for ours, theirs in zip(reports.precision_recall_f1(counts, average), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("absent", [False, True])
def test_balanced_accuracy_agrees_with_scikit_learn(absent):
    p, label, weight = predictions(4, 5, absent=absent)
    counts = reports.confusion(label, p.argmax(1), 5, weight)
    with no_warnings():
        expected = metrics.balanced_accuracy_score(label, p.argmax(1), sample_weight=weight)
    assert reports.balanced_accuracy(counts) == pytest.approx(expected, abs=1e-12)


def test_bad_arguments():
    label = np.array([0, 1])
    with raises_input_error("label dtype: got 'float32', allowed: integers in [0, 2)"):
        reports.confusion(label.astype(np.float32), label, 2)
    with raises_input_error("prediction dtype: got 'bool', allowed: integers in [0, 2)"):
        reports.confusion(label, label == 1, 2)
    with raises_input_error("mask: got (3,), allowed: one weight for each of 2 examples"):
        reports.confusion(label, label, 2, np.ones(3))
    with raises_input_error("average: got 'mean', allowed: macro, micro, weighted or None"):
        reports.precision_recall_f1(np.eye(2), "mean")
    with raises_input_error("counts: got (2, 3), allowed: a confusion matrix [K, K]"):
        reports.balanced_accuracy(np.ones((2, 3)))
    with pytest.raises(ValueError, match="not all of them 0"):
        reports.balanced_accuracy(np.zeros((2, 2)))
