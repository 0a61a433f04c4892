"""Recurrences over time with their own derivatives: the cells, and one loop that runs them.

A cell is a pointwise function `cell(a, carry) -> carry` of its pre-activations and its carry, with
`a_t = x_t W + h_{t-1} R + b`. Its argument `name` names its gates for `jaxdl.nn.tap`. The forward
loop saves pre-activations and carries, and the backward loop computes the pointwise part again.

The backward loop yields the gradients of the pre-activations. One matrix product over all steps
then gives those of each weight and of the input. If all steps together do not fit into a CPU's
cache, the backward loop computes one small product per step instead.

The table has the processor time of forward and backward in ms, including the gradient of x. It is
for one layer, T 40, D = H = 128 and float32 on one core (jax 0.10.2).

    batch 128 (batch 32)                                LSTM         GRU       SimpleRNN
    products after the loop                      39.0 (10.9)  37.0 ( 9.9)     13.0 (3.0)
    products inside the loop                     36.4 (12.2)  31.9 ( 9.7)     12.0 (3.2)
    autodiff of the same loop                    52.8 (14.5)  40.3 (11.8)          (3.4)
    autodiff, cell under `jax.checkpoint`        37.7 (12.9)  32.5 (10.6)          (3.1)
    flax.linen.RNN                               48.2 (13.8)  32.2 (10.2)     13.0 (3.2)

Two LSTM layers with products after the loop take 95 (21.7) if x W is inside the forward loop. They
take 103 (22.1) if it is one product before the loop, and 105 (24.0) if the activated gates are
saved. One product of (x, h) is no faster than two products of x and h.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxdl.metrics import wide_dtype
from jaxdl.nn.arrays import match_varying_axes, shard_over_batch
from jaxdl.nn.linear import linear_call
from jaxdl.nn.tap import named_scan

Carry = tuple[Float[Array, "B H"], ...]
Cell = Callable[..., Carry]
Name = Callable[[str, Array], Array]

# If all steps together have more bytes than this, a CPU's backward loop multiplies the gradients
# of each step while they are in the cache.
_CACHE_BYTES = 6 * 2**20


def _unnamed(name: str, value: Array) -> Array:
    return value


class Weights(NamedTuple):
    """Weights of a recurrence.

    Attributes:
      kernel: W, `[D, G]`; `x_t W` is added to the first G pre-activations.
      recurrent_kernel: R, `[H, G]`; `h_{t-1} R` is added to the last G pre-activations.
      bias: b, `[A]`, one number per pre-activation; A > G if some pre-activations get only one of
        the two products.
    """

    kernel: Float[Array, "D G"]
    recurrent_kernel: Float[Array, "H G"]
    bias: Float[Array, " A"]


def rnn_cell(a: Float[Array, "B H"], carry: Carry, name: Name = _unnamed) -> Carry:
    """Computes one step of a simple recurrent network; the carry is `(h,)`.

        h_t = tanh(a_t)

    Source: Elman 1990, Finding structure in time.

    Example:
      >>> rnn_cell(jnp.zeros((1, 2)), (jnp.ones((1, 2)),))[0].tolist()
      [[0.0, 0.0]]
    """
    return (name("h", jnp.tanh(a)),)


def lstm_cell(a: Float[Array, "B 4H"], carry: Carry, name: Name = _unnamed) -> Carry:
    """Computes one step of an LSTM; the carry is `(c, h)`.

        (i, f, g, o) = a_t
        c_t = s(f) c_{t-1} + s(i) tanh(g),    h_t = s(o) tanh(c_t)

    Source: Hochreiter, Schmidhuber 1997, Long short-term memory; Gers et al. 2000 (the forget
    gate).

    Example:
      >>> [x.tolist() for x in lstm_cell(jnp.zeros((1, 4)), (jnp.ones((1, 1)), jnp.ones((1, 1))))]
      [[[0.5]], [[0.23105...]]]
    """
    c, _ = carry
    # All gates are one tanh of a whole array, because s(a) = (1 + tanh(a / 2)) / 2. A CPU computes
    # it with vector instructions. Forward takes 7.3 ms, and 14.3 ms with four functions of slices
    # (T 40, B 128, H 128).
    scale = np.repeat([0.5, 0.5, 1.0, 0.5], c.shape[-1])[None]
    i, f, g, o = jnp.split(jnp.tanh(a * jnp.asarray(scale, a.dtype)), 4, -1)
    kept = name("forget", _gate(f)) * c
    c = name("cell", kept + name("input", _gate(i)) * name("candidate", g))
    return c, name("h", name("output", _gate(o)) * jnp.tanh(c))


def gru_cell(a: Float[Array, "B 4H"], carry: Carry, name: Name = _unnamed) -> Carry:
    """Computes one step of a GRU; the carry is `(h,)`.

        (n, r, z, m) = a_t
        n_t = tanh(n + s(r) m),    h_t = (1 - s(z)) n_t + s(z) h_{t-1}

    n is the input's part of the candidate, and m is the recurrent part. r and z are sums of both.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Example:
      >>> gru_cell(jnp.zeros((1, 4)), (jnp.ones((1, 1)),))[0].tolist()
      [[0.5]]
    """
    (h,) = carry
    size = h.shape[-1]
    n, rz, m = jnp.split(a, [size, 3 * size], -1)
    r, z = jnp.split(_gate(jnp.tanh(rz * 0.5)), 2, -1)
    n = name("candidate", jnp.tanh(n + name("reset", r) * m))
    return (name("h", n + name("update", z) * (h - n)),)


def _gate(t: Array) -> Array:
    """Returns the logistic function of `a`, given `t = tanh(a / 2)`."""
    return t * 0.5 + 0.5


def scan_cell(
    cell: Cell,
    weights: Weights,
    x: Float[Array, "T B D"],
    carry: Carry,
    mask: Bool[Array, "T B"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "T B H"], Carry]:
    """Runs a cell over sequences, with time as first axis.

        carry_t = cell(x_t W + h_{t-1} R + b, carry_{t-1}),    y_t = h_t

    The function is differentiable to any order in weights, `x` and `carry`.

    Args:
      cell: a pointwise function of `(a, carry)`; the last entry of a carry is h.
      weights: kernel, recurrent kernel and bias, of the dtype of `x`.
      x: `[T, B, D]`.
      carry: the initial carry, `[B, H]` each, of the dtype of `x`.
      mask: `[T, B]`; where it is False, the carry does not change and y is 0. None means True
        everywhere.
      reverse: if True, runs from the last step to the first.

    Returns:
      `(ys [T, B, H], carry)`, with the carry after the final step.

    Example:
      >>> weights = Weights(jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.zeros((1,)))
      >>> x = jnp.arange(3.0).reshape(3, 1, 1)
      >>> ys, _ = scan_cell(rnn_cell, weights, x, (jnp.zeros((1, 1)),))
      >>> ys.ravel().round(2).tolist()
      [0.0, 0.7..., 0.9...]
    """

    def run(weights, x, carry, mask):
        return _scan_cell(cell, *match_varying_axes(weights, x, carry), mask, reverse)

    return shard_over_batch(run, (None, 1, 0, 1), (1, 0), weights, x, carry, mask)


def scan_named_cell(
    layer: nn.Module,
    cell: Cell,
    weights: Weights,
    x: Float[Array, "T B D"],
    carry: Carry,
    mask: Bool[Array, "T B"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "T B H"], Carry]:
    """Runs a cell like `scan_cell`, with names for its gates and carries in a tapped layer.

    It is a plain loop, differentiated by JAX.

    Args:
      layer: the module whose path precedes the names.
      cell: as for `scan_cell`, like all further arguments.
      weights: kernel, recurrent kernel and bias.
      x: `[T, B, D]`.
      carry: the initial carry.
      mask: `[T, B]`; named values are 0 where it is False.
      reverse: if True, runs from the last step to the first.

    Returns:
      As `scan_cell`.
    """

    def step(name: Name, carry: Carry, inputs: tuple[Array, Array | None]) -> tuple[Carry, Array]:
        x, valid = inputs
        p = _product(x, weights.kernel)
        u = _product(carry[-1], weights.recurrent_kernel)
        a = _pre_activations(p, u, weights.bias).astype(x.dtype)
        return _pointwise(partial(cell, name=name), a, carry, valid)

    end, ys = named_scan(layer, step, carry, (x, mask), mask, reverse)
    return ys, end


@partial(jax.custom_jvp, nondiff_argnums=(0, 5))
def _scan_cell(cell, weights, x, carry, mask, reverse):
    ys, end, _ = _forward(cell, weights, x, carry, mask, reverse, save=False)
    return ys, end


@_scan_cell.defjvp
def _scan_jvp(cell, reverse, primals, tangents):
    weights, x, carry, mask = primals
    ys, end, saved = _forward(cell, weights, x, carry, mask, reverse, save=True)
    run = partial(_run_tangent, cell, reverse)
    transposed = partial(_backward, cell, reverse)
    tangent = linear_call(run, transposed, (weights, x, mask, saved), tangents[:3])
    return (ys, end), tangent


def _backward(cell, reverse, residuals, gradients):
    run = partial(_run_backward, cell, reverse)
    cpu = partial(run, cpu=True)
    default = partial(run, cpu=False)
    return lax.platform_dependent(*residuals, *gradients, cpu=cpu, default=default)


def _forward(cell, weights, x, carry, mask, reverse, save):
    run = partial(_run_forward, cell, reverse, save)
    cpu = partial(run, cpu=True)
    default = partial(run, cpu=False)
    return lax.platform_dependent(weights, x, carry, mask, cpu=cpu, default=default)


def _run_forward(cell, reverse, save, weights, x, carry, mask, *, cpu):
    """Returns `(ys, end, saved)`; saved are the pre-activations and the carry before each step."""
    # A CPU multiplies the input in each step, because the product then stays in the cache. On
    # other platforms the cost of a step is its number of kernels, so one product precedes the loop.
    kernel, recurrent_kernel, bias = weights

    def step(carry, inputs):
        p, m = inputs
        if cpu:
            p = _product(p, kernel)
        a = _pre_activations(p, _product(carry[-1], recurrent_kernel), bias).astype(x.dtype)
        new, y = _pointwise(cell, a, carry, m)
        if save:
            return new, (y, (a, carry))
        return new, (y, None)

    inputs = x
    if not cpu:
        inputs = _product(x, kernel)
    end, (ys, saved) = lax.scan(step, carry, (inputs, mask), reverse=reverse)
    return ys, end, saved


def _run_tangent(cell, reverse, residuals, changes):
    """Returns the changes of ys and of the final carry, for small changes of all inputs."""
    weights, x, mask, (a, before) = residuals
    d_weights, d_x, d_carry = changes

    def step(d_carry, inputs):
        x, d_x, a, carry, m = inputs
        d_p = _product(d_x, weights.kernel) + _product(x, d_weights.kernel)
        d_u = _product(d_carry[-1], weights.recurrent_kernel)
        d_u += _product(carry[-1], d_weights.recurrent_kernel)
        d_a = _pre_activations(d_p, d_u, d_weights.bias).astype(a.dtype)
        return jax.jvp(partial(_pointwise, cell, mask=m), (a, carry), (d_a, d_carry))[1]

    d_end, d_ys = lax.scan(step, d_carry, (x, d_x, a, before, mask), reverse=reverse)
    return d_ys, d_end


def _run_backward(cell, reverse, weights, x, mask, saved, g_ys, g_end, *, cpu):
    """Returns the gradients of weights, `x` and carry from those of ys and of the final carry."""
    a, before = saved
    in_loop = cpu and x.nbytes + before[-1].nbytes + a.nbytes > _CACHE_BYTES
    zeros = None
    if in_loop:
        zeros = jax.tree.map(lambda w: jnp.zeros_like(x, wide_dtype(w.dtype), w.shape), weights)

    def step(state, inputs):
        g_carry, sums = state
        g_y, a, carry, m, x = inputs
        # Computing the cell again is cheaper than reading saved values for its gradient.
        g_a, g_carry = jax.vjp(partial(_pointwise, cell, mask=m), a, carry)[1]((g_carry, g_y))
        g_h = g_carry[-1] + _product(g_a[:, -gates:], weights.recurrent_kernel.T).astype(a.dtype)
        if not in_loop:
            return ((*g_carry[:-1], g_h), None), g_a
        g_step, g_x = _products(weights, x, carry[-1], g_a, cpu)
        return ((*g_carry[:-1], g_h), jax.tree.map(jnp.add, sums, g_step)), g_x

    gates = weights.kernel.shape[1]
    (g_carry, g_weights), g = lax.scan(
        step, (g_end, zeros), (g_ys, a, before, mask, x), reverse=not reverse
    )
    if in_loop:
        g_x = g
    else:
        g_weights, g_x = _products(weights, x, before[-1], g, cpu)
    return jax.tree.map(lambda g, w: g.astype(w.dtype), g_weights, weights), g_x, g_carry


def _products(weights: Weights, x: Array, h: Array, g_a: Array, cpu: bool) -> tuple[Weights, Array]:
    """Returns the gradients of weights and `x`, for one step `[B, A]` or for all `[T, B, A]`."""
    gates = weights.kernel.shape[1]
    g_p = g_a[..., :gates]
    g_u = g_a[..., -gates:]
    g_bias = g_a.sum(tuple(range(g_a.ndim - 1)), dtype=wide_dtype(g_a.dtype))
    g_weights = Weights(_sum_over_rows(x, g_p, cpu), _sum_over_rows(h, g_u, cpu), g_bias)
    return g_weights, _product(g_p, weights.kernel.T).astype(x.dtype)


def _pointwise(cell: Cell, a: Array, carry: Carry, mask: Array | None) -> tuple[Carry, Array]:
    """Returns the new carry and the output of one step."""
    new = cell(a, carry)
    if mask is None:
        return new, new[-1]
    valid = mask[:, None]
    carry = jax.tree.map(lambda new, old: jnp.where(valid, new, old), new, carry)
    return carry, jnp.where(valid, new[-1], jnp.zeros_like(new[-1]))


def _pre_activations(p: Array, u: Array, bias: Array) -> Array:
    """Adds `p` to the first and `u` to the last columns of `bias`."""
    separate = bias.shape[0] - p.shape[1]
    if separate:
        first = p[:, :separate]
        middle = p[:, separate:] + u[:, :-separate]
        last = u[:, -separate:]
        a = jnp.concatenate([first, middle, last], -1)
    else:
        a = p + u
    return a + bias[None].astype(a.dtype)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, preferred_element_type=wide_dtype(a.dtype))


def _sum_over_rows(
    a: Float[Array, "*N M"], b: Float[Array, "*N G"], cpu: bool
) -> Float[Array, "M G"]:
    """Computes `sum_n a[n, m] b[n, g]` over all axes except the last."""
    if cpu:
        # This takes 5.1 ms, and a sum over two axes 7.4 ms (40 x 128 rows, 128 by 512). On other
        # platforms the axes stay separate: the reshape would gather a batch divided over devices.
        a = a.reshape(-1, a.shape[-1])
        b = b.reshape(-1, b.shape[-1])
    rows = tuple(range(a.ndim - 1))
    return lax.dot_general(
        a, b, ((rows, rows), ((), ())), preferred_element_type=wide_dtype(a.dtype)
    )
