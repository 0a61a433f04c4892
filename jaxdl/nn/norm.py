"""Refusal of normalization over single values, whose result does not depend on the input.

(x - mean) / sqrt(var + eps) = 0    for mean = x, var = 0
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from jaxdl.errors import InputError

_ALLOWED = {
    nn.BatchNorm: "2 or more values per channel in training: a larger batch_size, also of each "
    "device under pmap and of each part under accumulate; or no norm",
    nn.LayerNorm: "2 or more features: wider layers, or no norm",
    nn.RMSNorm: "2 or more features: wider layers, or no norm",
    nn.GroupNorm: "2 or more values per group: fewer groups, larger maps, or no norm",
    nn.InstanceNorm: "2 or more values per channel: larger maps, or no norm",
}


def refuse_single_values(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Any:
    """Raises `InputError` if a norm of Linen normalizes single values, else calls it.

    It is an interceptor for `flax.linen.intercept_methods` and reads shapes only. A BatchNorm with
    running statistics normalizes by constants, so it is accepted.

    Args:
      call: the method.
      args: its arguments.
      kwargs: its arguments by name.
      context: the module and the method's name.

    Returns:
      The result of the method.

    Raises:
      InputError: BatchNorm with one value per channel in training; LayerNorm or RMSNorm of one
        feature; GroupNorm with one value per group; InstanceNorm of 1x1 maps.

    Example:
      >>> import jax.numpy as jnp
      >>> norm = nn.LayerNorm()
      >>> with nn.intercept_methods(refuse_single_values):
      ...     norm.init(jax.random.key(0), jnp.ones((4, 1)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: LayerNorm: got [4, 1], allowed: 2 or more features: wider layers, ...
    """
    module: Any = context.module
    allowed = next((text for kind, text in _ALLOWED.items() if isinstance(module, kind)), None)
    if allowed and context.method_name == "__call__":
        x = args[0] if args else kwargs["x"]
        if _values(module, x.shape, args, kwargs) == 1:
            name = "/".join(module.path) or type(module).__name__
            raise InputError(name, list(x.shape), allowed)
    return call(*args, **kwargs)


def _values(
    module: Any, shape: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int:
    """Returns the number of values that share a mean and a variance; 0 if it does not matter."""
    axes = set(range(len(shape)))
    devices = 1
    if module.axis_name is not None and not module.is_initializing():
        devices = jax.lax.psum(1, module.axis_name)
    if isinstance(module, nn.BatchNorm):
        running = (*args[1:2], kwargs.get("use_running_average"), module.use_running_average)
        # The initial statistics are constants, whatever the batch.
        if module.is_initializing() or next(flag for flag in running if flag is not None):
            return 0
        axes -= _numbers(module.axis, shape)
    elif isinstance(module, nn.InstanceNorm):
        axes -= {0} | _numbers(module.feature_axes, shape)
    elif isinstance(module, nn.GroupNorm):
        axes -= {0}
        if module.reduction_axes is not None:
            axes = _numbers(module.reduction_axes, shape)
        groups = module.num_groups
        if groups is None:
            groups = shape[-1] // module.group_size  # type: ignore[operator]
        return devices * math.prod(shape[axis] for axis in axes) // groups
    else:
        axes = _numbers(module.reduction_axes, shape)
    return devices * math.prod(shape[axis] for axis in axes)


def _numbers(axes: Any, shape: tuple[int, ...]) -> set[int]:
    """Returns axes as numbers from 0."""
    if isinstance(axes, int):
        axes = (axes,)
    return {axis % len(shape) for axis in axes}
