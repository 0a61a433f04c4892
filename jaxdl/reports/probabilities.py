"""Scores and curves of predicted probabilities.

Curves and the areas below them are equal to scikit-learn's. Here one sort of the probabilities of a
class serves both areas, which is several times as fast. An area that is not defined, such as that
of a class that does not occur, is NaN instead of a warning.
"""

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.errors import InputError, at_least
from jaxdl.reports.checks import Labels, Mask, Probabilities, checked, checked_mask


def top_k_accuracy(
    probabilities: Probabilities, label: Labels, k: int, mask: Mask | None = None
) -> float:
    """Computes the share of examples whose true class is among the k most probable ones.

    Of equally probable classes the first ones count as more probable, as in `argmax` and in
    `jaxdl.metrics.top_k`. So k = 1 is the accuracy. In scikit-learn the last ones do.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      k: number of classes, in [1, K].
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      A number in [0, 1].

    Raises:
      InputError: a bad argument.

    Example:
      >>> top_k_accuracy(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), np.array([1, 0]), k=2)
      0.5
    """
    p, label, weight = checked(probabilities, label, mask)
    at_least("k", k, 1)
    if k > p.shape[1]:
        raise InputError("k", k, f"at most the number of classes, {p.shape[1]}")
    true = p[np.arange(len(p)), label][:, None]
    earlier = np.arange(p.shape[1])[None] < label[:, None]
    before = ((p > true) | ((p == true) & earlier)).sum(1)
    return float(np.average(before < k, weights=weight))


def brier_score(probabilities: Probabilities, label: Labels, mask: Mask | None = None) -> float:
    """Computes the mean squared error of the probabilities.

        B = 1/N sum_n sum_k (p_k(x_n) - [k = y_n])^2,    halved for two classes

    Half of the sum over two classes is (p_1 - y)^2, the score of a binary classifier.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      A number in [0, 2], or in [0, 1] for two classes. Smaller is better.

    Raises:
      InputError: a bad argument.

    Example:
      >>> round(brier_score(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0])), 3)
      0.2
    """
    p, label, weight = checked(probabilities, label, mask)
    errors = ((p - np.eye(p.shape[1])[label]) ** 2).sum(1)
    scale = 1.0
    if p.shape[1] == 2:
        scale = 0.5
    return scale * float(np.average(errors, weights=weight))


def roc_curve(
    probability: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"], mask: Mask | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the rates of false and of true positives of every threshold.

    Args:
      probability: `[N]`, predicted probability of the positive class, or any other score.
      positive: `[N]`, True for examples of the positive class. Both classes must occur.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `(false_positive_rate, true_positive_rate)`, `[T]` each, from 0 to 1. Equal probabilities
      are one point, and points on a line between two others are left out, as in scikit-learn.

    Raises:
      InputError: a bad argument, or only one class.

    Example:
      >>> rates = roc_curve(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]))
      >>> [x.tolist() for x in rates]
      [[0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0]]
    """
    probability, positive, weight = _binary(probability, positive, mask)
    if positive.all() or not positive.any():
        raise InputError("positive", f"only {positive[0]}", "examples of both classes")
    false, true = _counts(probability, positive, weight)
    bend = (np.diff(false[1:], 2) != 0) | (np.diff(true[1:], 2) != 0)
    kept = np.ones(len(false), bool)
    kept[2:-1] = bend
    return false[kept] / false[-1], true[kept] / true[-1]


def precision_recall_curve(
    probability: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"], mask: Mask | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the recall and the precision of every threshold.

    Args:
      probability: `[N]`, predicted probability of the positive class, or any other score.
      positive: `[N]`, True for examples of the positive class, of which there must be some.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `(recall, precision)`, `[T]` each, with the recall from 1 to 0. The last point, (0, 1),
      belongs to no threshold, as in scikit-learn.

    Raises:
      InputError: a bad argument, or no positive example.

    Example:
      >>> curve = precision_recall_curve(np.array([0.9, 0.8]), np.array([False, True]))
      >>> [x.tolist() for x in curve]
      [[1.0, 0.0, 0.0], [0.5, 0.0, 1.0]]
    """
    probability, positive, weight = _binary(probability, positive, mask)
    if not positive.any():
        raise InputError("positive", "only False", "at least one example of the positive class")
    false, true = _counts(probability, positive, weight)
    recall = true / true[-1]
    precision = np.concatenate([[1.0], true[1:] / (true + false)[1:]])
    return recall[::-1], precision[::-1]


def roc_auc(
    probabilities: Probabilities, label: Labels, mask: Mask | None = None
) -> Float[np.ndarray, " K"]:
    """Computes the area below the ROC curve of each class against all others.

        AUC_k = P(p_k(x) > p_k(x')) + P(p_k(x) = p_k(x')) / 2,   x of class k, x' of another one

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `[K]`, NaN for a class of which there are no examples, or only examples. `over_classes`
      gives the mean.

    Raises:
      InputError: a bad argument.

    Example:
      >>> p = np.array([0.2, 0.6, 0.4, 0.9])
      >>> roc_auc(np.stack([1 - p, p], 1), np.array([0, 0, 1, 1])).tolist()
      [0.75, 0.75]
    """
    return areas(probabilities, label, mask)[0]


def average_precision(
    probabilities: Probabilities, label: Labels, mask: Mask | None = None
) -> Float[np.ndarray, " K"]:
    """Computes the area below the precision-recall curve of each class, as a sum of steps.

        AP_k = sum_t (recall_t - recall_{t-1}) precision_t,   t the thresholds from high to low

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `[K]`, NaN for a class of which there are no examples. `over_classes` gives the mean.

    Raises:
      InputError: a bad argument.

    Example:
      >>> p = np.array([0.2, 0.6, 0.4, 0.9])
      >>> average_precision(np.stack([1 - p, p], 1), np.array([0, 0, 1, 1])).round(3).tolist()
      [0.833, 0.833]
    """
    return areas(probabilities, label, mask)[1]


def areas(
    probabilities: Probabilities, label: Labels, mask: Mask | None = None
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Computes `roc_auc` and `average_precision` at once, in about the time of one of them.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      `(roc_auc, average_precision)`, `[K]` each.

    Raises:
      InputError: a bad argument.

    Example:
      >>> p = np.array([0.2, 0.6, 0.4, 0.9])
      >>> roc, precision = areas(np.stack([1 - p, p], 1), np.array([0, 0, 1, 1]))
      >>> roc.tolist(), precision.round(3).tolist()
      ([0.75, 0.75], [0.833, 0.833])
    """
    p, label, weight = checked(probabilities, label, mask)
    roc = np.full(p.shape[1], np.nan)
    precision = np.full(p.shape[1], np.nan)
    for k in np.unique(label):
        false, true = _counts(p[:, k], label == k, weight)
        if false[-1] > 0:
            roc[k] = np.trapezoid(true, false) / (true[-1] * false[-1])
        precision[k] = np.diff(true) @ (true[1:] / (true + false)[1:]) / true[-1]
    return roc, precision


def _counts(
    probability: Float[np.ndarray, " N"],
    positive: Bool[np.ndarray, " N"],
    weight: Float[np.ndarray, " N"],
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Returns the false and the true positives above each threshold, from none to all examples."""
    order = np.argsort(-probability, kind="stable")
    probability = probability[order]
    # The last one of several equal probabilities.
    last = np.append(probability[1:] != probability[:-1], True)
    true = np.cumsum(np.where(positive, weight, 0.0)[order])[last]
    false = np.cumsum(np.where(positive, 0.0, weight)[order])[last]
    return np.append(0.0, false), np.append(0.0, true)


def over_classes(values: Float[np.ndarray, " K"]) -> float:
    """Returns the mean over the classes that have a value; of two classes, the value of class 1.

    Args:
      values: `[K]`, one number per class, NaN for none.

    Returns:
      The mean, or NaN if no class has a value.

    Example:
      >>> over_classes(np.array([0.5, 1.0, np.nan])), over_classes(np.array([0.5, 1.0]))
      (0.75, 1.0)
    """
    values = np.asarray(values, np.float64)
    if len(values) == 2:
        return float(values[1])
    present = values[~np.isnan(values)]
    if not present.size:
        return float("nan")
    return float(present.mean())


def _binary(
    probability: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"], mask: Mask | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scores, classes and weights without the examples of weight 0."""
    probability = np.asarray(probability, np.float64)
    positive = np.asarray(positive)
    if probability.ndim != 1 or not len(probability) or not np.isfinite(probability).all():
        raise InputError("probability", probability.shape, "finite numbers [N], N at least 1")
    if positive.shape != probability.shape or positive.dtype != bool:
        given = f"{positive.dtype}{list(positive.shape)}"
        allowed = f"Booleans [{len(probability)}], such as label == 1"
        raise InputError("positive", given, allowed)
    weight = np.ones(len(probability))
    if mask is not None:
        weight = checked_mask(mask, len(probability))
    used = weight > 0
    return probability[used], positive[used], weight[used]
