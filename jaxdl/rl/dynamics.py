"""A finite environment as arrays in NumPy, by enumeration."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxdl.errors import InputError, of_kind
from jaxdl.rl.environment import FiniteEnvironment, Outcomes
from jaxdl.rng import fold, root

#: Most states of a dense table of transitions, which has float64 numbers `[S, A, S]`.
MAX_DENSE = 2048


class Dynamics(NamedTuple):
    """A finite environment as arrays.

    Attributes:
      outcomes: all outcomes of all actions, arrays `[S, A, K]`.
      terminal: `[S]`, True for states in which the episode has ended.
      legal: `[S, A]`, True for the actions that the rules allow.
      sign: -1 if the players move in turns, so that the next value is the other player's; else 1.
    """

    outcomes: Outcomes
    terminal: Bool[np.ndarray, " S"]
    legal: Bool[np.ndarray, "S A"]
    sign: int


@functools.lru_cache(maxsize=4)
def dynamics(environment: FiniteEnvironment) -> Dynamics:
    """Returns a finite environment as arrays, by enumeration of its states and actions.

    An environment without `outcomes` is enumerated by `step`, whose result must not depend on the
    key. The limit of moves is no part of the dynamics.

    Args:
      environment: a finite environment.

    Returns:
      Read-only arrays.

    Raises:
      InputError: an environment that is not finite, or whose moves are random without `outcomes`.

    Example:
      >>> from jaxdl import rl
      >>> world = dynamics(rl.environment("flippers"))
      >>> world.outcomes.following.shape, int(world.terminal.sum())
      ((512, 9, 1), 6)
    """
    of_kind("environment", environment, FiniteEnvironment, "a FiniteEnvironment, such as Flippers")
    rules = jax.jit(jax.vmap(functools.partial(_rules, environment)))
    terminal, legal = rules(jnp.arange(environment.states, dtype=jnp.int32))
    outcomes = environment.outcomes()
    if outcomes is None:
        outcomes = _enumerated(environment)
    sign = -1 if environment.players == 2 else 1
    found = Dynamics(outcomes, np.array(terminal), np.array(legal), sign)
    for array in (*found.outcomes, found.terminal, found.legal):
        array.flags.writeable = False
    return found


def _rules(environment: FiniteEnvironment, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    state = environment.state_of(index)
    return environment.over(state), environment.legal(state)


def _enumerated(environment: FiniteEnvironment) -> Outcomes:
    """Returns the outcomes of moves that are not random, by one step of each."""
    states = jnp.arange(environment.states, dtype=jnp.int32)
    actions = jnp.arange(environment.actions, dtype=jnp.int32)

    def move(index: jax.Array, action: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        # Every move has another key, so that two of them show whether moves are random.
        key = fold(key, index * environment.actions + action)
        after, reward, terminated, _ = environment.step(environment.state_of(index), action, key)
        return environment.index(after), reward, terminated

    moves = jax.jit(jax.vmap(jax.vmap(move, (None, 0, None)), (0, None, None)))
    found = [
        [np.array(x)[..., None] for x in moves(states, actions, root(seed))] for seed in (0, 1)
    ]
    if not all(np.array_equal(a, b) for a, b in zip(*found, strict=True)):
        raise InputError("environment", environment, "one with outcomes(), as its moves are random")
    following, rewards, terminated = found[0]
    return Outcomes(np.ones(rewards.shape), following, rewards.astype(float), terminated)


def transitions(
    environment: FiniteEnvironment,
) -> tuple[Float[np.ndarray, "S A S"], Float[np.ndarray, "S A"], Bool[np.ndarray, " S"]]:
    """Returns dense tables of a small environment.

    Args:
      environment: a finite environment of at most 2,048 states.

    Returns:
      Probabilities `[S, A, S]` of the next state; mean rewards `[S, A]`; `[S]`, True for terminal
      states, whose every action stays there with the reward 0.

    Raises:
      InputError: an environment with more states.

    Example:
      >>> from jaxdl import rl
      >>> probabilities, rewards, terminal = transitions(rl.environment("flippers", flips=0.1))
      >>> probabilities.shape, bool(np.allclose(probabilities.sum(-1), 1))
      ((512, 9, 512), True)
    """
    world = dynamics(environment)
    states, actions = world.legal.shape
    if states > MAX_DENSE:
        raise InputError("states", states, f"at most {MAX_DENSE}; dynamics has the outcomes")
    probabilities = np.zeros((states, actions, states))
    rows, columns, _ = np.indices(world.outcomes.following.shape)
    np.add.at(
        probabilities, (rows, columns, world.outcomes.following), world.outcomes.probabilities
    )
    return probabilities, mean_rewards(world), world.terminal.copy()


def mean_rewards(world: Dynamics) -> Float[np.ndarray, "S A"]:
    """Returns the mean reward of each action.

    Example:
      >>> from jaxdl import rl
      >>> mean_rewards(dynamics(rl.environment("flippers")))[3].tolist()
      [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return (world.outcomes.probabilities * world.outcomes.rewards).sum(-1)
