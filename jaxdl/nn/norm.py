"""Norms of models, and interceptors of Linen's norms: frozen BatchNorm, refused single values.

The norm of a single value does not depend on the input:

(x - mean) / sqrt(var + eps) = 0    for mean = x, var = 0
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import flax.linen as nn
import jax

from jaxdl.errors import InputError, in_range, integers, is_traced, one_of

#: Classes of Linen and their epsilon, by the kind of a norm.
_LAYERS: dict[str, tuple[type, float]] = {
    "batch": (nn.BatchNorm, 1e-5),
    "layer": (nn.LayerNorm, 1e-6),
    "rms": (nn.RMSNorm, 1e-6),
    "group": (nn.GroupNorm, 1e-6),
    "instance": (nn.InstanceNorm, 1e-6),
}


@dataclasses.dataclass(frozen=True)
class Norm:
    """A norm of a model, with its numbers; a model also takes the kind alone, such as "batch".

        (h - mean) / sqrt(var + eps) scale + bias

    Source: Ioffe, Szegedy 2015 (batch); Ba et al. 2016 (layer); Zhang, Sennrich 2019 (rms); Wu, He
    2018 (group); Ulyanov et al. 2016 (instance).

    Attributes:
      kind: the numbers that share a mean and a variance, among `h [B, ..., D]`: "batch" for those
        of a feature, with running statistics for evaluation; "layer" for those of a position;
        "rms" for the same without mean and bias; "group" for those of an example and a group of
        features; "instance" for those of an example and a feature.
      epsilon: eps, at least 0; None means 1e-5 for "batch" and 1e-6 for the others.
      momentum: m of "batch", in [0, 1): running = m running + (1 - m) batch.
      groups: number of groups of "group", a divisor of D.

    Raises:
      InputError: an unknown kind, or a number out of range.

    Example:
      >>> Norm("group", groups=8)
      Norm(kind='group', epsilon=None, momentum=0.9, groups=8)
    """

    kind: Literal["batch", "layer", "rms", "group", "instance"]
    epsilon: float | None = None
    momentum: float = 0.9
    groups: int = 32

    def __post_init__(self) -> None:
        one_of("norm", self.kind, _LAYERS)
        limits = {"epsilon": math.inf, "momentum": 1}
        if self.epsilon is None:
            del limits["epsilon"]
        for name, high in limits.items():
            value = getattr(self, name)
            if is_traced(value):
                raise InputError(name, "a traced value", "a number")
            in_range(name, value, 0, high)
            # A norm is hashed and saved, so its numbers are Python's.
            object.__setattr__(self, name, float(value))
        (groups,) = integers("groups", self.groups, 1, "one integer")
        # Linen refuses NumPy's integers.
        object.__setattr__(self, "groups", groups)

    def layer(self, name: str, train: bool, features: int) -> nn.Module:
        """Returns the layer of Linen; to be called inside a module.

        Args:
          name: name of the layer.
          train: if True, "batch" uses the statistics of the batch.
          features: D.

        Raises:
          InputError: groups that do not divide the features.

        Example:
          >>> Norm("group", groups=2).layer("norm_0", True, 4).num_groups
          2
        """
        module, epsilon = _LAYERS[self.kind]
        fields: dict[str, Any] = {}
        if self.kind == "batch":
            fields = {"use_running_average": not train, "momentum": self.momentum}
        if self.kind == "group":
            if features % self.groups:
                allowed = f"a divisor of the {features} features of {name}"
                raise InputError("groups", self.groups, allowed)
            fields = {"num_groups": self.groups}
        if self.epsilon is not None:
            epsilon = self.epsilon
        return module(epsilon=epsilon, name=name, **fields)


def norm_of(norm: Norm | str | None) -> Norm | None:
    """Returns the norm that a model's field `norm` stands for.

    Args:
      norm: a `Norm`, or its kind; "weight" and None stand for no norm of activations.

    Raises:
      InputError: an unknown kind.

    Example:
      >>> norm_of("layer"), norm_of("weight")
      (Norm(kind='layer', epsilon=None, momentum=0.9, groups=32), None)
    """
    if isinstance(norm, Norm):
        return norm
    if norm is None or norm == "weight":
        return None
    return Norm(norm)  # type: ignore[arg-type]


def check_norm(norm: Any, *more: str, dense: Sequence[int] = ()) -> None:
    """Raises `InputError` unless a field is None, a `Norm`, the kind of one, or one of `more`.

    Args:
      norm: the field.
      *more: further names that are allowed.
      dense: widths of dense layers that the norm follows. They refuse "instance", which would
        normalize single values.

    Example:
      >>> check_norm("bacth", "weight")
      Traceback (most recent call last):
      jaxdl.errors.InputError: norm: got 'bacth', allowed: batch, group, instance, layer, rms, ...
    """
    if norm is None:
        return
    if not isinstance(norm, Norm):
        one_of("norm", norm, [*_LAYERS, *more])
    if dense and "instance" in (norm, getattr(norm, "kind", None)):
        raise InputError("norm", norm, "another norm, such as 'layer', for hidden dense layers")


def replaces_bias(norm: Norm | str | None) -> bool:
    """Returns True if a bias before the norm of a model has no effect.

    Example:
      >>> replaces_bias("batch"), replaces_bias("layer"), replaces_bias(None)
      (True, False, False)
    """
    found = norm_of(norm)
    return found is not None and found.kind in ("batch", "instance")


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


@contextmanager
def batch_statistics() -> Iterator[None]:
    """Returns a context in which each `flax.linen.BatchNorm` uses the statistics of its inputs.

        (h - mean h) / sqrt(var h + eps) scale + bias

    So it is applied as in training, while all other layers stay as they are. The running statistics
    are neither read nor changed.

    Example:
      >>> import jax.numpy as jnp
      >>> norm = nn.BatchNorm(use_running_average=True)
      >>> x = jnp.array([[0.5], [2.5]])
      >>> variables = norm.init(jax.random.key(0), x)
      >>> with batch_statistics():
      ...     norm.apply(variables, x).ravel().round(3).tolist()
      [-1.0, 1.0]
    """
    with nn.intercept_methods(_use_batch_statistics):
        yield


def _use_batch_statistics(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
) -> Any:
    """Calls a method; a BatchNorm with the statistics of its inputs. It is an interceptor."""
    module: Any = context.module
    is_norm = isinstance(module, nn.BatchNorm) and context.method_name == "__call__"
    if not is_norm or module.is_initializing():
        return call(*args, **kwargs)
    x = args[0] if args else kwargs["x"]
    running = (*args[1:2], kwargs.get("use_running_average"), module.use_running_average)
    if not next((flag for flag in running if flag is not None), False):
        return call(*args, **kwargs)
    # Linen changes the running statistics of a module in a scope, which evaluation does not allow.
    layer = module.clone(parent=None, use_running_average=False)
    options = {"mask": kwargs.get("mask"), "mutable": ["batch_stats"]}
    return layer.apply(module.variables, x, **options)[0]


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
      >>> try:
      ...     with nn.intercept_methods(refuse_single_values):
      ...         norm.init(jax.random.key(0), jnp.ones((4, 1)))
      ... except InputError as error:
      ...     print(error)
      LayerNorm: got [4, 1], allowed: 2 or more features: wider layers, or no norm
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
