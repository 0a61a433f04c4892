"""Gates and hidden states of a recurrent layer at every step."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxdl.errors import InputError, one_of


def gates(
    cell: Literal["simple", "lstm", "gru"], params: Any, x: Float[Array, "B T D"]
) -> dict[str, Float[Array, "B T H"]]:
    """Computes the gates, the memory and the output of a recurrent layer at every step.

        lstm: input s(i), forget s(f), output s(o), cell c        gru: reset s(r), update s(z)

    `jaxdl.nn.LSTM`, `GRU` and `SimpleRNN` have the equations; s is the logistic function. The
    sequence starts from a carry of zeros. This function is a plain loop for inspection. The layers
    use a faster one that stores no gates.

    Args:
      cell: "simple", "lstm" or "gru".
      params: parameters of the layer: `kernel`, `recurrent_kernel`, `bias` and, for a GRU,
        `recurrent_bias`.
      x: `[B, T, D]`, the layer's input.

    Returns:
      Arrays `[B, T, H]` by name: the gates in (0, 1); `cell` of an LSTM; `h`, the layer's output.

    Raises:
      InputError: an unknown cell, or an input that is not a batch of sequences.

    Example:
      >>> from jaxdl.nn import LSTM
      >>> x, layer = jnp.ones((2, 5, 4)), LSTM(3)
      >>> (ys, _), variables = layer.init_with_output(jax.random.key(0), x)
      >>> values = gates("lstm", variables["params"], x)
      >>> sorted(values), bool(jnp.allclose(values["h"], ys, atol=1e-6))
      (['cell', 'forget', 'h', 'input', 'output'], True)
    """
    one_of("cell", cell, ("simple", "lstm", "gru"))
    if x.ndim != 3:
        raise InputError("x", x.shape, "sequences [B, T, D]")
    size = params["recurrent_kernel"].shape[0]
    start = jnp.zeros((x.shape[0], size), x.dtype)
    step = {"simple": _simple, "lstm": _lstm, "gru": _gru}[cell]
    p = x @ params["kernel"] + params["bias"][None, None]

    def scan_step(carry: Any, p: Array) -> tuple[Any, dict[str, Array]]:
        values = step(params, p, carry)
        h = values["h"]
        return (values.get("cell", h), h), values

    _, values = lax.scan(scan_step, (start, start), p.swapaxes(0, 1))
    return {name: value.swapaxes(0, 1) for name, value in values.items()}


def _simple(params: Any, p: Array, carry: tuple[Array, Array]) -> dict[str, Array]:
    return {"h": jnp.tanh(p + carry[1] @ params["recurrent_kernel"])}


def _lstm(params: Any, p: Array, carry: tuple[Array, Array]) -> dict[str, Array]:
    i, f, g, o = jnp.split(p + carry[1] @ params["recurrent_kernel"], 4, -1)
    i = jax.nn.sigmoid(i)
    f = jax.nn.sigmoid(f)
    o = jax.nn.sigmoid(o)
    c = f * carry[0] + i * jnp.tanh(g)
    return {"input": i, "forget": f, "output": o, "cell": c, "h": o * jnp.tanh(c)}


def _gru(params: Any, p: Array, carry: tuple[Array, Array]) -> dict[str, Array]:
    r, z, n = jnp.split(p, 3, -1)
    r_h, z_h, n_h = jnp.split(carry[1] @ params["recurrent_kernel"], 3, -1)
    r = jax.nn.sigmoid(r + r_h)
    z = jax.nn.sigmoid(z + z_h)
    n = jnp.tanh(n + r * (n_h + params["recurrent_bias"][None]))
    return {"reset": r, "update": z, "h": (1 - z) * n + z * carry[1]}
