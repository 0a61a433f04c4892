"""How tasks call a model: collections travel in `extra`, dropout has its key, lengths go where there are some."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Key, Num

from jaxdl.core import Batch, Params, State
from jaxdl.errors import at_least


def init_variables(model: nn.Module, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    """The parameters of a model, and its other collections.

    Example:
      >>> import jaxdl, numpy as np
      >>> batch = {"input": np.ones((1, 2), np.float32)}
      >>> params, extra = init_variables(jaxdl.models.MLP((3,), norm="batch"), jaxdl.root(0), batch)
      >>> sorted(params), sorted(extra)
      (['dense_0', 'norm_0', 'out'], ['batch_stats'])
    """
    extra = dict(model.init(key, batch["input"], train=False, **lengths_kwargs(batch)))
    return extra.pop("params", {}), extra


def lengths_kwargs(batch: Batch) -> dict[str, Any]:
    """`{"lengths": ...}` if the batch has a `length` of each sequence, else nothing.

    Example:
      >>> lengths_kwargs({"input": 1}), lengths_kwargs({"input": 1, "length": 2})
      ({}, {'lengths': 2})
    """
    return {"lengths": batch["length"]} if "length" in batch else {}


def apply(
    model: nn.Module,
    params: Params,
    extra: Any,
    inputs: Num[Array, "B ..."],
    key: Any,
    *,
    train: bool,
    **more: Any,
) -> tuple[Any, Any]:
    """What a model gives, and the collections after it.

    Args:
      model: a Linen module called as `model(inputs, train=bool, **more)`.
      params: its parameters.
      extra: its other collections, which training may move.
      inputs: `[B, ...]`.
      key: of the random stream "dropout"; None: nothing is drawn.
      train: whether it is training.
      **more: handed on, such as `lengths`; `method` names another function of the module.

    Returns:
      `(outputs, extra)`.
    """
    collections = list(extra) if train else []
    rngs = {} if key is None else {"dropout": key}
    y, moved = model.apply(
        {"params": params, **extra}, inputs, train=train, rngs=rngs, mutable=collections, **more
    )
    return y, {**extra, **moved}


def predict_batched(
    predict: Callable[..., Any],
    state: State,
    *inputs: Num[np.ndarray, "N ..."],
    batch_size: int = 500,
) -> Float[np.ndarray, "N ..."]:
    """What a task's `predict` says of a whole set, a batch at a time, in one compiled program.

    Args:
      predict: `predict(params, extra, *inputs [B, ...]) -> [B, ...]`.
      state: `inference(state)` of one run.
      *inputs: `[N, ...]` each.
      batch_size: B; the last batch is filled up and cut again.

    Returns:
      `[N, ...]`, on the host.

    Example:
      >>> import jaxdl
      >>> task, x = jaxdl.tasks.classify(jaxdl.models.MLP([4])), np.ones((5, 2), np.float32)
      >>> state = jaxdl.learner(task.init, jaxdl.Update(task.loss, jaxdl.optimizers.optimizer("sgd", 0.1))).init(
      ...     jaxdl.root(0), {"input": x})
      >>> predict_batched(task.predict, state, x, batch_size=2).shape
      (5, 10)
    """
    at_least("batch_size", batch_size, 1)
    at_least("rows", len(inputs[0]), 1)
    run = jax.jit(predict)
    size = min(batch_size, len(inputs[0]))
    found = []
    for first in range(0, len(inputs[0]), size):
        part = [np.asarray(x[first : first + size]) for x in inputs]
        whole = [np.concatenate([x, np.repeat(x[:1], size - len(x), 0)]) for x in part]
        found.append(np.asarray(run(state.params, state.extra, *whole))[: len(part[0])])
    return np.concatenate(found)
