"""Reports: all usual numbers of a classifier or a regression model, by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Num

from jaxdl.errors import InputError
from jaxdl.reports.calibration import calibration_error
from jaxdl.reports.checks import Labels, Mask, Probabilities, checked, checked_mask
from jaxdl.reports.confusion import balanced_accuracy, confusion, precision_recall_f1
from jaxdl.reports.probabilities import areas, brier_score, over_classes, top_k_accuracy


def classification_report(
    probabilities: Probabilities,
    label: Labels,
    class_names: Sequence[str] | None = None,
    mask: Mask | None = None,
) -> dict[str, Any]:
    """Computes the usual numbers of a classifier.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      class_names: names of the classes; None means their numbers.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      Numbers by name: `accuracy`, `top_5_accuracy` (with more than 5 classes),
      `balanced_accuracy`, `precision_macro`, `f1_macro`, `f1_weighted`, `roc_auc` and
      `average_precision` (of class 1 if there are two classes, else the mean over classes that
      occur), `brier` and `ece`. `roc_auc` and `average_precision` are left out if only one class
      occurs, because no area is defined then. `classes` is a list with one dictionary
      for each class: `name`, `precision`, `recall`, `f1`, `examples`, and the areas if they exist.

    Raises:
      InputError: a bad argument.

    Example:
      >>> p = np.array([0.2, 0.6, 0.4, 0.9])
      >>> report = classification_report(np.stack([1 - p, p], 1), np.array([0, 0, 1, 1]))
      >>> report["accuracy"], report["roc_auc"], report["classes"][1]["name"]
      (0.5, 0.75, '1')
    """
    p, label, weight = checked(probabilities, label, mask)
    classes = p.shape[1]
    names = [str(k) for k in range(classes)]
    if class_names is not None:
        names = [str(name) for name in class_names]
    if len(names) != classes:
        raise InputError("class_names", len(names), f"as many as classes, {classes}")
    counts = confusion(label, p.argmax(1), classes, weight)
    found = dict(zip(("roc_auc", "average_precision"), areas(p, label, weight), strict=True))
    report: dict[str, Any] = {"accuracy": float(np.trace(counts) / counts.sum())}
    if classes > 5:
        report["top_5_accuracy"] = top_k_accuracy(p, label, 5, weight)
    report["balanced_accuracy"] = balanced_accuracy(counts)
    report["precision_macro"], _, report["f1_macro"] = precision_recall_f1(counts, "macro")
    report["f1_weighted"] = precision_recall_f1(counts, "weighted")[2]
    # With one class alone, a mean over classes would be that of nothing.
    if not np.isnan(over_classes(found["roc_auc"])):
        report |= {name: over_classes(values) for name, values in found.items()}
    report["brier"] = brier_score(p, label, weight)
    report["ece"] = calibration_error(p, label, mask=weight)
    report["classes"] = _by_class(names, counts, found)
    return report


def _by_class(
    names: Sequence[str], counts: np.ndarray, found: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Returns the numbers of each class, without those that are not defined."""
    columns = dict(zip(("precision", "recall", "f1"), precision_recall_f1(counts), strict=True))
    columns |= {"examples": counts.sum(1), **found}
    return [
        {
            "name": name,
            **{key: float(values[k]) for key, values in columns.items() if values[k] == values[k]},
        }
        for k, name in enumerate(names)
    ]


def regression_report(
    outputs: Num[np.ndarray, "N ..."],
    target: Num[np.ndarray, "N ..."],
    mask: Mask | None = None,
) -> dict[str, float]:
    """Computes the usual numbers of a regression model, equal to those of scikit-learn.

        R^2 = 1 - sum_n (f(x_n) - y_n)^2 / sum_n (y_n - mean y)^2

    With several outputs each number is the mean over the outputs. If a target is constant, R² is 1
    for exact predictions, else 0.

    Args:
      outputs: predictions, `[N, ...]`, N at least 2.
      target: targets of the same shape.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      Numbers by name: `r2`, at most 1, and 0 for the prediction of the mean; `mae`, the mean
      absolute error; `rmse`, the root of the mean squared error.

    Raises:
      InputError: unequal shapes, fewer than 2 examples, or numbers that are not finite.

    Example:
      >>> regression_report(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))["mae"]
      0.3333333333333333
    """
    y = np.asarray(outputs, np.float64)
    t = np.asarray(target, np.float64)
    if y.shape != t.shape or y.ndim == 0:
        raise InputError("outputs", y.shape, f"the shape of the target, {t.shape}")
    weight = np.ones(len(y))
    if mask is not None:
        weight = checked_mask(mask, len(y))
    used = weight > 0
    if used.sum() < 2:
        raise InputError("examples", int(used.sum()), "at least 2, so that the target can vary")
    for name, values in (("outputs", y), ("target", t)):
        if not np.isfinite(values[used]).all():
            raise InputError(name, "nan or infinite", "finite numbers")
    y, t = (values[used].reshape(used.sum(), -1) for values in (y, t))
    weight = weight[used]
    squares = np.average((y - t) ** 2, 0, weight)
    variance = np.average((t - np.average(t, 0, weight)[None]) ** 2, 0, weight)
    constant = np.where(squares == 0, 1.0, 0.0)
    r2 = np.where(variance == 0, constant, 1 - squares / np.where(variance == 0, 1.0, variance))
    return {
        "r2": float(r2.mean()),
        "mae": float(np.average(abs(y - t), 0, weight).mean()),
        "rmse": float(np.sqrt(squares).mean()),
    }
