"""Calls of any module: inner activations by name, and the flag for training under any name."""

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import get_opaque_trace_state
from jaxtyping import Array, Bool, Float, Num

from jaxdl.errors import InputError, of_kind, one_of

_current: ContextVar["_Tap | None"] = ContextVar("tap", default=None)


def tap(model: nn.Module, variables: Any, *names: str, **kwargs: Any) -> Callable[..., Any]:
    """Returns a model as a function that also returns inner activations by name.

        f(x, {a: e}) = outputs and activations of the model with h_a + e in place of h_a

    So the gradient of f with respect to a bump e, at e = 0, is the gradient with respect to h_a.

    | name | activation |
    |---|---|
    | `conv_0`, `norm_0`, `head/out`: path of a layer | output, or the first entry of its tuple |
    | `activation_0`, `pool_0`, `head/activation_0` | maps or units after activation or pooling |
    | `lstm_0/forget`, also `input`, `candidate`, `output` | gates of each step |
    | `lstm_0/cell`, `lstm_0/h` | carries of each step |
    | `gru_0/reset`, `update`, `candidate`, `h`; `simple_0/h` | gates and carries of each step |
    | `conv_0:1` | output of a layer that is called for the second time |

    Gates and carries are `[B, T, H]`, and 0 at invalid steps. A bump of `lstm_0/h` reaches the next
    steps, and one of the output `lstm_0` does not.

    A tapped model of the library has its activations before its pooling, plain loops over time, and
    no rematerialization. So its outputs may differ from those of `model.apply` by rounding.

    Layers of other Linen modules have names too, and `named` names further values there. Values
    inside a module's own `jax.jit`, `nn.scan` or `nn.remat` have none.

    Args:
      model: any Linen module.
      variables: its parameters and collections, as for `model.apply`.
      *names: names of the activations to return. Without names f returns all of them, so that
        `jax.eval_shape(f, x)[1]` lists the names with their shapes.
      **kwargs: further arguments of `model.apply`, such as `lengths` or `rngs`. `train=False` is
        given to the module as it names it (`training`, `deterministic`), or not at all.

    Returns:
      `f(x, bumps={}) -> (outputs, {name: activation})`, a pure function for `jax.jit`, `jax.grad`
      and `jax.vmap`. `outputs` is the result of `model.apply`. `bumps` has an array of the
      activation's shape for any name. The returned activation contains its bump.

    Raises:
      InputError: a name that is not a string. Raised by f: an unknown name, with a list of those
        that exist, or a bump of another shape.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4), Stage(8)), outputs=3)
      >>> x = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
      >>> variables = model.init(jax.random.key(1), x, train=False)
      >>> f = tap(model, variables, "activation_1", train=False)
      >>> logits, maps = f(x)
      >>> maps["activation_1"].shape
      (2, 4, 4, 8)
      >>> def score(bump):
      ...     return f(x, {"activation_1": bump})[0][:, 2].sum()
      >>> gradient = jax.grad(score)(jnp.zeros((2, 4, 4, 8)))
      >>> weights = gradient.mean((1, 2), keepdims=True)
      >>> grad_cam = jax.nn.relu((weights * maps["activation_1"]).sum(-1))
      >>> grad_cam.shape
      (2, 4, 4)
    """
    for name in names:
        of_kind("name", name, str, "names of activations, such as 'conv_0'")
    if "train" in kwargs:
        method = kwargs.get("method", "__call__")
        kwargs |= train_kwargs(model, kwargs.pop("train"), method)

    def f(x: Num[Array, "B ..."], bumps: Mapping[str, Num[Array, "..."]] | None = None) -> Any:
        current = _Tap(bumps or {})
        token = _current.set(current)
        try:
            with nn.intercept_methods(current.intercept):
                outputs = model.apply(variables, x, **kwargs)
        finally:
            _current.reset(token)
        for field, wanted in (("name", names), ("bumps", current.bumps)):
            for name in wanted:
                one_of(field, name, current.seen)
        return outputs, {name: current.seen[name] for name in names or current.seen}

    return f


def named(module: nn.Module, name: str, value: Num[Array, "*S"]) -> Num[Array, "*S"]:
    """Names a value inside a module, for `tap`; without a tap it returns the value unchanged.

    Args:
      module: the module that computes the value, usually `self`.
      name: a name inside the module; the module's path precedes it.
      value: any shape.

    Returns:
      The value, with its bump if there is one.

    Example:
      >>> class Square(nn.Module):
      ...     def __call__(self, x):
      ...         return named(self, "square", x * x) + 1
      >>> f = tap(Square(), {}, "square")
      >>> x = jnp.array([3.0])
      >>> f(x), f(x, {"square": jnp.array([0.5])})[0].tolist()
      ((Array([10.], dtype=float32), {'square': Array([9.], dtype=float32)}), [10.5])
    """
    current = tapped(module)
    if current is None:
        return value
    return current.point(current.full_name(module, name), value)


def tapped(module: nn.Module) -> "_Tap | None":
    """Returns the tap of the model that a module belongs to, and None without a tap.

    Inside a transformation of the model it is None too, because its values cannot leave it.

    Example:
      >>> tapped(nn.Dense(3)) is None
      True
    """
    current = _current.get()
    if current is None or module.scope is None or get_opaque_trace_state() != current.trace:
        return None
    top: Any = module
    while isinstance(top.parent, nn.Module):
        top = top.parent
    # A tapped model may apply another one, whose layers have the same names.
    if current.top is None:
        current.top = top
    if top is not current.top:
        return None
    return current


def named_scan(
    module: nn.Module,
    step: Callable[..., tuple[Any, Any]],
    carry: Any,
    xs: Any,
    mask: Bool[Array, "T B"] | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Runs `lax.scan` with named values `[B, T, ...]` in a module that `tapped` returns a tap for.

    Args:
      module: the module that runs the loop.
      step: `step(name, carry, x) -> (carry, y)`. It names a value `[B, ...]` by
        `value = name("forget", value)`.
      carry: the initial carry.
      xs: inputs with time as first axis.
      mask: `[T, B]`; the named values are 0 where it is False. None means True everywhere.
      reverse: if True, runs from the last step to the first.

    Returns:
      `(carry, ys)`, as `lax.scan`.
    """
    current = tapped(module)
    assert current is not None

    def run(bumps: Any) -> Any:
        def body(carry: Any, inputs: Any) -> Any:
            x, valid, bumps = inputs
            seen = {}

            def name(point: str, value: Array) -> Array:
                if point in bumps:
                    value = value + bumps[point].astype(value.dtype)
                seen[point] = value
                if valid is not None:
                    wide = valid.reshape(-1, *[1] * (value.ndim - 1))
                    seen[point] = jnp.where(wide, value, jnp.zeros_like(value))
                return value

            carry, y = step(name, carry, x)
            return carry, (y, seen)

        return lax.scan(body, carry, (xs, mask, bumps), reverse=reverse)

    shapes = jax.eval_shape(run, {})[1][1]
    names = {point: current.full_name(module, point) for point in shapes}
    bumps = {}
    for point, full in names.items():
        steps, batch, *rest = shapes[point].shape
        bump = current.bump(full, (batch, steps, *rest))
        if bump is not None:
            bumps[point] = bump.swapaxes(0, 1)
    carry, (ys, seen) = run(bumps)
    for point, full in names.items():
        current.seen[full] = seen[point].swapaxes(0, 1)
    return carry, ys


class _Tap:
    """Bumps, and the activations of one call of a model."""

    def __init__(self, bumps: Mapping[str, Any]) -> None:
        self.bumps = bumps
        self.seen: dict[str, Array] = {}
        self.trace = get_opaque_trace_state()
        self.top: nn.Module | None = None
        self._calls: Counter[str] = Counter()
        self._running: set[tuple[str, ...]] = set()

    def intercept(self, call: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        """Names the output of a layer."""
        layer = context.module
        if tapped(layer) is not self or context.method_name != "__call__" or not layer.path:
            return call(*args, **kwargs)
        if layer.path in self._running:  # The layer calls the method of its base class.
            return call(*args, **kwargs)
        self._running.add(layer.path)
        try:
            y = call(*args, **kwargs)
        finally:
            self._running.remove(layer.path)
        if isinstance(y, jax.Array):
            return self.point(self.full_name(layer), y)
        if type(y) is tuple and y and isinstance(y[0], jax.Array):
            return self.point(self.full_name(layer), y[0]), *y[1:]
        return y

    def full_name(self, module: nn.Module, *name: str) -> str:
        """Returns the path of a value, with `:n` if there are n of this path already."""
        full = "/".join((*module.path, *name))
        count = self._calls[full]
        self._calls[full] += 1
        if count == 0:
            return full
        return f"{full}:{count}"

    def point(self, name: str, value: Array) -> Array:
        """Returns a value with its bump, and keeps it."""
        bump = self.bump(name, value.shape)
        if bump is not None:
            value = value + bump.astype(value.dtype)
        self.seen[name] = value
        return value

    def bump(self, name: str, shape: tuple[int, ...]) -> Float[Array, "..."] | None:
        """Returns the bump of a name, or None; raises `InputError` for another shape."""
        if name not in self.bumps:
            return None
        bump = jnp.asarray(self.bumps[name])
        if bump.shape != shape:
            allowed = f"{list(shape)}, the shape of the activation"
            raise InputError(f"bumps[{name!r}]", list(bump.shape), allowed)
        return bump


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
            "a module called as model(inputs, train=...), with the flag by name, and for each "
            "further parameter a default or a field of the set with its name"
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
