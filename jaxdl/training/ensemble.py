"""Ensembles: several runs in one program, one per key."""

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Key

from jaxdl.core import Learner, State, Sweep
from jaxdl.data.order import Window, gather
from jaxdl.errors import InputError, of_kind
from jaxdl.training.program import (
    Example,
    Program,
    blank_of,
    example_of,
    init_function,
    needs_host,
    program,
    traced_step,
)
from jaxdl.training.strategies import Checked, Pmapped, Sharded, Strategy


class Ensemble:
    """Several runs in one program: every leaf of the state has a leading axis `[N]`.

    Member i is the run that the learner would do alone with key i. It is equal bit for bit on a
    CPU, and up to rounding elsewhere.

    On a CPU, or if a step contains a convolution, a device runs its members sequentially, each
    for K steps. Otherwise the members are one `vmap`. Some convolutions are slow inside a loop
    on a CPU. If a step contains one of them, the host runs one member after the other.

    Costs were measured on one core with 8 members of the MLP 784-512-10 and batches of 128.
    Relative to 8 separate runs, sequential members cost 1.02 and `vmap` 1.32. Members that
    alternate after every step cost 2.01. For the 3x3 CNN `vmap` costs 1.6. On accelerators, a
    convolution under `vmap` becomes a grouped convolution, which is several times slower.

    Args:
      count: N, number of members.
      devices: available devices. The largest number of them that divides N evenly is used.
    """

    def __init__(self, count: int, devices: Sequence[jax.Device]):
        self.count = count
        self.whole = Sharded(devices[: math.gcd(count, len(devices))])
        self.devices = self.whole.devices
        self.shares = 1
        self.single = Sharded(self.whole.devices[:1])

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner | Sweep, window: Window) -> Program:
        example = example_of(_of_member(window, 0))
        on_cpu = self.devices[0].platform == "cpu"
        if on_cpu and needs_host(learner, example):
            return self._from_host(learner, window)
        spread = self._vectorized
        if on_cpu or _convolves(learner, example):
            spread = self._sequential
        return program(learner, example, self.whole, gather, spread, self.count)

    def _from_host(self, learner: Learner | Sweep, window: Window) -> Program:
        """Returns a program in which the host runs one member after the other."""
        single = self.single.compile(learner, _of_member(window, 0))
        blank = blank_of(example_of(_of_member(window, 0)))
        init = init_function(learner, blank, self.single.everywhere, several=True)

        def on_one_device(window, keys):
            # `place` has put both on all devices of the ensemble.
            arrays, order, keys = jax.device_put(
                (window.arrays, window.order, keys), self.single.everywhere
            )
            return Window(arrays, order, window.first), keys

        def run(state, window, keys, k):
            window, keys = on_one_device(window, keys)
            results = []
            for i, key in enumerate(keys):
                results.append(single.run(state.member(i), _of_member(window, i), key, k))
            return _stack(results)

        def evaluate(state, window, keys, start, end):
            window, keys = on_one_device(window, keys)
            results = []
            for i, key in enumerate(keys):
                own = _of_member(window, i)
                results.append(single.evaluate(state.member(i), own, key, start, end))
            return _stack(results)

        def with_members(x):
            return jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype, sharding=x.sharding)

        abstract = jax.tree.map(with_members, single.abstract)
        return Program(abstract, init, run, evaluate, single.in_flight, several=True)

    def _sequential(self, function: Callable) -> Callable:
        return self._spread(function, jax.lax.map)

    def _vectorized(self, function: Callable) -> Callable:
        return self._spread(function, lambda per_member, members: jax.vmap(per_member)(members))

    def _spread(self, function: Callable, map_members: Callable) -> Callable:
        """Returns a function that calls `function` for every member.

        Each member has a separate state and key. It has a separate order of rows if the window
        has one for each member.
        """

        def on_one_device(state, arrays, order, first, key, *rest):
            if order.ndim == 2:
                return map_members(
                    lambda member: function(member[0], arrays, order, first, member[1], *rest),
                    (state, key),
                )
            return map_members(
                lambda member: function(member[0], arrays, member[1], first, member[2], *rest),
                (state, order.swapaxes(0, 1), key),
            )

        def on_all_devices(state, arrays, order, first, key, *rest):
            if len(self.devices) == 1:
                return on_one_device(state, arrays, order, first, key, *rest)
            by_member = PartitionSpec("data")
            shared = PartitionSpec()
            rows = shared
            if order.ndim == 3:
                rows = PartitionSpec(None, "data")
            specs = (by_member, shared, rows, shared, by_member, *[shared] * len(rest))
            sharded = jax.shard_map(
                on_one_device,
                mesh=self.whole.mesh,
                in_specs=specs,
                out_specs=by_member,
                check_vma=False,
            )
            return sharded(state, arrays, order, first, key, *rest)

        return on_all_devices


def strategy_for_keys(key: Key[Array, "*N"], given: Strategy) -> Strategy:
    """Returns the strategy for as many runs as there are keys.

    Args:
      key: one root key, which leaves `given` unchanged, or `[N]` root keys, which give an
        `Ensemble` on its devices.
      given: strategy of one run.

    Raises:
      InputError: several runs under `pmap`, `fsdp` or `debug`, or in several processes.
    """
    if key.ndim == 0 or isinstance(given, Ensemble):
        return given
    if jax.process_count() > 1:
        raise InputError("key", f"{key.shape[0]} keys", "one key, when there are several processes")
    name = {Pmapped: "pmap", Checked: "debug"}.get(type(given))
    if getattr(given, "fsdp", False):
        name = name or "fsdp"
    if name:
        raise InputError("strategy", name, "sharded or single, for several runs in one program")
    return _ensemble(key.shape[0], tuple(given.devices))


def check_learner(learner: Learner | Sweep) -> None:
    """Raises InputError unless a learner is one, or a sweep; not a task, model or update."""
    allowed = "a Learner, such as jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))"
    of_kind("learner", learner, Learner | Sweep, allowed)


def check_sweep(learner: Learner | Sweep, key: Key[Array, "*N"], stops_early: bool) -> None:
    """Raises InputError unless a sweep has one key per run, and runs of equal length."""
    if not isinstance(learner, Sweep):
        return
    count = len(learner.values[0][1])
    if key.shape != (count,):
        raise InputError("key", f"{key.size} keys", f"{count} in a row, one per run of the sweep")
    if stops_early:
        allowed = "None, for runs that differ in their hyper-parameters"
        raise InputError("patience", "Patience(...)", allowed)


def check_values(learner: Learner | Sweep, state: State) -> None:
    """Raises InputError if a restored state belongs to a sweep with other values."""
    if not isinstance(learner, Sweep):
        return
    for name, values in learner.values:
        stored = np.asarray(state.wrapped["sweep"][name])
        if not np.array_equal(stored, np.asarray(values, np.float32)):
            allowed = f"the values of the checkpoint, {stored.tolist()}"
            raise InputError(name, list(values), allowed)


@cache
def _ensemble(count: int, devices: tuple[jax.Device, ...]) -> Ensemble:
    """Returns the same object for equal arguments, so that its compiled programs are reused."""
    return Ensemble(count, devices)


def _of_member(window: Window, i: int) -> Window:
    """Returns the window of member i."""
    if window.order.ndim != 3:
        return window
    return window._replace(order=window.order[:, i])


def _stack(members: list) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


@lru_cache(maxsize=32)
def _convolves(learner: Learner | Sweep, example: Example) -> bool:
    """Returns True if a step of the learner contains a convolution."""
    return "conv_general_dilated" in str(traced_step(learner, example).jaxpr)
