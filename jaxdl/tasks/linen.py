"""Calls of a Linen module by a task: collections in `extra`, the dropout key, and lengths."""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Key, Num

from jaxdl.core import Batch, Params


def init_variables(model: nn.Module, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    """Returns the initial parameters of a model and its other collections.

    Example:
      >>> import jaxdl, numpy as np
      >>> batch = {"input": np.ones((1, 2), np.float32)}
      >>> model = jaxdl.models.MLP((3,), norm="batch")
      >>> params, extra = init_variables(model, jaxdl.root(0), batch)
      >>> sorted(params), sorted(extra)
      (['dense_0', 'norm_0', 'out'], ['batch_stats'])
    """
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
    """
    mutable: list[str] = []
    if train:
        mutable = list(extra)
    rngs = {}
    if key is not None:
        rngs["dropout"] = key
    y, updated = model.apply(
        {"params": params, **extra}, inputs, train=train, rngs=rngs, mutable=mutable, **kwargs
    )
    return y, {**extra, **updated}
