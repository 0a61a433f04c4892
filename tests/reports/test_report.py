"""Reports against scikit-learn: names, classes that do not occur, and masks."""

import math

import numpy as np
import pytest
from sklearn import metrics

from jaxdl import reports
from jaxdl.errors import InputError
from tests.plots.pictures import raises_input_error
from tests.reports.predictions import no_warnings, predictions


@pytest.mark.parametrize("classes", [2, 4, 7])
@pytest.mark.parametrize("absent", [False, True])
def test_classification_report_agrees_with_scikit_learn(classes, absent):
    absent = absent and classes > 2
    p, label, weight = predictions(classes, classes, absent=absent)
    report = reports.classification_report(p, label, mask=weight)
    predicted = p.argmax(1)
    kwargs = {"sample_weight": weight}
    with no_warnings():
        expected = {
            "accuracy": metrics.accuracy_score(label, predicted, **kwargs),
            "balanced_accuracy": metrics.balanced_accuracy_score(label, predicted, **kwargs),
            "f1_macro": metrics.f1_score(label, predicted, average="macro", **kwargs),
            "f1_weighted": metrics.f1_score(label, predicted, average="weighted", **kwargs),
            "precision_macro": metrics.precision_score(
                label, predicted, average="macro", zero_division=0.0, **kwargs
            ),
        }
    for name, value in expected.items():
        assert report[name] == pytest.approx(value, abs=1e-12), name
    assert ("top_5_accuracy" in report) == (classes > 5)
    rows = report["classes"]
    assert [row["name"] for row in rows] == [str(k) for k in range(classes)]
    assert sum(row["examples"] for row in rows) == pytest.approx(weight.sum())
    assert ("roc_auc" in rows[1]) == (not absent)
    areas = [row["roc_auc"] for row in rows if "roc_auc" in row]
    expected_area = np.mean(areas)
    if classes == 2:
        expected_area = areas[1]
    assert report["roc_auc"] == pytest.approx(expected_area, abs=1e-12)
    numbers = [value for row in rows for value in row.values() if value != row["name"]]
    numbers += [value for name, value in report.items() if name != "classes"]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers)


def test_micro_f1_is_the_accuracy():
    p, label, weight = predictions(9, 5)
    counts = reports.confusion(label, p.argmax(1), 5, weight)
    assert reports.precision_recall_f1(counts, "micro")[2] == pytest.approx(
        reports.classification_report(p, label, mask=weight)["accuracy"], abs=1e-12
    )


def test_names_of_classes():
    p, label, _ = predictions(1, 3)
    report = reports.classification_report(p, label, ["cat", "dog", "owl"])
    assert [row["name"] for row in report["classes"]] == ["cat", "dog", "owl"]
    with raises_input_error("class_names: got 2, allowed: as many as classes, 3"):
        reports.classification_report(p, label, ["cat", "dog"])


def test_a_single_class_has_no_areas():
    p, _, _ = predictions(1, 3)
    report = reports.classification_report(p, np.zeros(len(p), int))
    assert "roc_auc" not in report and "average_precision" not in report
    assert report["balanced_accuracy"] == pytest.approx(report["accuracy"])
    assert [row["examples"] for row in report["classes"]] == [200.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 2, 3)])
def test_regression_report_agrees_with_scikit_learn(shape):
    rng = np.random.default_rng(0)
    target = rng.normal(size=shape)
    outputs = (target + 0.3 * rng.normal(size=shape)).astype(np.float32)
    weight = rng.integers(0, 3, 50)
    report = reports.regression_report(outputs, target, weight)
    y = outputs.astype(np.float64).reshape(50, -1)
    t = target.reshape(50, -1)
    for name, function in {
        "r2": metrics.r2_score,
        "mae": metrics.mean_absolute_error,
        "rmse": metrics.root_mean_squared_error,
    }.items():
        expected = function(t, y, sample_weight=weight)
        assert report[name] == pytest.approx(expected, abs=1e-12), name


def test_r2_of_constants():
    target = np.arange(4.0)
    assert reports.regression_report(np.full(4, 1.5), target)["r2"] == 0
    assert reports.regression_report(target, target)["r2"] == 1
    assert reports.regression_report(np.ones(4), np.ones(4))["r2"] == 1
    assert reports.regression_report(np.arange(4.0), np.ones(4))["r2"] == 0


def test_bad_regressions():
    two = np.zeros(2)
    with raises_input_error("outputs: got (2, 1), allowed: the shape of the target, (2,)"):
        reports.regression_report(two[:, None], two)
    with raises_input_error("examples: got 1, allowed: at least 2, so that the target can vary"):
        reports.regression_report(two, two, np.array([1, 0]))
    with pytest.raises(InputError, match="^outputs: got 'nan or infinite'"):
        reports.regression_report(np.array([0, np.nan]), two)
    with pytest.raises(InputError, match="^mask: got"):
        reports.regression_report(two, two, np.array([-1, 1]))
