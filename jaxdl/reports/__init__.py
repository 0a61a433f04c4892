"""Reports of predictions: the numbers by which classifiers and regression models are compared.

All are computed on the host in float64, from arrays. Scores of the confusion matrix merge over
batches, because that matrix is a sum.
"""

from jaxdl.reports.calibration import (
    Reliability,
    calibration_error,
    fit_temperature,
    reliability,
    rescale,
)
from jaxdl.reports.confusion import balanced_accuracy, confusion, precision_recall_f1
from jaxdl.reports.probabilities import (
    areas,
    average_precision,
    brier_score,
    over_classes,
    precision_recall_curve,
    roc_auc,
    roc_curve,
    top_k_accuracy,
)
from jaxdl.reports.report import classification_report, regression_report

__all__ = [
    "Reliability",
    "areas",
    "average_precision",
    "balanced_accuracy",
    "brier_score",
    "calibration_error",
    "classification_report",
    "confusion",
    "fit_temperature",
    "over_classes",
    "precision_recall_curve",
    "precision_recall_f1",
    "reliability",
    "regression_report",
    "rescale",
    "roc_auc",
    "roc_curve",
    "top_k_accuracy",
]
