"""Generation of sequences, one token after the other."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least
from jaxdl.tasks.sampling import check_filters, sample_token
from jaxdl.updates import Params


def generator(resume: Callable[..., tuple[Array, Any]]) -> Callable[..., Int[Array, "B N"]]:
    """Returns a function that continues sequences token by token, in one compiled program.

        token_t ~ p(. | prompt, token_1 .. token_{t-1})^(1 / temperature), after the filters

    Args:
      resume: `resume(params, extra, inputs [B, T], carry, *, train) -> (logits [B, T, V], carry)`.
        A model whose carry is empty processes the whole sequence again for every token.

    Returns:
      `generate(params, extra, prompt, key, *, length, temperature=1.0, top_k=0, top_p=1.0,
      never=()) -> tokens`. The tokens are int32 `[B, length]`, without the prompt. All tokens after
      an id outside the vocabulary are -1. The arguments are:

      - `prompt`: ids `[B, P]`, B and P at least 1. The i-th sequence depends only on its prompt,
        the key and i.
      - `key`: PRNG key of all sampled tokens.
      - `length`: the number of tokens to generate, at least 1.
      - `temperature`: at least 0. Values below 1 favour likely tokens, 0 selects the most likely.
      - `top_k`: number of the most likely tokens to sample from. 0 means all.
      - `top_p`: probability mass to sample from, in (0, 1] (nucleus sampling). Tokens are sampled
        from the smallest set whose probability reaches it.
      - `never`: ids that are never generated, for example that of unknown words.

      It raises an InputError for an empty prompt, or a number out of range.

    Example:
      >>> import jaxdl
      >>> model = jaxdl.models.SequenceNet(jaxdl.models.OneHot(5), jaxdl.nn.RNN("gru", 8), 5)
      >>> task = jaxdl.tasks.language(model)
      >>> ids = jnp.array([[1, 2, 3]])
      >>> params, extra = task.init(jaxdl.root(0), {"input": ids, "label": ids})
      >>> task.generate(params, extra, ids, jaxdl.root(1), length=4, temperature=0.0).shape
      (1, 4)
    """
    generate_tokens = jax.jit(
        partial(_generate_tokens, resume),
        static_argnames=("greedy", "length", "top_k", "top_p", "never"),
    )

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
        at_least("length", length, 1)
        prompt = jnp.asarray(prompt)
        if prompt.ndim != 2 or 0 in prompt.shape:
            raise InputError("prompt", prompt.shape, "ids [B, P], B and P at least 1")
        check_filters(temperature, top_k, top_p)
        return generate_tokens(
            params,
            without_carry(extra),
            prompt,
            key,
            jnp.float32(temperature),
            greedy=temperature == 0,
            length=length,
            top_k=top_k,
            top_p=float(top_p),
            never=never,
        )

    return generate


def without_carry(extra: Any) -> dict[str, Any]:
    """Returns `extra` without the recurrent state that training carries between batches."""
    return {name: value for name, value in extra.items() if name != "carry"}


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
    """Generates `length` tokens per prompt; see `generator`."""
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
