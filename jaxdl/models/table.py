"""A table of a model's layers, their outputs and their parameters."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Num

from jaxdl.nn.tap import tap, train_kwargs


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
        flag = train_kwargs(model, train=False)
        variables = model.init(jax.random.key(0), inputs, **flag, **more)
        # Here layers are in the order of their calls. JAX sorts the dictionary that it returns.
        for (*layer, name), leaf in flatten_dict(variables.get("params", {})).items():
            params.setdefault("/".join(layer), {})[name] = leaf
        return variables

    def call(variables: Any, inputs: Any) -> Any:
        return tap(model, variables, train=False, **more)(inputs)

    outputs, seen = jax.eval_shape(call, jax.eval_shape(init), inputs)
    activations = {"": jax.tree.leaves(outputs)[0], **seen}
    rows = [("layer", "output", "parameters", "numbers")]
    for layer, leaves in params.items():
        output = ""
        if layer in activations:
            output = str(list(activations[layer].shape))
        sizes = ", ".join(f"{name} {list(leaf.shape)}" for name, leaf in leaves.items())
        rows.append((layer, output, sizes, f"{_numbers(leaves):,}"))
    rows.append(("all", "", "", f"{_numbers(params):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )


def _numbers(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))
