"""The LSTM of NVIDIA's cuDNN, with the parameters of `jaxdl.nn.LSTM`."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.nn.linear import linear_call
from jaxdl.nn.recurrence import Carry, Weights, lstm_cell, scan_cell


def unsupported_reason(
    shape: tuple[Any, ...], dtype: jnp.dtype, mask: object, reverse: bool
) -> tuple[str, object, str] | None:
    """Returns the arguments of an `InputError` if cuDNN cannot do a computation, else None.

    Args:
      shape: sizes of the input. cuDNN needs numbers; those of an exported function are symbols.
      dtype: dtype of the computation.
      mask: mask of the steps; None means no mask. cuDNN supports lengths only, not masks.
      reverse: if True, time runs backwards, which cuDNN supports only together with a forward
        direction.

    Returns:
      `(field, value, allowed)`, or None.

    Example:
      >>> unsupported_reason((1, 2, 3), jnp.dtype("bfloat16"), None, False)
      ('dtype', 'bfloat16', "float32 with implementation 'cudnn'")
    """
    suffix = "with implementation 'cudnn'"
    if mask is not None:
        return "mask", "a mask", f"None {suffix}"
    if reverse:
        return "reverse", True, f"False {suffix}"
    if dtype != jnp.float32:
        return "dtype", str(dtype), f"float32 {suffix}"
    if not all(isinstance(size, int) for size in shape):
        return "x", shape, f"sizes that are numbers {suffix}"
    if not count_nvidia_gpus():
        return "implementation", "cudnn", "auto or scan, without an NVIDIA GPU"
    return None


def count_nvidia_gpus() -> int:
    """Returns the number of NVIDIA GPUs that are visible to this process, over all hosts.

    Example:
      >>> count_nvidia_gpus() >= 0
      True
    """
    try:
        return len(jax.devices("cuda"))
    except RuntimeError:
        return 0


def pack(weights: Weights) -> Float[Array, " N"]:
    """Concatenates the weights in cuDNN's order: W^T, R^T, b and a second bias of zeros.

    The order of the gates is the same, (i, f, g, o).

    Example:
      >>> pack(Weights(jnp.ones((3, 8)), jnp.ones((2, 8)), jnp.ones(8))).shape
      (56,)
    """
    kernel, recurrent_kernel, bias = weights
    parts = kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias)
    return jnp.concatenate([part.ravel() for part in parts])


def lstm_cudnn(
    weights: Weights, x: Float[Array, "B T D"], carry: Carry
) -> tuple[Float[Array, "B T H"], Carry]:
    """Computes `scan_cell` with `lstm_cell` on an NVIDIA GPU, with the batch as first axis.

    Under `vmap` the members of an ensemble run one after the other.

    Args:
      weights: kernel, recurrent kernel and bias, float32.
      x: `[B, T, D]`, float32.
      carry: `(c, h)`, each `[B, H]`, float32.

    Returns:
      `(ys, (c, h))`.
    """
    return _lstm(weights, x, carry)


@jax.custom_jvp
def _lstm(weights: Weights, x: Array, carry: Carry) -> tuple[Array, Carry]:
    return _forward(weights, x, carry)[0]


@_lstm.defjvp
def _lstm_jvp(primals: Any, tangents: Any) -> Any:
    result, saved = _forward(*primals)
    return result, linear_call(_tangent, _backward, (primals, saved), tangents)


def _forward(weights: Weights, x: Array, carry: Carry) -> tuple[Any, Any]:
    from jax.experimental import rnn

    @jax.custom_batching.sequential_vmap
    def run(x: Array, h: Array, c: Array, packed: Array) -> Any:
        lengths = jnp.full(x.shape[0], x.shape[1], jnp.int32)
        return rnn.lstm_fwd(x, h, c, packed, lengths, *_options(x, h))

    c, h = carry
    (ys, h, c), saved = run(x, h[None], c[None], pack(weights))
    return (ys, (c[0], h[0])), saved


def _backward(residuals: Any, gradients: Any) -> Any:
    """Returns the gradients of weights, `x` and carry, computed by cuDNN."""
    from jax.experimental import rnn

    @jax.custom_batching.sequential_vmap
    def run(saved: Any, gradients: Any) -> Any:
        return rnn.lstm_bwd(*_options(*saved[:2]), saved, gradients)[:4]

    (weights, _, _), saved = residuals
    g_ys, (g_c, g_h) = gradients
    g_x, g_h, g_c, g_packed = run(saved, (g_ys, g_h[None], g_c[None]))
    (g_weights,) = jax.linear_transpose(pack, weights)(g_packed)
    return g_weights, g_x, (g_c[0], g_h[0])


def _tangent(residuals: Any, changes: Any) -> Any:
    """Returns the changes of the result. cuDNN has no forward mode, so a loop computes them."""
    primals, _ = residuals
    return jax.jvp(_plain, primals, changes)[1]


def _plain(weights: Weights, x: Array, carry: Carry) -> tuple[Array, Carry]:
    """Computes the same as cuDNN by a loop over time."""
    ys, carry = scan_cell(lstm_cell, weights, x.swapaxes(0, 1), carry)
    return ys.swapaxes(0, 1), carry


def _options(x: Array, h: Array) -> tuple[int, int, int, float, bool, None]:
    """Returns cuDNN's options: sizes, one layer, no dropout, one direction, JAX's precision."""
    return x.shape[-1], h.shape[-1], 1, 0.0, False, None
