"""Averages, rates and times of a run for its writers; checks for values that are not finite."""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from jaxdl.core import State
from jaxdl.errors import NonFinite
from jaxdl.finite import finite
from jaxdl.metrics import Metrics, means
from jaxdl.training.metric_buffer import read_rows, total_rows
from jaxdl.training.program import DispatchSize
from jaxdl.training.writers import Writer


class MetricLogger:
    """The sums of a run's metrics, passed on to the writers at regular steps.

    Attributes:
      dispatch_size: the number of steps per dispatch, from the times measured here.
      seconds: the time spent so far on compilation, training, evaluation and saving.

    Args:
      writers: the metric writers.
      examples: examples per step, of all runs together.
      every: steps between two calls of the writers.
      axis: the axis of the rows of metrics (see `read_rows`).
    """

    def __init__(self, writers: Sequence[Writer], examples: int, every: int, axis: int):
        self.writers = writers
        self.examples = examples
        self.every = every
        self.axis = axis
        self.dispatch_size = DispatchSize()
        self.seconds = {"compile": 0.0, "train": 0.0, "evaluate": 0.0, "save": 0.0}
        self._last_lap = time.perf_counter()
        self._timed_steps = 0
        # Since the last call of the writers.
        self._rows: list[Metrics] = []
        self._recent_steps = 0
        self._recent_seconds = 0.0
        # Runs of an ensemble that are not finite, each of which is reported once.
        self._diverged: set[int] = set()

    def record(self, block: tuple[int, int, Any], state: State) -> None:
        """Adds the metrics of a dispatch; waits until the devices have computed them.

        Args:
          block: `(last, count, metrics)`: number of its last step, number of steps, their metrics.
          state: the newest state, to name a leaf that is not finite.

        Raises:
          NonFinite: the metrics of the run, or of all runs, are not finite.
        """
        step, count, on_devices = block
        metrics = read_rows(on_devices, count, self.axis)
        self._check(step - count + 1, metrics, state)
        self._rows.append(metrics)
        if self.seconds["compile"]:
            passed = self.lap("train")
            self.dispatch_size.update(count, passed)
            self._recent_seconds += passed
            self._recent_steps += count
            self._timed_steps += count
        else:
            # The time of the first step is mostly compilation, so it gives no rate.
            self.lap("compile")
        if step % self.every == 0:
            self._write(step)

    def record_validation(self, step: int, metrics: dict[str, Any]) -> None:
        """Writes the metrics of the validation set."""
        self.lap("evaluate")
        self.flush(step)
        self._write_all(step, {f"validation/{name}": value for name, value in metrics.items()})

    def flush(self, step: int) -> None:
        """Writes the metrics since the last line; after an interruption this is an extra line."""
        if self._rows:
            self._write(step)

    def finish(self, step: int) -> None:
        """Writes the times, and the rate over all steps but the first."""
        self.flush(step)
        if self.seconds["compile"]:
            rate = self._rate(self._timed_steps, self.seconds["train"])
            self._write_all(step, rate | self._times())

    def lap(self, name: str) -> float:
        """Adds the time since the last lap to `seconds[name]`; returns it."""
        now = time.perf_counter()
        passed = now - self._last_lap
        self._last_lap = now
        self.seconds[name] += passed
        return passed

    def _check(self, first: int, metrics: Metrics, state: State) -> None:
        """Raises NonFinite if all runs are not finite; warns once about each run that is not."""
        rows = [_finite_rows(x, self.axis) for x in jax.tree.leaves(metrics)]
        broken = ~np.stack(rows).all(0)  # [*N, count]
        first_broken = broken.argmax(-1)
        if broken.any(-1).all():
            row = int(first_broken.max())
            of_step = jax.tree.map(lambda x: x.take(row, self.axis), metrics)
            raise NonFinite(first + row, describe_nonfinite(of_step, state))
        for i in set(np.flatnonzero(broken.any(-1)).tolist()) - self._diverged:
            self._diverged.add(i)
            since = first + first_broken[i]
            warnings.warn(
                f"run {i} is not finite since step {since}; the others continue", stacklevel=3
            )

    def _write(self, step: int) -> None:
        averages = means(total_rows(self._rows, self.axis))
        metrics = {f"train/{name}": value for name, value in averages.items()}
        rate = self._rate(self._recent_steps, self._recent_seconds)
        self._write_all(step, metrics | rate | self._times())
        self._rows = []
        self._recent_steps = 0
        self._recent_seconds = 0.0

    def _rate(self, steps: int, seconds: float) -> dict[str, float]:
        if not steps:
            return {}
        return {"examples_per_second": steps * self.examples / seconds}

    def _times(self) -> dict[str, float]:
        return {f"seconds/{name}": value for name, value in self.seconds.items()}

    def _write_all(self, step: int, metrics: dict[str, Any]) -> None:
        """Passes the metrics to every writer."""
        numbers: dict[str, float] = {}
        for name, value in metrics.items():
            numbers |= _by_run(name, value)
        for writer in self.writers:
            writer.write(step, numbers)


def _finite_rows(x: np.ndarray, axis: int) -> np.ndarray:
    """Returns, for every row of every run, True if all its numbers are finite."""
    return np.isfinite(x).reshape(*x.shape[: axis + 1], -1).all(-1)


def check_finite(state: State, step: int) -> None:
    """Raises NonFinite if the state is not finite, before it can replace a good checkpoint.

    The state of several runs counts as finite if at least one run is finite.
    """
    fine = np.stack(jax.device_get(_all_finite(state)))
    if not fine.all(0).any():
        broken = _broken(state, fine)
        raise NonFinite(step, f"{broken[0]} is not finite; this state is not saved")


@jax.jit
def _all_finite(state: State) -> list[Array]:
    """Tests each leaf; for several runs each leaf of each run."""
    if state.step.ndim:
        return jax.tree.leaves(jax.vmap(finite)(state))
    return jax.tree.leaves(finite(state))


def describe_nonfinite(metrics: Metrics, state: State) -> str:
    """Returns a message with the metrics and the first leaf of the state that are not finite."""
    names = [name for name, pair in metrics.items() if not all(np.isfinite(x).all() for x in pair)]
    broken = _broken(state, np.stack(jax.device_get(_all_finite(state))))
    where = "all leaves of the state are finite"
    if broken:
        where = f"first leaf that is not finite: {broken[0]}"
    return f"{', '.join(names)} is not finite; {where}; this state is not saved"


def _broken(state: State, fine: np.ndarray) -> list[str]:
    """Returns the names of the leaves that are not finite in at least one run."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [_name(path) for (path, _), good in zip(leaves, fine, strict=True) if not good.all()]


def _by_run(name: str, value: Any) -> dict[str, float]:
    """Returns a number under its name; for several runs the mean, and run i as `name/i`."""
    if not np.ndim(value):
        return {name: value}
    runs = {f"{name}/{i}": float(each) for i, each in enumerate(value)}
    return {name: float(np.mean(value)), **runs}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
