"""A learner compiled for some devices: K steps per dispatch.

The compiled loop gathers each step's batch from the window's arrays, so the host only says how far to go. The metrics
come back a row for each step; the host adds them up, so that no sum depends on how the steps were cut into dispatches.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Batch, Learner, State
from jaxdl.data.order import Window, gather
from jaxdl.metrics import Metrics
from jaxdl.rng import root
from jaxdl.training.metric_buffer import empty_rows, stack_rows, unpack_rows, write_row

#: Steps of one dispatch, at most: it has a row of metrics for each.
MOST = 1024

#: How long a dispatch may take, in seconds, where the host has a choice: between two it hears signals.
DISPATCH_SECONDS = 0.5


class Program(NamedTuple):
    """A learner compiled for some devices.

    Attributes:
      abstract: the state's shapes, dtypes and shardings; what a checkpoint is restored into.
      init: `init(key) -> State`, on the devices.
      run: `run(state, window, key, k) -> (state, metrics)`: `k` steps, at most `MOST`, whose metrics, float32, are the
        first `k` rows, see `jaxdl.training.metric_buffer.read_rows`. The state that goes in is gone afterwards.
      evaluate: `evaluate(state, window, key, start, end) -> metrics` of the window's batches from `start` to `end`, in
        the first `end - start` rows.
      in_flight: dispatches that may wait for the devices at once.
    """

    abstract: State
    init: Callable[[Key[Array, ""]], State]
    run: Callable[[State, Window, Key[Array, ""], int], tuple[State, Metrics]]
    evaluate: Callable[[State, Window, Key[Array, ""], int, int], Metrics]
    in_flight: int


class DispatchSize:
    """How many steps a dispatch goes, so that it takes about `DISPATCH_SECONDS`; several processes go all together.

    Example:
      >>> dispatch_size = DispatchSize()
      >>> dispatch_size.update(1, 0.01)
      >>> dispatch_size.update(dispatch_size.steps, 0.1)
      >>> dispatch_size.steps
      40
    """

    def __init__(self) -> None:
        self.together = jax.process_count() > 1
        self.steps = MOST if self.together else 1

    def update(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        if not self.together:
            self.steps = max(
                1, min(MOST, 8 * steps, int(DISPATCH_SECONDS * steps / max(seconds, 1e-9)))
            )


Example = tuple[tuple[str, tuple[int, ...], Any], ...]

_FORM = re.compile(
    r"\[b(, \d)+, f\]x\[(\d, )+i, o\]->\[b(, \d)+, f\].*reverse = \[false(, false)*\].*"
    r"batch_group_count = 1 .*feature_group_count = 1 "
)


@lru_cache(maxsize=32)
def program(
    learner: Learner,
    example: Example,
    mesh: Any,
    read: Callable,
    spread: Callable,
    count: int | None = None,
) -> Program:
    """The two loops of every strategy: over steps, and over evaluation batches.

    Normally the compiled program repeats a step k times. Where the step holds a convolution that
    a CPU does 9-100 times slower inside a loop, the host repeats a compiled step instead.
    """
    blank = blank_of(example)
    init = learner.init if count is None else init_all(learner)
    abstract = _abstract(init, blank, mesh, count)
    shardings = jax.tree.map(lambda x: x.sharding, abstract)
    # Traced here once: the shapes, the look for convolutions and the loops reuse these traces.
    step = jax.jit(learner.step)
    evaluate = jax.jit(learner.evaluate)

    def advance(state, arrays, order, first, key):
        return step(state, read(arrays, order[state.step - first]), key)

    def judge(state, arrays, order, first, key, i):
        return evaluate(state, read(arrays, order[i]), jax.random.fold_in(key, first + i))

    def many(state, arrays, order, first, key, k):
        def body(i, carry):
            state, rows = carry
            state, metrics = advance(state, arrays, order, first, key)
            return state, write_row(rows, i, metrics)

        shapes = jax.eval_shape(advance, state, arrays, order, first, key)[1]
        state, rows = jax.lax.fori_loop(0, k, body, (state, empty_rows(shapes, MOST)))
        return state, unpack_rows(rows, shapes)

    def sweep(state, arrays, order, first, key, start, end):
        def body(i, rows):
            return write_row(rows, i - start, judge(state, arrays, order, first, key, i))

        shapes = jax.eval_shape(judge, state, arrays, order, first, key, 0)
        return unpack_rows(
            jax.lax.fori_loop(start, end, body, empty_rows(shapes, order.shape[0])), shapes
        )

    on_cpu = mesh.devices[0].platform == "cpu"

    def compiled(
        one: Callable, all_of_them: Callable, **options: Any
    ) -> Callable[..., tuple[bool, Any, Any]]:
        """Both functions compiled, and whether the host has to repeat the first; decided at the first call."""

        @_remembered
        def ready(*args: Any) -> tuple[bool, Any, Any]:
            found = (
                convolutions(jax.jit(spread(one), **options).lower(*args).as_text())
                if on_cpu
                else "none"
            )
            made = partial(
                jax.jit, compiler_options=_for_convolutions() if found != "none" else {}, **options
            )
            # Ensemble take their turns in a loop anyway.
            return found == "slow" and count is None, made(spread(one)), made(spread(all_of_them))

        return ready

    running = compiled(advance, many, donate_argnums=0, out_shardings=(shardings, mesh.everywhere))
    judging = compiled(judge, sweep, out_shardings=mesh.everywhere)
    wait = 1 if _few_threads(mesh.devices) else 8

    def run(state: State, w: Window, key: Key[Array, ""], k: int):
        args = w.arrays, w.order, np.int32(w.first), key
        apart, run_one, run_many = running(state, *args)
        if not apart:
            return run_many(state, *args, np.int32(k))
        found = []
        for i in range(k):
            state, metrics = run_one(state, *args)
            found.append(metrics)
            if i % wait == 0:
                jax.block_until_ready(found)
        return state, stack_rows(found)

    def evaluate_window(
        state: State, w: Window, key: Key[Array, ""], start: int, end: int
    ) -> Metrics:
        args = state, w.arrays, w.order, np.int32(w.first), key
        apart, judge_one, judge_all = judging(*args, np.int32(0))
        if not apart:
            return judge_all(*args, np.int32(start), np.int32(end))
        return stack_rows(
            [jax.block_until_ready(judge_one(*args, np.int32(i))) for i in range(start, end)]
        )

    made = jax.jit(init, out_shardings=shardings)
    # A CPU computes small dispatches before it returns: a second one would only blur what takes how long.
    in_flight = 1 if mesh.devices[0].platform == "cpu" else 2
    return Program(abstract, lambda key: made(key, blank), run, evaluate_window, in_flight)


def example_of(window: Window) -> Example:
    """The names, shapes and dtypes of a window's batches."""
    batch = jax.eval_shape(gather, window.arrays, window.order[0])
    return tuple((name, x.shape, x.dtype) for name, x in batch.items())


def blank_of(example: Example) -> Any:
    """A batch of zeros."""
    return {name: np.zeros(shape, dtype) for name, shape, dtype in example}


def _abstract(init: Callable, blank: Batch, mesh: Any, count: int | None) -> State:
    """The state's shapes and places; of several runs each lives on one device."""
    state = jax.eval_shape(init, root(0 if count is None else range(count)), blank)

    def placed(path: Any, x: Any) -> Any:
        by_rows = count is not None or _is_carry(path)
        return jax.ShapeDtypeStruct(
            x.shape, x.dtype, sharding=mesh.by_rows if by_rows else mesh.sharding(x)
        )

    return jax.tree_util.tree_map_with_path(placed, state)


def _is_carry(path: Any) -> bool:
    """Whether a leaf of a state lies in `extra["carry"]`: it has a row per example."""
    return path[0].name == "extra" and len(path) > 1 and getattr(path[1], "key", None) == "carry"


def init_all(learner: Learner) -> Callable[[Key[Array, " N"], Batch], State]:
    """One after the other: under `vmap` some initializers would round differently."""

    def init(keys: Key[Array, " N"], blank: Batch) -> State:
        if not learner.runs:
            return jax.lax.map(lambda key: learner.init(key, blank), keys)
        return jax.lax.map(
            lambda each: learner.init(each[0], blank, each[1]), (keys, jnp.arange(len(keys)))
        )

    return init


@lru_cache(maxsize=32)
def needs_host(learner: Learner, example: Example) -> bool:
    """Whether a CPU's step holds a convolution that is slow in loops, so that the host has to repeat it."""
    blank = blank_of(example)
    state = jax.eval_shape(learner.init, root(0), blank)
    traced = jax.jit(learner.step).trace(state, blank, root(0))
    return convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) == "slow"


def _remembered(function: Callable) -> Callable:
    """What the first call returned, whatever the later ones ask."""
    known: list = []

    def first(*args: Any) -> Any:
        if not known:
            known.append(function(*args))
        return known[0]

    return first


def convolutions(lowered: str) -> Literal["none", "fast", "slow"]:
    """What convolutions a CPU's program holds: fast is the form that has a routine in loops too."""
    found = [line for line in lowered.splitlines() if "stablehlo.convolution" in line]
    if not found:
        return "none"
    return "fast" if all(map(_FORM.search, found)) else "slow"


@cache
def _for_convolutions() -> dict[str, str]:
    """Compiler options of a CPU's programs that conv_forward.

    A CPU has two routines for a convolution. The one that is not taken by default is up to five times faster on
    two cores (`jaxdl/nn/convolution.py`); products of matrices stay with their own.
    """
    options = {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    }
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:  # a version of XLA that does not know the words
        return {}
    return options


def _few_threads(devices: Sequence[jax.Device]) -> bool:
    """Forced host devices deadlock when several collective programs wait for the same few threads."""
    return devices[0].platform == "cpu" and len(devices) > 1
