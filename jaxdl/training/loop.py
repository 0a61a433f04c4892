"""The training loop: the only one, for every learner."""

import contextlib
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, State
from jaxdl.data.checks import check_batch_size, check_lengths
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import RESIDENT_BYTES, Window, evaluation_windows, gather, training_windows
from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.rng import check_key, stream
from jaxdl.training.ensemble import check_runs, check_values, for_runs
from jaxdl.training.evaluation import sweep
from jaxdl.training.metric_logger import MetricLogger, check_finite
from jaxdl.training.program import Program
from jaxdl.training.replay import FROM_THE_START, locate_nonfinite
from jaxdl.training.shutdown import GracefulShutdown
from jaxdl.training.store import History, InMemory, Store
from jaxdl.training.strategies import Checked, Strategy
from jaxdl.training.strategies import strategy as by_name
from jaxdl.training.writers import Writer


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

    def value(self, metrics: dict[str, Any], missing: float | None = None) -> float:
        """What is compared: smaller is better. Of several runs the mean: not finite as soon as one of them is not."""
        if self.metric not in metrics and missing is None:
            raise InputError("Patience.metric", self.metric, f"one of {sorted(metrics)}")
        value = float(np.mean(metrics.get(self.metric, missing)))  # type: ignore[arg-type]
        return -value if self.larger else value

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
    log_every: int = 100,
    save_every: int = 0,
    validation: Dataset | None = None,
    patience: Patience | None = None,
    strategy: Strategy | None = None,
    store: Store | None = None,
    writers: Sequence[Writer] = (),
    stop_after: int | None = None,
    on_validation: Callable[[State], None] | None = None,
) -> State:
    """Trains a learner; goes on where `store` stopped.

    The run is a function of its arguments: whatever interrupts it, the same state comes out. Told to end by Ctrl-C,
    SIGTERM or SIGHUP, it has `store` keep the step that it is at before that comes true: in about a second, or when
    what it compiles is compiled (`jaxdl.training.shutdown.GracefulShutdown` has the conditions).

    Args:
      learner: what to train.
      data: the training set.
      key: the run's root key; every random number of the run follows from it and the step. Or several,
        `root(range(8))`: as many runs in one program, every leaf of the state `[N, ...]`, run i
        (`state.member(i)`) the one that key i would give alone on one device: bit for
        bit on a CPU, elsewhere to rounding.
      steps: updates in all, at least 1 (counting those that `store` has already).
      batch_size: examples per step, at most the size of the set.
      log_every: steps between two calls of the writers, at least 1.
      save_every: steps between two validations, each followed by a checkpoint; 0: at the end only.
      validation: a set to look at during training; never the test set.
      patience: early stopping on that set; the best state seen is returned. Of several runs the mean counts.
      strategy: where to run; None: all devices.
      store: where states are kept; None: nowhere beyond this call.
      writers: who is told the metrics.
      stop_after: end after this step, saved, as if interrupted; None: do not.
      on_validation: is shown the state at every validation, before it is saved: to draw samples. The state is the loop's
        own and is gone after the next step. After an interruption it may be shown the same state again.

    Returns:
      The last state, or the best one under `patience`.

    Raises:
      InputError: an argument out of range, or patience without a validation set.
      CheckpointError: a state could not be saved, or what `store` has is laid out otherwise.
      NonFinite: a metric became NaN or infinite; nothing of that is saved. With a store, the steps since its newest
        state are done again to name the one where it began. Of several runs, all of them became so; one that does
        warns, and the others go on.
      KeyboardInterrupt, SystemExit: it was told to end.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1)))
      >>> int(train(net, data, key=jaxdl.root(0), steps=3).step)
      3
    """
    strategy = strategy or by_name()
    keeping = store is not None or patience is not None
    store = store or InMemory()
    _check_kinds(learner, data, strategy, store)
    check_key(key)
    _check(steps, log_every, save_every, stop_after)
    check_runs(learner, key)
    if learner.runs and patience:
        raise InputError(
            "patience", patience, "None, for runs that differ in their hyper-parameters"
        )
    strategy = for_runs(key, strategy)
    check_batch_size(data, batch_size, len(strategy.devices) if key.ndim == 0 else 1)
    for each in (data, validation):
        if each is not None:
            check_lengths(each)
    _check_patience(patience, validation, save_every)
    logger = MetricLogger(writers, batch_size * (key.size if key.ndim else 1), log_every, key.ndim)
    end = min(steps, stop_after or steps)
    starting, moving, judging = (
        strategy.place(stream(key, name)) for name in ("init", "train", "eval")
    )

    example = next(training_windows(data, key, batch_size, 0, lambda host: host))
    program = strategy.compile(learner, example)
    if "carry" in program.abstract.extra and not data.contiguous:
        raise InputError(
            "data", data.name, "a contiguous set, for a network that carries its state on"
        )
    if patience:
        patience.value(_metrics(learner, program, example, judging))

    def kept(step: int) -> State | None:
        """The state saved last, where states are kept and steps are not exact anyway."""
        if not keeping or isinstance(strategy, Checked):
            return None
        state, _ = store.restore(program.abstract) or (None, [])
        return program.init(starting) if state is None and step <= FROM_THE_START else state

    def windows_from(step: int) -> Iterator[Window]:
        return training_windows(data, key, batch_size, step, strategy.place)

    with (
        GracefulShutdown() as shutdown,
        contextlib.closing(store),
        locate_nonfinite(kept, windows_from, program, moving, shutdown.requested),
    ):
        state, history = store.restore(program.abstract) or (program.init(starting), [])
        check_values(learner, state)
        step = start = state.steps_done
        if steps < start:
            raise InputError(
                "steps", steps, f"at least {start}, the step that the store has reached"
            )
        windows = windows_from(step)
        judged = _again(validation, batch_size, strategy.place) if validation is not None else None
        window = next(windows)
        waiting = deque[tuple[int, int, Any]]()
        end = step if shutdown.requested() else end
        # A run that was told to end while it was judged is judged now.
        owed = (
            judged is not None
            and 0 < step == _planned(step, steps, save_every)
            and step not in dict(history)
        )
        owed = owed and not shutdown.signal
        saved = step

        while (step < end or owed) and not (patience and patience.is_over(history)):
            if not owed:
                if step == window.last:
                    window = next(windows)
                until = min(
                    end, window.last, _after(step, log_every), _planned(step + 1, steps, save_every)
                )
                # The first step goes alone: what it takes is compilation.
                until = step + 1 if step == start else min(until, step + logger.dispatch_size.steps)
                state, found = program.run(state, window, moving, until - step)
                waiting.append((until, until - step, found))
                step = until
                shutdown.mark_unsaved()
            owed = False
            end = step if shutdown.requested() else end
            planned = step == _planned(step, steps, save_every)
            alone = planned or step == end or step == start + 1
            while len(waiting) >= (1 if alone else program.in_flight):
                logger.record(waiting.popleft(), state)
            if planned and judged is not None:
                measured = sweep(program, state, judged(), judging, lambda: bool(shutdown.signal))
                if measured is None:
                    end = step
                else:
                    logger.record_validation(step, measured)
                    history = [*history, (step, (patience or Patience()).value(measured, math.nan))]
            if planned or step == end:
                logger.flush(step)
                check_finite(state, step)
                if planned and on_validation is not None and not shutdown.signal:
                    on_validation(state)
                    logger.lap("evaluate")
                # What is saved already stays as it is; the next history has its value, after the last step none comes.
                if keeping and (step > saved or step == steps):
                    store.save(state, history)
                    saved = step
                    logger.lap("save")

        logger.finish(step)
        if patience and history and (step == steps or patience.is_over(history)):
            value, best = min((_or_inf(value), at) for at, value in history)
            state, _ = (store.restore(program.abstract, best) if value < math.inf else None) or (
                state,
                history,
            )
    return state


def _again(
    data: Dataset, batch_size: int, place: Callable[[Any], Any]
) -> Callable[[], Iterable[Window]]:
    """The windows of a set that is gone through many times: a resident set is placed once."""
    if data.nbytes > RESIDENT_BYTES:
        return lambda: evaluation_windows(data, batch_size, place)
    windows = list(evaluation_windows(data, batch_size, place))
    return lambda: windows


def _metrics(
    learner: Learner, program: Program, window: Window, key: Key[Array, ""]
) -> dict[str, Any]:
    """What evaluation measures; nothing is computed."""

    def evaluated(state, arrays, rows, key):
        return learner.evaluate(state, gather(arrays, rows), key)

    if key.ndim:
        evaluated = jax.vmap(evaluated, (0, None, 0, 0))
    measured = jax.eval_shape(evaluated, program.abstract, window.arrays, window.order[0], key)
    return dict.fromkeys(measured, 0.0)


def _after(step: int, n: int) -> int:
    """The next multiple of `n` after a step; never, for 0."""
    return (step // n + 1) * n if n else sys.maxsize


def _planned(step: int, steps: int, save_every: int) -> int:
    """The first step, from this one on, that is validated and saved."""
    return min(steps, _after(step - 1, save_every))


def _or_inf(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _check_kinds(learner: Learner, data: Dataset, strategy: Strategy, store: Store) -> None:
    of_kind("learner", learner, Learner, "a Learner")
    of_kind("data", data, Dataset, "a jaxdl.data.Dataset")
    of_kind("strategy", strategy, Strategy, "what jaxdl.strategy(name) returns")
    of_kind("store", store, Store, "jaxdl.Directory(path)")


def _check(steps: int, log_every: int, save_every: int, stop_after: int | None) -> None:
    at_least("steps", steps, 1)
    at_least("log_every", log_every, 1)
    at_least("save_every", save_every, 0)
    at_least("stop_after", 1 if stop_after is None else stop_after, 1)


def _check_patience(patience: Patience | None, validation: Dataset | None, save_every: int) -> None:
    if patience is None:
        return
    at_least("Patience.times", patience.times, 1)
    if validation is None:
        raise InputError("validation", None, "a set, as patience looks at its metrics")
    at_least("save_every", save_every, 1)
