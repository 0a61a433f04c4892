"""Strategies: the only module that depends on devices.

A strategy decides where a state and its batches are placed, and compiles a learner's program for
these devices.
"""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from jaxdl.core import Learner, Sweep
from jaxdl.data.order import Window, gather
from jaxdl.errors import InputError, one_of
from jaxdl.replicas import AXIS
from jaxdl.training.debugging import checked_program
from jaxdl.training.program import Program, example_of, program
from jaxdl.updates import Batch

#: Leaves with fewer elements than this are not sharded under `fsdp`.
FSDP_MIN_SIZE = 2**14


@runtime_checkable
class Strategy(Protocol):
    """The devices of a run, and the way in which they share a step.

    Attributes:
      devices: the devices.
      shares: number of devices among which a batch is divided.
    """

    devices: list[jax.Device]
    shares: int

    def place(self, tree: Any) -> Any:
        """Replicates host arrays on all devices."""
        ...

    def compile(self, learner: Learner | Sweep, window: Window) -> Program:
        """Returns the program of a learner for batches like the window's; equal calls share it."""
        ...


class Sharded:
    """`jit` over a mesh of devices: each computes its part of the batch.

    The result is that of one device, because the program is written for the whole batch and only
    its placement is divided. So BatchNorm statistics, dropout masks and masked means are those of
    the whole batch. With one device this is plain `jit` with a donated state.

    With several devices, layers find the mesh in the context while a step is traced. A
    `jax.shard_map` in a layer takes it from there, without `mesh=`. Several hosts need
    `jax.distributed.initialize()` first and nothing else.

    Args:
      devices: the devices; None means all devices.
      fsdp: if True, large parameters and their optimizer state are sharded as well, along their
        largest axis that the number of devices divides.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None, fsdp: bool = False):
        if devices is None:
            devices = jax.devices()
        self.devices = list(devices)
        self.shares = len(self.devices)
        self.fsdp = fsdp
        self.mesh = Mesh(np.asarray(self.devices), ("data",), axis_types=(AxisType.Auto,))
        self.everywhere = NamedSharding(self.mesh, PartitionSpec())
        self.by_rows = NamedSharding(self.mesh, PartitionSpec("data"))

    def place(self, tree: Any) -> Any:
        return jax.tree.map(self._place, tree)

    def _place(self, x: Any) -> Any:
        if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.device_put(x, self.everywhere)
        # Typed keys cannot be put on devices of other processes.
        bits = jax.device_put(jax.random.key_data(x), self.everywhere)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(x))

    def compile(self, learner: Learner | Sweep, window: Window) -> Program:
        return program(learner, example_of(window), self, self._read, self._with_mesh)

    def sharding(self, leaf: Any) -> NamedSharding:
        """Returns the sharding of one leaf of the state."""
        n = len(self.devices)
        axes = [axis for axis, length in enumerate(leaf.shape) if length % n == 0]
        if not self.fsdp or leaf.size < FSDP_MIN_SIZE or not axes:
            return self.everywhere
        widest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(self.mesh, PartitionSpec(*[None] * widest, "data"))

    def _read(self, arrays: dict, rows: Int[Array, " B"]) -> Batch:
        if len(self.devices) == 1:
            return gather(arrays, rows)
        batch = gather(arrays, jax.lax.with_sharding_constraint(rows, self.by_rows))
        return jax.lax.with_sharding_constraint(batch, self.by_rows)

    def _with_mesh(self, function: Callable) -> Callable:
        """Returns a function that puts the mesh into the context, if there are several devices.

        Layers that divide a batch over devices look for the mesh there while they are traced.
        """
        if len(self.devices) == 1:
            return function

        @wraps(function)
        def with_mesh(*args):
            with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
                return function(*args)

        return with_mesh


class Pmapped:
    """`jax.pmap`: every device runs the step on its own part of the batch.

    Metrics are added, and the count of a loss weighs the gradient of each part. So the gradient is
    that of the whole batch, also with lengths, masks and weights. The result differs from that of
    one device if a layer depends on its whole batch. BatchNorm normalizes each part separately, and
    averages the running statistics. Every device has its own dropout masks and noise. The default
    `Sharded` has none of these differences.

    Args:
      devices: devices of this process; None means all of them.

    Raises:
      InputError: more than one process.
    """

    def __init__(self, devices: Sequence[jax.Device] | None = None):
        if jax.process_count() > 1:
            raise InputError("strategy", "pmap", "sharded, when there are several processes")
        self.whole = Sharded(devices)
        self.devices = self.whole.devices
        self.shares = self.whole.shares

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner | Sweep, window: Window) -> Program:
        return program(learner, example_of(window), self.whole, self._read, self._spread)

    def _read(self, arrays: dict, rows: Int[Array, " B"]) -> Batch:
        return gather(arrays, rows.reshape(len(self.devices), -1)[jax.lax.axis_index(AXIS)])

    def _spread(self, function: Callable) -> Callable:
        def on_one_device(replica, state, arrays, order, first, key, *rest):
            return function(state, arrays, order, first, jax.random.fold_in(key, replica), *rest)

        def on_all(*args):
            axes = (0, *[None] * len(args))
            mapped = jax.pmap(
                on_one_device, AXIS, in_axes=axes, out_axes=None, devices=self.devices
            )
            return mapped(jnp.arange(len(self.devices)), *args)

        return on_all


class Checked:
    """Checked steps, one at a time on the first device: slow.

    The result is that of `single`, up to rounding.

    Before a step its batch must be finite. No index in the network may be out of bounds; JAX would
    clamp or drop it silently. Only the indices of the evaluation are checked, because JAX cannot
    check all of a gradient's. In the step no operation may produce a NaN, and no key may be used
    twice. Errors name the step and the line of the user's code.

    Raises:
      InputError: more than one process.
    """

    def __init__(self) -> None:
        if jax.process_count() > 1:
            raise InputError("strategy", "debug", "sharded, when there are several processes")
        self.whole = Sharded(jax.local_devices()[:1])
        self.devices = self.whole.devices
        self.shares = self.whole.shares

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner | Sweep, window: Window) -> Program:
        return checked_program(learner, self.whole.compile(learner, window))


@cache
def strategy(name: str = "auto") -> Strategy:
    """Returns a strategy by its name.

    Equal calls return the same object, so that its compiled programs are reused.

    Args:
      name: `single` (the first device), `sharded`, `fsdp` (sharded, large parameters too), `pmap`,
        `debug` (the first device, every step checked), or `auto`: sharded over all devices, which
        is `single` if there is only one.

    Raises:
      InputError: an unknown name.

    Example:
      >>> type(strategy("single")).__name__
      'Sharded'
    """
    one_of("strategy", name, ["auto", "single", "sharded", "fsdp", "pmap", "debug"])
    if name == "single":
        return Sharded(jax.local_devices()[:1])
    if name == "debug":
        return Checked()
    if name == "pmap":
        return Pmapped()
    return Sharded(fsdp=name == "fsdp")
