"""Several runs in one program: seeds, one per key."""

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Key

from jaxdl.core import Learner, State
from jaxdl.data.order import Window, gather
from jaxdl.errors import InputError
from jaxdl.rng import root
from jaxdl.training.program import (
    Example,
    Program,
    blank_of,
    example_of,
    init_all,
    needs_host,
    program,
)
from jaxdl.training.strategies import Checked, Pmapped, Sharded, Strategy


class Ensemble:
    """Several runs in one program: every leaf of the state gets a leading axis `[N]`.

    Run i is the one that the learner would do alone with key i: bit for bit on a CPU, elsewhere to
    rounding. On a CPU, and where a step holds a convolution, the members of a device take their K steps
    one after the other; elsewhere they are one `vmap`. Where a CPU's step holds a convolution of XLA's
    own, which is slow inside a loop, the host drives one member after the other.

    Measured on one core, 8 members of the MLP 784-512-10 in batches of 128: one after the other 1.02 times
    the cost of one alone each, `vmap` 1.32, step by step in turns 2.01; of the 3x3 CNN `vmap` 1.6. On
    accelerators `vmap` over the kernels of a convolution becomes a grouped one, several times slower.

    Args:
      count: N.
      devices: which ones; as many of them are used as can share the members evenly.
    """

    def __init__(self, count: int, devices: Sequence[jax.Device]):
        self.count = count
        self.whole = Sharded(devices[: math.gcd(count, len(devices))])
        self.devices = self.whole.devices
        self.one = Sharded(self.whole.devices[:1])

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner, window: Window) -> Program:
        example = example_of(_of_member(window, 0))
        on_cpu = self.devices[0].platform == "cpu"
        if on_cpu and needs_host(learner, example):
            return self._from_host(learner, window)
        in_turns = on_cpu or _convolves(learner, example)
        spread = self._sequential if in_turns else self._vectorized
        return program(learner, example, self.whole, gather, spread, self.count)

    def _from_host(self, learner: Learner, window: Window) -> Program:
        alone = self.one.compile(learner, _of_member(window, 0))
        blank = blank_of(example_of(_of_member(window, 0)))
        started = jax.jit(
            lambda keys: init_all(learner)(keys, blank), out_shardings=self.one.everywhere
        )

        def run(state, window, keys, k):
            done = [
                alone.run(state.member(i), _of_member(window, i), key, k)
                for i, key in enumerate(keys)
            ]
            return _stack(done)

        def evaluate(state, window, keys, start, end):
            return _stack(
                [
                    alone.evaluate(state.member(i), window, key, start, end)
                    for i, key in enumerate(keys)
                ]
            )

        def all_of(x):
            return jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype, sharding=x.sharding)

        return Program(
            jax.tree.map(all_of, alone.abstract), started, run, evaluate, alone.in_flight
        )

    def _sequential(self, function: Callable) -> Callable:
        return self._spread(function, jax.lax.map)

    def _vectorized(self, function: Callable) -> Callable:
        return self._spread(function, lambda one, members: jax.vmap(one)(members))

    def _spread(self, function: Callable, each: Callable) -> Callable:
        """The function for every member: the state and the key are theirs, in training the order too."""

        def here(state, arrays, order, first, key, *rest):
            if order.ndim == 2:
                return each(
                    lambda own: function(own[0], arrays, order, first, own[1], *rest), (state, key)
                )
            own = (state, order.swapaxes(0, 1), key)
            return each(lambda own: function(own[0], arrays, own[1], first, own[2], *rest), own)

        def everywhere(state, arrays, order, first, key, *rest):
            if len(self.devices) == 1:
                return here(state, arrays, order, first, key, *rest)
            member = PartitionSpec("data")
            shared = PartitionSpec()
            rows = shared if order.ndim == 2 else PartitionSpec(None, "data")
            specs = (member, shared, rows, shared, member, *[shared] * len(rest))
            divided = jax.shard_map(
                here, mesh=self.whole.mesh, in_specs=specs, out_specs=member, check_vma=False
            )
            return divided(state, arrays, order, first, key, *rest)

        return everywhere


def for_runs(key: Key[Array, "*N"], given: Strategy) -> Strategy:
    """The strategy for as many runs as there are keys.

    Args:
      key: a root key: `given` as it is; or `[N]` of them: `Ensemble` on its devices.
      given: the strategy of one run.

    Raises:
      InputError: several runs under `pmap`, `fsdp` or `debug`, or in several processes.
    """
    if key.ndim == 0 or isinstance(given, Ensemble):
        return given
    if jax.process_count() > 1:
        raise InputError("key", f"{key.shape[0]} keys", "one, where there are several processes")
    names = {Pmapped: "pmap", Checked: "debug"}
    if type(given) in names or getattr(given, "fsdp", False):
        name = names.get(type(given), "fsdp")
        raise InputError("strategy", name, "sharded or single, for several runs in one program")
    return _members(key.shape[0], tuple(given.devices))


def check_runs(learner: Learner, key: Key[Array, "*N"]) -> None:
    """Raises unless a sweep has one key per run."""
    if learner.runs and key.shape != (count := len(learner.runs[0][1]),):
        raise InputError("key", f"{key.size} keys", f"{count} in a row, one per run of the sweep")


def check_values(learner: Learner, state: State) -> None:
    """Raises unless the state has the sweep's numbers, as one from another sweep's store has not."""
    for name, values in learner.runs:
        kept = np.asarray(state.extra["sweep"][name])
        if not np.array_equal(kept, np.asarray(values, np.float32)):
            raise InputError(name, list(values), f"those of the checkpoint, {kept.tolist()}")


@cache
def _members(count: int, devices: tuple[jax.Device, ...]) -> Ensemble:
    """The same one each time, so that what it has compiled is found again."""
    return Ensemble(count, devices)


def _of_member(window: Window, i: int) -> Window:
    return window._replace(order=window.order[:, i]) if window.order.ndim == 3 else window


def _stack(members: list) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


@lru_cache(maxsize=32)
def _convolves(learner: Learner, example: Example) -> bool:
    blank = blank_of(example)
    state = jax.eval_shape(learner.init, root(0), blank)
    return "conv_general_dilated" in str(jax.make_jaxpr(learner.step)(state, blank, root(0)))
