"""Grid and random search of hyper-parameters, with early halving, in one program."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.core import Learner, State
from jaxdl.data.dataset import Dataset, check_batch_size
from jaxdl.data.order import Window
from jaxdl.errors import InputError, at_least, of_kind, one_of, real_number
from jaxdl.rng import check_single_key, stream
from jaxdl.selection.folds import Folds
from jaxdl.training.evaluation import evaluate_windows
from jaxdl.training.metric_logger import finite_on_host
from jaxdl.training.program import MAX_STEPS, Program, blank_of, example_of
from jaxdl.training.strategies import Sharded
from jaxdl.wrappers import sweep

#: Values of each hyper-parameter, one per candidate.
Candidates = Mapping[str, Sequence[float]]


class Rung(NamedTuple):
    """A comparison of the candidates that are left.

    Attributes:
      step: number of steps that each of them was trained.
      candidates: `[C]`, their indices.
      scores: `[C]`, their scores.
    """

    step: int
    candidates: Int[np.ndarray, " C"]
    scores: Float[np.ndarray, " C"]


class Search(NamedTuple):
    """The result of a search.

    Attributes:
      candidates: values of each hyper-parameter, one per candidate.
      rungs: comparisons, the last one after all steps.
      best: values of the best candidate by name.
      score: its score after all steps. It is the best of several on the set that chose it, so it
        is too good: evaluate the best candidate on a test set.

    Example: see `search`.
    """

    candidates: dict[str, tuple[float, ...]]
    rungs: tuple[Rung, ...]
    best: dict[str, float]
    score: float


def grid(**values: Sequence[float]) -> dict[str, tuple[float, ...]]:
    """Returns all combinations of some values as candidates.

    Example:
      >>> grid(learning_rate=[0.1, 0.2], l1=[0.0, 1.0])
      {'learning_rate': (0.1, 0.1, 0.2, 0.2), 'l1': (0.0, 1.0, 0.0, 1.0)}
    """
    for name, given in values.items():
        of_kind(name, given, Sequence | np.ndarray, "a list of values, such as [1e-3, 1e-2]")
        numbers = [real_number(each) for each in given]
        if not numbers or isinstance(given, str) or None in numbers:
            raise InputError(name, given, "a list of values, such as [1e-3, 1e-2]")
    combinations = list(itertools.product(*values.values()))
    return {name: tuple(each[i] for each in combinations) for i, name in enumerate(values)}


def sample(
    key: Key[Array, ""], count: int, **ranges: tuple[float, float] | tuple[float, float, str]
) -> dict[str, tuple[float, ...]]:
    """Draws candidates at random.

    Args:
      key: a root key. Each name has a separate stream below the stream "search", so another name
        changes no values.
      count: number of candidates, at least 1.
      **ranges: `(low, high)` for uniform values, or `(low, high, "log")` for uniform logarithms.

    Raises:
      InputError: a range without low < high, or logarithms of numbers that are not above 0.

    Source: Bergstra and Bengio (2012), Random search for hyper-parameter optimization.

    Example:
      >>> import jaxdl
      >>> drawn = sample(jaxdl.root(0), 3, learning_rate=(1e-4, 1e-1, "log"), dropout=(0.0, 0.5))
      >>> {name: len(values) for name, values in drawn.items()}
      {'learning_rate': 3, 'dropout': 3}
    """
    at_least("count", count, 1)
    check_single_key(key)
    base = stream(key, "search")
    drawn = {}
    for name, given in ranges.items():
        low, high, logarithmic = _checked_range(name, given)
        uniform = np.asarray(jax.random.uniform(stream(base, name), (count,)), np.float64)
        if logarithmic:
            values = low * (high / low) ** uniform
        else:
            values = low + (high - low) * uniform
        drawn[name] = tuple(values.tolist())
    return drawn


def search(
    make: Callable[..., Learner],
    candidates: Candidates,
    data: Dataset | Folds,
    validation: Dataset | None = None,
    *,
    key: Key[Array, ""],
    steps: int,
    batch_size: int = 128,
    rungs: int = 1,
    keep: float = 0.5,
    metric: str = "loss",
    larger: bool = False,
) -> Search:
    """Trains candidates and keeps the better ones, until the best one has done all steps.

    With R rungs, all candidates are trained for the first part of the steps. The best fraction
    `keep` of them continues from its states to the next rung.

        s_r = round(S keep^(R - 1 - r)),    r = 0, ..., R - 1

    All candidates are runs of one compiled program, one after the other, because their values are
    inputs of the program as in `jaxdl.sweep`. They share their key. A candidate that is not finite
    has the worst score.

    Args:
      make: `make(**numbers) -> Learner`, as in `jaxdl.sweep`.
      candidates: values by name, such as those of `grid` or `sample`.
      data: the training set; or folds, whose score is the mean over the folds.
      validation: the validation set; None with folds.
      key: the root key of all runs.
      steps: S, number of steps of the last rung.
      batch_size: examples per step.
      rungs: R, number of comparisons, at least 1. 1 trains every candidate to the end.
      keep: fraction of the candidates that continues, in (0, 1).
      metric: metric of the validation set that is the score.
      larger: if True, larger scores are better.

    Returns:
      The search.

    Raises:
      InputError: a number out of range, an unknown metric, a missing validation set, or no
        candidate with a finite score.

    Source: Jamieson and Talwalkar (2016), Non-stochastic best arm identification (successive
      halving).

    Example:
      >>> import jaxdl
      >>> digits, _ = jaxdl.data.load("digits")
      >>> train, validation = jaxdl.data.split(digits, jaxdl.root(0), 0.2)
      >>> def make(learning_rate):
      ...     task = jaxdl.tasks.classify(jaxdl.models.MLP([16]))
      ...     adam = jaxdl.optimizers.optimizer("adam", learning_rate)
      ...     return jaxdl.learner(task.init, *task.updates(adam))
      >>> rates = grid(learning_rate=[1e-5, 1e-3, 1e-2, 10.0])
      >>> found = search(make, rates, train, validation, key=jaxdl.root(0), steps=80, rungs=2)
      >>> found.best, [rung.candidates.tolist() for rung in found.rungs]
      ({'learning_rate': 0.01}, [[0, 1, 2, 3], [1, 2]])
    """
    check_single_key(key)
    _check_search(data, validation, steps, rungs, keep)
    runs = _Runs(make, candidates, data, validation, key, batch_size)
    alive = np.arange(runs.count)
    compared = []
    for rung in range(rungs):
        until = _rung_end(steps, keep, rungs, rung)
        scores = np.array([runs.score(int(i), until, metric) for i in alive])
        compared.append(Rung(until, alive, scores))
        order = np.argsort(-scores if larger else scores, kind="stable")
        order = order[np.isfinite(scores[order])]
        if not order.size:
            allowed = "some candidate with a finite score; try smaller learning rates"
            raise InputError("candidates", f"{len(alive)} that all diverged", allowed)
        kept = np.sort(alive[order[: max(1, math.ceil(keep * len(alive)))]])
        for candidate in set(alive.tolist()) - set(kept.tolist()):
            runs.drop(candidate)
        alive = kept
    best = int(compared[-1].candidates[order[0]])
    values = {name: tuple(float(x) for x in given) for name, given in candidates.items()}
    chosen = {name: given[best] for name, given in values.items()}
    return Search(values, tuple(compared), chosen, float(scores[order[0]]))


class _Windows:
    """The windows of all runs, which are placed once and kept."""

    def __init__(self, windows: Iterator[Window]):
        self.source = windows
        self.kept: list[Window] = [next(windows)]

    def at(self, step: int) -> Window:
        """Returns the window of a step."""
        while step >= self.kept[-1].end:
            self.kept.append(next(self.source))
        return next(window for window in self.kept if window.first <= step < window.end)


class _Runs:
    """All runs of a search: a state for each candidate and fold, and one program."""

    def __init__(
        self,
        make: Callable[..., Learner],
        candidates: Candidates,
        data: Dataset | Folds,
        validation: Dataset | None,
        key: Key[Array, ""],
        batch_size: int,
    ):
        self.folds = data.count if isinstance(data, Folds) else 1
        repeated = {name: np.repeat(given, self.folds) for name, given in candidates.items()}
        net = sweep(make, **repeated)  # type: ignore[arg-type]
        members = len(next(iter(repeated.values())))
        self.count = members // self.folds
        strategy = Sharded(jax.devices()[:1])
        place = strategy.place
        train: Any = data
        held_out: Any = validation
        keys = key
        if isinstance(data, Folds):
            keys = data.keys(key)
            train = data.train
            held_out = data.held_out
        check_batch_size(train, batch_size)
        self.windows = _Windows(train.training(keys, batch_size, 0, place))
        size = min(500, held_out.size)
        self.evaluation = [*held_out.evaluation(size, place)]
        window = self._of_fold(self.windows.at(0), 0)
        self.program: Program = strategy.compile(net, window)
        every = jnp.broadcast_to(stream(key, "init"), (members,))
        states = jax.jit(net.init)(every, blank_of(example_of(window)))
        self.states: list[State | None] = [place(states.member(i)) for i in range(members)]
        self.train_key = place(stream(key, "train"))
        self.eval_key = place(stream(key, "eval"))

    def score(self, candidate: int, until: int, metric: str) -> float:
        """Returns the mean score of all folds of a candidate, trained until a step."""
        first = candidate * self.folds
        scores = [self._score(first + fold, fold, until, metric) for fold in range(self.folds)]
        return float(np.mean(scores))

    def _score(self, i: int, fold: int, until: int, metric: str) -> float:
        """Returns the score of one run, NaN if its state is not finite."""
        state = self.states[i]
        assert state is not None
        while state.steps_done < until:
            window = self.windows.at(state.steps_done)
            count = min(window.end, until) - state.steps_done
            own = self._of_fold(window, fold)
            state, _ = self.program.run(state, own, self.train_key, min(count, MAX_STEPS))
        self.states[i] = state
        if not np.stack(list(finite_on_host(state).values())).all():
            return math.nan
        windows = [self._of_fold(window, fold) for window in self.evaluation]
        metrics = evaluate_windows(self.program, state, windows, self.eval_key)
        assert metrics is not None
        one_of("metric", metric, metrics)
        return float(np.mean(metrics[metric]))

    def drop(self, candidate: int) -> None:
        """Frees the states of a candidate that does not continue."""
        first = candidate * self.folds
        self.states[first : first + self.folds] = [None] * self.folds

    def _of_fold(self, window: Window, fold: int) -> Window:
        """Returns the window of one fold."""
        if window.order.ndim != 3:
            return window
        return window._replace(order=window.order[:, fold])


def _checked_range(name: str, given: Any) -> tuple[float, float, bool]:
    """Returns low, high and True for logarithms; raises InputError for another range."""
    allowed = '(low, high) or (low, high, "log"), with low < high; low above 0 for "log"'
    of_kind(name, given, Sequence, allowed)
    logarithmic = len(given) == 3 and given[2] == "log"
    if not (len(given) == 2 or logarithmic):
        raise InputError(name, given, allowed)
    low = given[0]
    high = given[1]
    numbers = real_number(low), real_number(high)
    if None in numbers or not -math.inf < low < high < math.inf or (logarithmic and low <= 0):
        raise InputError(name, given, allowed)
    return float(low), float(high), logarithmic


def _check_search(
    data: Dataset | Folds, validation: Dataset | None, steps: int, rungs: int, keep: float
) -> None:
    """Raises InputError for numbers out of range, or sets that cannot be scored."""
    of_kind("data", data, Dataset | Folds, "a jaxdl.data.Dataset or Folds")
    if isinstance(data, Folds) and validation is not None:
        raise InputError("validation", validation.name, "None with folds, which are held out")
    if isinstance(data, Folds) and data.repeats != 1:
        raise InputError("repeats", data.repeats, "1; the candidates repeat the folds")
    if isinstance(data, Dataset) and validation is None:
        raise InputError("validation", None, "a validation set, or folds as the training set")
    at_least("steps", steps, 1)
    at_least("rungs", rungs, 1)
    if not 0 < keep < 1:
        raise InputError("keep", keep, "a number in (0, 1)")
    reached = [_rung_end(steps, keep, rungs, rung) for rung in range(rungs)]
    if len(set(reached)) < rungs:
        allowed = f"fewer rungs or more steps; these end at the steps {reached}"
        raise InputError("rungs", rungs, allowed)


def _rung_end(steps: int, keep: float, rungs: int, rung: int) -> int:
    """Returns the step at which a rung compares its candidates."""
    return max(1, round(steps * keep ** (rungs - 1 - rung)))
