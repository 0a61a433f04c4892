"""Language models: the next token from all previous tokens."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.replicas import gather_rows, local_rows
from jaxdl.tasks.generation import generator, without_carry
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    init_variables,
    one_update,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params


@recorded
def language(model: nn.Module, *, carried: bool = False) -> Task:
    """Returns the functions that train and apply a model with a prediction at every step.

        L = -1/M sum_bt m_bt log p(label_bt | input_b1 .. input_bt),    p = softmax(f(input))

    It is a language model if `label` is `input` shifted by one step.

    `carried` is truncated back-propagation through time: each batch starts from the recurrent state
    at the end of the previous batch. The model can then use information from before its window, but
    the gradient stays within the window. The state is `extra["carry"]`, with one row per sequence.
    Training requires a data set whose batches follow each other (`Dataset.contiguous`). Evaluation
    starts from zeros.

    Source: Mikolov et al. 2010, Recurrent neural network based language model; Williams, Peng 1990
    (truncation).

    Args:
      model: a `SequenceNet` with an output at every step, or a module with the same `resume`. A
        model without a recurrent state, such as a TCN, can generate texts too. It processes the
        whole text again for every token.
      carried: if True, training carries the recurrent state from batch to batch.

    Returns:
      A `Task` with `loss` and two inference functions:

      - `predict(params, extra, input [B, T]) -> probabilities [B, T, V]` of the next token after
        each position.
      - `generate(params, extra, prompt, key, *, length, ...) -> tokens [B, length]`, see
        `jaxdl.tasks.generator`.

      A batch has `input` and `label`, ids `[B, T]`. Tokens that do not count have 0 in `mask [B]`
      or `[B, T]`, or lie after the `length [B]` of their sequence. The metrics are means per token:
      `loss` in nats (its exponential is the perplexity), `bits` and `accuracy`.

    Raises:
      InputError: a body that is not causal; while tracing, outputs that are not one per step, a
        batch whose size differs from the carry's, or `carried` for a model without a recurrent
        state.

    Example:
      >>> import jaxdl
      >>> model = jaxdl.models.SequenceNet(jaxdl.models.OneHot(5), jaxdl.nn.RNN("gru", 8), 5)
      >>> task = language(model)
      >>> ids = jnp.array([[1, 2, 3], [4, 0, 1]])
      >>> params, extra = task.init(jaxdl.root(0), {"input": ids, "label": ids})
      >>> task.generate(params, extra, ids, jaxdl.root(1), length=4).shape
      (2, 4)
    """
    check_model(model)
    _check_causal(model)
    resume = partial(_resume, model)

    def predict(params: Params, extra: Any, inputs: Int[Array, "B T"]) -> Float[Array, "B T V"]:
        return jax.nn.softmax(resume(params, without_carry(extra), inputs, train=False)[0])

    init = partial(_init, model, carried)
    loss = with_sown_losses(partial(_loss, model))
    functions: dict[str, Callable[..., Any]] = {
        "loss": loss,
        "predict": predict,
        "generate": generator(resume),
    }
    return Task(init, one_update(loss), functions)


def _check_causal(model: nn.Module) -> None:
    """Raises an InputError without a `resume`, or if outputs of the body depend on later steps."""
    if not hasattr(model, "resume"):
        allowed = "a SequenceNet, or a module with the same method `resume`"
        raise InputError("model", type(model).__name__, allowed)
    body = getattr(model, "body", None)
    if not getattr(body, "causal", True):
        raise InputError(
            "model",
            type(body).__name__,
            "a causal body, whose outputs do not depend on later steps",
        )


def _resume(
    model: nn.Module, params: Params, extra: Any, inputs: Array, carry: Any = None, *, train: bool
) -> tuple[Array, Any]:
    """Applies the model from a recurrent state; returns the logits and the new state."""
    return apply(model, params, extra, inputs, None, train=train, carry=carry, method="resume")[0]


def _init(model: nn.Module, carried: bool, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    params, extra = init_variables(model, key, batch)
    if carried:
        resume = partial(_resume, model, train=False)
        _, carry = jax.eval_shape(resume, params, extra, batch["input"])
        if not jax.tree.leaves(carry):
            raise InputError("carried", carried, "False, for a model without a recurrent state")
        extra["carry"] = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), carry)
    return params, extra


def _loss(
    model: nn.Module, params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool
) -> tuple[Metric, tuple[Any, Metrics]]:
    check_fields(batch, "label")
    batch = without_padding(batch, carried="carry" in extra)
    inputs = batch["input"]
    extra = dict(extra)
    # The carry of the whole batch; `carry` has the rows of this replica.
    full_carry = extra.pop("carry", None)
    carry = None
    if train and full_carry is not None:
        carry = local_rows(full_carry)
    _check_carry(carry, inputs)
    (logits, carry), extra = apply(
        model,
        params,
        extra,
        inputs,
        key,
        train=train,
        carry=carry,
        lengths=batch.get("length"),
        method="resume",
    )
    if train and full_carry is not None:
        full_carry = gather_rows(jax.lax.stop_gradient(carry))
    if full_carry is not None:
        extra["carry"] = full_carry
    metrics = _token_metrics(logits, batch)
    return metrics["loss"], (extra, metrics)


def _check_carry(carry: Any, inputs: Array) -> None:
    """Raises an InputError unless the carry has a row per row of the inputs."""
    for leaf in jax.tree.leaves(carry):
        if leaf.shape[0] != inputs.shape[0]:
            allowed = (
                f"{leaf.shape[0]}, the batch size of the carry, which accumulate cannot divide"
            )
            raise InputError("batch size", inputs.shape[0], allowed)


def _token_metrics(logits: Float[Array, "B T V"], batch: Batch) -> Metrics:
    """Computes loss, bits and accuracy over the tokens that count."""
    label = batch["label"]
    size = logits.shape[-1]
    if logits.shape[:-1] != label.shape:
        raise InputError(
            "logits", logits.shape, f"[B, T, V], an output for each label, {label.shape}"
        )
    mask = jnp.ones(label.shape, logits.dtype)
    if "length" in batch:
        mask = jnp.where(jnp.arange(label.shape[1])[None] < batch["length"][:, None], mask, 0)
    if "mask" in batch:
        mask = mask * batch["mask"].reshape(label.shape[0], -1).astype(mask.dtype)
    # A sum over a one-hot mask replaces a gather, whose gradient is a scatter. On a CPU, a scatter
    # processes one number at a time.
    label_logit = jnp.where(jax.nn.one_hot(label, size, dtype=bool), logits, 0).sum(-1)
    is_valid = (label >= 0) & (label < size)
    entropy = jnp.where(is_valid, jax.nn.logsumexp(logits, -1) - label_logit, jnp.nan)
    nats = total(entropy, mask)
    bits = (nats[0] / math.log(2), nats[1])
    return {"loss": nats, "bits": bits, "accuracy": total(logits.argmax(-1) == label, mask)}
