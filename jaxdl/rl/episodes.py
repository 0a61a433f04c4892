"""Several environments side by side: moves of all of them, and greedy episodes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError
from jaxdl.rl.environment import MOST_MOVES, Environment, Transition, step_and_reset
from jaxdl.rl.policies import greedy


class Running(NamedTuple):
    """Environments in the middle of their episodes; every array has one row per environment.

    Attributes:
      states: states of the environments, `[B, ...]`.
      rewards: sum of the rewards of each episode so far, `[B]`.
    """

    states: Any
    rewards: Float[Array, " B"]


class Episodes(NamedTuple):
    """Episodes that have ended.

    Attributes:
      rewards: sum of the rewards, `[B]`.
      moves: number of moves, `[B]`, int32.
      errors: sum of an error of each move, `[B]`; 0 without one.
    """

    rewards: Float[Array, " B"]
    moves: Int[Array, " B"]
    errors: Float[Array, " B"]


def best_action(
    predict: Callable[[Array], Array],
    environment: Environment,
    observation: Float[Array, "..."],
    legal: Bool[Array, "*B A"] | None = None,
) -> Int[Array, "*B"]:
    """Returns the action with the largest value for one observation or several.

    Args:
      predict: `predict(inputs [B, ...]) -> [B, A]`.
      environment: the environment, for the shape of an observation.
      observation: `[...]` or `[B, ...]`.
      legal: `[A]` or `[B, A]`, the actions that the rules allow, as of `environment.legal(state)`.
        None allows all.

    Raises:
      InputError: an observation or legal actions of another shape.

    Example:
      >>> from jaxdl.rl import environment
      >>> x = jnp.array([1.0, 3.0, 0.0, 0.0])
      >>> int(best_action(lambda x: x[:, :2], environment("cart_pole"), x))
      1
    """
    x = jnp.asarray(observation, jnp.float32)
    shape = observation_of(environment).shape
    if x.shape[x.ndim - len(shape) :] != shape or x.ndim > len(shape) + 1:
        allowed = f"{list(shape)} for one observation, or [B, {str(list(shape))[1:]} for several"
        raise InputError("observation shape", list(x.shape), allowed)
    single = x.ndim == len(shape)
    q = predict(x[None] if single else x)
    if legal is not None:
        flags = jnp.asarray(legal, bool)
        expected = q.shape[1:] if single else q.shape
        if flags.shape != expected:
            allowed = f"{list(expected)}, a flag for each action"
            raise InputError("legal", list(flags.shape), allowed)
        q = jnp.where(flags, q, jnp.finfo(q.dtype).min)
    actions = q.argmax(-1).astype(jnp.int32)
    return actions[0] if single else actions


def observation_of(environment: Environment) -> jax.ShapeDtypeStruct:
    """Returns shape and dtype of an observation.

    Example:
      >>> from jaxdl.rl import environment
      >>> observation_of(environment("cart_pole")).shape
      (4,)
    """
    key = jax.random.key(0, impl="threefry2x32")
    return jax.eval_shape(lambda: environment.observe(environment.reset(key)))


def row_count(batch: Any) -> int:
    """Returns the number of rows of a batch, which is the number of environments.

    Example:
      >>> row_count({"mask": jnp.ones(4)})
      4
    """
    return len(next(iter(batch.values())))


def side(environment: Environment, moves: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """Returns the sign of a reward for the first player: -1 for moves of the second one.

    Args:
      environment: the environment.
      moves: number of moves before this one.

    Example:
      >>> from jaxdl.rl import environment
      >>> game = environment("tic_tac_toe", opponent="self")
      >>> side(game, jnp.arange(3)).tolist(), side(environment("catch"), jnp.arange(3)).tolist()
      ([1.0, -1.0, 1.0], [1.0, 1.0, 1.0])
    """
    if environment.players == 1:
        return jnp.ones(moves.shape, jnp.float32)
    return (1 - 2 * (moves % 2)).astype(jnp.float32)


def begin(environment: Environment, key: Key[Array, ""], rows: int) -> Running:
    """Returns environments at the start of their episodes.

    Args:
      environment: the environment.
      key: PRNG key of the first states.
      rows: number of environments, B.

    Example:
      >>> from jaxdl.rl import environment
      >>> begin(environment("cart_pole"), jax.random.key(0), 3).rewards.tolist()
      [0.0, 0.0, 0.0]
    """
    states = jax.vmap(environment.reset)(jax.random.split(key, rows))
    return Running(states, jnp.zeros(rows, jnp.float32))


def move_all(
    environment: Environment,
    running: Running,
    actions: Int[Array, " B"],
    key: Key[Array, ""],
    observe: Callable[[Any], Any] | None = None,
) -> tuple[Transition, Running, tuple[Float[Array, ""], Float[Array, ""]]]:
    """Moves once in each environment; a new episode begins where one has ended.

    Args:
      environment: the environment.
      running: its states.
      actions: one action per environment, `[B]`.
      key: PRNG key of the moves.
      observe: function of a state for the observations of the transitions. The default is that of
        the environment.

    Returns:
      The transitions `[B, ...]`; the states that follow; and the returns of the episodes that have
      ended, as a metric `(sum, count)`.

    Example:
      >>> from jaxdl.rl import environment
      >>> pole = environment("cart_pole")
      >>> running = begin(pole, jax.random.key(0), 3)
      >>> moved, running, ended = move_all(pole, running, jnp.array([0, 1, 1]), jax.random.key(1))
      >>> moved.observation.shape, running.rewards.tolist(), float(ended[1])
      ((3, 4), [1.0, 1.0, 1.0], 0.0)
    """

    def move(state: Any, action: Array, row_key: Key[Array, ""]) -> tuple[Transition, Any]:
        return step_and_reset(environment, state, action, row_key, observe)

    keys = jax.random.split(key, len(actions))
    moved, states = jax.vmap(move)(running.states, actions, keys)
    rewards = running.rewards + moved.reward
    over = moved.terminated | moved.truncated
    ended = jnp.where(over, rewards, 0.0).sum(), over.astype(jnp.float32).sum()
    return moved, Running(states, jnp.where(over, 0.0, rewards)), ended


def greedy_episodes(
    environment: Environment,
    values: Callable[[Any], Float[Array, "B K"]],
    rows: int,
    key: Key[Array, ""],
    observe: Callable[[Any], Any] | None = None,
    error: Callable[..., Float[Array, ""]] | None = None,
    logits: Callable[[Array], Float[Array, " A"]] = lambda outputs: outputs,
) -> Episodes:
    """Plays one episode in each environment, always with an action of the largest value.

    An episode that has not ended after `MOST_MOVES` moves ends there.

    Args:
      environment: the environment.
      values: `values(observations [B, ...]) -> [B, K]`, the outputs of a network.
      rows: number of episodes, B.
      key: PRNG key of first states, of chance, and of the choice among equal values.
      observe: function of a state for `values`. The default is that of the environment.
      error: `error(y [K], action, reward, terminated, next_y [K], next_legal [A])`, a number. The
        numbers of all moves are added.
      logits: function of the outputs of one observation that has the largest value for the best
        action. The default is the outputs themselves.

    Returns:
      The episodes. With two players the rewards are those of the first one.

    Example:
      >>> from jaxdl.rl import environment
      >>> pole = environment("cart_pole")
      >>> left = greedy_episodes(pole, lambda x: -x[:, :2] * 0, 5, jax.random.key(0))
      >>> bool((left.rewards == left.moves).all()), bool((left.moves > 5).all())
      (True, True)
    """
    see = jax.vmap(observe or environment.observe)
    first_key, moves_key = jax.random.split(key)
    keys = jax.random.split(moves_key, rows)
    running = begin(environment, first_key, rows)

    def move(carry: tuple) -> tuple:
        states, q, over, played = carry

        def one(state: Any, q: Array, row_key: Key[Array, ""], i: Array) -> tuple:
            choice, chance = jax.random.split(jax.random.fold_in(row_key, i))
            action = greedy(logits(q), environment.legal(state), choice)
            return action, *environment.step(state, action, chance)

        actions, after, reward, terminated, truncated = jax.vmap(one)(states, q, keys, played.moves)
        next_q = values(see(after))
        errors = played.errors
        if error is not None:
            legal = jax.vmap(environment.legal)(after)
            wrong = jax.vmap(error)(q, actions, reward, terminated, next_q, legal)
            errors = errors + jnp.where(over, 0.0, wrong)
        played = Episodes(
            played.rewards + jnp.where(over, 0.0, reward * side(environment, played.moves)),
            played.moves + (~over).astype(jnp.int32),
            errors,
        )
        states = jax.tree.map(lambda new, old: _where(over, old, new), after, states)
        return states, next_q, over | terminated | truncated, played

    nothing = jnp.zeros(rows, jnp.float32)
    played = Episodes(nothing, jnp.zeros(rows, jnp.int32), nothing)
    start = running.states, values(see(running.states)), jnp.zeros(rows, bool), played

    def continues(carry: tuple) -> Bool[Array, ""]:
        return ~carry[2].all() & (carry[3].moves.max() < MOST_MOVES)

    return jax.lax.while_loop(continues, move, start)[-1]


def _where(rows: Bool[Array, " B"], x: Array, y: Array) -> Array:
    """Returns the rows of x where a flag is True, else those of y."""
    return jnp.where(rows.reshape(-1, *[1] * (x.ndim - 1)), x, y)
