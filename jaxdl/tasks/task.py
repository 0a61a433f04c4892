"""The record that every task returns, and calls of a Linen module by a task."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeParamShapeError
from jaxtyping import Array, Key, Num

from jaxdl.core import Batch, Params, Update
from jaxdl.errors import InputError
from jaxdl.nn.norm import refuse_single_values
from jaxdl.nn.sequences import zero_invalid


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The pure functions that train and apply a model.

    Each entry of `functions` is an attribute, too: `task.predict` is `task.functions["predict"]`.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      updates: `updates(*optimizers) -> updates`, the updates of a learner. A task has one optimizer
        for each network that is trained on its own: one, or two for a GAN.
      functions: the losses and the inference functions, by name. A loss is
        `loss(params, extra, batch, key, *, train) -> ((sum, count), (extra, metrics))`. An
        inference function is `f(params, extra, *inputs) -> outputs` (see `jaxdl.bind`).

    Example:
      >>> import jaxdl
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([16]))
      >>> sorted(task.functions)
      ['loss', 'predict']
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    updates: Callable[..., tuple[Update, ...]]
    functions: Mapping[str, Callable[..., Any]]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        functions = self.__dict__.get("functions", {})
        if name in functions:
            return functions[name]
        names = ", ".join(["init", "updates", *functions])
        raise AttributeError(f"this task has no {name!r}, only {names}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.functions]


def one_update(loss: Callable[..., Any]) -> Callable[..., tuple[Update, ...]]:
    """Returns the function `updates(optimizer)` of a task with a single loss.

    Example:
      >>> import optax
      >>> len(one_update(lambda *_: None)(optax.sgd(0.1)))
      1
    """
    return lambda optimizer: (Update(loss, optimizer),)


def init_variables(model: nn.Module, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    """Returns the initial parameters of a model and its other collections.

    Raises:
      InputError: a batch with a field `weight`, which no task reads.

    Example:
      >>> import jaxdl, numpy as np
      >>> batch = {"input": np.ones((1, 2), np.float32)}
      >>> model = jaxdl.models.MLP((3,), norm="batch")
      >>> params, extra = init_variables(model, jaxdl.root(0), batch)
      >>> sorted(params), sorted(extra)
      (['dense_0', 'norm_0', 'out'], ['batch_stats'])
    """
    if "weight" in batch:
        raise InputError("field", "weight", "`mask`, which weighs examples in loss and metrics")
    with nn.intercept_methods(refuse_single_values):
        extra = dict(model.init(key, batch["input"], train=False, **lengths_kwargs(batch)))
    return extra.pop("params", {}), extra


def lengths_kwargs(batch: Batch) -> dict[str, Any]:
    """Returns `{"lengths": batch["length"]}` if the batch has a `length`, else `{}`.

    Example:
      >>> lengths_kwargs({"input": 1}), lengths_kwargs({"input": 1, "length": 2})
      ({}, {'lengths': 2})
    """
    if "length" not in batch:
        return {}
    return {"lengths": batch["length"]}


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
    batch = dict(batch)
    if "length" in batch:
        x = batch["input"]
        batch["input"] = zero_invalid(x, jnp.arange(x.shape[1])[None] < batch["length"][:, None])
    if "mask" not in batch or carried:
        return batch
    valid = batch["mask"] != 0
    if valid.ndim == 2:
        valid = jax.lax.cummax(valid.astype(jnp.int32), axis=1, reverse=True) > 0
    values = {name: x for name, x in batch.items() if name not in ("mask", "length")}
    return batch | {name: zero_invalid(x, valid) for name, x in values.items()}


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
      model: a Linen module called as `model(inputs, train=bool, **kwargs)`.
      params: parameters of the model.
      extra: other collections of the model, which are updated in training only.
      inputs: `[B, ...]`.
      key: key of the random stream "dropout". None means that the model has no random stream.
      train: True in training.
      **kwargs: further arguments of the model, such as `lengths`. `method` is the name of another
        method of the module to call.

    Returns:
      `(outputs, extra)`.

    Raises:
      InputError: a norm of single values, as in `jaxdl.nn.norm`.
    """
    mutable: list[str] = []
    if train:
        mutable = list(extra)
    rngs = {}
    if key is not None:
        rngs["dropout"] = key
    variables = {"params": params, **extra}
    with nn.intercept_methods(refuse_single_values):
        y, updated = model.apply(
            variables, inputs, train=train, rngs=rngs, mutable=mutable, **kwargs
        )
    return y, {**extra, **updated}


def forward(
    model: nn.Module, params: Params, extra: Any, inputs: Num[Array, "B ..."], **kwargs: Any
) -> Any:
    """Returns the outputs of a trained model.

    Args:
      model: a Linen module called as `model(inputs, train=False, **kwargs)`.
      params: parameters of the model.
      extra: its other collections, which stay as they are.
      inputs: `[B, ...]`.
      **kwargs: further arguments of the model, such as `lengths` or `method`.

    Raises:
      InputError: inputs whose shape does not fit the parameters.

    Example:
      >>> import jaxdl, numpy as np
      >>> model = jaxdl.models.MLP((3,), 2)
      >>> x = np.ones((1, 4), np.float32)
      >>> params, extra = init_variables(model, jaxdl.root(0), {"input": x})
      >>> forward(model, params, extra, x[:, :2])
      Traceback (most recent call last):
      jaxdl.errors.InputError: input shape: got [1, 2], allowed: that of the training set; ...
    """
    try:
        return model.apply({"params": params, **extra}, inputs, train=False, **kwargs)
    except ScopeParamShapeError as error:
        allowed = f"that of the training set; {str(error).partition(' (https')[0]}"
        raise InputError("input shape", list(inputs.shape), allowed) from None
