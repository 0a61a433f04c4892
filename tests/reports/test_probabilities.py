"""Scores and curves of probabilities against scikit-learn and against all pairs of examples."""

import numpy as np
import pytest
from sklearn import metrics

import jaxdl
from jaxdl import reports
from jaxdl.errors import InputError
from tests.plots.pictures import raises_input_error
from tests.reports.predictions import no_warnings, predictions


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_top_k_accuracy(k):
    """Ties go to the first class, so scikit-learn gives the same for the reversed classes."""
    p, label, weight = predictions(0, 6)
    ours = reports.top_k_accuracy(p, label, k, weight)
    with no_warnings():
        reversed_classes = metrics.top_k_accuracy_score(
            5 - label, p[:, ::-1], k=k, labels=range(6), sample_weight=weight
        )
    assert ours == pytest.approx(reversed_classes, abs=1e-12)
    each = [jaxdl.metrics.top_k(row, y, k) for row, y in zip(p, label, strict=True)]
    assert ours == pytest.approx(np.average(each, weights=weight), abs=1e-6)
    if k == 1:
        assert ours == pytest.approx(np.average(p.argmax(1) == label, weights=weight), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 5])
def test_brier_score_agrees_with_scikit_learn(classes):
    p, label, weight = predictions(1, classes)
    if classes == 2:
        expected = metrics.brier_score_loss(label, p[:, 1], sample_weight=weight)
    else:
        one_hot = (label[:, None] == np.arange(classes)).astype(float)
        expected = np.average(((p - one_hot) ** 2).sum(1), weights=weight)
    assert reports.brier_score(p, label, weight) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("absent", [False, True])
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(absent):
    p, label, weight = predictions(2, 4, absent=absent)
    areas = reports.roc_auc(p, label, weight)
    for k in range(4):
        inside = label == k
        if not inside.any():
            assert np.isnan(areas[k])
            continue
        difference = p[inside, k][:, None] - p[~inside, k][None]
        pairs = weight[inside][:, None] * weight[~inside][None]
        share = ((difference > 0) + 0.5 * (difference == 0)) * pairs
        assert areas[k] == pytest.approx(share.sum() / pairs.sum(), abs=1e-12)
    assert np.isnan(areas).sum() == absent


def test_areas_agree_with_scikit_learn():
    p, label, _ = predictions(3, 4)
    expected = metrics.roc_auc_score(label, p, multi_class="ovr", average="macro")
    assert reports.over_classes(reports.roc_auc(p, label)) == pytest.approx(expected, abs=1e-12)
    one_hot = label[:, None] == np.arange(4)
    expected = metrics.average_precision_score(one_hot, p, average="macro")
    ours = reports.over_classes(reports.average_precision(p, label))
    assert ours == pytest.approx(expected, abs=1e-12)
    p, label, weight = predictions(4, 2)
    expected = metrics.roc_auc_score(label, p[:, 1], sample_weight=weight)
    assert reports.over_classes(reports.roc_auc(p, label, weight)) == pytest.approx(
        expected, abs=1e-12
    )
    expected = metrics.average_precision_score(label, p[:, 1], sample_weight=weight)
    assert reports.average_precision(p, label, weight)[1] == pytest.approx(expected, abs=1e-12)


def test_average_precision_against_a_loop_over_thresholds():
    p, label, weight = predictions(5, 3, absent=True)
    ours = reports.average_precision(p, label, weight)
    for k in (0, 2):
        positive = weight * (label == k)
        area = 0.0
        before = 0.0
        for threshold in np.unique(p[:, k])[::-1]:
            chosen = p[:, k] >= threshold
            recall = positive[chosen].sum() / positive.sum()
            area += (recall - before) * positive[chosen].sum() / max(weight[chosen].sum(), 1e-9)
            before = recall
        assert ours[k] == pytest.approx(area, abs=1e-12)
    assert np.isnan(ours[1])


@pytest.mark.parametrize("weighted", [False, True])
def test_curves_agree_with_scikit_learn(weighted):
    p, label, weight = predictions(6, 2)
    kwargs = {}
    if weighted:
        kwargs = {"sample_weight": weight}
    curve = reports.roc_curve(p[:, 1], label == 1, *kwargs.values())
    for ours, theirs in zip(curve, metrics.roc_curve(label, p[:, 1], **kwargs), strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    recall, precision = reports.precision_recall_curve(p[:, 1], label == 1, *kwargs.values())
    expected = metrics.precision_recall_curve(label, p[:, 1], **kwargs)
    np.testing.assert_allclose(precision, expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(recall, expected[1], rtol=0, atol=1e-12)


def test_a_single_class():
    p, _, _ = predictions(7, 3)
    label = np.full(len(p), 2)
    assert np.isnan(reports.roc_auc(p, label)).all()
    assert reports.average_precision(p, label).tolist()[2] == 1.0
    assert np.isnan(reports.over_classes(reports.roc_auc(p, label)))
    with raises_input_error("positive: got 'only True', allowed: examples of both classes"):
        reports.roc_curve(p[:, 2], label == 2)
    with pytest.raises(InputError, match="at least one example of the positive class"):
        reports.precision_recall_curve(p[:, 0], label == 0)


def test_examples_of_weight_0_do_not_count():
    p, label, weight = predictions(8, 4)
    used = weight > 0
    for function in (reports.roc_auc, reports.average_precision, reports.brier_score):
        np.testing.assert_array_equal(
            function(p, label, weight), function(p[used], label[used], weight[used])
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": np.ones((3, 2))}, "probabilities[0]: got [1.0, 1.0]"),
        ({"probabilities": np.full((3, 2), np.nan)}, "probabilities[0]: got [nan, nan]"),
        ({"probabilities": np.array([[0.5, 0.5], [1.5, -0.5], [1, 0]])}, "probabilities[1]"),
        ({"probabilities": np.ones((3, 1))}, "probabilities: got (3, 1)"),
        ({"probabilities": np.full((4, 2), 0.5)}, "probabilities: got (4, 2)"),
        ({"label": np.array([0, 1, 2])}, "label: got 2, allowed: integers in [0, 2)"),
        ({"label": np.zeros(3)}, "label dtype: got 'float64'"),
        ({"mask": np.ones(2)}, "mask: got (2,), allowed: one weight for each of 3 examples"),
        ({"mask": np.zeros(3)}, "mask: got"),
        ({"mask": np.array([1, -1, 1])}, "mask: got"),
    ],
)
def test_bad_arguments(change, message):
    good = {"probabilities": np.full((3, 2), 0.5), "label": np.array([0, 1, 1]), "mask": None}
    for function in (reports.roc_auc, reports.classification_report, reports.calibration_error):
        with pytest.raises(InputError) as caught:
            function(**good | change)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)


def test_k_is_at_most_the_number_of_classes():
    with raises_input_error("k: got 3, allowed: at most the number of classes, 2"):
        reports.top_k_accuracy(np.full((1, 2), 0.5), np.array([0]), 3)
    with pytest.raises(InputError, match=r"^positive: got 'int64\[2\]', allowed: Booleans \[2\]"):
        reports.roc_curve(np.array([0.1, 0.2]), np.array([0, 1]))
