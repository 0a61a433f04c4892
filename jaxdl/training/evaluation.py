"""Evaluation of a data set: every example counts exactly once."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, State, Sweep
from jaxdl.data.checks import check_numbers
from jaxdl.data.dataset import check_source
from jaxdl.data.order import Window
from jaxdl.data.source import Source
from jaxdl.errors import InputError, NonFinite, at_least, not_in_jit, of_kind
from jaxdl.metrics import Metrics, means, read_rows, total_rows
from jaxdl.rng import check_key, root, stream
from jaxdl.training.ensemble import check_learner, strategy_for_keys
from jaxdl.training.metric_logger import describe_nonfinite
from jaxdl.training.program import DispatchSize, Program
from jaxdl.training.strategies import Strategy
from jaxdl.training.strategies import strategy as by_name


def evaluate(
    learner: Learner | Sweep,
    state: State,
    data: Source,
    *,
    key: Key[Array, ""] | None = None,
    batch_size: int = 500,
    strategy: Strategy | None = None,
) -> dict[str, Any]:
    """Computes the learner's metrics over a whole data set.

    Sums and counts are added over all batches, so the batch size does not matter.

    Args:
      learner: the learner that was trained.
      state: its state, on any devices. The learner evaluates `inference(state)`.
      data: the data set, or another `Source`. The last batch is padded and masked.
      key: the run's root key, for evaluations that sample noise. For several runs, one key each
        or one for all. None means the root key of seed 0.
      batch_size: examples per batch, at least 1; reduced to the size of the set if larger.
      strategy: the strategy; None means all devices.

    Returns:
      `{name: mean}`; for several runs in one program an array `[N, ...]` each.

    Raises:
      InputError: an argument of a wrong type, the state of another learner, inputs of another shape
        than in training, or a number of the set that counts and is not finite.
      NonFinite: the loss or another metric is NaN or infinite; for several runs, in all of them.

    Example:
      >>> import jaxdl, optax
      >>> train, test = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> state = jaxdl.train(net, train, key=jaxdl.root(0), steps=100)
      >>> evaluate(net, state, test)["accuracy"] > 0.8
      True
    """
    not_in_jit("evaluate")
    at_least("batch_size", batch_size, 1)
    check_learner(learner)
    check_source(data)
    check_numbers(data)
    of_kind("state", state, State, "the state that `train` returned")
    if key is None:
        key = root(0)
    check_key(key)
    if key.ndim > state.step.ndim:
        raise InputError("key", f"{len(key)} keys", "one key, for the state of one run")
    key = jnp.broadcast_to(key, state.step.shape)
    strategy = strategy_for_keys(key, strategy or by_name())
    size = min(batch_size, data.size)
    size += -size % strategy.shares
    example = next(iter(data.evaluation(size, lambda host: host)))
    check_members(example, state.step.size, data.name)
    program = strategy.compile(learner, example)
    if jax.tree.structure(state) != jax.tree.structure(program.abstract):  # type: ignore[operator]
        raise InputError("state", type(state), "the state that `train` returned for this learner")
    _check_shapes(state, program.abstract, data.name)  # type: ignore[arg-type]
    state = jax.tree.map(lambda x, to: jax.device_put(x, to.sharding), state, program.abstract)
    windows = data.evaluation(size, strategy.place)
    sums = _sum_windows(program, state, windows, strategy.place(stream(key, "eval")))
    assert sums is not None
    _check_finite(sums, state, data)
    metrics = means(sums)
    if program.several:
        return metrics
    return {name: _of_one_run(values) for name, values in metrics.items()}


def check_members(window: Window, count: int, name: str) -> None:
    """Raises InputError for a window with the rows of another number of runs.

    Args:
      window: a window of the set.
      count: number of runs.
      name: name of the set.
    """
    if window.order.ndim == 3 and window.order.shape[1] != count:
        given = f"{name} with rows for {window.order.shape[1]} runs"
        raise InputError("data", given, f"rows for {count} runs, such as the same folds")


def evaluate_windows(
    program: Program,
    state: State,
    windows: Iterable[Window],
    key: Key[Array, ""],
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, np.ndarray] | None:
    """Computes the metrics over all windows of a data set with a compiled program.

    Args:
      program: the program, from `strategy.compile`.
      state: the state, on the program's devices.
      windows: the windows, from `Source.evaluation`.
      key: the stream "eval" of the run's root key, on the program's devices.
      interrupted: called before every dispatch; if it returns True, the evaluation ends.

    Returns:
      `{name: means [N]}`, one for each run; None if the evaluation was interrupted.
    """
    sums = _sum_windows(program, state, windows, key, interrupted)
    if sums is None:
        return None
    return means(sums)


def _sum_windows(
    program: Program,
    state: State,
    windows: Iterable[Window],
    key: Key[Array, ""],
    interrupted: Callable[[], bool] = lambda: False,
) -> Metrics | None:
    """Computes the sums of the metrics over all windows, `[N]` each; None if interrupted."""
    dispatch_size = DispatchSize()
    rows = []
    for window in windows:
        done = 0
        count = window.order.shape[0]
        while done < count:
            if interrupted():
                return None
            began = time.perf_counter()
            until = min(done + dispatch_size.steps, count)
            metrics = program.evaluate(state, window, key, done, until)
            rows.append(read_rows(metrics, until - done, program.several))
            dispatch_size.update(until - done, time.perf_counter() - began)
            done = until
    return total_rows(rows)


def _check_finite(sums: Metrics, state: State, data: Source) -> None:
    """Raises NonFinite if the metrics of all runs are not finite."""
    finite = [np.isfinite(x).reshape(len(x), -1).all(1) for x in jax.tree.leaves(sums)]
    if not np.stack(finite).all(0).any():
        message = f"{describe_nonfinite(sums, state)}; evaluated on {data.name}"
        raise NonFinite(state.steps_done, message)


def _check_shapes(state: State, expected: State, name: str) -> None:
    """Raises if inputs of a set would need parameters of other shapes than those of the state."""
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    for (path, leaf), other in zip(leaves, jax.tree.leaves(expected.params), strict=True):
        if leaf.shape != other.shape:
            where = jax.tree_util.keystr(path, simple=True, separator="/")
            given = f"{name}, whose inputs need {where} {list(other.shape)}"
            allowed = f"inputs of the shape in training, which gave it {list(leaf.shape)}"
            raise InputError("data", given, allowed)


def _of_one_run(values: np.ndarray) -> Any:
    """Returns the metric of the only run: a number, or an array such as one number per class."""
    if values.ndim > 1:
        return values[0]
    return float(values[0])
