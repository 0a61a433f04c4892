"""A table of a model's layers, their outputs and their parameters."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Num


def table(model: nn.Module, inputs: Num[Array | np.ndarray, "B ..."], **more: Any) -> str:
    """Returns a table of the layers of a model, computed from shapes only.

    Args:
      model: module called as `model(inputs, train=bool)`.
      inputs: example inputs `[B, ...]`.
      **more: further arguments of the call, such as `label`.

    Returns:
      One line per layer: its path, output shape, shapes of parameters, and their number.

    Example:
      >>> from jaxdl.models import MLP
      >>> print(table(MLP((32,)), np.zeros((1, 8, 8, 1), np.float32)))
      layer    output   parameters                  numbers
      dense_0  [1, 32]  kernel [64, 32], bias [32]    2,080
      out      [1, 10]  kernel [32, 10], bias [10]      330
      all                                             2,410
    """
    params: dict[str, dict[str, Any]] = {}

    def init() -> Any:
        variables = model.init(jax.random.key(0), inputs, train=False, **more)
        # Here layers are in the order of their calls. JAX sorts the dictionary that it returns.
        for (*layer, name), leaf in flatten_dict(variables["params"]).items():
            params.setdefault("/".join(layer), {})[name] = leaf
        return variables

    seen = jax.eval_shape(partial(_intermediates, model, more), jax.eval_shape(init), inputs)
    rows = [("layer", "output", "parameters", "numbers")]
    for layer, leaves in params.items():
        shapes = ", ".join(f"{name} {list(leaf.shape)}" for name, leaf in leaves.items())
        rows.append((layer, _output(seen, layer), shapes, f"{_numbers(leaves):,}"))
    rows.append(("all", "", "", f"{_numbers(params):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )


def _intermediates(model: nn.Module, more: Any, variables: Any, inputs: Array) -> Any:
    _, seen = model.apply(
        variables,
        inputs,
        train=False,
        capture_intermediates=True,
        mutable=["intermediates"],
        **more,
    )
    return seen["intermediates"]


def _output(seen: Any, layer: str) -> str:
    for name in filter(None, layer.split("/")):
        seen = seen.get(name, {})
    outputs = jax.tree.leaves(seen.get("__call__", ()))
    return str(list(outputs[0].shape)) if outputs else ""


def _numbers(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
