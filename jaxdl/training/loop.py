"""The training loop, the same one for every learner."""

import contextlib
import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
from jaxtyping import Array, Key

from jaxdl.core import Learner, State
from jaxdl.data.checks import check_batch_size, check_lengths
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import RESIDENT_BYTES, Window, evaluation_windows, gather, training_windows
from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.rng import check_key, stream
from jaxdl.training.ensemble import check_runs, check_values, strategy_for_keys
from jaxdl.training.evaluation import evaluate_windows
from jaxdl.training.metric_logger import MetricLogger, check_finite
from jaxdl.training.program import Program
from jaxdl.training.replay import MAX_STEPS_FROM_START, locate_nonfinite
from jaxdl.training.schedule import Patience, Schedule
from jaxdl.training.shutdown import GracefulShutdown
from jaxdl.training.store import History, InMemory, Store
from jaxdl.training.strategies import Checked, Strategy
from jaxdl.training.strategies import strategy as by_name
from jaxdl.training.writers import Writer


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
    """Trains a learner; resumes from the newest state in `store`.

    The result depends on the arguments only, no matter how often the run is interrupted. On
    Ctrl-C, SIGTERM or SIGHUP the current step is saved in `store` before the signal takes effect.
    This takes about a second, or until a compilation in progress has ended. The conditions are
    those of `jaxdl.training.shutdown.GracefulShutdown`.

    Args:
      learner: the learner to train.
      data: the training set.
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
      store: the store for checkpoints; None means that no checkpoint outlasts this call.
      writers: metric writers, called every `log_every` steps.
      stop_after: a step after which the run is saved and ends, as if interrupted; None means that
        it runs to the end.
      on_validation: called with the state at every validation, before it is saved, for example to
        generate samples. The next step donates the buffers of this state, so copy what you keep.
        After an interruption the function may be called again with the same state.

    Returns:
      The last state, or the best one with `patience`.

    Raises:
      InputError: an argument out of range, or patience without a validation set.
      CheckpointError: a state could not be saved, or the state in `store` has another layout.
      NonFinite: a metric became NaN or infinite; that state is not saved. With a store, the steps
        since its newest state are repeated to find the first non-finite one. For several runs,
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
    keep_states = store is not None or patience is not None
    store = store or InMemory()
    schedule = Schedule(steps, log_every, save_every)
    _check_kinds(learner, data, strategy, store)
    check_key(key)
    schedule.validate()
    if stop_after is not None:
        at_least("stop_after", stop_after, 1)
    check_runs(learner, key)
    _check_sweep(learner, patience)
    strategy = strategy_for_keys(key, strategy)
    _check_sets(data, validation, batch_size, key, strategy)
    _check_patience(patience, validation, save_every)
    logger = MetricLogger(writers, batch_size * key.size, log_every, key.ndim)
    init_key, train_key, eval_key = (
        strategy.place(stream(key, name)) for name in ("init", "train", "eval")
    )

    example = next(training_windows(data, key, batch_size, 0, lambda host: host))
    program = strategy.compile(learner, example)
    _check_carry(program, data)
    if patience:
        patience.value(_metrics(learner, program, example, eval_key))

    def saved_state(step: int) -> State | None:
        """Returns the state to replay from, for an error at `step`; None if there is none."""
        if not keep_states or isinstance(strategy, Checked):
            return None
        state, _ = store.restore(program.abstract) or (None, [])
        if state is None and step <= MAX_STEPS_FROM_START:
            return program.init(init_key)
        return state

    def windows_from(step: int) -> Iterator[Window]:
        return training_windows(data, key, batch_size, step, strategy.place)

    with (
        GracefulShutdown() as shutdown,
        contextlib.closing(store),
        locate_nonfinite(saved_state, windows_from, program, train_key, shutdown.requested),
    ):
        run = _Run(
            *_first_state(learner, program, store, init_key, steps),
            program=program,
            schedule=schedule,
            end=min(steps, stop_after or steps),
            windows_from=windows_from,
            validation_windows=_placed(validation, batch_size, strategy.place),
            train_key=train_key,
            eval_key=eval_key,
            patience=patience,
            on_validation=on_validation,
            store=store,
            keep_states=keep_states,
            logger=logger,
            shutdown=shutdown,
        )
        while run.is_unfinished():
            run.advance()
        return run.finish()


@dataclasses.dataclass
class _Run:
    """The state and position of a run inside `train`, and the objects that it uses.

    Attributes:
      state: the current state.
      history: the validations so far, `(step, value)`.
      end: the last step of this call; lowered to the current step when the run has to end early.
      windows_from: `windows_from(step)`, the training windows from a step on.
      validation_windows: the windows of the validation set; None without one.
      keep_states: if True, states are saved in `store`.

    The other attributes are the arguments of `train` or were made from them.
    """

    state: State
    history: History
    program: Program
    schedule: Schedule
    end: int
    windows_from: Callable[[int], Iterator[Window]]
    validation_windows: Callable[[], Iterable[Window]] | None
    train_key: Key[Array, ""]
    eval_key: Key[Array, ""]
    patience: Patience | None
    on_validation: Callable[[State], None] | None
    store: Store
    keep_states: bool
    logger: MetricLogger
    shutdown: GracefulShutdown

    def __post_init__(self) -> None:
        self.step = self.state.steps_done
        self.start = self.step
        self.saved = self.step
        self.windows = self.windows_from(self.step)
        self.window = next(self.windows)
        self.pending = deque[tuple[int, int, Any]]()
        self.end_if_requested()
        # The validation of the restored state is missing if a signal interrupted it.
        self.validation_missing = (
            self.validation_windows is not None
            and self.step > 0
            and self.schedule.validates_at(self.step)
            and self.step not in dict(self.history)
            and not self.shutdown.signal
        )

    def is_unfinished(self) -> bool:
        """Returns True if steps, or the validation of the restored state, remain to be done."""
        if self.patience and self.patience.is_over(self.history):
            return False
        return self.step < self.end or self.validation_missing

    def advance(self) -> None:
        """Trains up to the next event; then records, validates and saves what is due there."""
        if not self.validation_missing:
            self.dispatch()
        self.validation_missing = False
        self.end_if_requested()
        self.record_metrics()
        validates = self.schedule.validates_at(self.step)
        if validates and self.validation_windows is not None:
            self.validate(self.validation_windows())
        if validates or self.step == self.end:
            self.save(validates)

    def dispatch(self) -> None:
        """Starts the steps up to the next event, at most those of one dispatch."""
        if self.step == self.window.end:
            self.window = next(self.windows)
        until = min(
            self.end,
            self.window.end,
            self.schedule.next_log(self.step),
            self.schedule.next_validation(self.step + 1),
            self.step + self.logger.dispatch_size.steps,
        )
        # The first dispatch is a single step, because its time is mostly compilation.
        if self.step == self.start:
            until = self.step + 1
        count = until - self.step
        self.state, metrics = self.program.run(self.state, self.window, self.train_key, count)
        self.pending.append((until, count, metrics))
        self.step = until

    def end_if_requested(self) -> None:
        """Makes the current step the last one if a signal requested the end of the run."""
        if self.shutdown.requested():
            self.end = self.step

    def record_metrics(self) -> None:
        """Records the metrics of finished dispatches; of all of them before an event."""
        limit = self.program.in_flight
        if self.schedule.validates_at(self.step) or self.step in (self.end, self.start + 1):
            limit = 1
        while len(self.pending) >= limit:
            self.logger.record(self.pending.popleft(), self.state)

    def validate(self, windows: Iterable[Window]) -> None:
        """Evaluates the validation set; ends the run at this step if a signal interrupts that."""
        metrics = evaluate_windows(
            self.program, self.state, windows, self.eval_key, lambda: bool(self.shutdown.signal)
        )
        if metrics is None:
            self.end = self.step
            return
        self.logger.record_validation(self.step, metrics)
        value = (self.patience or Patience()).value(metrics, math.nan)
        self.history = [*self.history, (self.step, value)]

    def save(self, validates: bool) -> None:
        """Flushes the metrics, calls `on_validation` if the step validates, and saves the state."""
        self.logger.flush(self.step)
        check_finite(self.state, self.step)
        if validates and self.on_validation is not None and not self.shutdown.signal:
            self.on_validation(self.state)
            self.logger.lap("evaluate")
        # A restored state is not saved again after its missing validation, because the next
        # checkpoint contains that value. After the last step no checkpoint follows, so it is saved.
        if self.keep_states and (self.step > self.saved or self.step == self.schedule.steps):
            self.store.save(self.state, self.history)
            self.saved = self.step
            self.logger.lap("save")

    def finish(self) -> State:
        """Writes the last metrics; returns the last state, or the best one with patience."""
        self.logger.finish(self.step)
        if not self.patience or not self.history:
            return self.state
        if self.step < self.schedule.steps and not self.patience.is_over(self.history):
            return self.state
        best = self.patience.best_step(self.history)
        if best is None:
            return self.state
        restored = self.store.restore(self.program.abstract, best)
        if restored is None:
            return self.state
        return restored[0]


def _first_state(
    learner: Learner, program: Program, store: Store, key: Key[Array, ""], steps: int
) -> tuple[State, History]:
    """Returns the newest state in the store with its validations, or a new state."""
    state, history = store.restore(program.abstract) or (program.init(key), [])
    check_values(learner, state)
    done = state.steps_done
    if steps < done:
        raise InputError("steps", steps, f"at least {done}, the step that the store has reached")
    return state, history


def _placed(
    data: Dataset | None, batch_size: int, place: Callable[[Any], Any]
) -> Callable[[], Iterable[Window]] | None:
    """Returns a function that gives the windows of a set; a resident set is placed only once."""
    if data is None:
        return None
    if data.nbytes > RESIDENT_BYTES:
        return lambda: evaluation_windows(data, batch_size, place)
    windows = list(evaluation_windows(data, batch_size, place))
    return lambda: windows


def _metrics(
    learner: Learner, program: Program, window: Window, key: Key[Array, ""]
) -> dict[str, Any]:
    """Returns the names of the evaluation's metrics, each with 0, without computing anything."""

    def evaluate(state, arrays, rows, key):
        return learner.evaluate(state, gather(arrays, rows), key)

    if key.ndim:
        evaluate = jax.vmap(evaluate, (0, None, 0, 0))
    shapes = jax.eval_shape(evaluate, program.abstract, window.arrays, window.order[0], key)
    return dict.fromkeys(shapes, 0.0)


def _check_kinds(learner: Learner, data: Dataset, strategy: Strategy, store: Store) -> None:
    of_kind("learner", learner, Learner, "a Learner")
    of_kind("data", data, Dataset, "a jaxdl.data.Dataset")
    of_kind("strategy", strategy, Strategy, "jaxdl.strategy(name)")
    of_kind("store", store, Store, "jaxdl.Directory(path)")


def _check_sweep(learner: Learner, patience: Patience | None) -> None:
    if learner.runs and patience:
        raise InputError(
            "patience", patience, "None, for runs that differ in their hyper-parameters"
        )


def _check_sets(
    data: Dataset,
    validation: Dataset | None,
    batch_size: int,
    key: Key[Array, "*N"],
    strategy: Strategy,
) -> None:
    shares = 1
    if key.ndim == 0:
        shares = len(strategy.devices)
    check_batch_size(data, batch_size, shares)
    check_lengths(data)
    if validation is not None:
        check_lengths(validation)


def _check_carry(program: Program, data: Dataset) -> None:
    if "carry" in program.abstract.extra and not data.contiguous:
        raise InputError(
            "data", data.name, "a contiguous set, for a model with a carry; see Dataset.contiguous"
        )


def _check_patience(patience: Patience | None, validation: Dataset | None, save_every: int) -> None:
    if patience is None:
        return
    at_least("Patience.times", patience.times, 1)
    if validation is None:
        raise InputError("validation", None, "a data set, because patience uses its metrics")
    at_least("save_every", save_every, 1)
