"""Drawing one token from its logits: greedy, by temperature, among the likeliest."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, is_zero


def draw(
    logits: Float[Array, " V"],
    key: Key[Array, ""],
    temperature: float | Float[Array, ""] = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Int[Array, ""]:
    """One token; `jax.vmap` it over a batch.

        p_v ~ exp(logits_v / temperature), 0 outside the kept tokens

    Source: Fan et al. 2018, Hierarchical neural story generation (top-k); Holtzman et al. 2020, The curious case of
    neural text degeneration (top-p, the nucleus).

    Args:
      logits: `[V]`.
      key: of the draw.
      temperature: at least 0; 0: the likeliest token, the key is not used.
      top_k: keep the k largest logits (more where several are equal to the k-th); 0: all.
      top_p: of those keep the largest until their probability reaches it, at least one; in (0, 1].

    Returns:
      int32 in [0, V).

    Example:
      >>> logits = jnp.array([1.0, 3.0, 2.0])
      >>> int(draw(logits, jax.random.key(0), temperature=0.0)), int(draw(logits, jax.random.key(0), top_k=1))
      (1, 1)
    """
    if is_zero(temperature):
        return logits.argmax().astype(jnp.int32)
    logits = logits.astype(jnp.float32)
    # Below this the division would overflow; what it draws is the likeliest token long before.
    logits = (logits - logits.max()) / jnp.maximum(jnp.asarray(temperature, jnp.float32), 1e-30)
    if 0 < top_k < logits.size:
        logits = jnp.where(logits >= jax.lax.top_k(logits, top_k)[0][-1], logits, -jnp.inf)
    if top_p < 1:
        order = jnp.argsort(-logits)
        p = jax.nn.softmax(logits)[order]
        # A token stays while those before it have not reached top_p; so the first always does.
        kept = jnp.zeros(logits.shape, bool).at[order].set(jnp.cumsum(p) - p < top_p)
        logits = jnp.where(kept, logits, -jnp.inf)
    return jax.random.categorical(key, logits).astype(jnp.int32)


def check_filters(temperature: float, top_k: int, top_p: float) -> None:
    """Raises unless `draw` can use them.

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
