"""The steps at which a run stops between two dispatches, and the reasons, such as patience."""

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxdl.errors import InputError, at_least
from jaxdl.training.manifest import History


class Schedule(NamedTuple):
    """The steps at which a run logs, validates and ends.

    Attributes:
      steps: the last step, at least 1.
      log_every: steps between two log lines, at least 1.
      save_every: steps between two validations, each followed by a checkpoint; 0 means at the end
        only.

    Example:
      >>> schedule = Schedule(steps=10, log_every=5, save_every=4)
      >>> [step for step in range(11) if schedule.validates_at(step)]
      [4, 8, 10]
    """

    steps: int
    log_every: int
    save_every: int

    def validate(self) -> None:
        """Raises InputError for a number out of range."""
        at_least("steps", self.steps, 1)
        at_least("log_every", self.log_every, 1)
        at_least("save_every", self.save_every, 0)

    def validates_at(self, step: int) -> bool:
        """Returns True if the run validates and saves at a step."""
        if self.save_every and step > 0 and step % self.save_every == 0:
            return True
        return step == self.steps


class Stop(NamedTuple):
    """A dispatch, and the events after it.

    Attributes:
      first: the step before the dispatch.
      until: the step after the dispatch.
      log: if True, the metrics are written.
      validate: if True, the run validates and saves.
      wait: if True, all metrics are read before the next dispatch starts.
      last: if True, the run ends.
    """

    first: int
    until: int
    log: bool
    validate: bool
    wait: bool
    last: bool

    @property
    def steps(self) -> int:
        """Number of steps, 0 for a validation without a dispatch."""
        return self.until - self.first


def plan(start: int, end: int, schedule: Schedule, longest: Callable[[int], int]) -> Iterator[Stop]:
    """Yields the dispatches of a run from one step to another.

    A dispatch ends before the next event. The first one is a single step, because its time is
    mostly compilation.

    Args:
      start: the step that the run resumes from.
      end: the last step of this call.
      schedule: the events of the run.
      longest: `longest(step)`, the largest number of steps of a dispatch after a step, at least 1.

    Example:
      >>> stops = plan(0, 6, Schedule(6, log_every=4, save_every=0), lambda step: 3)
      >>> [(stop.until, stop.log, stop.validate) for stop in stops]
      [(1, False, False), (4, True, False), (6, False, True)]
    """
    step = start
    while step < end:
        longest_here = longest(step)
        if step == start:
            longest_here = 1
        until = min(
            end,
            schedule.steps,
            _next_multiple(step, schedule.log_every),
            _next_multiple(step, schedule.save_every),
            step + longest_here,
        )
        log = until % schedule.log_every == 0
        validate = schedule.validates_at(until)
        last = until == end
        yield Stop(step, until, log, validate, wait=validate or last or step == start, last=last)
        step = until


def _next_multiple(step: int, n: int) -> int:
    """Returns the next multiple of `n` after a step; for 0 a number that no step reaches."""
    if n == 0:
        return sys.maxsize
    return (step // n + 1) * n


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


def check_schedule(
    schedule: Schedule, stop_after: int | None, patience: Patience | None, validates: bool
) -> None:
    """Raises InputError for a number out of range, or patience without a validation set.

    Args:
      schedule: the events of the run.
      stop_after: a step after which the run ends, or None.
      patience: early stopping, or None.
      validates: True if there is a validation set.

    Example:
      >>> check_schedule(Schedule(10, 5, 0), None, Patience(), validates=True)
      Traceback (most recent call last):
      jaxdl.errors.InputError: save_every: got 0, allowed: at least 1
    """
    schedule.validate()
    if stop_after is not None:
        at_least("stop_after", stop_after, 1)
    if patience is None:
        return
    at_least("Patience.times", patience.times, 1)
    if not validates:
        raise InputError("validation", None, "a data set, because patience uses its metrics")
    at_least("save_every", schedule.save_every, 1)


def _or_inf(value: float) -> float:
    """Returns the value if it is finite, else infinity."""
    if math.isfinite(value):
        return value
    return math.inf
