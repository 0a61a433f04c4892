"""Calibration: predicted probabilities compared with the frequencies of being right."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.reports.checks import Labels, Mask, Probabilities, checked

#: Number of bins of a reliability diagram.
BINS = 15

#: Range of the fitted temperatures.
TEMPERATURES = (0.05, 20.0)

#: Smallest probability whose logarithm is computed: float32 holds no smaller positive one.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


class Reliability(NamedTuple):
    """Bins of examples with a similar confidence, the probability of the predicted class.

    Attributes:
      edges: `[M + 1]`, limits of the bins, from 0 to 1.
      confidence: `[M]`, mean confidence in each bin, NaN in an empty one.
      accuracy: `[M]`, fraction of right predictions in each bin, NaN in an empty one.
      examples: `[M]`, number of examples in each bin, or the sum of their weights.
    """

    edges: Float[np.ndarray, " M+1"]
    confidence: Float[np.ndarray, " M"]
    accuracy: Float[np.ndarray, " M"]
    examples: Float[np.ndarray, " M"]


def reliability(
    probabilities: Probabilities, label: Labels, bins: int = BINS, mask: Mask | None = None
) -> Reliability:
    """Sorts predictions into bins of equal width by their confidence.

    A confidence c is in bin m, counted from 0, if m / M < c <= (m + 1) / M. So 1 is in the last
    bin.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      bins: M, number of bins, at least 1.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      The bins.

    Raises:
      InputError: a bad argument.

    Example:
      >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
      >>> bins = reliability(p, np.array([0, 1, 1]), bins=2)
      >>> bins.examples.tolist(), bins.confidence[1].round(3), bins.accuracy[1].round(3)
      ([0.0, 3.0], np.float64(0.767), np.float64(0.667))
    """
    at_least("bins", bins, 1)
    p, label, weight = checked(probabilities, label, mask)
    confidence = p.max(1)
    right = p.argmax(1) == label
    edges = np.arange(bins + 1) / bins
    row = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(row, weight, bins)
    some = np.where(count > 0, count, np.nan)
    return Reliability(
        edges,
        np.bincount(row, weight * confidence, bins) / some,
        np.bincount(row, weight * right, bins) / some,
        count,
    )


def calibration_error(
    probabilities: Probabilities, label: Labels, bins: int = BINS, mask: Mask | None = None
) -> float:
    """Computes the expected calibration error (ECE).

        ECE = sum_m |B_m| / N |accuracy(B_m) - confidence(B_m)|

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      bins: number of bins of equal width, at least 1. The error depends on it.
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      The error, in [0, 1].

    Raises:
      InputError: a bad argument.

    Source: Guo et al. 2017, On calibration of modern neural networks.

    Example:
      >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
      >>> round(calibration_error(p, np.array([0, 1, 1]), bins=2), 3)
      0.1
    """
    found = reliability(probabilities, label, bins, mask)
    gaps = np.nan_to_num(abs(found.accuracy - found.confidence))
    return float(found.examples @ gaps / found.examples.sum())


def fit_temperature(probabilities: Probabilities, label: Labels, mask: Mask | None = None) -> float:
    """Fits the temperature T that minimizes the cross-entropy of rescaled probabilities.

        T = argmin -1/N sum_n log q_n[y_n],    q = softmax(log(p) / T)

    The loss is convex in 1 / T, so the sign of its derivative brackets the minimum. T above 1 makes
    overconfident predictions less certain. It is fitted to a validation set, not to the test set.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      label: `[N]`, true classes in [0, K).
      mask: `[N]`, weights of the examples, at least 0. None means 1 for each.

    Returns:
      T, in `TEMPERATURES`. It is 1 if the minimum is not inside of this range. If all predictions
      are right, every smaller temperature is better, so the set does not determine one.

    Raises:
      InputError: a bad argument.

    Source: Guo et al. 2017, On calibration of modern neural networks.

    Example:
      >>> p = np.array([[0.99, 0.01]] * 4)
      >>> t = fit_temperature(p, np.array([0, 0, 0, 1]))
      >>> rescale(p, t)[0].round(3).tolist()
      [0.75, 0.25]
    """
    p, label, weight = checked(probabilities, label, mask)
    z = _log_ratios(p)
    true = z[np.arange(len(z)), label]

    def slope(beta: float) -> float:
        """Returns the derivative of the loss by beta = 1 / T."""
        q = np.exp(beta * z)
        return float(weight @ ((q * z).sum(1) / q.sum(1) - true))

    low, high = (float(np.log(1 / t)) for t in reversed(TEMPERATURES))
    if slope(np.exp(low)) >= 0 or slope(np.exp(high)) <= 0:
        return 1.0
    # Halving the interval of log(beta) 60 times leaves less than the distance of two numbers.
    for _ in range(60):
        middle = (low + high) / 2
        if slope(np.exp(middle)) < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def rescale(probabilities: Float[np.ndarray, "N K"], temperature: float) -> Probabilities:
    """Rescales probabilities by a temperature.

        q = softmax(log(p) / T)

    Their order stays the same, for probabilities in float32 and T in `TEMPERATURES`. So the
    predicted classes do not change.

    Args:
      probabilities: `[N, K]`, predicted probabilities of the classes.
      temperature: T, in `TEMPERATURES`.

    Returns:
      `[N, K]`, float64.

    Raises:
      InputError: another shape, or a temperature out of range.

    Example:
      >>> rescale(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
      [[0.667, 0.333]]
    """
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise InputError("temperature", temperature, f"a number in [{low}, {high}]")
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2:
        raise InputError("probabilities", p.shape, "the shape [N, K]")
    q = np.exp(_log_ratios(p) / temperature)
    return q / q.sum(1, keepdims=True)


def _log_ratios(p: Probabilities) -> Float[np.ndarray, "N K"]:
    """Returns log(p / max p), which is finite for a probability of 0 too."""
    p = np.maximum(p, SMALLEST)
    return np.log(p / p.max(1, keepdims=True))
