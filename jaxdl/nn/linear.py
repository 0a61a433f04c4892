"""Linear functions with a given transpose, for derivatives in both modes.

`jax.custom_vjp` gives a function its own gradient and closes forward mode. A rule of
`jax.custom_jvp` keeps both modes open if its tangent is a linear function. JAX transposes this
function for reverse mode. `linear_call` replaces the transpose that JAX would derive by a faster
one.

`jax.custom_derivatives.linear_call` does the same, but cannot be batched, and its residuals cannot
be differentiated. Both are needed for several seeds in one program and for second derivatives.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, PyTree

from jaxdl.metrics import wide_dtype
from jaxdl.xla import materialize

Function = Callable[..., Any]


def linear_call(
    f: Function, transpose: Function, residuals: PyTree[Array], x: PyTree[Array]
) -> PyTree[Array]:
    """Computes `f(residuals, x)`, a function that is linear in x and has its own transpose.

        <f(r, x), g> = <x, transpose(r, g)>    for all x and g

    Reverse mode calls `transpose`, whose own transpose is f. Derivatives with respect to the
    residuals are those of f and of `transpose` as JAX derives them.

    Source: Frostig et al. 2021, Decomposing reverse-mode automatic differentiation.

    Args:
      f: `f(residuals, x)`, linear in x. It closes over no traced arrays.
      transpose: `transpose(residuals, g)`, of the structure of x, where g is like f's result.
      residuals: arrays on which f may depend in any way.
      x: arrays, float.

    Returns:
      The result of f.

    Example:
      >>> def double(r, x):
      ...     return 2 * x
      >>> def triple(r, g):  # Wrong on purpose, to show which function is called.
      ...     return 3 * g
      >>> def twice(x):
      ...     return linear_call(double, triple, (), x)
      >>> tangent = jax.jvp(twice, (1.0,), (1.0,))[1]
      >>> float(tangent), float(jax.grad(twice)(1.0))
      (2.0, 3.0)
    """
    leaves, tree = jax.tree.flatten((residuals, x))
    count = len(jax.tree.leaves(residuals))
    result: Any = None

    def flat(*leaves: Array) -> list[Array]:
        nonlocal result
        ys, result = jax.tree.flatten(f(*jax.tree.unflatten(tree, leaves)))
        return ys

    def flat_transpose(*leaves: Array) -> list[Array]:
        r, _ = jax.tree.unflatten(tree, (*leaves[:count], *zeros))
        g = jax.tree.unflatten(result, leaves[count:])
        return jax.tree.leaves(transpose(r, g))

    zeros = [None] * (len(leaves) - count)
    ys = _bind(flat, flat_transpose, count, leaves)
    return jax.tree.unflatten(result, ys)


def bilinear(cpu: Function, default: Function, gradients: Function) -> Function:
    """Returns a function that is linear in each of two arrays, with given gradients.

        df(a, b) = f(da, b) + f(a, db)

    Args:
      cpu: `cpu(a, b, options)`, the function on a CPU, for float32 or a wider dtype.
      default: the same on other platforms.
      gradients: `gradients(a, b, g, options)`, the gradients of a and b from that of the result.

    Returns:
      `f(a, b, options)`, where the options can be hashed.

    Example:
      >>> def product(a, b, options):
      ...     return a * b
      >>> def gradients(a, b, g, options):  # That of b is wrong on purpose.
      ...     return b * g, 5 * g
      >>> times = bilinear(product, product, gradients)
      >>> def double(b):
      ...     return times(jnp.array(2.0), b, None)
      >>> b = jnp.array(3.0)
      >>> float(jax.jvp(double, (b,), (jnp.ones_like(b),))[1]), float(jax.grad(double)(b))
      (2.0, 5.0)
    """

    @partial(jax.custom_jvp, nondiff_argnums=(2,))
    def f(a: Array, b: Array, options: Hashable) -> Array:
        def widened(a: Array, b: Array) -> Array:
            # A CPU has a fast routine for float32 only.
            wide = wide_dtype(a.dtype)
            return cpu(a.astype(wide), b.astype(wide), options).astype(a.dtype)

        def narrow(a: Array, b: Array) -> Array:
            return default(a, b, options)

        return lax.platform_dependent(a, b, cpu=widened, default=narrow)

    def jvp(options: Hashable, arrays: Any, tangents: Any) -> Any:
        # An array without a tangent, such as an image, needs no gradient.
        moving = [type(t) is not SymbolicZero for t in tangents]
        changes = [t if moves else None for moves, t in zip(moving, tangents, strict=True)]

        def tangent(arrays: Any, changes: Any) -> Any:
            a, b = arrays
            d_a, d_b = changes
            if d_b is None:
                return f(d_a, b, options)
            if d_a is None:
                return f(a, d_b, options)
            return f(d_a, b, options) + f(a, d_b, options)

        def transposed(arrays: Any, g: Array) -> Any:
            both = gradients(*arrays, materialize(g), options)
            # The closure outlives this trace, so it holds no array.
            return [
                gradient if moves else None for moves, gradient in zip(moving, both, strict=True)
            ]

        return f(*arrays, options), linear_call(tangent, transposed, arrays, changes)

    f.defjvp(jvp, symbolic_zeros=True)
    return f


def _bind(f: Function, transpose: Function, count: int, args: Any) -> list[Array]:
    """Calls the primitive; the first `count` arguments are residuals."""
    call = jax.make_jaxpr(f)(*args)
    return _linear_call.bind(*args, call=call, transpose_thunk=transpose, count=count)


def _run(*args: Any, call: ClosedJaxpr, transpose_thunk: Function, count: int) -> list[Any]:
    return jaxpr_as_fun(call)(*args)


def _jvp(primals: Any, tangents: Any, *, call: ClosedJaxpr, **params: Any) -> tuple[Any, Any]:
    """Adds the derivatives in the linear arguments and in the residuals."""
    count = params["count"]
    ys = _linear_call.bind(*primals, call=call, **params)
    tangent = None
    if any(type(t) is not ad.Zero for t in tangents[count:]):
        linear = [ad.instantiate_zeros(t) for t in tangents[count:]]
        tangent = _linear_call.bind(*primals[:count], *linear, call=call, **params)
    moving = [i for i, t in enumerate(tangents[:count]) if type(t) is not ad.Zero]
    if not moving:
        return ys, tangent

    def of_residuals(*values: Any) -> list[Any]:
        args = list(primals)
        for i, value in zip(moving, values, strict=True):
            args[i] = value
        return jaxpr_as_fun(call)(*args)

    values = [primals[i] for i in moving]
    more = jax.jvp(of_residuals, values, [tangents[i] for i in moving])[1]
    if tangent is None:
        return ys, more
    return ys, [a + b for a, b in zip(tangent, more, strict=True)]


def _transpose(
    cotangents: Any, *args: Any, call: ClosedJaxpr, transpose_thunk: Function, count: int
) -> list[Any]:
    """Calls the transpose. Arguments that are not differentiated are zeros and get no cotangent."""
    g = [ad.instantiate_zeros(c) for c in cotangents]
    found = _bind(transpose_thunk, jaxpr_as_fun(call), count, [*args[:count], *g])
    wanted = [ad.is_undefined_primal(x) for x in args[count:]]
    chosen = [value if needed else None for value, needed in zip(found, wanted, strict=True)]
    return [None] * count + chosen


def _batch(
    args: Any, axes: Any, *, call: ClosedJaxpr, transpose_thunk: Function, count: int
) -> tuple[list[Array], list[int]]:
    """Maps f and its transpose over the first axis, which every linear argument then has."""
    size = next(x.shape[axis] for x, axis in zip(args, axes, strict=True) if axis is not None)
    moved = []
    for i, (x, axis) in enumerate(zip(args, axes, strict=True)):
        if axis is not None:
            x = jnp.moveaxis(x, axis, 0)
        elif i >= count:
            x = jnp.broadcast_to(x, (size, *x.shape))
        moved.append(x)
    shared = [None if axis is None else 0 for axis in axes[:count]]
    f = jax.vmap(jaxpr_as_fun(call), (*shared, *[0] * (len(args) - count)))
    transpose = jax.vmap(transpose_thunk, (*shared, *[0] * len(call.out_avals)))
    ys = _bind(f, transpose, count, moved)
    return ys, [0] * len(ys)


def _avals(*_: Any, call: ClosedJaxpr, **__: Any) -> list[Any]:
    return call.out_avals


_linear_call = Primitive("linear_call_with_transpose")
_linear_call.multiple_results = True
_linear_call.def_impl(_run)
_linear_call.def_abstract_eval(_avals)
ad.primitive_jvps[_linear_call] = _jvp
ad.primitive_transposes[_linear_call] = _transpose
batching.primitive_batchers[_linear_call] = _batch
mlir.register_lowering(_linear_call, mlir.lower_fun(_run, multiple_results=True))
