"""The arguments of a module besides its inputs: its flag for training, under any name."""

import inspect
from typing import Any

import flax.linen as nn

from jaxdl.errors import InputError

#: Names of the flag for training, and of the flag for inference.
TRAIN = ("train", "training", "is_training")
INFERENCE = ("deterministic", "use_running_average")


def train_kwargs(module: nn.Module, train: bool, method: str = "__call__") -> dict[str, Any]:
    """Returns the flag for training as an argument of a module.

    | parameter of the module | argument |
    |---|---|
    | `train`, `training`, `is_training`, or `**kwargs` | True in training |
    | `deterministic`, `use_running_average` | False in training |
    | none of them, or the module has its value as an attribute | none |

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
        first = _first_layer(module)
        return {} if first is None else train_kwargs(first, train)
    parameters = inspect.signature(getattr(type(module), method)).parameters
    flags = {name: train for name in TRAIN if name in parameters}
    # Linen's layers refuse a flag that they have as an attribute, too.
    flags |= {
        name: not train
        for name in INFERENCE
        if name in parameters and getattr(module, name, None) is None
    }
    if flags:
        return flags
    if not {*INFERENCE} & {*parameters} and _forwards(parameters):
        return {"train": train}
    return {}


def call_kwargs(
    module: nn.Module, train: bool, method: str = "__call__", **kwargs: Any
) -> dict[str, Any]:
    """Returns the arguments of a module besides its inputs: the flag for training, and others.

    Args:
      module: any Linen module.
      train: True in training.
      method: name of the method that is called.
      **kwargs: further arguments, such as `lengths`.

    Raises:
      InputError: a module that cannot be called with its inputs and these arguments.

    Example:
      >>> call_kwargs(nn.Dropout(0.5), True)
      {'deterministic': False}
      >>> call_kwargs(nn.Dense(3), True, lengths=[2])
      Traceback (most recent call last):
      jaxdl.errors.InputError: model: got "Dense.__call__ got an unexpected keyword argument ...
    """
    kwargs = train_kwargs(module, train, method) | kwargs
    target: Any = module
    if isinstance(module, nn.Sequential):
        target = _first_layer(module)
    if target is None:
        return kwargs
    try:
        inspect.signature(getattr(type(target), method)).bind(target, None, **kwargs)
    except TypeError as error:
        allowed = (
            "a module called as model(inputs, train=...), with the flag by name and defaults for "
            "all further parameters; constants can be attributes of the module"
        )
        if "'lengths'" in str(error):
            allowed = (
                "a module with a parameter `lengths` for a set with a `length`, such as "
                "SequenceNet; or a set without that field"
            )
        raise InputError("model", f"{type(target).__name__}.{method} {error}", allowed) from None
    return kwargs


def forwards(module: nn.Module) -> bool:
    """Returns True for a module that passes on any arguments as `**kwargs`.

    Example:
      >>> forwards(nn.Dense(3))
      False
    """
    return _forwards(inspect.signature(type(module).__call__).parameters)


def _forwards(parameters: Any) -> bool:
    return any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _first_layer(module: nn.Sequential) -> nn.Module | None:
    """Returns the first layer; None for a function, or without layers."""
    if module.layers and isinstance(module.layers[0], nn.Module):
        return module.layers[0]
    return None
