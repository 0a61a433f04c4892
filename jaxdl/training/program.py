"""A learner compiled for some devices, with K steps per dispatch.

The compiled loop gathers each step's batch from the window's arrays, so the host only passes the
number of steps. The metrics come back as one row per step. The host adds the rows, so that no sum
depends on how the steps were divided into dispatches.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, State, Sweep
from jaxdl.data.order import Window, gather
from jaxdl.metrics import Metrics, empty_rows, stack_rows, unpack_rows, write_row
from jaxdl.rng import root
from jaxdl.updates import Batch
from jaxdl.xla import convolution_options, convolutions, few_threads, quick_options

#: The largest number of steps per dispatch, which is the number of rows for metrics.
MAX_STEPS = 1024

#: The time that a dispatch should take, in seconds. Signals are handled between two dispatches.
DISPATCH_SECONDS = 0.5


class Program(NamedTuple):
    """A learner compiled for some devices.

    Attributes:
      abstract: shapes, dtypes and shardings of the state, into which a checkpoint is restored.
      init: `init(key) -> State`, on the devices.
      run: `run(state, window, key, k) -> (state, metrics)` does `k` steps, at most `MAX_STEPS`.
        Their metrics are the first `k` rows, with the dtypes that the losses return (see
        `jaxdl.metrics.read_rows`). The buffers of the given state are donated.
      evaluate: `evaluate(state, window, key, start, end) -> metrics` of the window's batches from
        `start` to `end`, in the first `end - start` rows.
      in_flight: number of dispatches that may be queued on the devices at once.
      several: True for several runs, whose states and metrics have a leading axis.
    """

    abstract: State
    init: Callable[[Key[Array, ""]], State]
    run: Callable[[State, Window, Key[Array, ""], int], tuple[State, Metrics]]
    evaluate: Callable[[State, Window, Key[Array, ""], int, int], Metrics]
    in_flight: int
    several: bool


class DispatchSize:
    """The number of steps per dispatch for a duration of about `DISPATCH_SECONDS`.

    With several processes it is always `MAX_STEPS`, because all of them need the same number.

    Example:
      >>> dispatch_size = DispatchSize()
      >>> dispatch_size.update(1, 0.01)
      >>> dispatch_size.update(dispatch_size.steps, 0.1)
      >>> dispatch_size.steps
      40
    """

    def __init__(self) -> None:
        self.fixed = jax.process_count() > 1
        self.steps = 1
        if self.fixed:
            self.steps = MAX_STEPS

    def update(self, steps: int, seconds: float) -> None:
        """Adapts the size to the measured duration of some steps; at most 8 times as many."""
        if self.fixed:
            return
        in_time = int(DISPATCH_SECONDS * steps / max(seconds, 1e-9))
        self.steps = max(1, min(MAX_STEPS, 8 * steps, in_time))


Example = tuple[tuple[str, tuple[int, ...], Any], ...]


@lru_cache(maxsize=32)
def program(
    learner: Learner | Sweep,
    example: Example,
    mesh: Any,
    read: Callable,
    spread: Callable,
    count: int | None = None,
) -> Program:
    """Builds the two loops of every strategy: over steps, and over evaluation batches.

    Normally the compiled program repeats a step k times. Some convolutions are 9-100 times slower
    on a CPU inside a loop. If a step contains one, the host repeats a compiled step instead.

    Args:
      learner: the learner.
      example: names, shapes and dtypes of a batch.
      mesh: the devices and shardings, a `jaxdl.training.strategies.Sharded`.
      read: `read(arrays, rows) -> batch`, gathers a batch inside the program.
      spread: `spread(function) -> function`, distributes a function over devices or members.
      count: number of members of an ensemble; None for a single run.
    """
    several = count is not None
    abstract = _abstract(run_shapes(learner, example), mesh, count)
    shardings = jax.tree.map(lambda x: x.sharding, abstract)
    on_cpu = mesh.devices[0].platform == "cpu"
    compiled = partial(_compiled, spread=spread, on_cpu=on_cpu, several=several)
    run_functions = compiled(
        *_step_functions(learner, read),
        donate_argnums=0,
        out_shardings=(shardings, mesh.everywhere),
    )
    evaluate_functions = compiled(
        *_evaluation_functions(learner, read), out_shardings=mesh.everywhere
    )
    # The host waits for its steps regularly. The devices of a CPU deadlock if several are queued.
    wait_every = 8
    if few_threads(mesh.devices):
        wait_every = 1

    def run(state: State, w: Window, key: Key[Array, ""], k: int):
        args = (w.arrays, w.order, np.int32(w.first), key)
        steps = np.int32(k)
        by_host, run_one, run_many = run_functions(state, *args, steps)
        if not by_host:
            return run_many(state, *args, steps)
        metrics = []
        for i in range(k):
            state, step_metrics = run_one(state, *args)
            metrics.append(step_metrics)
            if i % wait_every == 0:
                jax.block_until_ready(metrics)
        return state, stack_rows(metrics)

    def evaluate(state: State, w: Window, key: Key[Array, ""], start: int, end: int) -> Metrics:
        args = (state, w.arrays, w.order, np.int32(w.first), key)
        by_host, evaluate_one, evaluate_many = evaluate_functions(
            *args, np.int32(start), np.int32(end)
        )
        if not by_host:
            return evaluate_many(*args, np.int32(start), np.int32(end))
        metrics = []
        for i in range(start, end):
            metrics.append(jax.block_until_ready(evaluate_one(*args, np.int32(i))))
        return stack_rows(metrics)

    init = init_function(learner, blank_of(example), shardings, several)
    # A CPU computes small dispatches before the call returns. A second one in flight would only
    # make the measured times less accurate.
    in_flight = 2
    if on_cpu:
        in_flight = 1
    return Program(abstract, init, run, evaluate, in_flight, several)


def _step_functions(learner: Learner | Sweep, read: Callable) -> tuple[Callable, Callable]:
    """Returns the functions that do one step and k steps of a window."""
    # Traced once: the shapes, the search for convolutions and the loop reuse the trace.
    step = jax.jit(learner.step)

    def run_one(state, arrays, order, first, key):
        return step(state, read(arrays, order[state.step - first]), key)

    def run_many(state, arrays, order, first, key, k):
        def body(i, carry):
            state, rows = carry
            state, metrics = run_one(state, arrays, order, first, key)
            return state, write_row(rows, i, metrics)

        shapes = jax.eval_shape(run_one, state, arrays, order, first, key)[1]
        state, rows = jax.lax.fori_loop(0, k, body, (state, empty_rows(shapes, MAX_STEPS)))
        return state, unpack_rows(rows, shapes)

    return run_one, run_many


def _evaluation_functions(learner: Learner | Sweep, read: Callable) -> tuple[Callable, Callable]:
    """Returns the functions that evaluate one batch and a range of batches of a window."""
    evaluate = jax.jit(learner.evaluate)

    def evaluate_batch(state, arrays, order, first, key, i):
        return evaluate(state, read(arrays, order[i]), jax.random.fold_in(key, first + i))

    def evaluate_many(state, arrays, order, first, key, start, end):
        def body(i, rows):
            metrics = evaluate_batch(state, arrays, order, first, key, i)
            return write_row(rows, i - start, metrics)

        shapes = jax.eval_shape(evaluate_batch, state, arrays, order, first, key, 0)
        rows = jax.lax.fori_loop(start, end, body, empty_rows(shapes, order.shape[0]))
        return unpack_rows(rows, shapes)

    return evaluate_batch, evaluate_many


def _compiled(
    one: Callable, many: Callable, *, spread: Callable, on_cpu: bool, several: bool, **options: Any
) -> Callable[..., tuple[bool, Any, Any]]:
    """Returns a function that gives `(by_host, one, many)`, decided at its first call.

    `by_host` is True if the host has to repeat `one`, because a convolution is slow inside the
    loop of `many`.

    Args:
      one: a function that does one step or evaluates one batch.
      many: the same function in a loop.
      spread: distributes a function over devices or members.
      on_cpu: if True, convolutions are searched for.
      several: if True, the program is that of an ensemble, whose members are in a loop anyway.
      **options: arguments of `jax.jit`.
    """

    # JAX keeps the trace and the lowered program of `spread_many` for its first call.
    spread_many = spread(many)

    def decide(*args: Any) -> tuple[bool, Any, Any]:
        kind = "none"
        if on_cpu:
            kind = convolutions(jax.jit(spread_many, **options).lower(*args).as_text())
        compiler_options = {}
        if kind != "none":
            compiler_options = convolution_options()
        jit = partial(jax.jit, compiler_options=compiler_options, **options)
        by_host = kind == "slow" and not several
        return by_host, jit(spread(one)), jit(spread_many)

    return _call_once(decide)


def example_of(window: Window) -> Example:
    """Returns the names, shapes and dtypes of the batches of one run."""
    rows = window.order.reshape(-1, window.order.shape[-1])[0]
    batch = jax.eval_shape(gather, window.arrays, rows)
    return tuple((name, x.shape, x.dtype) for name, x in batch.items())


def blank_of(example: Example) -> Any:
    """Returns a batch of zeros."""
    return {name: np.zeros(shape, dtype) for name, shape, dtype in example}


def run_shapes(learner: Learner | Sweep, example: Example) -> State:
    """Returns the shapes and dtypes of the state of one run."""
    states = traced_init(learner, example).out_info
    if not isinstance(learner, Sweep):
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), states)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), states)


@lru_cache(maxsize=4)
def traced_init(learner: Learner | Sweep, example: Example) -> Any:
    """Returns the trace of a learner's `init`."""
    key = root(0)
    if isinstance(learner, Sweep):
        key = root(range(len(learner.values[0][1])))
    return jax.jit(learner.init).trace(key, blank_of(example))


@lru_cache(maxsize=4)
def traced_step(learner: Learner | Sweep, example: Example, placed: Any = None) -> Any:
    """Returns the trace of a learner's `step` on one device.

    Args:
      learner: the learner.
      example: names, shapes and dtypes of a batch.
      placed: the sharding of a program on one device, whose compilation then reuses the trace.
    """
    return jax.jit(learner.step).trace(*_shapes(learner, example, placed))


@lru_cache(maxsize=4)
def traced_evaluate(learner: Learner | Sweep, example: Example, placed: Any = None) -> Any:
    """Returns the trace of a learner's `evaluate` on one device; see `traced_step`."""
    return jax.jit(learner.evaluate).trace(*_shapes(learner, example, placed))


def _shapes(learner: Learner | Sweep, example: Example, placed: Any) -> Any:
    """Returns the shapes of the arguments of a step: state, batch and key."""

    def shape_of(x: Any) -> Any:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=placed)

    return jax.tree.map(shape_of, (run_shapes(learner, example), blank_of(example), root(0)))


def _abstract(state: State, mesh: Any, count: int | None) -> State:
    """Returns the shapes and shardings of the states of `count` runs, each on one device.

    For None they are those of a single run, on all devices.
    """

    def placed(path: Any, x: Any) -> Any:
        if count is not None:
            return jax.ShapeDtypeStruct((count, *x.shape), x.dtype, sharding=mesh.by_rows)
        sharding = mesh.sharding(x)
        if _is_carry(path):
            sharding = mesh.by_rows
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    return jax.tree_util.tree_map_with_path(placed, state)


def _is_carry(path: Any) -> bool:
    """Returns True for a leaf in `extra["carry"]`, which has one row per example."""
    return path[0].name == "extra" and len(path) > 1 and getattr(path[1], "key", None) == "carry"


def init_function(
    learner: Learner | Sweep, blank: Batch, shardings: Any, several: bool
) -> Callable[[Key[Array, "*N"]], State]:
    """Returns a function from the key of a run, or the keys of several, to the initial state.

    The runs of an ensemble call the program of a single run one after the other, so each has the
    bits of its run alone. A loop or `vmap` over the keys would round differently.

    Args:
      learner: the learner.
      blank: a batch of zeros.
      shardings: the shardings of the states.
      several: True for several runs.
    """
    if isinstance(learner, Sweep):
        compiled = jax.jit(learner.init, out_shardings=shardings)
        return lambda keys: compiled(keys, blank)
    options = quick_options()
    if not several:
        single = jax.jit(learner.init, out_shardings=shardings, compiler_options=options)
        return lambda key: single(key, blank)
    member = jax.jit(learner.init, compiler_options=options)

    def init_members(keys: Key[Array, " N"]) -> State:
        states = jax.device_get([member(key, blank) for key in keys])
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *states), shardings)

    return init_members


@lru_cache(maxsize=32)
def needs_host(learner: Learner | Sweep, example: Example) -> bool:
    """Returns True if a step on a CPU contains a convolution that is slow in loops."""
    traced = traced_step(learner, example)
    return convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) == "slow"


def _call_once(function: Callable) -> Callable:
    """Returns a function that gives the result of its first call for all arguments."""
    results: list = []

    def cached(*args: Any) -> Any:
        if not results:
            results.append(function(*args))
        return results[0]

    return cached
