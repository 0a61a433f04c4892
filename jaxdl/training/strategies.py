"""Strategies: the only place that knows devices.

A strategy says where a state and its batches live, and has the learner's program compiled for that.
"""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

from jaxdl.core import AXIS, Batch, Learner
from jaxdl.data.order import Window, gather
from jaxdl.errors import InputError, one_of
from jaxdl.training.debugging import checked_program
from jaxdl.training.program import Program, example_of, program

#: Leaves with fewer numbers than this are not worth cutting up under `fsdp`.
FSDP_MIN_SIZE = 2**14


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
    this is plain `jit` with a donated state. With several, layers see the mesh in the context while a step is
    traced, and a `jax.shard_map` of one's own takes it from there, without `mesh=`. Several hosts need
    `jax.distributed.initialize()` first and nothing else.

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
        return jax.tree.map(self._place, tree)

    def _place(self, x: Any) -> Any:
        if not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.device_put(x, self.everywhere)
        # Keys themselves cannot be put where other processes' devices are.
        bits = jax.device_put(jax.random.key_data(x), self.everywhere)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(x))

    def compile(self, learner: Learner, window: Window) -> Program:
        return program(learner, example_of(window), self, self._read, self._named)

    def sharding(self, leaf: Any) -> NamedSharding:
        """Where one leaf of the state lives."""
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

    def _named(self, function: Callable) -> Callable:
        """Layers that divide a batch themselves see while tracing that there is something to divide it among."""

        @wraps(function)
        def inside(*args):
            with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
                return function(*args)

        return inside if len(self.devices) > 1 else function


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
    """One step at a time on the first device, each checked: slow. The meaning is that of `single`, the bits may differ.

    Before a step its batch must be finite, and no index of the network may lie outside of what it reads, which JAX
    clamps or drops without a word; these are the indices of evaluation, as JAX cannot check all of a gradient's. In the
    step no operation may make a NaN, and no key may be used for two things. Whatever is found says the step and the
    user's line.

    Raises:
      InputError: with several processes.
    """

    def __init__(self) -> None:
        if jax.process_count() > 1:
            raise InputError("strategy", "debug", "sharded, when there are several processes")
        self.whole = Sharded(jax.local_devices()[:1])
        self.devices = self.whole.devices

    def place(self, tree: Any) -> Any:
        return self.whole.place(tree)

    def compile(self, learner: Learner, window: Window) -> Program:
        return checked_program(learner, self.whole.compile(learner, window))


@cache
def strategy(name: str = "auto") -> Strategy:
    """A strategy by its name, the same one each time, so that what it has compiled is found again.

    Args:
      name: `single` (the first device), `sharded`, `fsdp` (sharded, large parameters too), `pmap`, `debug` (the first
        device, every step checked), or `auto`: sharded over all devices, which is single where there is one.

    Raises:
      InputError: for another name.

    Example:
      >>> type(strategy("single")).__name__
      'Sharded'
    """
    one_of("strategy", name, ["auto", "single", "sharded", "fsdp", "pmap", "debug"])
    if name == "single":
        return Sharded(jax.local_devices()[:1])
    if name == "debug":
        return Checked()
    return Pmapped() if name == "pmap" else Sharded(fsdp=name == "fsdp")
