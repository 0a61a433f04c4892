"""The record that every task returns, and calls of a Linen module by a task."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError
from jaxtyping import Array, Key, Num

from jaxdl.errors import InputError, of_kind
from jaxdl.metrics import mean, total, wide
from jaxdl.nn.norm import refuse_single_values
from jaxdl.nn.sequences import length_mask, zero_invalid
from jaxdl.nn.tap import call_kwargs, forwards
from jaxdl.updates import Batch, Params, Rule, Update

P = ParamSpec("P")

#: Fields that a task reads itself, which are no further inputs of a model.
OWN = ("input", "label", "target", "length", "mask")


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The pure functions that train and apply a model.

    Each entry of `functions` is an attribute, too: `task.predict` is `task.functions["predict"]`.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      updates: `updates(*optimizers) -> updates`, the updates of a learner. A task has one optimizer
        for each network that is trained on its own: one, two for a GAN, none for a table.
      functions: the losses and the inference functions, by name. A loss is
        `loss(params, extra, batch, key, *, train) -> ((sum, count), (extra, metrics))`. An
        inference function is `f(params, extra, *inputs) -> outputs` (see `jaxdl.bind`).
      name: name of the function of `jaxdl.tasks` that returned the task; empty for others.
      arguments: the arguments of that function, by name.

    Example:
      >>> import jaxdl
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([16]))
      >>> sorted(task.functions)
      ['loss', 'predict']
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    updates: Callable[..., tuple[Update | Rule, ...]]
    functions: Mapping[str, Callable[..., Any]]
    name: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        functions = self.__dict__.get("functions", {})
        if name in functions:
            return functions[name]
        names = ", ".join(["init", "updates", *functions])
        raise AttributeError(f"this task has no {name!r}, only {names}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.functions]


def recorded(make: Callable[P, Task]) -> Callable[P, Task]:
    """Returns a function whose tasks contain its name and arguments, so that a file can keep them.

    Args:
      make: a function of `jaxdl.tasks` that returns a task.

    Returns:
      The same function, whose tasks have a `name` and `arguments`.

    Example:
      >>> import jaxdl
      >>> task = jaxdl.tasks.regress(jaxdl.models.MLP((4,), 1))
      >>> task.name, list(task.arguments)
      ('regress', ['model'])
    """

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Task:
        task = make(*args, **kwargs)
        bound = inspect.signature(make).bind(*args, **kwargs)
        bound.apply_defaults()
        return dataclasses.replace(task, name=make.__name__, arguments=bound.arguments)

    return made


def one_update(loss: Callable[..., Any]) -> Callable[..., tuple[Update, ...]]:
    """Returns the function `updates(optimizer)` of a task with a single loss.

    Example:
      >>> import optax
      >>> len(one_update(lambda *_: None)(optax.sgd(0.1)))
      1
    """
    return lambda optimizer: (Update(loss, optimizer),)


def check_model(model: Any, name: str = "model") -> None:
    """Raises InputError unless a model is a Linen module.

    Example:
      >>> check_model(nn.Dense)
      Traceback (most recent call last):
      jaxdl.errors.InputError: model: got 'the class Dense', allowed: a module, such as Dense(...)
    """
    if isinstance(model, type):
        allowed = f"a module, such as {model.__name__}(...)"
        raise InputError(name, f"the class {model.__name__}", allowed)
    of_kind(name, model, nn.Module, "a Linen module (flax.linen), such as jaxdl.models.MLP([64])")


def init_variables(
    model: nn.Module, key: Key[Array, ""], batch: Batch, **kwargs: Any
) -> tuple[Params, Any]:
    """Returns the initial parameters of a model and its other collections.

    Args:
      model: the model.
      key: key of the initial parameters.
      batch: a batch with `input` and perhaps `length`; only shapes and dtypes matter.
      **kwargs: further arguments of the model, such as `label`.

    Returns:
      `(params, extra)`. The collection "losses", whose values `with_sown_losses` adds to a loss, is
      not a part of them.

    Raises:
      InputError: a model that cannot be called with the flag for training and these arguments.

    Example:
      >>> import jaxdl, numpy as np
      >>> batch = {"input": np.ones((1, 2), np.float32)}
      >>> model = jaxdl.models.MLP((3,), norm="batch")
      >>> params, extra = init_variables(model, jaxdl.root(0), batch)
      >>> sorted(params), sorted(extra)
      (['dense_0', 'norm_0', 'out'], ['batch_stats'])
    """
    check_fields(batch, "input")
    kwargs = call_kwargs(model, train=False, **more_inputs(model, batch), **kwargs)
    try:
        with nn.intercept_methods(refuse_single_values):
            extra = dict(model.init(key, batch["input"], **kwargs))
    except TypeError as error:
        if not forwards(model) or "unexpected keyword argument" not in str(error):
            raise
        allowed = "a module whose `**kwargs` fit the module that receives them; or named parameters"
        raise InputError("model", str(error), allowed) from None
    extra.pop("losses", None)
    return extra.pop("params", {}), extra


def check_fields(batch: Batch, *names: str) -> None:
    """Raises InputError unless a batch has the fields that a task reads.

    Example:
      >>> check_fields({"input": 1, "y": 2}, "input", "target")
      Traceback (most recent call last):
      jaxdl.errors.InputError: fields: got ['input', 'y'], allowed: also 'target', ...
    """
    for name in names:
        if name not in batch:
            allowed = f"also {name!r}, which the task reads"
            raise InputError("fields", sorted(set(batch) - {"mask"}), allowed)


def more_inputs(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a batch that a model reads besides `input`, as its arguments.

    These are `lengths`, if the batch has a `length`, and each other field that has the name of a
    parameter of the model.

    Args:
      model: a module called as `model(inputs, name=..., train=...)`.
      batch: the fields.

    Example:
      >>> class Two(nn.Module):
      ...     def __call__(self, image, age, train=False):
      ...         return image + age
      >>> more_inputs(Two(), {"input": 1, "age": 2, "image": 3, "label": 4, "length": 5})
      {'lengths': 5, 'age': 2}
    """
    more = {}
    if "length" in batch:
        more["lengths"] = batch["length"]
    # The first two parameters are `self` and the inputs.
    names = list(inspect.signature(type(model).__call__).parameters)[2:]
    return more | {name: batch[name] for name in names if name in batch and name not in OWN}


def without_padding(batch: Batch, *, carried: bool = False) -> Batch:
    """Returns a batch with 0 in its padding, which may hold any numbers, also NaN.

    Padding is the steps of `input` after the `length`, and the examples with 0 in `mask [B]`. With
    `mask [B, T]` it is the steps after the last one that counts.

    Args:
      batch: the fields `[B, ...]`.
      carried: if True, the steps without a weight still determine the state of the next batch, so
        `mask` makes no padding.

    Returns:
      The batch, with the same lengths and mask.

    Example:
      >>> import jax.numpy as jnp
      >>> batch = {"input": jnp.array([[1.0, jnp.nan]]), "length": jnp.array([1])}
      >>> without_padding(batch)["input"].tolist()
      [[1.0, 0.0]]
    """
    if "weight" in batch:
        raise InputError("field", "weight", "`mask`, which weighs examples in loss and metrics")
    batch = dict(batch)
    if "length" in batch:
        x = batch["input"]
        batch["input"] = zero_invalid(x, length_mask(batch["length"], x.shape[1]))
    if "mask" not in batch or carried:
        return batch
    valid = jnp.asarray(batch["mask"]).astype(bool)
    if valid.ndim == 2:
        valid = jax.lax.cummax(valid.astype(jnp.int32), axis=1, reverse=True) > 0
    rows = valid.reshape(len(valid), -1).any(1)
    # The order of the fields is the order of the operations, which must not depend on hashes.
    for name in [name for name in batch if name not in ("mask", "length")]:
        x = batch[name]
        of_steps = x.shape[: valid.ndim] == valid.shape
        batch[name] = zero_invalid(x, valid if of_steps else rows)
    return batch


def apply(
    model: nn.Module,
    params: Params,
    extra: Any,
    inputs: Num[Array, "B ..."],
    key: Any,
    *,
    train: bool,
    **kwargs: Any,
) -> tuple[Any, Any]:
    """Returns the outputs of a model and its updated collections.

    Args:
      model: any Linen module. Its flag for training is called `train`, `training`,
        `deterministic` or `use_running_average`, if it has one.
      params: parameters of the model.
      extra: other collections of the model, which are updated in training only.
      inputs: `[B, ...]`.
      key: key of all random streams; "dropout" has it unchanged. None means that the model uses no
        random numbers.
      train: True in training.
      **kwargs: further arguments of the model, such as `lengths`. `method` is the name of another
        method of the module to call.

    Returns:
      `(outputs, extra)`. What the model has sown into "losses" is a part of `extra`, see
      `with_sown_losses`.

    Raises:
      InputError: inputs whose shape does not fit the parameters; outputs that are not one array, a
        random stream without a key, a collection that grows from step to step, or a norm of single
        values, as in `jaxdl.nn.norm`.

    Example:
      >>> import jaxdl, numpy as np
      >>> model = jaxdl.models.MLP((3,), 2)
      >>> x = np.ones((1, 4), np.float32)
      >>> params, extra = init_variables(model, jaxdl.root(0), {"input": x})
      >>> apply(model, params, extra, x[:, :2], None, train=False)
      Traceback (most recent call last):
      jaxdl.errors.InputError: input shape: got [1, 2], allowed: that of the training set; ...
    """
    mutable = {"losses"}
    if train:
        mutable |= set(extra)
    rngs = {}
    if key is not None:
        # Linen takes the key of "params" for each stream that is not listed.
        rngs = {"dropout": key, "params": jax.random.fold_in(key, 1)}
    method = kwargs.pop("method", "__call__")
    kwargs = call_kwargs(model, train, method, **kwargs)
    variables = {"params": params, **extra}
    try:
        with nn.intercept_methods(refuse_single_values):
            y, updated = model.apply(
                variables, inputs, rngs=rngs, mutable=sorted(mutable), method=method, **kwargs
            )
    except ScopeParamShapeError as error:
        allowed = f"that of the training set; {str(error).partition(' (https')[0]}"
        raise InputError("input shape", list(inputs.shape), allowed) from None
    except flax.errors.InvalidRngError as error:
        allowed = "random numbers in training only, where the argument `train` is True"
        raise InputError("model", str(error), allowed) from None
    if method == "__call__":
        _check_outputs(y)
    _check_structure(extra, updated)
    return y, {**extra, **updated}


def _check_outputs(y: Any) -> None:
    """Raises InputError unless the outputs of a model are one array."""
    if not isinstance(y, jax.Array):
        shown = type(y).__name__
        if isinstance(y, tuple | list):
            shown = f"a {shown} of {len(y)}"
        allowed = "one array; jaxdl.nn.tap returns inner activations, and sow adds losses"
        raise InputError("output of the model", shown, allowed)


def _check_structure(extra: Any, updated: Any) -> None:
    """Raises InputError for a collection that has other leaves after a call of the model."""
    for name, collection in updated.items():
        before = jax.tree.structure(extra.get(name))
        same = jax.tree.structure(collection) == before  # type: ignore[operator]
        if name != "losses" and not same:
            allowed = "arrays of self.variable, which keep their number; sow only into 'losses'"
            raise InputError(f"collection {name!r}", "a new array in each call", allowed)


def with_sown_losses(loss: Callable[..., Any], prefix: str = "") -> Callable[..., Any]:
    """Returns a loss to which the auxiliary losses of its modules are added.

        L = loss + sum_j mean a_j,    a_j sown by self.sow("losses", name, a_j)

    A value a_j is one number, such as a penalty of weights, or one number per example, `[B]`. The
    mean over examples leaves out those that the `mask` of the batch does. A number that a module
    computes from a whole batch depends on how batches are divided.

    Args:
      loss: the loss of a task, `loss(params, extra, batch, key, *, train)`.
      prefix: text before the name of the metric `auxiliary_loss`, the sum of all means.

    Returns:
      A loss with the same arguments. Without sown values its results are those of `loss`. With
      them, `jaxdl.learner` adds the metric `objective`, the sum of both.

    Raises:
      InputError: raised by the loss, for a sown value of another shape.
    """

    def total_loss(params: Any, extra: Any, batch: Any, key: Any, *, train: bool) -> Any:
        (value, count), (extra, metrics) = loss(params, extra, batch, key, train=train)
        extra, sown = _without_losses(extra)
        if not sown:
            return (value, count), (extra, metrics)
        auxiliary = sum(_mean_of_examples(each, batch) for each in sown) * count
        metrics = {**metrics, f"{prefix}auxiliary_loss": (auxiliary, count)}
        return (value + auxiliary, count), (extra, metrics)

    return total_loss


def _mean_of_examples(value: Array, batch: Batch) -> Array:
    """Returns the mean of a sown value over the examples of a batch that count."""
    value = wide(jnp.asarray(value))
    if value.ndim == 0:
        return value
    size = batch["input"].shape[0]
    if value.shape != (size,):
        raise InputError("value sown into 'losses'", value.shape, f"() or ({size},)")
    mask = batch.get("mask")
    if mask is not None and mask.ndim > 1:
        mask = (mask != 0).reshape(size, -1).any(1)
    return mean(total(value, mask))


def _without_losses(extra: Any) -> tuple[dict[str, Any], list[Array]]:
    """Returns `extra`, or its part of each network, without "losses"; and the sown values."""
    sown = jax.tree.leaves(extra.get("losses", ()))
    rest = {}
    for name, collection in extra.items():
        if name == "losses":
            continue
        if isinstance(collection, Mapping) and "losses" in collection:
            collection = dict(collection)
            sown += jax.tree.leaves(collection.pop("losses"))
            if not collection:
                continue
        rest[name] = collection
    return rest, sown
