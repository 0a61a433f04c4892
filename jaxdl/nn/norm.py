"""Interceptors of Linen's norms: frozen BatchNorm, and the refusal of single values.

The norm of a single value does not depend on the input:

(x - mean) / sqrt(var + eps) = 0    for mean = x, var = 0
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import flax.linen as nn
import jax

from jaxdl.errors import InputError

#: `is_frozen(layer) -> bool`, from the name of a layer in the parameters of a task.
_is_frozen: ContextVar[Callable[[str], bool]] = ContextVar("is_frozen", default=lambda _: False)


@contextmanager
def frozen_norms(is_frozen: Callable[[str], bool]) -> Iterator[None]:
    """Returns a context in which each frozen `flax.linen.BatchNorm` is applied as in evaluation.

        (h - running mean) / sqrt(running var + eps) scale + bias

    So it has constant running statistics, and its output depends on no other example.

    Args:
      is_frozen: `is_frozen(name) -> bool`, from the path of a layer, such as `head/norm_0`.

    Example:
      >>> import jax.numpy as jnp
      >>> norm = nn.BatchNorm(use_running_average=False)
      >>> x = jnp.array([[0.5], [2.5]])
      >>> variables = norm.init(jax.random.key(0), x)
      >>> with frozen_norms(lambda name: True):
      ...     y, updated = norm.apply(variables, x, mutable="batch_stats")
      >>> y.ravel().astype(int).tolist(), updated["batch_stats"]["mean"].tolist()
      ([0, 2], [0.0])
    """
    token = _is_frozen.set(is_frozen)
    try:
        with nn.intercept_methods(_use_running_average):
            yield
    finally:
        _is_frozen.reset(token)


@contextmanager
def network(name: str) -> Iterator[None]:
    """Returns a context for a network that is one of several in the parameters of a task.

    Args:
      name: the entry of the parameters, with which the names of the network's layers begin.

    Example:
      >>> with frozen_norms(lambda name: name == "generator/norm_0"), network("generator"):
      ...     _is_frozen.get()("norm_0")
      True
    """
    outer = _is_frozen.get()
    token = _is_frozen.set(lambda layer: outer(f"{name}/{layer}" if layer else name))
    try:
        yield
    finally:
        _is_frozen.reset(token)


def _use_running_average(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Any:
    """Calls a method; a frozen BatchNorm with the running statistics. It is an interceptor."""
    module: Any = context.module
    if context.method_name != "__call__" or not _frozen(module) or module.is_initializing():
        return call(*args, **kwargs)
    if module.use_running_average is None:
        args = args[:1]
        kwargs = {**kwargs, "use_running_average": True}
        return call(*args, **kwargs)
    if module.use_running_average:
        return call(*args, **kwargs)
    return module.clone(parent=module.scope, use_running_average=True)(*args, **kwargs)


def _frozen(module: Any) -> bool:
    return isinstance(module, nn.BatchNorm) and _is_frozen.get()("/".join(module.path))


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
        running = (_frozen(module) or None, *running)
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
