"""Policies: the choice of an action from the values of all actions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, real_number


def greedy(
    q: Float[Array, " A"], legal: Bool[Array, " A"], key: Key[Array, ""] | None = None
) -> Int[Array, ""]:
    """Returns a legal action with the largest value.

    Args:
      q: values of the actions, `[A]`.
      legal: `[A]`, False for actions that the rules forbid.
      key: PRNG key of the choice among equal values. None means the first of them.

    Returns:
      The number of the action, int32.

    Example:
      >>> int(greedy(jnp.array([1.0, 3.0, 3.0]), jnp.array([True, True, True])))
      1
    """
    best = best_actions(q, legal)
    if key is None:
        return best.argmax().astype(jnp.int32)
    return _among(best, jax.random.uniform(key, q.shape))


def epsilon_greedy(
    q: Float[Array, " A"],
    legal: Bool[Array, " A"],
    epsilon: Float[Array, ""],
    key: Key[Array, ""],
) -> Int[Array, ""]:
    """Returns a random legal action with probability epsilon, else one of the best.

    Each of the best actions has the same probability.

    Args:
      q: values of the actions, `[A]`.
      legal: `[A]`, False for actions that the rules forbid.
      epsilon: in [0, 1].
      key: PRNG key of the choice.

    Returns:
      The number of the action, int32.

    Example:
      >>> legal = jnp.array([True, False])
      >>> int(epsilon_greedy(jnp.array([1.0, 3.0]), legal, 0.5, jax.random.key(0)))
      0
    """
    # One call of the generator: its cost is that of a move of a small game.
    numbers = jax.random.uniform(key, (len(q) + 1,))
    explores = numbers[-1] < epsilon
    return _among(jnp.where(explores, legal, best_actions(q, legal)), numbers[:-1])


def epsilon_greedy_probabilities(
    q: Float[Array, " A"], legal: Bool[Array, " A"], epsilon: Float[Array, ""]
) -> Float[Array, " A"]:
    """Computes the probability of each action under `epsilon_greedy`.

        p_a = epsilon / n + (1 - epsilon) [a is one of the m best] / m,   n legal actions

    Args:
      q: values of the actions, `[A]`.
      legal: `[A]`, False for actions that the rules forbid.
      epsilon: in [0, 1].

    Returns:
      `[A]`, which add up to 1.

    Example:
      >>> legal = jnp.array([True, True, True, False])
      >>> p = epsilon_greedy_probabilities(jnp.array([1.0, 3.0, 3.0, 9.0]), legal, 0.3)
      >>> [round(float(x), 2) for x in p]
      [0.1, 0.45, 0.45, 0.0]
    """
    best = best_actions(q, legal).astype(q.dtype)
    allowed = legal.astype(q.dtype)
    return epsilon * allowed / allowed.sum() + (1 - epsilon) * best / best.sum()


def best_actions(q: Float[Array, " A"], legal: Bool[Array, " A"]) -> Bool[Array, " A"]:
    """Returns True for each legal action with the largest value.

    Example:
      >>> best_actions(jnp.array([1.0, 3.0, 9.0]), jnp.array([True, True, False])).tolist()
      [False, True, False]
    """
    values = jnp.where(legal, q, -jnp.inf)
    return legal & (values == values.max())


def linear_schedule(values: tuple[float, float, int], count: Int[Array, ""]) -> Float[Array, ""]:
    """Computes a number that moves from a first to a last value.

        v = first + (last - first) min(count / n, 1)

    Args:
      values: first, last and n.
      count: number of steps so far.

    Returns:
      A float32 scalar.

    Example:
      >>> float(linear_schedule((1.0, 0.5, 10), jnp.array(5)))
      0.75
    """
    first, last, n = values
    share = jnp.minimum(count.astype(jnp.float32) / n, 1.0)
    return first + (last - first) * share


def check_exploration(values: tuple[float, float, int]) -> tuple[float, float, int]:
    """Returns a schedule of epsilon; raises unless both ends are in [0, 1].

    Args:
      values: first, last, and the number of steps between them.

    Raises:
      InputError: something else.

    Example:
      >>> check_exploration((1.0, 2.0, 100))
      Traceback (most recent call last):
      jaxdl.errors.InputError: exploration: got 2.0, allowed: probabilities in [0, 1]
    """
    if not isinstance(values, tuple | list) or len(values) != 3:
        allowed = "first and last probability and a number of steps, such as (1.0, 0.05, 10_000)"
        raise InputError("exploration", values, allowed)
    for value in values[:2]:
        number = real_number(value)
        if number is None or not 0 <= number <= 1:
            raise InputError("exploration", value, "probabilities in [0, 1]")
    at_least("exploration steps", values[2], 1)
    return float(values[0]), float(values[1]), int(values[2])


def _among(allowed: Bool[Array, " A"], numbers: Float[Array, " A"]) -> Int[Array, ""]:
    """Returns the allowed action with the largest random number."""
    return jnp.where(allowed, numbers, -1.0).argmax().astype(jnp.int32)
