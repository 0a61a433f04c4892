"""Strategies: the only place that knows devices.

A strategy turns a learner into a `Program`. All of them run K steps per dispatch: the compiled loop
gathers each step's batch from the window's arrays, so the host only says how far to go.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Key

from jaxdl.core import AXIS, Batch, Learner, State
from jaxdl.data.order import Window, gather
from jaxdl.errors import InputError, one_of
from jaxdl.metrics import Metrics, merge
from jaxdl.rng import root

#: Leaves with fewer numbers than this are not worth cutting up under `fsdp`.
FSDP_MIN_SIZE = 2**14


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


@runtime_checkable
class Strategy(Protocol):
    """Where and how steps run.

    Attributes:
      devices: on which; a batch is divided among them.
    """

    devices: list[jax.Device]

    def place(self, tree: Any) -> Any:
        """Puts host arrays where every device can read all of them."""
        ...

    def compile(self, learner: Learner, window: Window) -> Program:
        """The program of a learner for batches like the window's; asked again, the same one."""
        ...


class Sharded:
    """`jit` over a mesh of devices: each computes on its part of the batch, the meaning is one device's.

    Statistics of BatchNorm, dropout masks and masked means are those of the whole batch, because
    the program is written for the whole batch and only its placement is divided. With one device
    this is plain `jit` with a donated state. Several hosts need `jax.distributed.initialize()` first
    and nothing else.

    Args:
      devices: which ones; None: all of them.
      fsdp: cut large parameters and their optimizer state over the devices as well, along their
        largest axis that the device count divides.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None, fsdp: bool = False):
        self.devices = list(jax.devices() if devices is None else devices)
        self.fsdp = fsdp
        self.mesh = Mesh(np.asarray(self.devices), ("data",), axis_types=(AxisType.Auto,))
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.by_rows = NamedSharding(self.mesh, PartitionSpec("data"))

    def place(self, tree: Any) -> Any:
        return jax.tree.map(lambda x: jax.device_put(x, self.everywhere), tree)

    def compile(self, learner: Learner, window: Window) -> Program:
        return _program(learner, _example(window), self, self._read, _once)

    def sharding(self, leaf: Any) -> NamedSharding:
        """Where one leaf of the state lives."""
        n = len(self.devices)
        axes = [axis for axis, length in enumerate(leaf.shape) if length % n == 0]
        if not self.fsdp or leaf.size < FSDP_MIN_SIZE or not axes:
            return self.everywhere
        widest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(self.mesh, PartitionSpec(*[None] * widest, "data"))

    def _read(self, arrays: dict, rows: Int[Array, "B"]) -> Batch:
        if len(self.devices) == 1:
            return gather(arrays, rows)
        batch = gather(arrays, jax.lax.with_sharding_constraint(rows, self.by_rows))
        return jax.lax.with_sharding_constraint(batch, self.by_rows)


class Pmapped:
    """`jax.pmap`: the same step on every device, with its own part of the batch, and collectives between.

    The meaning differs from one device's where a step looks at its whole batch: BatchNorm normalises
    each part by itself (the running statistics are averaged), every device has its own dropout
    masks and noise, and a masked mean is the mean of the parts' means. Gradients are averaged,
    metrics added. `Sharded` has none of these differences; it is the default.

    Args:
      devices: which ones, of this process; None: all of them.

    Raises:
      InputError: with several processes.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None):
        if jax.process_count() > 1:
            raise InputError("strategy", "pmap", "sharded, when there are several processes")
        self.whole = Sharded(devices)
        self.devices = self.whole.devices

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner, window: Window) -> Program:
        return _program(learner, _example(window), self.whole, self._read, self._spread)

    def _read(self, arrays: dict, rows: Int[Array, "B"]) -> Batch:
        return gather(arrays, rows.reshape(len(self.devices), -1)[jax.lax.axis_index(AXIS)])

    def _spread(self, function: Callable) -> Callable:
        def on_one_device(replica, state, arrays, order, first, key, *rest):
            return function(state, arrays, order, first, jax.random.fold_in(key, replica), *rest)

        def on_all(*args):
            axes = (0, *[None] * len(args))
            mapped = jax.pmap(on_one_device, AXIS, in_axes=axes, out_axes=None, devices=self.devices)
            return mapped(jnp.arange(len(self.devices)), *args)

        return on_all


@cache
def strategy(name: str = "auto") -> Strategy:
    """A strategy by its name, the same one each time, so that what it has compiled is found again.

    Args:
      name: `single` (the first device), `sharded`, `fsdp` (sharded, large parameters too), `pmap`,
        or `auto`: sharded over all devices, which is single where there is one.

    Raises:
      InputError: for another name.

    Example:
      >>> type(strategy("single")).__name__
      'Sharded'
    """
    one_of("strategy", name, ["auto", "single", "sharded", "fsdp", "pmap"])
    if name == "single":
        return Sharded(jax.local_devices()[:1])
    return Pmapped() if name == "pmap" else Sharded(fsdp=name == "fsdp")


Example = tuple[tuple[str, tuple[int, ...], Any], ...]


@lru_cache(maxsize=32)
def _program(learner: Learner, example: Example, mesh: Sharded, read: Callable, spread: Callable) -> Program:
    """The two loops of every strategy: over steps, and over evaluation batches.

    Normally the compiled program repeats a step k times. Where the step holds a convolution of
    XLA's on a CPU, which is 9-20x slower inside a loop, the host repeats a compiled step instead.
    """
    blank: Any = {name: np.zeros(shape, dtype) for name, shape, dtype in example}
    abstract = _abstract(learner, blank, mesh)
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
    apart, wait = _apart(mesh.devices), 1 if _few_threads(mesh.devices) else 8

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

    init = jax.jit(learner.init, out_shardings=shardings)
    # A CPU computes small dispatches before it returns: a second one would only blur what takes how long.
    in_flight = 1 if mesh.devices[0].platform == "cpu" else 2
    return Program(abstract, lambda key: init(key, blank), run, evaluate_window, in_flight)


def _once(function: Callable) -> Callable:
    """One program for all devices, as `jit` makes it."""
    return function


def _example(window: Window) -> Example:
    """The names, shapes and dtypes of a window's batches."""
    batch = jax.eval_shape(gather, window.arrays, window.order[0])
    return tuple((name, x.shape, x.dtype) for name, x in batch.items())


def _abstract(learner: Learner, blank: Batch, mesh: Sharded) -> State:
    """The state's shapes and places."""
    state = jax.eval_shape(learner.init, root(0), blank)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=mesh.sharding(x)), state)


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


def _few_threads(devices: Sequence[jax.Device]) -> bool:
    """Forced host devices deadlock when several collective programs wait for the same few threads."""
    return devices[0].platform == "cpu" and len(devices) > 1


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _both(found: tuple[Metrics, Array], new: tuple[Metrics, Array]) -> tuple[Metrics, Array]:
    """The metrics of both, and the first step that was not finite (-1: none)."""
    return merge(found[0], new[0]), jnp.where(found[1] < 0, new[1], found[1])


_both_jitted, _merge_jitted = jax.jit(_both), jax.jit(merge)
