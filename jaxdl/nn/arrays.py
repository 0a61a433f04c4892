"""What functions with a gradient of their own share."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from jaxdl.xla import materialize

# The axis of devices that divides a batch; so `jaxdl.training.strategies` calls it too.
_AXIS = "data"

# A block is as many examples as have so many bytes, and at least so many. Kernel gradients at batch 128: at 26x26x32
# by 3x3x64 119, 119, 110, 101, 103 GFLOP/s in blocks of 4, 8, 16, 32, 64; at 14x14x32 by 5x5x64 66, 141, 147, 139,
# 157; at 14x14x16 by 5x5x32 with strides 2 66 in blocks of 16 and 150 as a whole.
_BLOCK_BYTES = 4 * 2**20
_LEAST = 16


def accumulation_dtype(dtype: Any) -> Any:
    """The dtype in which numbers are added up: float32 for those of half its size.

    Example:
      >>> accumulation_dtype(jnp.bfloat16) == jnp.float32, accumulation_dtype(jnp.float64) == jnp.float64
      (True, True)
    """
    return jnp.float32 if dtype in (jnp.bfloat16, jnp.float16) else dtype


def match_varying_axes(*trees: Any) -> Any:
    """The same arrays; inside `shard_map` they now vary over the same axes, and gradients of shared ones add up.

    Example:
      >>> match_varying_axes(jnp.ones(2), (jnp.zeros(1),))
      (Array([1., 1.], dtype=float32), (Array([0.], dtype=float32),))
    """
    # The axes of an array have no public name that lasts, but zeros made like it have the same. XLA drops the sum.
    leaves = jax.tree.leaves(trees)
    zero = {
        leaf.dtype: sum(jnp.zeros_like(a, shape=(), dtype=leaf.dtype) for a in leaves)
        for leaf in leaves
    }
    return jax.tree.map(lambda a: a + zero[a.dtype], trees)


def shard_over_batch(f: Callable, inputs: Sequence[int | None], outputs: Any, *args: Any) -> Any:
    """`f(*args)`, computed by each device on its own part of a batch that is divided over devices.

    That it is, the mesh in the context says by an axis "data" of type Auto: strategies over several devices name
    theirs, and a loop of one's own does by `jax.set_mesh`. XLA divides
    single operations by itself, but gathers the batch for a loop over examples, and adds up gradients over the
    devices in each turn of a loop over time. Elsewhere, and where the devices do not divide the batch, this is `f`.

    Args:
      f: computes each example by itself, whatever else it is given.
      inputs: for each of `args` the axis of the batch, in all of its arrays; None: it belongs to all examples.
      outputs: the same for what `f` returns, one number or a tuple of them.
      *args: arrays, or pytrees of them.

    Returns:
      What `f` returns.

    Example:
      >>> shard_over_batch(jnp.matmul, (0, None), 0, jnp.ones((4, 2)), jnp.ones((2, 3))).shape
      (4, 3)
    """
    mesh = jax.sharding.get_abstract_mesh()
    # Inside a shard_map of somebody's own, what is here may be a part already.
    devices = mesh.shape[_AXIS] if _AXIS in mesh.auto_axes and not mesh.manual_axes else 1
    pairs = [
        (a, axis) for arg, axis in zip(args, inputs, strict=True) for a in jax.tree.leaves(arg)
    ]
    if devices == 1 or any(axis is not None and a.shape[axis] % devices for a, axis in pairs):
        return f(*args)

    def spec(axis: int | None) -> PartitionSpec:
        return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, _AXIS)

    # Gradients of what belongs to all examples are added up over the devices in the dtype that goes in.
    dtypes = [jax.tree.map(lambda a: a.dtype, arg) for arg in args]
    args = tuple(
        jax.tree.map(_widened, arg) if axis is None else arg
        for arg, axis in zip(args, inputs, strict=True)
    )

    def on_one_device(*args: Any) -> Any:
        # The sum belongs where an array becomes the device's own: before it is made small again.
        own = [
            jax.tree.map(_own, arg) if axis is None else arg
            for arg, axis in zip(args, inputs, strict=True)
        ]
        return f(
            *(
                jax.tree.map(lambda a, dtype: a.astype(dtype), *pair)
                for pair in zip(own, dtypes, strict=True)
            )
        )

    specs = tuple(map(spec, inputs)), jax.tree.map(spec, outputs)
    return jax.shard_map(on_one_device, in_specs=specs[0], out_specs=specs[1], axis_names={_AXIS})(
        *args
    )


def _own(a: Array) -> Array:
    return jax.lax.pcast(a, _AXIS, to="varying")


def _widened(a: Array) -> Array:
    return a.astype(accumulation_dtype(a.dtype))


def sum_over_blocks(f: Callable[..., Array], *arrays: Array) -> Array:
    """`f` of a few neighbouring examples at a time, summed; the blocks stay in a CPU's cache.

    Args:
      f: of as many arrays.
      *arrays: `[B, ...]` each.

    Returns:
      What `f` gives, which has to be linear in the examples.

    Example:
      >>> float(sum_over_blocks(jnp.sum, jnp.arange(34.0)))
      561.0
    """
    count = arrays[0].shape[0]
    size = max(_LEAST, _BLOCK_BYTES * count // max(1, sum(a.nbytes for a in arrays)))
    if count <= size:
        return f(*arrays)

    def block(i: Any) -> Array:
        return f(*(jax.lax.dynamic_slice_in_dim(a, i * size, size) for a in arrays))

    # The first block is where the sum starts: its type is right under shard_map too. Of two blocks XLA takes the one
    # turn that is left out of its loop, and then they are computed side by side.
    total = jax.lax.fori_loop(1, count // size, lambda i, total: total + block(i), block(0))
    rest = count % size
    return total + f(*(a[-rest:] for a in arrays)) if rest else total


def add_bias(y: Float[Array, "B *N D"], bias: Float[Array, " D"]) -> Float[Array, "B *N D"]:
    """`y + bias`, whose gradient a CPU computes once, for the sum over it and for what comes before.

    Args:
      y: `[B, ..., D]`, float.
      bias: `[D]`, of the same dtype.

    Returns:
      Of the shape and dtype of `y`.

    Example:
      >>> add_bias(jnp.zeros((1, 2)), jnp.arange(2.0)).tolist()
      [[0.0, 1.0]]
    """
    return shard_over_batch(lambda *a: _add_bias(*match_varying_axes(*a)), (0, None), 0, y, bias)


@jax.custom_vjp
def _add_bias(y: Array, bias: Array) -> Array:
    return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


def _backward(_: None, g: Array) -> tuple[Array, Array]:
    g = materialize(g)
    return g, g.sum(tuple(range(g.ndim - 1)), dtype=accumulation_dtype(g.dtype)).astype(g.dtype)


_add_bias.defvjp(lambda y, bias: (_add_bias(y, bias), None), _backward)
