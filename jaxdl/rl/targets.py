"""Targets of temporal-difference learning, as functions of numbers or of one batch axis.

All of them have the form

    target = r + discount * v

with the discount 0 after a terminated move. A time limit is no failure: the discount stays.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def q_learning_target(
    reward: Float[Array, ""], discount: Float[Array, ""], q: Float[Array, " A"]
) -> Float[Array, ""]:
    """Computes the target of Q-learning, `r + discount max_a q_a`.

    Args:
      reward: r, of the move.
      discount: 0 if the move ended the episode by its rules, else the factor of later rewards.
      q: values of the actions in the next state, `[A]`.

    Source: Watkins and Dayan (1992), Q-learning.

    Example:
      >>> float(q_learning_target(1.0, 0.5, jnp.array([2.0, 4.0])))
      3.0
    """
    return reward + discount * q.max()


def sarsa_target(
    reward: Float[Array, ""],
    discount: Float[Array, ""],
    q: Float[Array, " A"],
    action: Int[Array, ""],
) -> Float[Array, ""]:
    """Computes the target of SARSA, `r + discount q_a` for the next action a.

    Args:
      reward: r, of the move.
      discount: 0 if the move ended the episode by its rules, else the factor of later rewards.
      q: values of the actions in the next state, `[A]`.
      action: the action that the agent chooses there.

    Source: Rummery and Niranjan (1994), On-line Q-learning using connectionist systems.

    Example:
      >>> float(sarsa_target(1.0, 0.5, jnp.array([2.0, 4.0]), 0))
      2.0
    """
    return reward + discount * q[action]


def expected_sarsa_target(
    reward: Float[Array, ""],
    discount: Float[Array, ""],
    q: Float[Array, " A"],
    probabilities: Float[Array, " A"],
) -> Float[Array, ""]:
    """Computes the target of expected SARSA, `r + discount sum_a p_a q_a`.

    Args:
      reward: r, of the move.
      discount: 0 if the move ended the episode by its rules, else the factor of later rewards.
      q: values of the actions in the next state, `[A]`.
      probabilities: p, with which the agent chooses them, `[A]`.

    Source: van Seijen et al. (2009), A theoretical and empirical analysis of expected SARSA.

    Example:
      >>> p = jnp.array([0.75, 0.25])
      >>> float(expected_sarsa_target(1.0, 0.5, jnp.array([2.0, 4.0]), p))
      2.25
    """
    # An action that is never chosen may have any value.
    return reward + discount * jnp.where(probabilities > 0, probabilities * q, 0.0).sum()


def double_q_target(
    reward: Float[Array, ""],
    discount: Float[Array, ""],
    q: Float[Array, " A"],
    chooser: Float[Array, " A"],
) -> Float[Array, ""]:
    """Computes the target of double Q-learning, `r + discount q_b` for `b = argmax_a chooser_a`.

    The maximum of noisy values is too large on average. With a second estimate for the choice of
    the action, the errors of choice and value are independent.

    Args:
      reward: r, of the move.
      discount: 0 if the move ended the episode by its rules, else the factor of later rewards.
      q: values of the actions in the next state, `[A]`.
      chooser: values of the same actions by the other estimate, `[A]`.

    Source: van Hasselt (2010), Double Q-learning.

    Example:
      >>> float(double_q_target(1.0, 0.5, jnp.array([2.0, 4.0]), jnp.array([9.0, 0.0])))
      2.0
    """
    return reward + discount * q[chooser.argmax()]


def n_step_return(
    rewards: Float[Array, " n"],
    terminated: Bool[Array, " n"],
    truncated: Bool[Array, " n"],
    discount: float,
) -> tuple[Float[Array, ""], Float[Array, ""], Int[Array, ""]]:
    """Computes the rewards of up to n moves, and what follows them.

        R = sum_{i < m} d^i r_i,    m = the first move that ends an episode, or n

    Args:
      rewards: `[n]`, of consecutive moves.
      terminated: `[n]`, True if the move ended the episode by its rules.
      truncated: `[n]`, True if the episode was cut at its limit.
      discount: d, the factor of later rewards, in [0, 1].

    Returns:
      R; the discount of the value that follows, d^m, or 0 after a terminated move; and m - 1, the
      index of the last move that counts.

    Source: Sutton (1988), Learning to predict by the methods of temporal differences.

    Example:
      >>> no = jnp.zeros(3, bool)
      >>> [float(x) for x in n_step_return(jnp.array([1.0, 2.0, 4.0]), no, no, 0.5)]
      [3.0, 0.125, 2.0]
    """
    n = len(rewards)
    # Powers by the compiled program would have larger rounding errors.
    powers = jnp.asarray([discount**i for i in range(n + 1)], rewards.dtype)
    ended = terminated | truncated
    last = jnp.where(ended.any(), ended.argmax(), n - 1).astype(jnp.int32)
    counts = jnp.arange(n) <= last
    total = jnp.where(counts, powers[:-1] * rewards, 0.0).sum()
    return total, jnp.where(terminated[last], 0.0, powers[last + 1]), last


def returns_to_go(
    rewards: Float[Array, " T"], discount: float, bootstrap: Float[Array, ""] | float = 0.0
) -> Float[Array, " T"]:
    """Computes the return from each move on, `G_t = r_t + d G_{t+1}`, with `G_T` the bootstrap.

    Args:
      rewards: r, `[T]`.
      discount: d, in [0, 1].
      bootstrap: value of the state after the last move.

    Returns:
      `[T]`.

    Example:
      >>> returns_to_go(jnp.array([1.0, 1.0, 1.0]), 0.5).tolist()
      [1.75, 1.5, 1.0]
    """

    def back(following: Array, reward: Array) -> tuple[Array, Array]:
        value = reward + jnp.asarray(discount, rewards.dtype) * following
        return value, value

    start = jnp.asarray(bootstrap, rewards.dtype)
    return jax.lax.scan(back, start, rewards, reverse=True)[1]
