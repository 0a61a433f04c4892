"""The training loop: the only one, for every learner."""

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, State
from jaxdl.data.checks import check_batch_size
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import RESIDENT_BYTES, Window, evaluation_windows, training_windows
from jaxdl.errors import InputError, NonFinite, at_least
from jaxdl.metrics import Metrics, means, merge
from jaxdl.rng import stream
from jaxdl.training.evaluation import sweep
from jaxdl.training.store import History, InMemory, Store
from jaxdl.training.strategies import Strategy
from jaxdl.training.strategies import strategy as by_name
from jaxdl.training.writers import Writer


class Every(NamedTuple):
    """How often things happen, in steps.

    Attributes:
      log: metrics go to the writers.
      save: the validation set is evaluated and the state saved; 0: at the end only.
    """

    log: int = 100
    save: int = 0


class Patience(NamedTuple):
    """Early stopping: ends when a validation metric has not improved for a while; the best state is returned.

    Attributes:
      metric: a metric of the validation set.
      times: validations without improvement before the run ends, at least 1.
      larger: whether a larger value is the better one.
    """

    metric: str = "loss"
    times: int = 5
    larger: bool = False

    def value(self, metrics: dict[str, float]) -> float:
        """What is compared: smaller is better."""
        if self.metric not in metrics:
            raise InputError("Patience.metric", self.metric, f"one of {sorted(metrics)}")
        return -metrics[self.metric] if self.larger else metrics[self.metric]

    def is_over(self, history: History) -> bool:
        """Whether the last `times` validations brought nothing new."""
        values = [_or_inf(value) for _, value in history]
        return len(values) > self.times and min(values[: -self.times]) <= min(values[-self.times :])


def train(
    learner: Learner,
    data: Dataset,
    *,
    key: Key[Array, ""],
    steps: int,
    batch_size: int = 32,
    every: Every = Every(),
    validation: Dataset | None = None,
    patience: Patience | None = None,
    strategy: Strategy | None = None,
    store: Store | None = None,
    writers: Sequence[Writer] = (),
    stop_after: int | None = None,
) -> State:
    """Trains a learner; goes on where `store` stopped.

    The run is a function of its arguments: whatever interrupts it, the same state comes out.

    Args:
      learner: what to train.
      data: the training set.
      key: the run's root key; every random number of the run follows from it and the step.
      steps: updates in all, at least 1 (counting those that `store` has already).
      batch_size: examples per step, at most the size of the set.
      every: how often to log, and to validate and save.
      validation: a set to look at during training; never the test set.
      patience: early stopping on that set; the best state seen is returned.
      strategy: where to run; None: all devices.
      store: where states are kept; None: nowhere beyond this call.
      writers: who is told the metrics.
      stop_after: end after this step, saved, as if interrupted; None: do not.

    Returns:
      The last state, or the best one under `patience`.

    Raises:
      InputError: an argument out of range, or patience without a validation set.
      CheckpointError: a state could not be saved, or what `store` has is laid out otherwise.
      NonFinite: a metric became NaN or infinite; nothing of that is saved.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1)))
      >>> int(train(net, data, key=jaxdl.root(0), steps=3).step)
      3
    """
    strategy, keeping = strategy or by_name(), store is not None or patience is not None
    _check(steps, every, stop_after)
    check_batch_size(data, batch_size, len(strategy.devices))
    _check_patience(patience, validation, every)
    store = store or InMemory()
    journal = _Journal(writers, batch_size, every.log)
    end, moving = min(steps, stop_after or steps), stream(key, "train")

    example = next(training_windows(data, key, batch_size, 0, lambda host: host))
    program = strategy.compile(learner, example)
    with contextlib.closing(store):
        state, history = store.restore(program.abstract) or (program.init(stream(key, "init")), [])
        step = start = int(state.step)
        at_least("steps", steps, start)
        windows = training_windows(data, key, batch_size, step, strategy.place)
        judged = _again(validation, batch_size, strategy.place) if validation is not None else None
        window, waiting = next(windows), deque[tuple[int, int, Any]]()

        while step < end and not (patience and patience.is_over(history)):
            if step == window.last:
                window = next(windows)
            until = min(end, window.last, _after(step, every.log), _after(step, every.save))
            # The first step goes alone: what it takes is compilation.
            until = step + 1 if step == start else until
            state, found = program.run(state, window, moving, until - step)
            waiting.append((until, until - step, found))
            step = until
            planned = step == steps or step == _after(step - 1, every.save)
            while len(waiting) >= (1 if planned or step == end else program.in_flight):
                journal.take(waiting.popleft(), state)
            if planned and judged is not None:
                measured = sweep(program, state, judged(), key)
                journal.validated(step, measured)
                history = [*history, (step, patience.value(measured) if patience else measured.get("loss", math.nan))]
            if planned or step == end:
                _finite(state, step)
                if keeping:
                    store.save(state, history)

        journal.finish(step)
        if patience and (step == steps or patience.is_over(history)):
            value, best = min((_or_inf(value), at) for at, value in history)
            state, _ = (store.restore(program.abstract, best) if value < math.inf else None) or (state, history)
    return state


class _Journal:
    """Adds up what the steps report and tells the writers when it is time."""

    def __init__(self, writers: Sequence[Writer], batch_size: int, every: int):
        self.writers, self.batch_size, self.every = writers, batch_size, every
        self.total: Metrics = {}
        self.seconds = {"compile": 0.0, "train": 0.0, "evaluate": 0.0}
        self.since, self.new = time.perf_counter(), False
        self.steps, self.lately = 0, 0.0

    def take(self, block: tuple[int, int, Any], state: State) -> None:
        """The metrics of some steps, `(last, how many, metrics)`; waits for the devices to have them."""
        step, count, found = block
        metrics, bad = jax.device_get(found)
        if bad >= 0:
            raise NonFinite(_diagnosis(metrics, int(bad), state))
        self.total, self.new = merge(self.total, metrics), True
        if self.seconds["compile"]:
            self.lately += self._lap("train")
            self.steps += count
        else:  # the first step: its time is compilation, and no rate
            self._lap("compile")
        if step % self.every == 0:
            self._write(step)

    def validated(self, step: int, measured: dict[str, float]) -> None:
        """The validation set's metrics."""
        self._lap("evaluate")
        if self.new:
            self._write(step)
        self._tell(step, {f"validation/{name}": value for name, value in measured.items()})

    def finish(self, step: int) -> None:
        """Whatever has not been told yet."""
        if self.new:
            self._write(step)
        if self.seconds["compile"]:
            self._tell(step, {f"seconds/{name}": value for name, value in self.seconds.items()})

    def _write(self, step: int) -> None:
        rate = {"examples_per_second": self.steps * self.batch_size / self.lately} if self.steps else {}
        seconds = {f"seconds/{name}": value for name, value in self.seconds.items()}
        self._tell(step, {f"train/{name}": value for name, value in means(self.total).items()} | rate | seconds)
        self.total, self.new, self.steps, self.lately = {}, False, 0, 0.0

    def _tell(self, step: int, metrics: dict[str, float]) -> None:
        for writer in self.writers:
            writer.write(step, metrics)

    def _lap(self, name: str) -> float:
        now = time.perf_counter()
        passed, self.since = now - self.since, now
        self.seconds[name] += passed
        return passed


def _again(data: Dataset, batch_size: int, place: Callable[[Any], Any]) -> Callable[[], Iterable[Window]]:
    """The windows of a set that is gone through many times: a resident set is placed once."""
    if data.nbytes > RESIDENT_BYTES:
        return lambda: evaluation_windows(data, batch_size, place)
    windows = list(evaluation_windows(data, batch_size, place))
    return lambda: windows


def _after(step: int, n: int) -> int:
    """The next multiple of `n` after a step; never, for 0."""
    return (step // n + 1) * n if n else sys.maxsize


def _or_inf(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _finite(state: State, step: int) -> None:
    """Raises instead of letting a NaN be saved over a good state."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    bad = [path for (path, _), ok in zip(leaves, jax.device_get(_all_finite(state)), strict=True) if not ok]
    if bad:
        raise NonFinite(f"step {step}: {_name(bad[0])} is not finite; the last good state stays as it was saved")


@jax.jit
def _all_finite(state: State) -> list[Array]:
    """Per leaf; an optimizer may hold an infinity on purpose ("the best loss so far"), never a NaN."""

    def fine(path: Any, x: Array) -> Array:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.ones((), bool)
        return ~jnp.isnan(x).any() if path[0].name == "opt" else jnp.isfinite(x).all()

    return jax.tree.leaves(jax.tree_util.tree_map_with_path(fine, state))


def _diagnosis(metrics: Metrics, bad: int, state: State) -> str:
    names = [name for name, pair in metrics.items() if not all(np.isfinite(x).all() for x in pair)]
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    ok = jax.device_get(_all_finite(state))
    broken = [_name(path) for (path, _), fine in zip(leaves, ok, strict=True) if not fine]
    where = f"first leaf that is not finite: {broken[0]}" if broken else "all leaves of the state are finite"
    return f"step {bad}: {', '.join(names)} is not finite; {where}; the last good state stays as it was saved"


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _check(steps: int, every: Every, stop_after: int | None) -> None:
    at_least("steps", steps, 1)
    at_least("every.log", every.log, 1)
    at_least("every.save", every.save, 0)
    at_least("stop_after", 1 if stop_after is None else stop_after, 1)


def _check_patience(patience: Patience | None, validation: Dataset | None, every: Every) -> None:
    if patience is None:
        return
    at_least("Patience.times", patience.times, 1)
    if validation is None:
        raise InputError("validation", None, "a set, as patience looks at its metrics")
    at_least("every.save", every.save, 1)
