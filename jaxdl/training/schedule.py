"""The steps at which a run logs, validates, saves and ends; early stopping."""

import math
import sys
from typing import Any, NamedTuple

import numpy as np

from jaxdl.errors import InputError, at_least
from jaxdl.training.manifest import History


class Schedule(NamedTuple):
    """The steps at which a run logs, validates, saves and ends.

    Attributes:
      steps: the last step, at least 1.
      log_every: steps between two log lines, at least 1.
      save_every: steps between two validations; 0 means at the end only.

    Example:
      >>> schedule = Schedule(steps=10, log_every=5, save_every=4)
      >>> schedule.next_log(5), schedule.next_validation(5), schedule.validates_at(8)
      (10, 8, True)
    """

    steps: int
    log_every: int
    save_every: int

    def validate(self) -> None:
        """Raises InputError for a number out of range."""
        at_least("steps", self.steps, 1)
        at_least("log_every", self.log_every, 1)
        at_least("save_every", self.save_every, 0)

    def next_log(self, step: int) -> int:
        """Returns the first step after `step` that is logged."""
        return _next_multiple(step, self.log_every)

    def next_validation(self, step: int) -> int:
        """Returns the first step from `step` on that is validated and saved."""
        return min(self.steps, _next_multiple(step - 1, self.save_every))

    def validates_at(self, step: int) -> bool:
        """Returns True if `step` is validated and saved."""
        return step == self.next_validation(step)


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


def _next_multiple(step: int, n: int) -> int:
    """Returns the next multiple of `n` after a step; for 0 a number that no step reaches."""
    if n == 0:
        return sys.maxsize
    return (step // n + 1) * n


def _or_inf(value: float) -> float:
    """Returns the value if it is finite, else infinity."""
    if math.isfinite(value):
        return value
    return math.inf
