"""Evaluation: every example of a set, exactly once."""

import time
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxdl.core import Learner, State
from jaxdl.data.checks import check_lengths
from jaxdl.data.dataset import Dataset
from jaxdl.data.order import Window, evaluation_windows
from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.metrics import means
from jaxdl.rng import check_key, root, stream
from jaxdl.training.ensemble import for_runs
from jaxdl.training.metric_buffer import read_rows, total_rows
from jaxdl.training.program import DispatchSize, Program
from jaxdl.training.strategies import Strategy
from jaxdl.training.strategies import strategy as by_name


def evaluate(
    learner: Learner,
    state: State,
    data: Dataset,
    *,
    key: Key[Array, ""] | None = None,
    batch_size: int = 500,
    strategy: Strategy | None = None,
) -> dict[str, float]:
    """The learner's metrics over a whole set: sums over sums, whatever the batch size.

    Args:
      learner: as it was trained.
      state: its state, on any devices; `inference(state)` is what the learner evaluates.
      data: the set; the last batch is padded and masked.
      key: the run's root key (of several runs one each, or one for all), for evaluations that draw noise;
        None: that of seed 0.
      batch_size: examples at once, at least 1; cut to the size of the set.
      strategy: where to run; None: all devices.

    Returns:
      `{name: mean}`; of several runs in one program an array `[N]` each.

    Raises:
      InputError: an argument of another kind, or another learner's state.

    Example:
      >>> import jaxdl, optax
      >>> train, test = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> net = jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(1e-2)))
      >>> state = jaxdl.train(net, train, key=jaxdl.root(0), steps=100)
      >>> evaluate(net, state, test)["accuracy"] > 0.8
      True
    """
    at_least("batch_size", batch_size, 1)
    of_kind("data", data, Dataset, "a jaxdl.data.Dataset")
    check_lengths(data)
    of_kind("state", state, State, "the state that `train` returned")
    key = root(0) if key is None else key
    check_key(key)
    if key.ndim > state.step.ndim:
        raise InputError("key", f"{len(key)} keys", "one key, for the state of one run")
    key = jnp.broadcast_to(key, state.step.shape)
    strategy = for_runs(key, strategy or by_name())
    size = min(batch_size, data.size)
    size += -size % (1 if key.ndim else len(strategy.devices))
    example = next(evaluation_windows(data, size, lambda host: host))
    program = strategy.compile(learner, example)
    if jax.tree.structure(state) != jax.tree.structure(program.abstract):  # type: ignore[operator]
        raise InputError(
            "state", type(state), "the state that `train` returned for this very learner"
        )
    state = jax.tree.map(
        lambda x, where: jax.device_put(x, where.sharding), state, program.abstract
    )
    found = sweep(
        program,
        state,
        evaluation_windows(data, size, strategy.place),
        strategy.place(stream(key, "eval")),
    )
    assert found is not None
    return found


def sweep(
    program: Program,
    state: State,
    windows: Iterable[Window],
    key: Key[Array, ""],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """The same with a program that is compiled already, as the training loop has one.

    Args:
      program: from `strategy.compile`.
      state: on the program's devices.
      windows: from `evaluation_windows`.
      key: the stream "eval" of the run's root key, on the program's devices.
      stopped: asked between two dispatches whether to give up.

    Returns:
      `{name: mean}`; None where it gave up.
    """
    dispatch_size = DispatchSize()
    axis = state.step.ndim
    rows = []
    for window in windows:
        done = 0
        count = window.order.shape[0]
        while done < count:
            if stopped():
                return None
            began = time.perf_counter()
            until = min(done + dispatch_size.steps, count)
            rows.append(
                read_rows(program.evaluate(state, window, key, done, until), until - done, axis)
            )
            dispatch_size.update(until - done, time.perf_counter() - began)
            done = until
    return means(total_rows(rows, axis))
