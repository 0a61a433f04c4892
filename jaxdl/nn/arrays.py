"""Array functions shared by the layers: sums in blocks, biases, and batches over devices."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float

from jaxdl.metrics import wide, wide_dtype
from jaxdl.nn.linear import linear_call
from jaxdl.xla import materialize

# The mesh axis that divides a batch. `jaxdl.training.strategies` uses the same name.
_BATCH_AXIS = "data"

# The bytes of a block of examples, and its least number of examples. GFLOP/s of kernel gradients
# at batch 128, for blocks of 4, 8, 16, 32 and 64 examples:
#   26x26x32 by 3x3x64: 119, 119, 110, 101, 103
#   14x14x32 by 5x5x64: 66, 141, 147, 139, 157
# 14x14x16 by 5x5x32 with strides 2 reaches 66 in blocks of 16, and 150 without blocks.
_BLOCK_BYTES = 4 * 2**20
_MIN_EXAMPLES = 16

Function = TypeVar("Function", bound=Callable[..., Any])


def match_varying_axes(*trees: Any) -> Any:
    """Makes all arrays vary over the same mesh axes inside `shard_map`.

    Gradients of arrays that the devices share are then summed over the devices. The values of the
    arrays do not change.

    Example:
      >>> match_varying_axes(jnp.ones(2), (jnp.zeros(1),))
      (Array([1., 1.], dtype=float32), (Array([0.], dtype=float32),))
    """
    # JAX has no stable public function for the varying axes of an array. Zeros created like an
    # array have the same axes. XLA removes the addition.
    leaves = jax.tree.leaves(trees)
    zero = {
        leaf.dtype: sum(jnp.zeros_like(a, shape=(), dtype=leaf.dtype) for a in leaves)
        for leaf in leaves
    }
    return jax.tree.map(lambda a: a + zero[a.dtype], trees)


def shard_over_batch(f: Callable, inputs: Sequence[int | None], outputs: Any, *args: Any) -> Any:
    """Computes `f(*args)`, where each device computes its own part of the batch.

    This needs a mesh in the context with an axis "data" of type Auto. Strategies with several
    devices set such a mesh, and a custom loop can do so with `jax.set_mesh`. Without one, or if
    the devices do not divide the batch, the function calls `f` on the whole batch.

    XLA can divide single operations without this function. But for a loop over examples it gathers
    the batch. In a loop over time it sums gradients over the devices in every iteration.

    Args:
      f: a function that computes each example independently of the others.
      inputs: for each of `args` the batch axis of all its arrays; None for an argument that all
        examples share.
      outputs: the batch axis of the result of `f`, or a tuple with one per result.
      *args: arrays, or pytrees of them.

    Returns:
      The result of `f`.

    Example:
      >>> shard_over_batch(jnp.matmul, (0, None), 0, jnp.ones((4, 2)), jnp.ones((2, 3))).shape
      (4, 3)
    """
    devices = _batch_devices()
    pairs = [
        (a, axis) for arg, axis in zip(args, inputs, strict=True) for a in jax.tree.leaves(arg)
    ]
    if devices == 1 or any(axis is not None and a.shape[axis] % devices for a, axis in pairs):
        return f(*args)

    # The sum of gradients over the devices has the dtype of the input, so shared arguments enter
    # in the dtype for sums.
    dtypes = [jax.tree.map(lambda a: a.dtype, arg) for arg in args]
    args = _map_shared(_widen, args, inputs)

    def on_one_device(*args: Any) -> Any:
        # Gradients are summed where an array becomes varying, so this precedes the narrow dtype.
        local = _map_shared(_to_varying, args, inputs)
        return f(*map(_cast, local, dtypes))

    sharded = jax.shard_map(
        on_one_device,
        in_specs=tuple(map(_spec, inputs)),
        out_specs=jax.tree.map(_spec, outputs),
        axis_names={_BATCH_AXIS},
    )
    return sharded(*args)


def _batch_devices() -> int:
    """Returns the number of devices that divide a batch in the current context."""
    mesh = jax.sharding.get_abstract_mesh()
    # Inside a caller's `shard_map` the arrays may be parts of the batch already.
    if _BATCH_AXIS in mesh.auto_axes and not mesh.manual_axes:
        return mesh.shape[_BATCH_AXIS]
    return 1


def _spec(axis: int | None) -> PartitionSpec:
    if axis is None:
        return PartitionSpec()
    return PartitionSpec(*[None] * axis, _BATCH_AXIS)


def _map_shared(f: Callable, args: Sequence[Any], axes: Sequence[int | None]) -> tuple[Any, ...]:
    """Applies `f` to the arrays of the arguments that all examples share."""
    return tuple(
        jax.tree.map(f, arg) if axis is None else arg for arg, axis in zip(args, axes, strict=True)
    )


def _to_varying(a: Array) -> Array:
    return jax.lax.pcast(a, _BATCH_AXIS, to="varying")


def _widen(a: Array) -> Array:
    """Returns floats in the dtype for sums; integers have no gradient."""
    if jnp.issubdtype(a.dtype, jnp.floating):
        return wide(a)
    return a


def _cast(tree: Any, dtypes: Any) -> Any:
    return jax.tree.map(lambda a, dtype: a.astype(dtype), tree, dtypes)


def batch_optional(rank: int) -> Callable[[Function], Function]:
    """Returns a decorator for a function of a batch, which then also accepts one example.

    Args:
      rank: number of axes of a batch. An array with one axis less is one example.

    Returns:
      A decorator of functions `f(x, ...)`. The result for one example has no batch axis.

    Example:
      >>> double = batch_optional(2)(lambda x: 2 * x)
      >>> double(jnp.ones(3)).shape, double(jnp.ones((1, 3))).shape
      ((3,), (1, 3))
    """

    def decorate(f: Function) -> Function:
        @wraps(f)
        def call(x: Any, *args: Any, **options: Any) -> Any:
            if x.ndim != rank - 1:
                return f(x, *args, **options)
            return f(x[None], *args, **options)[0]

        return cast(Function, call)

    return decorate


def sum_over_blocks(f: Callable[..., Array], *arrays: Array, examples: int | None = None) -> Array:
    """Sums `f` over blocks of consecutive examples that fit into a CPU's cache.

    Args:
      f: a function of as many arrays; it must be a sum over the examples.
      *arrays: `[B, ...]` each.
      examples: number of examples of a block; None means as many as fit.

    Returns:
      The result of `f` for all examples.

    Example:
      >>> float(sum_over_blocks(jnp.sum, jnp.arange(34.0)))
      561.0
    """
    count = arrays[0].shape[0]
    size = max(_MIN_EXAMPLES, _BLOCK_BYTES * count // max(1, sum(a.nbytes for a in arrays)))
    if examples is not None:
        size = examples
    if count <= size:
        return f(*arrays)

    def block(i: Any) -> Array:
        return f(*(jax.lax.dynamic_slice_in_dim(a, i * size, size) for a in arrays))

    # The sum starts from the first block, so that its type is also right under `shard_map`. If
    # there are two blocks, XLA unrolls the loop's one iteration and computes both in parallel.
    total = jax.lax.fori_loop(1, count // size, lambda i, total: total + block(i), block(0))
    rest = count % size
    if rest == 0:
        return total
    return total + f(*(a[-rest:] for a in arrays))


def add_bias(y: Float[Array, "B *N D"], bias: Float[Array, " D"]) -> Float[Array, "B *N D"]:
    """Computes `y + bias`, with a gradient that a CPU computes only once.

    Two operations read the gradient: the sum for the bias, and the preceding layer.

    Args:
      y: `[B, ..., D]`, float.
      bias: `[D]`, of the same dtype.

    Returns:
      An array with the shape and dtype of `y`.

    Example:
      >>> add_bias(jnp.zeros((1, 2)), jnp.arange(2.0)).tolist()
      [[0.0, 1.0]]
    """
    return shard_over_batch(lambda *a: _add_bias(*match_varying_axes(*a)), (0, None), 0, y, bias)


@jax.custom_jvp
def _add_bias(y: Array, bias: Array) -> Array:
    return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


@_add_bias.defjvp
def _add_bias_jvp(
    arrays: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    def tangent(_: None, changes: tuple[Array, Array]) -> Array:
        return _add_bias(*changes)

    def transposed(_: None, g: Array) -> tuple[Array, Array]:
        g = materialize(g)
        g_bias = g.sum(tuple(range(g.ndim - 1)), dtype=wide_dtype(g.dtype))
        return g, g_bias.astype(g.dtype)

    return _add_bias(*arrays), linear_call(tangent, transposed, None, tangents)
