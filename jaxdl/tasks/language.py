"""Language models: the next token from all previous tokens, and the generation of texts."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.core import Batch, Params, gather_rows, local_rows
from jaxdl.errors import InputError, at_least
from jaxdl.metrics import Metrics, mean, total
from jaxdl.tasks.linen import apply, init_variables
from jaxdl.tasks.sampling import check_filters, sample_token


class Language(NamedTuple):
    """Pure functions for a language model, returned by `language`.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      predict: `predict(params, extra, input [B, T]) -> probabilities [B, T, V]` of the next token
        after each position.
      generate: `generate(params, extra, prompt, key, *, length, ...) -> tokens [B, length]`.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    predict: Callable[[Params, Any, Int[Array, "B T"]], Float[Array, "B T V"]]
    generate: Callable[..., Int[Array, "B N"]]


def language(model: nn.Module, *, carried: bool = False) -> Language:
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
      A `Language`. A batch has `input` and `label`, ids `[B, T]`. Tokens that do not count have 0
      in `mask [B]` or `[B, T]`, or lie after the `length [B]` of their sequence. The metrics are
      means per token: `loss` in nats (its exponential is the perplexity), `bits` and `accuracy`.

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
    _check_causal(model)
    resume = partial(_resume, model)
    generate_tokens = jax.jit(
        partial(_generate_tokens, resume),
        static_argnames=("greedy", "length", "top_k", "top_p", "never"),
    )

    def predict(params: Params, extra: Any, inputs: Int[Array, "B T"]) -> Float[Array, "B T V"]:
        return jax.nn.softmax(resume(params, _without_carry(extra), inputs, train=False)[0])

    def generate(
        params: Params,
        extra: Any,
        prompt: Int[Array, "B P"],
        key: Key[Array, ""],
        *,
        length: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        never: tuple[int, ...] = (),
    ) -> Int[Array, "B N"]:
        """Continues each prompt token by token, in one compiled program.

            token_t ~ p(. | prompt, token_1 .. token_{t-1})^(1 / temperature), after the filters

        Args:
          params: parameters of the model.
          extra: other collections of the model.
          prompt: ids `[B, P]`, B and P at least 1. The i-th text depends only on its prompt, the
            key and i.
          key: PRNG key of all sampled tokens.
          length: N, the number of tokens to generate, at least 1.
          temperature: at least 0. Values below 1 favour likely tokens, 0 selects the most likely.
          top_k: number of the most likely tokens to sample from. 0 means all.
          top_p: probability mass to sample from, in (0, 1] (nucleus sampling). Tokens are sampled
            from the smallest set whose probability reaches it.
          never: ids that are never generated, for example that of unknown words.

        Returns:
          int32 `[B, length]`, without the prompt. All tokens after an id outside the
          vocabulary are -1.

        Raises:
          InputError: an empty prompt, or a number out of range.
        """
        at_least("length", length, 1)
        prompt = jnp.asarray(prompt)
        if prompt.ndim != 2 or 0 in prompt.shape:
            raise InputError("prompt", prompt.shape, "ids [B, P], B and P at least 1")
        check_filters(temperature, top_k, top_p)
        return generate_tokens(
            params,
            _without_carry(extra),
            prompt,
            key,
            jnp.float32(temperature),
            greedy=temperature == 0,
            length=length,
            top_k=top_k,
            top_p=float(top_p),
            never=never,
        )

    init = partial(_init, model, carried)
    loss = partial(_loss, model)
    return Language(init, loss, predict, generate)


def _check_causal(model: nn.Module) -> None:
    """Raises an InputError if the outputs of the model's body depend on later steps."""
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
    return model.apply(
        {"params": params, **extra}, inputs, train=train, carry=carry, method="resume"
    )


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
) -> tuple[Float[Array, ""], tuple[Any, Metrics]]:
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
    return mean(metrics["loss"]), (extra, metrics)


def _check_carry(carry: Any, inputs: Array) -> None:
    """Raises an InputError unless the carry has a row per row of the inputs."""
    for leaf in jax.tree.leaves(carry):
        if leaf.shape[0] != inputs.shape[0]:
            allowed = (
                f"{leaf.shape[0]}, the batch size of the carry, which accumulate cannot divide"
            )
            raise InputError("batch size", inputs.shape[0], allowed)


def _without_carry(extra: Any) -> dict:
    return {name: value for name, value in extra.items() if name != "carry"}


def _token_metrics(logits: Float[Array, "B T V"], batch: Batch) -> Metrics:
    """Computes loss, bits and accuracy over the tokens that count."""
    label = batch["label"]
    size = logits.shape[-1]
    if logits.shape[:-1] != label.shape:
        raise InputError(
            "logits", logits.shape, f"[B, T, V], an output for each label, {label.shape}"
        )
    mask = jnp.ones(label.shape, jnp.float32)
    if "length" in batch:
        mask = jnp.where(jnp.arange(label.shape[1])[None] < batch["length"][:, None], mask, 0)
    if "mask" in batch:
        mask = mask * batch["mask"].reshape(label.shape[0], -1)
    # A sum over a one-hot mask replaces a gather, whose gradient is a scatter. On a CPU, a scatter
    # processes one number at a time.
    label_logit = jnp.where(jax.nn.one_hot(label, size, dtype=bool), logits, 0).sum(-1)
    is_valid = (label >= 0) & (label < size)
    entropy = jnp.where(is_valid, jax.nn.logsumexp(logits, -1) - label_logit, jnp.nan)
    nats = total(entropy, mask)
    bits = (nats[0] / math.log(2), nats[1])
    return {"loss": nats, "bits": bits, "accuracy": total(logits.argmax(-1) == label, mask)}


def _generate_tokens(
    resume: Callable[..., tuple[Array, Any]],
    params: Params,
    extra: Any,
    prompt: Int[Array, "B P"],
    key: Key[Array, ""],
    temperature: Float[Array, ""],
    *,
    greedy: bool,
    length: int,
    top_k: int,
    top_p: float,
    never: tuple[int, ...],
) -> Int[Array, "B N"]:
    """Generates `length` tokens per prompt; see `generate` in `language`."""
    rows, start = prompt.shape
    sample_one = partial(sample_token, temperature=temperature, top_k=top_k, top_p=top_p)
    if greedy:
        sample_one = partial(sample_one, temperature=0.0)

    def sample(logits: Float[Array, "B V"], t: Int[Array, ""]) -> Int[Array, " B"]:
        step_key = jax.random.fold_in(key, t)
        keys = jax.vmap(partial(jax.random.fold_in, step_key))(jnp.arange(rows))
        is_valid = jnp.isfinite(logits).all(-1)
        if never:
            logits = logits.at[:, list(never)].set(-jnp.inf)
        return jnp.where(is_valid, jax.vmap(sample_one)(logits, keys), -1)

    def step_from_carry(state: tuple, t: Array) -> tuple[tuple, Array]:
        logits, carry = state
        token = sample(logits, t)
        logits, carry = resume(params, extra, token[:, None], carry, train=False)
        return (logits[:, -1], carry), token

    def step_from_text(text: Array, t: Array) -> tuple[Array, Array]:
        logits = resume(params, extra, text, train=False)[0]
        logits = jax.lax.dynamic_index_in_dim(logits, start - 1 + t, 1, keepdims=False)
        token = sample(logits, t)
        return jax.lax.dynamic_update_index_in_dim(text, token, start + t, 1), token

    logits, carry = resume(params, extra, prompt, train=False)
    if jax.tree.leaves(carry):
        return jax.lax.scan(step_from_carry, (logits[:, -1], carry), jnp.arange(length))[1].T
    text = jnp.concatenate([prompt.astype(jnp.int32), jnp.zeros((rows, length), jnp.int32)], 1)
    return jax.lax.scan(step_from_text, text, jnp.arange(length))[1].T
