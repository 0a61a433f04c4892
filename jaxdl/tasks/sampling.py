"""Sampling of one token from logits: greedy, with temperature, top-k and top-p filters."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, is_zero


def sample_token(
    logits: Float[Array, " V"],
    key: Key[Array, ""],
    temperature: float | Float[Array, ""] = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Int[Array, ""]:
    """Samples one token; use `jax.vmap` for a batch.

        p_v ~ exp(logits_v / temperature), 0 for tokens that a filter excludes

    Source: Fan et al. 2018, Hierarchical neural story generation (top-k); Holtzman et al. 2020, The
    curious case of neural text degeneration (top-p, nucleus sampling).

    Args:
      logits: `[V]`.
      key: PRNG key of this token.
      temperature: at least 0. 0 selects the most likely token without using the key.
      top_k: number of the largest logits to sample from; logits equal to the k-th are included. 0
        means all.
      top_p: probability mass to sample from, in (0, 1]. Of the tokens left by `top_k`, the most
        likely ones are included until their probability reaches it, at least one.

    Returns:
      int32 in [0, V).

    Example:
      >>> logits = jnp.array([1.0, 3.0, 2.0])
      >>> key = jax.random.key(0)
      >>> int(sample_token(logits, key, temperature=0.0)), int(sample_token(logits, key, top_k=1))
      (1, 1)
    """
    if is_zero(temperature):
        return logits.argmax().astype(jnp.int32)
    logits = logits.astype(jnp.float32)
    # A temperature below 1e-30 would overflow the division. Sampling is greedy long before that.
    logits = (logits - logits.max()) / jnp.maximum(jnp.asarray(temperature, jnp.float32), 1e-30)
    if 0 < top_k < logits.size:
        logits = jnp.where(logits >= jax.lax.top_k(logits, top_k)[0][-1], logits, -jnp.inf)
    if top_p < 1:
        order = jnp.argsort(-logits)
        p = jax.nn.softmax(logits)[order]
        # A token is included if the more likely tokens do not reach top_p. The first always is.
        included = jnp.zeros(logits.shape, bool).at[order].set(jnp.cumsum(p) - p < top_p)
        logits = jnp.where(included, logits, -jnp.inf)
    return jax.random.categorical(key, logits).astype(jnp.int32)


def check_filters(temperature: float, top_k: int, top_p: float) -> None:
    """Raises an InputError unless `sample_token` accepts these arguments.

    Example:
      >>> check_filters(1.0, 0, 1.5)
      Traceback (most recent call last):
      jaxdl.errors.InputError: top_p: got 1.5, allowed: a number in (0, 1]
    """
    if not 0 <= temperature < float("inf"):
        raise InputError("temperature", temperature, "a number, at least 0")
    at_least("top_k", top_k, 0)
    if not 0 < top_p <= 1:
        raise InputError("top_p", top_p, "a number in (0, 1]")
