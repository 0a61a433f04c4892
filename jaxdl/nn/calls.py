"""The flag for training, under the name that a module gives it."""

import inspect
from typing import Any

import flax.linen as nn


def train_kwargs(module: nn.Module, train: bool, method: str = "__call__") -> dict[str, Any]:
    """Returns the flag for training as an argument of a module.

    | parameter of the module | argument |
    |---|---|
    | `train`, `training`, `is_training`, or `**kwargs` | True in training |
    | `deterministic` | False in training |
    | none of them | none |

    Args:
      module: any Linen module.
      train: True in training.
      method: name of the method that is called.

    Example:
      >>> train_kwargs(nn.Dense(3), True), train_kwargs(nn.Dropout(0.5), True)
      ({}, {'deterministic': False})
    """
    # The keyword arguments of `Sequential` are those of its first layer.
    if isinstance(module, nn.Sequential):
        first = module.layers[0] if module.layers else None
        if isinstance(first, nn.Module):
            return train_kwargs(first, train)
        return {}
    parameters = inspect.signature(getattr(type(module), method)).parameters
    flags = {name: train for name in ("train", "training", "is_training") if name in parameters}
    if "deterministic" in parameters:
        flags["deterministic"] = not train
    if flags:
        return flags
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return {"train": train}
    return {}
