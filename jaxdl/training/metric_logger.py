"""Averages, rates and times of a run for its writers; checks for values that are not finite."""

import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool

from jaxdl.core import State
from jaxdl.errors import NonFinite
from jaxdl.metrics import Metrics, means, read_rows, total_rows
from jaxdl.training.plan import Stop
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
      several: True for several runs in one program.
    """

    def __init__(self, writers: Sequence[Writer], examples: int, several: bool):
        self.writers = writers
        self.examples = examples
        self.several = several
        self.dispatch_size = DispatchSize()
        self.seconds = {"compile": 0.0, "train": 0.0, "evaluate": 0.0, "save": 0.0}
        self._last_lap = time.perf_counter()
        self._timed_steps = 0
        # Dispatches whose metrics are not read yet.
        self._pending = deque[tuple[Stop, Any]]()
        # Since the last call of the writers.
        self._rows: list[Metrics] = []
        self._recent_steps = 0
        self._recent_seconds = 0.0
        # Runs of an ensemble that are not finite, each of which is reported once.
        self._diverged: set[int] = set()

    def add(self, stop: Stop, metrics: Any) -> None:
        """Adds the metrics of a dispatch that may still be running."""
        self._pending.append((stop, metrics))

    def record(self, state: State, in_flight: int = 0) -> NonFinite | None:
        """Reads the metrics of dispatches; waits until the devices have computed them.

        Args:
          state: the newest state, to name a leaf that is not finite.
          in_flight: the number of dispatches that are not waited for.

        Returns:
          An error if the metrics of the run, or of all runs, are not finite; else None.
        """
        while len(self._pending) > in_flight:
            stop, on_devices = self._pending.popleft()
            metrics = read_rows(on_devices, stop.steps, self.several)
            error = self._first_error(stop.first + 1, metrics, state)
            if error is not None:
                return error
            self._rows.append(metrics)
            self._measure(stop.steps)
            if stop.log:
                self._write(stop.until)
        return None

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

    def _measure(self, count: int) -> None:
        """Measures the time of a dispatch of `count` steps."""
        if not self.seconds["compile"]:
            # The time of the first step is mostly compilation, so it gives no rate.
            self.lap("compile")
            return
        passed = self.lap("train")
        self.dispatch_size.update(count, passed)
        self._recent_seconds += passed
        self._recent_steps += count
        self._timed_steps += count

    def _first_error(self, first: int, metrics: Metrics, state: State) -> NonFinite | None:
        """Returns an error if all runs are not finite; warns once about each run that is not."""
        rows = [np.isfinite(x).reshape(*x.shape[:2], -1).all(2) for x in jax.tree.leaves(metrics)]
        broken: Any = ~np.stack(rows).all(0)  # [N, count]
        first_broken = broken.argmax(1)
        if broken.any(1).all():
            row = int(first_broken.max())
            of_step = jax.tree.map(lambda x: x[:, row], metrics)
            return NonFinite(
                first + row, f"{describe_nonfinite(of_step, state)}; this state is not saved"
            )
        for i in set(np.flatnonzero(broken.any(1)).tolist()) - self._diverged:
            self._diverged.add(i)
            since = first + first_broken[i]
            warnings.warn(
                f"run {i} is not finite since step {since}; the others continue", stacklevel=3
            )
        return None

    def _write(self, step: int) -> None:
        averages = means(total_rows(self._rows))
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
            numbers |= _by_run(name, value, self.several)
        for writer in self.writers:
            writer.write(step, numbers)


def not_finite(state: State, step: int) -> NonFinite | None:
    """Returns an error if a state is not finite, before it can replace a good checkpoint.

    The state of several runs counts as finite if at least one run is finite.
    """
    passed = finite_on_host(state)
    if np.stack(list(passed.values())).all(0).any():
        return None
    return NonFinite(step, f"{_first_failed(passed)} is not finite; this state is not saved")


def describe_nonfinite(metrics: Metrics, state: State) -> str:
    """Returns a message with the metrics and the first leaves of the state that are not finite.

    These are the first one of the parameters and the first one of `extra`, such as the observation
    of an environment.
    """
    names = [name for name, pair in metrics.items() if not all(np.isfinite(x).all() for x in pair)]
    passed = finite_on_host(state)
    failed = [_first_failed(passed, part) for part in ("params", "extra")]
    found = [name for name in (*failed, _first_failed(passed)) if name]
    where = "all leaves of the state are finite"
    if found:
        where = f"first leaf that is not finite: {' and '.join(dict.fromkeys(found))}"
    return f"{', '.join(names)} is not finite; {where}"


def finite_on_host(state: State) -> dict[str, Bool[np.ndarray, " N"]]:
    """Tests each leaf of each run for NaN and infinity on the host, without a compiled program.

    Args:
      state: the state of N runs, or of a single one with N = 1.

    Returns:
      For each leaf by its path, True for each run that passes the test of `jaxdl.finite`.
      In several processes the result is the same in all of them.

    Example:
      >>> params = {"w": jnp.array([1.0, jnp.inf])}
      >>> state = State(jnp.zeros((), jnp.int32), params, (), {})
      >>> {name: passed.tolist() for name, passed in finite_on_host(state).items()}
      {'step': [True], 'params/w': [False]}
    """
    runs = state.step.size
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    passed: Any = np.ones((len(leaves), runs), bool)
    for i, (path, leaf) in enumerate(leaves):
        bad = np.isnan if path[0].name == "opt" else _is_not_finite
        for part in _parts(leaf):
            passed[i] &= ~bad(part.reshape(runs, -1)).any(1)
    if jax.process_count() > 1:
        passed = np.asarray(multihost_utils.process_allgather(passed)).all(0)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return dict(zip(names, passed, strict=True))


def _is_not_finite(x: np.ndarray) -> np.ndarray:
    return ~np.isfinite(x)


def _parts(leaf: Array) -> Iterator[np.ndarray]:
    """Yields the parts of a floating-point leaf that are on devices of this process."""
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return
    if leaf.is_fully_addressable:
        yield np.asarray(leaf)
        return
    for shard in leaf.addressable_shards:
        yield np.asarray(shard.data)


def _first_failed(passed: dict[str, np.ndarray], part: str = "") -> str | None:
    """Returns the first leaf of a part that is not finite in at least one run; None without one."""
    failed = (name for name, runs in passed.items() if not runs.all())
    return next((name for name in failed if name.startswith(part)), None)


def _by_run(name: str, value: Any, several: bool) -> dict[str, float]:
    """Returns a number under its name; for several numbers the mean, and number i as `name/i`.

    These are the runs of an ensemble, or the numbers of a metric such as one per class.
    """
    if np.ndim(value) and not several:
        value = value[0]
    if not np.ndim(value):
        return {name: float(value)}
    each = {f"{name}/{i}": float(np.mean(part)) for i, part in enumerate(value)}
    return {name: float(np.mean(value)), **each}
