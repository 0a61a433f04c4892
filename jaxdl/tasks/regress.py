"""Regression: real-valued predictions, trained by least squares."""

from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Int, Key, Num

from jaxdl import losses
from jaxdl.metrics import total
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    init_variables,
    more_inputs,
    one_update,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params


@recorded
def regress(model: nn.Module) -> Task:
    """Returns the functions that train and apply a regression model.

        L = 1/|B| sum_i m_i mean_d (f(x_i)_d - y_id)^2

    Args:
      model: a Linen module called as `model(inputs [B, ...], train=bool) -> [B, D]`. It is also
        given `lengths=` if the batch has lengths, and each field with the name of one of its
        parameters, such as a second input. Its collections other than `params` are in `extra`.

    Returns:
      A `Task` with `loss` and
      `predict(params, extra, inputs [B, ...], lengths=None, **more) -> predictions [B, D]`. A batch
      has `input [B, ...]` and `target [B, D]`. It has `length [B]` for sequences of different
      lengths, and `mask [B]` if some rows do not count. The metrics are `loss`, the mean squared
      error, and `mae`, the mean absolute error.

    Example:
      >>> import jaxdl, jax.numpy as jnp
      >>> task = regress(jaxdl.models.MLP([16], 2))
      >>> batch = {"input": jnp.ones((3, 5)), "target": jnp.zeros((3, 2))}
      >>> params, extra = task.init(jaxdl.root(0), batch)
      >>> task.predict(params, extra, batch["input"]).shape
      (3, 2)
    """
    check_model(model)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        return init_variables(model, key, batch)

    @with_sown_losses
    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        check_fields(batch, "target")
        batch = without_padding(batch)
        y, extra = apply(
            model, params, extra, batch["input"], key, train=train, **more_inputs(model, batch)
        )
        mask = batch.get("mask")
        metrics = {
            "loss": total(jax.vmap(losses.mse)(y, batch["target"]), mask),
            "mae": total(jax.vmap(losses.mae)(y, batch["target"]), mask),
        }
        return metrics["loss"], (extra, metrics)

    def predict(
        params: Params,
        extra: Any,
        inputs: Float[Array, "B ..."],
        lengths: Int[Array, " B"] | None = None,
        **more: Num[Array, "B ..."],
    ):
        kwargs: dict[str, Any] = dict(more)
        if lengths is not None:
            kwargs["lengths"] = lengths
        return apply(model, params, extra, inputs, None, train=False, **kwargs)[0]

    return Task(init, one_update(loss), {"loss": loss, "predict": predict})
