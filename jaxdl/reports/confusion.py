"""Confusion matrices, and the scores that are computed from them."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Num

from jaxdl.errors import InputError
from jaxdl.reports.checks import Labels, Mask, check_classes, checked_mask


def confusion(
    label: Labels, prediction: Labels, classes: int, mask: Mask | None = None
) -> Num[np.ndarray, "K K"]:
    """Counts the examples of each pair of true and predicted class.

        m[i, j] = #{n: label_n = i, prediction_n = j}

    The matrix of two sets together is the sum of their matrices.

    Args:
      label: `[N]`, true classes in [0, classes).
      prediction: `[N]`, predicted classes in [0, classes).
      classes: number of classes.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `[classes, classes]`, with true classes in rows and predicted classes in columns. The counts
      are int64, or float64 with a mask.

    Raises:
      InputError: different lengths, values that are not integers, a class outside [0, classes), or
        a bad mask.

    Example:
      >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
      [[1, 0], [1, 1]]
    """
    label = np.asarray(label)
    prediction = np.asarray(prediction)
    if label.shape != prediction.shape or label.ndim != 1:
        raise InputError("prediction", prediction.shape, f"one for each label, {label.shape}")
    check_classes("label", label, classes)
    check_classes("prediction", prediction, classes)
    counts = np.zeros((classes, classes), np.int64 if mask is None else np.float64)
    np.add.at(counts, (label, prediction), 1 if mask is None else checked_mask(mask, len(label)))
    return counts


def precision_recall_f1(
    counts: Num[np.ndarray, "K K"], average: Literal["macro", "micro", "weighted"] | None = None
) -> tuple[Any, Any, Any]:
    """Computes precision, recall and their harmonic mean, F1, from a confusion matrix.

        precision_k = m[k, k] / sum_i m[i, k],    recall_k = m[k, k] / sum_j m[k, j]
        F1_k = 2 m[k, k] / (sum_i m[i, k] + sum_j m[k, j])

    As in scikit-learn a ratio 0 / 0 is 0. So are the averages over the classes that occur among
    the labels or the predictions. The F1 of `macro` is the mean of F1, not the F1 of the means.

    Args:
      counts: `[K, K]`, a confusion matrix, with true classes in rows.
      average: None, one number per class; `macro`, the mean over classes; `weighted`, that mean
        weighted by the examples of each class; `micro`, the ratios of the sums over classes. With
        one label per example all three of `micro` are the accuracy.

    Returns:
      `(precision, recall, f1)`, arrays `[K]`, or numbers for an average.

    Raises:
      InputError: no confusion matrix, or an unknown average.

    Example:
      >>> precision_recall_f1(np.array([[1, 0], [1, 2]]), "macro")
      (0.75, 0.8333333333333333, 0.7333333333333334)
    """
    counts = _checked_counts(counts)
    right = np.diagonal(counts)
    predicted = counts.sum(0)
    true = counts.sum(1)
    if average == "micro":
        share = float(_ratio(right.sum(), counts.sum()))
        return share, share, share
    scores = (
        _ratio(right, predicted),
        _ratio(right, true),
        _ratio(2 * right, predicted + true),
    )
    if average is None:
        return scores
    if average not in ("macro", "weighted"):
        raise InputError("average", average, "macro, micro, weighted or None")
    weights = true
    if average == "macro":
        weights = ((predicted > 0) | (true > 0)).astype(np.float64)
    precision, recall, f1 = (float(_ratio(score @ weights, weights.sum())) for score in scores)
    return precision, recall, f1


def balanced_accuracy(counts: Num[np.ndarray, "K K"]) -> float:
    """Computes the mean recall of the classes that occur among the labels.

    A constant prediction has the value 1 / K, however frequent its class is.

    Args:
      counts: `[K, K]`, a confusion matrix, with true classes in rows.

    Returns:
      A number in [0, 1].

    Raises:
      InputError: no confusion matrix.

    Example:
      >>> balanced_accuracy(np.array([[98, 0], [2, 0]]))
      0.5
    """
    counts = _checked_counts(counts)
    occurs = counts.sum(1) > 0
    return float(_ratio(np.diagonal(counts), counts.sum(1))[occurs].mean())


def _checked_counts(counts: Num[np.ndarray, "K K"]) -> Float[np.ndarray, "K K"]:
    """Returns a confusion matrix in float64; raises unless it is square and has examples."""
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 2 or len(counts) != counts.shape[1] or not len(counts):
        raise InputError("counts", counts.shape, "a confusion matrix [K, K]")
    if not np.isfinite(counts).all() or counts.min() < 0 or not counts.any():
        raise InputError("counts", counts.tolist(), "numbers of at least 0, not all of them 0")
    return counts


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Returns above / below, or 0 where below is 0."""
    return np.where(below == 0, 0.0, above / np.where(below == 0, 1.0, below))
