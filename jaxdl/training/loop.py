"""The training loop, the same one for every learner."""

import contextlib
import functools
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jaxtyping import Array, Key

from jaxdl.core import Learner, State, Sweep
from jaxdl.data.checks import check_numbers
from jaxdl.data.dataset import Dataset, check_batch_size, check_source
from jaxdl.data.faults import check_alike
from jaxdl.data.order import Window, Windows
from jaxdl.data.source import Source
from jaxdl.errors import InputError, NonFinite, RunError, not_in_jit, of_kind
from jaxdl.rng import check_key, stream
from jaxdl.training.ensemble import check_learner, check_sweep, check_values, strategy_for_keys
from jaxdl.training.evaluation import check_members, evaluate_windows
from jaxdl.training.fingerprint import (
    Fingerprint,
    check_fingerprint,
    fingerprint,
    warn_of_conversion,
)
from jaxdl.training.metric_logger import MetricLogger, not_finite
from jaxdl.training.plan import Patience, Schedule, Stop, check_schedule, plan
from jaxdl.training.program import Program, example_of, traced_evaluate
from jaxdl.training.replay import MAX_STEPS_FROM_START, locate_nonfinite, with_cause
from jaxdl.training.shutdown import GracefulShutdown
from jaxdl.training.store import Checkpoint, History, InMemory, Store
from jaxdl.training.strategies import Checked, Strategy
from jaxdl.training.strategies import strategy as by_name
from jaxdl.training.trackers import Written, tolerant


def train(
    learner: Learner | Sweep,
    data: Source,
    *,
    key: Key[Array, ""],
    steps: int,
    batch_size: int = 32,
    log_every: int = 100,
    save_every: int = 0,
    validation: Source | None = None,
    patience: Patience | None = None,
    strategy: Strategy | None = None,
    store: Store | None = None,
    writers: Sequence[Written] = (),
    stop_after: int | None = None,
    on_validation: Callable[[State], None] | None = None,
) -> State:
    """Trains a learner; resumes from the newest state in `store`.

    The result depends on the arguments only, no matter how often the run is interrupted. On
    Ctrl-C, SIGTERM or SIGHUP the current step is saved in `store` before the signal takes effect.
    This takes about a second, or until a compilation in progress has ended. The conditions are
    those of `jaxdl.training.shutdown.GracefulShutdown`.

    Args:
      learner: the learner to train, or a sweep.
      data: the training set, or another `jaxdl.data.Source`.
      key: the run's root key, from which all random numbers follow, together with the step.
        Several keys, `root(range(8))`, train as many runs in one program, with a leading axis on
        every leaf of the state, `[N, ...]`. Run i (`state.member(i)`) equals the run that key i
        gives alone on one device: bit for bit on a CPU, elsewhere up to rounding.
      steps: total number of updates, at least 1, including those of the state in `store`.
      batch_size: examples per step, at most the size of the set.
      log_every: steps between two calls of the writers, at least 1.
      save_every: steps between two validations, each followed by a checkpoint. 0 means at the end
        only.
      validation: a data set to evaluate during training; never the test set.
      patience: early stopping on that set; the best state is returned. Several runs are compared
        by their mean.
      strategy: the strategy; None means all devices.
      store: the store for checkpoints; None means that no checkpoint outlasts this call. A store
        belongs to one run: one key, learner, data, batch size and rule of early stopping, under
        the same settings of JAX and XLA. If its run is finished, a warning is given.
      writers: metric writers or functions `f(step, metrics)`, called every `log_every` steps. One
        that fails gets no more calls, and a warning names its error.
      stop_after: a step after which the run is saved and ends, as if interrupted; None means that
        it runs to the end.
      on_validation: called with the state at every validation, before it is saved, for example to
        generate samples. The next step donates the buffers of this state, so copy what you keep.
        After an interruption the function may be called again with the same state.

    Returns:
      The last state, or the best one with `patience`.

    Raises:
      InputError: an argument out of range, patience without a validation set, or a store that
        cannot be written.
      CheckpointError: a state could not be saved, or the state in `store` has another layout or
        belongs to another run; the message contains both values.
      RunError: another process trains with the directory of `store`, the directory was moved, or
        this process was forked from one that has trained.
      NonFinite: a metric became NaN or infinite; that state is not saved. With a store, the steps
        since its newest state are repeated to find the first non-finite one. The message begins
        with the row of its batch that has a NaN, an infinity or no valid label. For several runs,
        the error means that all of them became non-finite. If only some did, a warning names
        them and the others continue.
      KeyboardInterrupt, SystemExit: a signal requested the end of the run.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
      >>> int(train(net, data, key=jaxdl.root(0), steps=3).step)
      3
    """
    strategy = strategy or by_name()
    schedule = Schedule(steps, log_every, save_every)
    _check_call(learner, data, validation, strategy, store, writers)
    each_writer = [tolerant(writer) for writer in writers]
    check_key(key)
    check_schedule(schedule, stop_after, patience, validation is not None)
    check_sweep(learner, key, stops_early=patience is not None)
    strategy = strategy_for_keys(key, strategy)
    check_batch_size(data, batch_size, strategy.shares)
    batch_size = int(batch_size)
    early = patience and f"{patience} every {save_every} steps"
    run = _prepare(learner, data, validation, key, batch_size, strategy, store, early)
    _check_program(run, data, patience)
    logger = MetricLogger(each_writer, batch_size * key.size, run.program.several)

    with GracefulShutdown() as shutdown, contextlib.closing(run.store):
        run.store.open(run.program.abstract)
        state, history = _first_state(run, steps, patience)
        start = state.steps_done
        end = min(steps, stop_after or steps)
        longest = functools.partial(_longest, run.windows, logger)
        stops = plan(start, end, schedule, longest)
        if validation is not None and _lacks_validation(start, schedule, history):
            stops = itertools.chain([_validation_only(start, end)], stops)
        if shutdown.requested() or (patience and patience.is_over(history)):
            stops = iter(())
        for stop in stops:
            if stop.steps:
                window = run.windows.at(stop.first)
                state, rows = run.program.run(state, window, run.train_key, stop.steps)
                logger.add(stop, rows)
            last = shutdown.requested() or stop.last
            in_flight = 0 if stop.wait or last else run.program.in_flight - 1
            _check(logger.record(state, in_flight), run, shutdown)
            if stop.validate:
                history = _validated(run, state, history, patience, logger, shutdown)
            if stop.validate or last:
                logger.flush(stop.until)
                _check(not_finite(state, stop.until), run, shutdown)
                if stop.validate and on_validation is not None and not shutdown.signal:
                    on_validation(state)
                    logger.lap("evaluate")
                # A restored state is not saved again after its missing validation, because the
                # next checkpoint contains that value. After the last step no checkpoint follows.
                if run.saves and (stop.steps or stop.until == steps):
                    run.store.save(Checkpoint(state, history, run.fingerprint))
                    logger.lap("save")
            is_over = shutdown.signal or (patience and patience.is_over(history))
            if last or (stop.validate and is_over):
                break
        logger.finish(state.steps_done)
        return _result(run, state, history, patience, steps)


class _Prepared(NamedTuple):
    """Everything that a run has compiled and placed on devices before its first step.

    Attributes:
      learner: the learner.
      example: a window on the host, for shapes.
      program: the compiled program.
      windows: the windows of the training set.
      validation_windows: the windows of the validation set; none without one.
      init_key: key of the initial state.
      train_key: key of the steps.
      eval_key: key of the validations.
      store: the store of the run, or one in memory that this call uses alone.
      saves: if True, states are saved, for later calls or for early stopping.
      replayable: if True, steps can be repeated to find the first non-finite one.
      fingerprint: the identity of the run; empty if no checkpoint outlasts it.
      classes: number of classes of the training set; None if it has none.
    """

    learner: Learner | Sweep
    example: Window
    program: Program
    windows: Windows
    validation_windows: Iterable[Window]
    init_key: Key[Array, "*N"]
    train_key: Key[Array, "*N"]
    eval_key: Key[Array, "*N"]
    store: Store
    saves: bool
    replayable: bool
    fingerprint: Fingerprint
    classes: int | None


def _prepare(
    learner: Learner | Sweep,
    data: Source,
    validation: Source | None,
    key: Key[Array, "*N"],
    batch_size: int,
    strategy: Strategy,
    store: Store | None,
    early_stopping: str | None,
) -> _Prepared:
    """Compiles the program of a run, and places its sets and keys on the devices."""
    place = strategy.place
    example = next(data.training(key, batch_size, 0, lambda host: host))
    program = strategy.compile(learner, example)
    identity: Fingerprint = {}
    if store is not None:
        parts = learner, example_of(example), program, strategy, data, validation
        identity = fingerprint(*parts, key, batch_size, early_stopping)
    saves = store is not None or early_stopping is not None
    validation_windows: Iterable[Window] = ()
    if validation is not None:
        validation_windows = validation.evaluation(batch_size, place)
        first = next(iter(validation.evaluation(batch_size, lambda host: host)))
        check_members(first, key.size, validation.name)
    return _Prepared(
        learner,
        example,
        program,
        Windows(lambda step: data.training(key, batch_size, step, place)),
        validation_windows,
        place(stream(key, "init")),
        place(stream(key, "train")),
        place(stream(key, "eval")),
        store or InMemory(),
        saves,
        # Checked steps name the first non-finite operation themselves.
        replayable=saves and not isinstance(strategy, Checked),
        fingerprint=identity,
        classes=getattr(data, "classes", None),
    )


def _restored(run: _Prepared, step: int | None = None) -> Checkpoint | None:
    """Restores a checkpoint of this run; raises CheckpointError for one of another run."""
    checkpoint = run.store.restore(run.program.abstract, step)
    if checkpoint is not None:
        check_values(run.learner, checkpoint.state)
        if run.fingerprint:
            check_fingerprint(checkpoint.fingerprint, run.fingerprint)
    return checkpoint


def _first_state(run: _Prepared, steps: int, patience: Patience | None) -> tuple[State, History]:
    """Returns the newest state in the store with its validations, or a new state."""
    restored = _restored(run)
    if restored is None:
        return run.program.init(run.init_key), []
    state, history, stored = restored
    done = state.steps_done
    if steps < done:
        raise InputError("steps", steps, f"at least {done}, the step that the store has reached")
    if run.fingerprint:
        warn_of_conversion(stored, run.fingerprint)
    if steps == done or (patience and patience.is_over(history)):
        warnings.warn(f"store: already finished at step {done}; nothing trained", stacklevel=3)
    return state, history


def _longest(windows: Windows, logger: MetricLogger, step: int) -> int:
    """Returns the largest number of steps of a dispatch after `step`, within one window."""
    return min(windows.at(step).end - step, logger.dispatch_size.steps)


def _lacks_validation(step: int, schedule: Schedule, history: History) -> bool:
    """Returns True if a signal interrupted the validation of a restored state."""
    return step > 0 and schedule.validates_at(step) and step not in dict(history)


def _validation_only(step: int, end: int) -> Stop:
    """Returns a stop without a dispatch, for the missing validation of a restored state."""
    return Stop(step, step, log=False, validate=True, wait=True, last=step >= end)


def _validated(
    run: _Prepared,
    state: State,
    history: History,
    patience: Patience | None,
    logger: MetricLogger,
    shutdown: GracefulShutdown,
) -> History:
    """Evaluates the validation set; returns the history with its value.

    Without a set, or if a signal interrupts the evaluation, the history is unchanged.
    """
    if not run.validation_windows:
        return history
    metrics = evaluate_windows(
        run.program, state, run.validation_windows, run.eval_key, lambda: bool(shutdown.signal)
    )
    if metrics is None:
        return history
    step = state.steps_done
    logger.record_validation(step, metrics)
    return [*history, (step, (patience or Patience()).value(metrics, math.nan))]


def _check(error: NonFinite | None, run: _Prepared, shutdown: GracefulShutdown) -> None:
    """Raises an error, as that of the first non-finite step where steps can be repeated."""
    if error is None:
        return

    def saved_state() -> State | None:
        restored = _restored(run)
        if restored is None and error.step <= MAX_STEPS_FROM_START:
            return run.program.init(run.init_key)
        return restored and restored.state

    first = error
    if run.replayable:
        first = locate_nonfinite(
            error, saved_state, run.windows, run.program, run.train_key, shutdown.requested
        )
    raise with_cause(first, run.windows, run.classes, run.program, run.init_key)


def _result(
    run: _Prepared, state: State, history: History, patience: Patience | None, steps: int
) -> State:
    """Returns the last state, or the best one if patience ended the run or it is complete."""
    if not patience or not history:
        return state
    if state.steps_done < steps and not patience.is_over(history):
        return state
    best = patience.best_step(history)
    restored = None
    if best is not None:
        restored = _restored(run, best)
    if restored is None:
        return state
    return restored.state


def _check_process() -> None:
    """Raises RunError in a forked process, which lacks the threads of JAX and would hang."""
    if os.getpid() != _first_process():
        raise RunError(
            "train: this process was forked from one that has trained, and would wait forever; "
            "start it with multiprocessing.get_context('spawn')"
        )


@functools.cache
def _first_process() -> int:
    """Returns the process that trained first."""
    return os.getpid()


def _check_call(
    learner: Learner | Sweep,
    data: Source,
    validation: Source | None,
    strategy: Strategy,
    store: Store | None,
    writers: Sequence[Written],
) -> None:
    """Raises for arguments of another kind, and for a call in `jit` or in a forked process."""
    not_in_jit("train")
    _check_process()
    check_learner(learner)
    check_source(data)
    if validation is not None:
        check_source(validation, "validation")
        check_numbers(validation, "validation")
        if isinstance(data, Dataset) and isinstance(validation, Dataset):
            check_alike(data, validation, "validation")
    of_kind("strategy", strategy, Strategy, "jaxdl.strategy(name)")
    if store is not None:
        of_kind("store", store, Store, "jaxdl.training.Directory(path)")
    of_kind("writers", writers, Sequence, "a list of writers, such as [Memory()]")


def _check_program(run: _Prepared, data: Source, patience: Patience | None) -> None:
    """Raises for a carry without a contiguous set, or an unknown metric of the patience."""
    if "carry" in run.program.abstract.extra and not data.contiguous:
        raise InputError(
            "data", data.name, "a contiguous set, for a model with a carry; see Dataset.contiguous"
        )
    if patience is not None:
        patience.value(dict.fromkeys(_metric_names(run), 0.0))


def _metric_names(run: _Prepared) -> list[str]:
    """Returns the names of the evaluation's metrics, without computing anything."""
    return list(traced_evaluate(run.learner, example_of(run.example)).out_info)
