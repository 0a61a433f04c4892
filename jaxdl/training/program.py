"""A learner compiled for some devices: K steps per dispatch.

The compiled loop gathers each step's batch from the window's arrays, so the host only says how far to go.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxdl.core import Batch, Learner, State
from jaxdl.data.order import Window, gather
from jaxdl.metrics import Metrics, merge
from jaxdl.rng import root


class Program(NamedTuple):
    """A learner compiled for some devices.

    Attributes:
      abstract: the state's shapes, dtypes and shardings; what a checkpoint is restored into.
      init: `init(key) -> State`, on the devices.
      run: `run(state, window, key, k) -> (state, (metrics, bad))`: `k` steps; `bad` is the first step
        (counted from 1) whose metrics were not finite, or -1. The state that goes in is gone afterwards.
      evaluate: `evaluate(state, window, key) -> metrics` over all steps of the window.
      in_flight: dispatches that may wait for the devices at once.
    """

    abstract: State
    init: Callable[[Key[Array, ""]], State]
    run: Callable[[State, Window, Key[Array, ""], int], tuple[State, tuple[Metrics, Int[Array, ""]]]]
    evaluate: Callable[[State, Window, Key[Array, ""]], Metrics]
    in_flight: int


Example = tuple[tuple[str, tuple[int, ...], Any], ...]


@lru_cache(maxsize=32)
def program(
    learner: Learner, example: Example, mesh: Any, read: Callable, spread: Callable, count: int | None = None
) -> Program:
    """The two loops of every strategy: over steps, and over evaluation batches.

    Normally the compiled program repeats a step k times. Where the step holds a convolution of
    XLA's on a CPU, which is 9-20x slower inside a loop, the host repeats a compiled step instead.
    """
    blank = blank_of(example)
    init = learner.init if count is None else _init_all(learner)
    abstract = _abstract(init, blank, mesh, count)
    shardings = jax.tree.map(lambda x: x.sharding, abstract)
    # Traced here once: the shapes, the look for convolutions and the loops reuse these traces.
    step, evaluate = jax.jit(learner.step), jax.jit(learner.evaluate)

    def advance(state, arrays, order, first, key):
        state, metrics = step(state, read(arrays, order[state.step - first]), key)
        finite = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(metrics)]).all()
        return state, (metrics, jnp.where(finite, -1, state.step))

    def judge(state, arrays, order, first, key, i):
        return evaluate(state, read(arrays, order[i]), jax.random.fold_in(key, first + i))

    def many(state, arrays, order, first, key, k):
        def body(_, carry):
            state, new = advance(carry[0], arrays, order, first, key)
            return state, _both(carry[1], new)

        metrics, bad = jax.eval_shape(advance, state, arrays, order, first, key)[1]
        return jax.lax.fori_loop(0, k, body, (state, (_zeros(metrics), jnp.full_like(bad, -1))))

    def sweep(state, arrays, order, first, key):
        def body(i, total):
            return merge(total, judge(state, arrays, order, first, key, i))

        metrics = jax.eval_shape(judge, state, arrays, order, first, key, 0)
        return jax.lax.fori_loop(0, order.shape[0], body, _zeros(metrics))

    moving: dict[str, Any] = {"donate_argnums": 0, "out_shardings": (shardings, mesh.everywhere)}
    run_many, run_one = jax.jit(spread(many), **moving), jax.jit(spread(advance), **moving)
    judge_all, judge_one = (jax.jit(spread(f), out_shardings=mesh.everywhere) for f in (sweep, judge))
    # Members take their turns in a loop anyway.
    apart = _apart(mesh.devices) if count is None else lambda *_: False
    wait = 1 if _few_threads(mesh.devices) else 8

    def run(state: State, w: Window, key: Key[Array, ""], k: int):
        args = w.arrays, w.order, np.int32(w.first), key
        if not apart(run_one, state, *args):
            return run_many(state, *args, np.int32(k))
        state, found = run_one(state, *args)
        for i in range(1, k):
            state, new = run_one(state, *args)
            found = _both_jitted(found, new)
            if i % wait == 0:
                jax.block_until_ready(found)
        return state, found

    def evaluate_window(state: State, w: Window, key: Key[Array, ""]) -> Metrics:
        args = state, w.arrays, w.order, np.int32(w.first), key
        if not apart(judge_one, *args, np.int32(0)):
            return judge_all(*args)
        total = judge_one(*args, np.int32(0))
        for i in range(1, w.order.shape[0]):
            total = jax.block_until_ready(_merge_jitted(total, judge_one(*args, np.int32(i))))
        return total

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
    where = mesh.sharding if count is None else lambda leaf: mesh.by_rows
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where(x)), state)


def _init_all(learner: Learner) -> Callable[[Key[Array, "N"], Batch], State]:
    """One after the other: under `vmap` some initializers would round differently."""
    return lambda keys, blank: jax.lax.map(lambda key: learner.init(key, blank), keys)


def _apart(devices: Sequence[jax.Device]) -> Callable[..., bool]:
    """Whether the host has to repeat this function, looked up once per function."""
    known: dict[int, bool] = {}

    def apart(function: Any, *args: Any) -> bool:
        if devices[0].platform != "cpu":
            return False
        if id(function) not in known:
            known[id(function)] = "stablehlo.convolution" in function.lower(*args).as_text()
        return known[id(function)]

    return apart


@lru_cache(maxsize=32)
def needs_host(learner: Learner, example: Example) -> bool:
    """Whether a CPU's step holds a convolution of XLA's own, so that the host has to repeat it; looked up once."""
    blank = blank_of(example)
    state = jax.eval_shape(learner.init, root(0), blank)
    return "stablehlo.convolution" in jax.jit(learner.step).lower(state, blank, root(0)).as_text()


def _few_threads(devices: Sequence[jax.Device]) -> bool:
    """Forced host devices deadlock when several collective programs wait for the same few threads."""
    return devices[0].platform == "cpu" and len(devices) > 1


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _both(found: tuple[Metrics, Array], new: tuple[Metrics, Array]) -> tuple[Metrics, Array]:
    """The metrics of both, and the first step that was not finite (-1: none)."""
    return merge(found[0], new[0]), jnp.where(found[1] < 0, new[1], found[1])


_both_jitted, _merge_jitted = jax.jit(_both), jax.jit(merge)
