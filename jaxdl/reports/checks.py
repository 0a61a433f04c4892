"""Checks of predictions, labels and weights before a report."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from jaxdl.errors import InputError

Probabilities = Float[np.ndarray, "N K"]
Labels = Int[np.ndarray, " N"]
Mask = Num[np.ndarray, " N"] | Bool[np.ndarray, " N"]

#: Largest difference between 1 and the sum of the probabilities of an example.
ROUNDING = 1e-3


def checked(
    probabilities: Probabilities, label: Labels, mask: Mask | None = None
) -> tuple[Probabilities, Labels, Float[np.ndarray, " N"]]:
    """Returns predictions in float64, labels and weights, without the examples of weight 0.

    Raises:
      InputError: other shapes, probabilities that are not finite, negative or do not sum to 1, a
        label that is not an integer in [0, K), or a bad mask.

    Example:
      >>> checked(np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([0, 1]), np.array([0, 1]))[1]
      array([1])
    """
    p = np.asarray(probabilities, np.float64)
    label = np.asarray(label)
    if p.ndim != 2 or p.shape[:1] != label.shape or not len(p) or p.shape[1] < 2:
        allowed = f"the shape [N, K] for labels {label.shape}, N at least 1 and K at least 2"
        raise InputError("probabilities", p.shape, allowed)
    check_classes("label", label, p.shape[1])
    bad = ~((p >= 0).all(1) & (abs(p.sum(1) - 1) <= ROUNDING))
    if bad.any():
        row = int(bad.argmax())
        allowed = "probabilities that sum to 1, such as those of task.predict; no logits"
        raise InputError(f"probabilities[{row}]", p[row].tolist(), allowed)
    weight = np.ones(len(p))
    if mask is not None:
        weight = checked_mask(mask, len(p))
    used = weight > 0
    return p[used], label[used], weight[used]


def checked_mask(mask: Mask, rows: int) -> Float[np.ndarray, " N"]:
    """Returns weights in float64; raises unless all are finite, at least 0, and one is positive.

    Example:
      >>> checked_mask(np.array([True, False]), 2).tolist()
      [1.0, 0.0]
    """
    weight = np.asarray(mask, np.float64)
    if weight.shape != (rows,):
        raise InputError("mask", weight.shape, f"one weight for each of {rows} examples")
    if not np.isfinite(weight).all() or weight.min() < 0 or not weight.any():
        raise InputError("mask", mask, "numbers of at least 0, not all of them 0")
    return weight


def check_classes(field: str, values: Labels, classes: int) -> None:
    """Raises an error unless every value is an integer in [0, classes).

    Example:
      >>> check_classes("label", np.array([0, 1]), 2)
    """
    if values.dtype.kind not in "iu":
        raise InputError(f"{field} dtype", values.dtype.name, f"integers in [0, {classes})")
    outside = values[(values < 0) | (values >= classes)]
    if outside.size:
        raise InputError(field, int(outside[0]), f"integers in [0, {classes})")
