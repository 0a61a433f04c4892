"""The LSTM of NVIDIA's cuDNN, on the weights of ours."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.nn.recurrence import Carry, Weights


def obstacle(dtype: jnp.dtype, mask: object, reverse: bool) -> tuple[str, object, str] | None:
    """What keeps cuDNN from this computation: `(field, value, allowed)`, or None.

    Args:
      dtype: of the computation.
      mask: whether steps are left out; cuDNN knows lengths only, and a mask may be anything.
      reverse: whether time runs backwards, which cuDNN does only beside a forward run.

    Example:
      >>> obstacle(jnp.dtype("bfloat16"), None, False)
      ('dtype', 'bfloat16', "float32 with implementation 'cudnn'")
    """
    suffix = "with implementation 'cudnn'"
    if mask is not None:
        return "mask", "a mask", f"None {suffix}"
    if reverse:
        return "reverse", True, f"False {suffix}"
    if dtype != jnp.float32:
        return "dtype", str(dtype), f"float32 {suffix}"
    if not nvidia_gpus():
        return "implementation", "cudnn", "auto or scan, without an NVIDIA GPU"
    return None


def nvidia_gpus() -> int:
    """How many this process can see, of all hosts.

    Example:
      >>> nvidia_gpus() >= 0
      True
    """
    try:
        return len(jax.devices("cuda"))
    except RuntimeError:
        return 0


def pack(weights: Weights) -> Float[Array, " N"]:
    """The weights as cuDNN wants them: W^T, R^T, b and a second bias of zeros, one after the other.

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
    """The same as `scan_cell` with `lstm_cell`, batch first; float32 on an NVIDIA GPU.

    Under `vmap` the members run one after the other.

    Args:
      weights: kernel, recurrent kernel and bias, float32.
      x: `[B, T, D]`, float32.
      carry: `(c, h)`, each `[B, H]`, float32.

    Returns:
      `(ys, (c, h))`.
    """
    c, h = carry
    ys, h, c = _cudnn(x, h[None], c[None], pack(weights))
    return ys, (c[0], h[0])


@jax.custom_vjp
def _cudnn(x: Array, h: Array, c: Array, packed: Array) -> tuple[Array, Array, Array]:
    return _forward(x, h, c, packed)[0]


def _forward(*args: Array):
    from jax.experimental import rnn

    @jax.custom_batching.sequential_vmap
    def run(x, h, c, packed):
        lengths = jnp.full(x.shape[0], x.shape[1], jnp.int32)
        return rnn.lstm_fwd(x, h, c, packed, lengths, *_sizes(x, h))

    return run(*args)


def _backward(saved: tuple[Array, ...], gradients: tuple[Array, Array, Array]):
    from jax.experimental import rnn

    @jax.custom_batching.sequential_vmap
    def run(saved, gradients):
        return rnn.lstm_bwd(*_sizes(*saved[:2]), saved, gradients)[:4]

    return run(saved, gradients)


_cudnn.defvjp(_forward, _backward)


def _sizes(x: Array, h: Array) -> tuple[int, int, int, float, bool, None]:
    """One layer, no dropout, one direction, the precision that JAX is set to."""
    return x.shape[-1], h.shape[-1], 1, 0.0, False, None
