"""What a run tells while it goes: averages, rates, times; and whether its numbers are still numbers."""

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
    """Adds up what the steps report and tells the writers when it is time; `axis` is the rows' (see `read_rows`)."""

    def __init__(self, writers: Sequence[Writer], examples: int, every: int, axis: int):
        self.writers = writers
        self.examples = examples
        self.every = every
        self.axis = axis
        self.rows: list[Metrics] = []
        self.dispatch_size = DispatchSize()
        self.seconds = {"compile": 0.0, "train": 0.0, "evaluate": 0.0, "save": 0.0}
        self.since = time.perf_counter()
        self.steps = 0
        self.lately = 0.0
        self.timed = 0
        self.lost: set[int] = set()

    def record(self, block: tuple[int, int, Any], state: State) -> None:
        """The metrics of some steps, `(last, how many, metrics)`; waits for the devices to have them."""
        step, count, found = block
        metrics = read_rows(found, count, self.axis)
        broken = ~np.stack([_fine(x, self.axis) for x in jax.tree.leaves(metrics)]).all(
            0
        )  # [*N, count]
        first = broken.argmax(-1)
        if broken.any(-1).all():
            row = int(first.max())
            its = jax.tree.map(lambda x: x.take(row, self.axis), metrics)
            raise NonFinite(step - count + 1 + row, diagnosis(its, state))
        for i in set(np.flatnonzero(broken.any(-1)).tolist()) - self.lost:
            self.lost.add(i)
            since = step - count + 1 + first[i]
            warnings.warn(
                f"run {i} is not finite since step {since}; the others go on", stacklevel=2
            )
        self.rows.append(metrics)
        if self.seconds["compile"]:
            passed = self.lap("train")
            self.dispatch_size.update(count, passed)
            self.lately += passed
            self.steps = self.steps + count
            self.timed = self.timed + count
        else:  # the first step: its time is compilation, and no rate
            self.lap("compile")
        if step % self.every == 0:
            self._write(step)

    def record_validation(self, step: int, measured: dict[str, Any]) -> None:
        """The validation set's metrics."""
        self.lap("evaluate")
        self.flush(step)
        self._tell(step, {f"validation/{name}": value for name, value in measured.items()})

    def flush(self, step: int) -> None:
        """Whatever has not been told yet. Where a run was interrupted there is a line of its own."""
        if self.rows:
            self._write(step)

    def finish(self, step: int) -> None:
        """The times, and the rate over all steps but the first."""
        self.flush(step)
        if self.seconds["compile"]:
            self._tell(step, self._rate(self.timed, self.seconds["train"]) | self._times())

    def _write(self, step: int) -> None:
        averages = {
            f"train/{name}": value
            for name, value in means(total_rows(self.rows, self.axis)).items()
        }
        self._tell(step, averages | self._rate(self.steps, self.lately) | self._times())
        self.rows = []
        self.steps = 0
        self.lately = 0.0

    def _rate(self, steps: int, seconds: float) -> dict[str, float]:
        return {"examples_per_second": steps * self.examples / seconds} if steps else {}

    def _times(self) -> dict[str, float]:
        return {f"seconds/{name}": value for name, value in self.seconds.items()}

    def _tell(self, step: int, metrics: dict[str, Any]) -> None:
        told = {name: value for each in metrics.items() for name, value in _named(*each)}
        for writer in self.writers:
            writer.write(step, told)

    def lap(self, name: str) -> float:
        """Counts the time since the last lap as spent on `name`."""
        now = time.perf_counter()
        passed = now - self.since
        self.since = now
        self.seconds[name] += passed
        return passed


def _fine(x: np.ndarray, axis: int) -> np.ndarray:
    """By row, and run: whether all of its numbers are finite."""
    return np.isfinite(x).reshape(*x.shape[: axis + 1], -1).all(-1)


def check_finite(state: State, step: int) -> None:
    """Raises instead of letting a NaN be saved over a good state."""
    fine = np.stack(jax.device_get(_all_finite(state)))
    if not fine.all(0).any():
        broken = _broken(state, fine)
        raise NonFinite(step, f"{broken[0]} is not finite; nothing of it is saved")


@jax.jit
def _all_finite(state: State) -> list[Array]:
    """Per leaf, and run."""
    return jax.tree.leaves(jax.vmap(finite)(state) if state.step.ndim else finite(state))


def diagnosis(metrics: Metrics, state: State) -> str:
    """What is not finite of a step's metrics and of the state."""
    names = [name for name, pair in metrics.items() if not all(np.isfinite(x).all() for x in pair)]
    broken = _broken(state, np.stack(jax.device_get(_all_finite(state))))
    where = (
        f"first leaf that is not finite: {broken[0]}"
        if broken
        else "all leaves of the state are finite"
    )
    return f"{', '.join(names)} is not finite; {where}; nothing of it is saved"


def _broken(state: State, fine: np.ndarray) -> list[str]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [_name(path) for (path, _), good in zip(leaves, fine, strict=True) if not good.all()]


def _named(name: str, value: Any) -> list[tuple[str, float]]:
    """A number under its name; of several runs their mean, and each run's own under `name/i`."""
    if not np.ndim(value):
        return [(name, value)]
    return [
        (name, float(np.mean(value))),
        *((f"{name}/{i}", float(each)) for i, each in enumerate(value)),
    ]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
