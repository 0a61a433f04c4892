"""Random predictions with ties and absent classes, and scikit-learn without its warnings."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np


def predictions(seed: int, classes: int, count: int = 200, absent: bool = False) -> tuple[Any, ...]:
    """Returns probabilities `[N, K]` with many ties, labels and weights, some of which are 0.

    With `absent` class 1 does not occur among the labels, and class 2 is never predicted.
    """
    rng = np.random.default_rng(seed)
    # Few different values make ties; those of float32 stay distinct after a division.
    p = rng.integers(1, 6, (count, classes)).astype(np.float64)
    label = rng.integers(0, classes, count)
    p[np.arange(count), label] += rng.integers(0, 3, count)
    if absent:
        label[label == 1] = 0
        p[:, 2] = 0.5
    p /= p.sum(1, keepdims=True)
    return p, label, rng.integers(0, 4, count).astype(np.float64)


@contextlib.contextmanager
def no_warnings() -> Iterator[None]:
    """Ignores the warnings of scikit-learn for classes that do not occur."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
