"""Early stopping on a validation metric."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxdl.errors import InputError
from jaxdl.training.manifest import History


class Patience(NamedTuple):
    """Early stopping on a validation metric; `train` then returns the best state.

    Attributes:
      metric: a metric of the validation set.
      times: number of validations without improvement that ends the run, at least 1.
      larger: if True, larger values are better.
    """

    metric: str = "loss"
    times: int = 5
    larger: bool = False

    def value(self, metrics: dict[str, Any], missing: float | None = None) -> float:
        """Returns the value to compare; smaller is better.

        For several runs it is their mean, which is not finite if the value of one run is not.

        Args:
          metrics: the metrics of one validation.
          missing: the value if the metric is missing; None raises an error instead.

        Raises:
          InputError: the metric is missing.
        """
        if self.metric not in metrics and missing is None:
            raise InputError("Patience.metric", self.metric, f"one of {sorted(metrics)}")
        value = float(np.mean(metrics.get(self.metric, missing)))  # type: ignore[arg-type]
        if self.larger:
            return -value
        return value

    def is_over(self, history: History) -> bool:
        """Returns True if the metric did not improve in the last `times` validations."""
        values = [_or_inf(value) for _, value in history]
        return len(values) > self.times and min(values[: -self.times]) <= min(values[-self.times :])

    def best_step(self, history: History) -> int | None:
        """Returns the earliest step with the best value; None without a finite value.

        Example:
          >>> Patience().best_step([(4, 0.5), (8, 0.2), (12, 0.2), (16, math.nan)])
          8
        """
        value, step = min(
            ((_or_inf(value), step) for step, value in history), default=(math.inf, 0)
        )
        if value == math.inf:
            return None
        return step


def _or_inf(value: float) -> float:
    """Returns the value if it is finite, else infinity."""
    if math.isfinite(value):
        return value
    return math.inf
