"""Language models: the next token from all tokens before it; and texts that such a model writes."""

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
from jaxdl.tasks.sampling import check_filters, draw


class Language(NamedTuple):
    """What `language` returns: pure functions, to use together or alone.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      predict: `predict(params, extra, input [B, T]) -> probabilities [B, T, V]` of the token after each.
      generate: `generate(params, extra, prompt, key, *, length, ...) -> tokens [B, length]`.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    predict: Callable[[Params, Any, Int[Array, "B T"]], Float[Array, "B T V"]]
    generate: Callable[..., Int[Array, "B N"]]


def language(model: nn.Module, *, carried: bool = False) -> Language:
    """The task of saying what comes at every step.

        L = -1/M sum_bt m_bt log p(label_bt | input_b1 .. input_bt),    p = softmax(f(input))

    A language model when `label` is `input` one step on. `carried` is truncated back-propagation through time: each
    batch goes on where the one before ended, so what is remembered reaches back beyond a window and the gradient does
    not. The carry is `extra["carry"]`, a row per sequence; the data is a set whose batches follow each other
    (`Dataset.contiguous`). Evaluation starts from zeros.

    Source: Mikolov et al. 2010, Recurrent neural network based language model; Williams, Peng 1990 (truncation).

    Args:
      model: a `SequenceNet` that answers at every step, or a module with the same `resume`. What carries nothing, as a
        TCN, writes too: it reads the whole text again for every token.
      carried: whether training carries the state from batch to batch.

    Returns:
      A `Language`. A batch has `input` and `label`, ids `[B, T]`; what does not count has 0 in `mask [B]` or `[B, T]`,
      or lies behind the `length [B]` of its sequence. Metrics, means per token: `loss` in nats (its exponential is the
      perplexity), `bits`, `accuracy`.

    Raises:
      InputError: a body that sees later steps; while tracing, answers that are not one per step, a batch of another
        size than the carry has, or nothing to be carried.

    Example:
      >>> import jaxdl
      >>> model = jaxdl.models.SequenceNet(jaxdl.models.OneHot(5), jaxdl.nn.RNN("gru", 8), 5)
      >>> task, ids = language(model), jnp.array([[1, 2, 3], [4, 0, 1]])
      >>> params, extra = task.init(jaxdl.root(0), {"input": ids, "label": ids})
      >>> task.generate(params, extra, ids, jaxdl.root(1), length=4).shape
      (2, 4)
    """
    body = getattr(model, "body", None)
    if not getattr(body, "causal", True):
        raise InputError(
            "model",
            type(body).__name__,
            "a body that sees no later step than the one it answers at",
        )

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, extra = init_variables(model, key, batch)
        if carried:
            _, carry = jax.eval_shape(partial(resumed, train=False), params, extra, batch["input"])
            if not jax.tree.leaves(carry):
                raise InputError("carried", carried, "False, for a network that carries nothing")
            extra["carry"] = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), carry)
        return params, extra

    def resumed(
        params: Params, extra: Any, inputs: Array, carry: Any = None, *, train: bool
    ) -> tuple[Array, Any]:
        return model.apply(
            {"params": params, **extra}, inputs, train=train, carry=carry, method="resume"
        )

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        inputs = batch["input"]
        extra = dict(extra)
        whole = extra.pop("carry", None)
        carry = local_rows(whole) if train and whole is not None else None
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
        if whole is not None:
            extra["carry"] = gather_rows(jax.lax.stop_gradient(carry)) if train else whole
        metrics = _measured(logits, batch)
        return mean(metrics["loss"]), (extra, metrics)

    def predict(params: Params, extra: Any, inputs: Int[Array, "B T"]) -> Float[Array, "B T V"]:
        return jax.nn.softmax(resumed(params, _without_carry(extra), inputs, train=False)[0])

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
        """Continues each prompt, one token after the other, in one compiled program.

            token_t ~ p(. | prompt, token_1 .. token_{t-1})^(1 / temperature), kept to the likeliest

        Args:
          params: of the model.
          extra: of the model.
          prompt: ids `[B, P]`, at least one each; sample i depends on its own prompt, the key and i alone.
          key: of all that is drawn.
          length: N, how many tokens, at least 1.
          temperature: above 0, below 1 more careful; 0: always the likeliest.
          top_k: draw from the k likeliest; 0: from all.
          top_p: draw from the fewest that have this probability together, in (0, 1] (nucleus sampling).
          never: ids that are not written, such as that of unknown words.

        Returns:
          int32 `[B, length]`, without the prompt; -1 behind an id that the model does not know.

        Raises:
          InputError: an empty prompt, or a number out of range.
        """
        at_least("length", length, 1)
        prompt = jnp.asarray(prompt)
        if prompt.ndim != 2 or 0 in prompt.shape:
            raise InputError("prompt", prompt.shape, "ids [B, P], at least one each")
        check_filters(temperature, top_k, top_p)
        drawn = {
            "greedy": temperature == 0,
            "length": length,
            "top_k": top_k,
            "top_p": float(top_p),
            "never": never,
        }
        return written(
            params, _without_carry(extra), prompt, key, jnp.float32(temperature), **drawn
        )

    @partial(jax.jit, static_argnames=("greedy", "length", "top_k", "top_p", "never"))
    def written(params, extra, prompt, key, temperature, *, greedy, length, top_k, top_p, never):
        rows, start = prompt.shape

        def drawn(logits: Array, t: Array) -> Array:
            keys = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, t)))(
                jnp.arange(rows)
            )
            heat = 0.0 if greedy else temperature
            known = jnp.isfinite(logits).all(-1)
            logits = logits.at[:, list(never)].set(-jnp.inf) if never else logits
            return jnp.where(
                known, jax.vmap(lambda x, k: draw(x, k, heat, top_k, top_p))(logits, keys), -1
            )

        def step(state: tuple, t: Array) -> tuple[tuple, Array]:
            logits, carry = state
            token = drawn(logits, t)
            logits, carry = resumed(params, extra, token[:, None], carry, train=False)
            return (logits[:, -1], carry), token

        def again(text: Array, t: Array) -> tuple[Array, Array]:
            logits = resumed(params, extra, text, train=False)[0]
            token = drawn(jax.lax.dynamic_index_in_dim(logits, start - 1 + t, 1, keepdims=False), t)
            return jax.lax.dynamic_update_index_in_dim(text, token, start + t, 1), token

        logits, carry = resumed(params, extra, prompt, train=False)
        if jax.tree.leaves(carry):
            return jax.lax.scan(step, (logits[:, -1], carry), jnp.arange(length))[1].T
        text = jnp.concatenate([prompt.astype(jnp.int32), jnp.zeros((rows, length), jnp.int32)], 1)
        return jax.lax.scan(again, text, jnp.arange(length))[1].T

    return Language(init, loss, predict, generate)


def _measured(logits: Float[Array, "B T V"], batch: Batch) -> Metrics:
    """Loss, bits and accuracy per token that counts."""
    label = batch["label"]
    size = logits.shape[-1]
    if logits.shape[:-1] != label.shape:
        raise InputError(
            "logits", logits.shape, f"[B, T, V], an answer at each of the steps {label.shape}"
        )
    mask = jnp.ones(label.shape, jnp.float32)
    if "length" in batch:
        mask = jnp.where(jnp.arange(label.shape[1])[None] < batch["length"][:, None], mask, 0)
    if "mask" in batch:
        mask = mask * batch["mask"].reshape(label.shape[0], -1)
    # A sum over a one-hot, not a gather: its gradient is no scatter, which a CPU does one number at a time.
    chosen = jnp.where(jax.nn.one_hot(label, size, dtype=bool), logits, 0).sum(-1)
    known = (label >= 0) & (label < size)
    each = jnp.where(known, jax.nn.logsumexp(logits, -1) - chosen, jnp.nan)
    nats = total(each, mask)
    bits = nats[0] / math.log(2), nats[1]
    return {"loss": nats, "bits": bits, "accuracy": total(logits.argmax(-1) == label, mask)}


def _without_carry(extra: Any) -> dict:
    return {name: value for name, value in extra.items() if name != "carry"}


def _check_carry(carry: Any, inputs: Array) -> None:
    for part in jax.tree.leaves(carry):
        if part.shape[0] != inputs.shape[0]:
            said = (
                f"{part.shape[0]}, the rows of the carry, so no accumulation over parts of a batch"
            )
            raise InputError("batch size", inputs.shape[0], said)
