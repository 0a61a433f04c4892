"""The protocol of environments: pure functions of a state, which `jit` and `vmap` accept."""

import dataclasses
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.rng import root, stream

#: Most moves of an episode that a loop plays, for environments whose episodes may never end.
MOST_MOVES = 100_000

#: Arrays of one episode without a batch axis.
State = Any

#: Result of a step: state, reward, terminated, truncated.
Stepped = tuple[State, Float[Array, ""], Bool[Array, ""], Bool[Array, ""]]


class Transition(NamedTuple):
    """One move of an agent, such as a replay stores.

    Attributes:
      observation: of the state before the move.
      action: number of the move.
      reward: reward of the move.
      terminated: True if the move ended the episode by its rules.
      truncated: True if the episode was cut at its limit, which is no failure. The value of
        `next_observation` belongs into a target then.
      next_observation: of the state after the move, also if another episode starts there.
    """

    observation: Any
    action: Any
    reward: Any
    terminated: Any
    truncated: Any
    next_observation: Any


@dataclasses.dataclass(frozen=True)
class Environment:
    """A world in which an agent moves, as pure functions of its state.

    Subclasses are frozen dataclasses. Their fields are options, so that equal options make equal
    environments with the same hash. An environment holds no arrays and can be a static argument of
    `jax.jit`.

    A state is a `NamedTuple` of arrays without a batch axis; `jax.vmap` makes batches. It counts
    the moves of its episode if there is a limit. Physical states are float32, or float64 under
    `jax.enable_x64`.

    Example:
      >>> from jaxdl import rl
      >>> pole = rl.environment("cart_pole")
      >>> state = pole.reset(jax.random.key(0))
      >>> state, reward, terminated, truncated = pole.step(state, 1, jax.random.key(1))
      >>> float(reward), bool(terminated), pole.observe(state).shape
      (1.0, False, (4,))
    """

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the actions, in their order."""
        raise NotImplementedError

    @property
    def actions(self) -> int:
        """Number of actions."""
        return len(self.action_names)

    @property
    def players(self) -> int:
        """Number of players who move in turns, 1 or 2.

        With 2, a state is observed and indexed from the side of the player to move. A reward is
        that of the player who moved. A value of the next state is the other player's, so it
        counts with the opposite sign.
        """
        return 1

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """Least and largest observation, two numbers or lists of the observation's shape."""
        return -np.inf, np.inf

    def reset(self, key: Key[Array, ""]) -> State:
        """Returns the first state of an episode.

        Args:
          key: a typed key.

        Returns:
          A state, arrays without a batch axis.
        """
        raise NotImplementedError

    def step(self, state: State, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the state after a move, with its reward.

        No other episode starts; see `step_and_reset`.

        Args:
          state: a state of `reset` or `step`.
          action: number of the move, in [0, actions). Compiled code cannot check it; see
            `check_action`.
          key: a typed key for the random part of the move.

        Returns:
          The next state; the reward, float32; terminated, True if the episode ended by its rules;
          truncated, True if it did not and its limit is reached.
        """
        raise NotImplementedError

    def observe(self, state: State) -> Float[Array, "..."]:
        """Returns what a network sees of a state, float32 `[D]` or `[H, W, C]`."""
        raise NotImplementedError

    def legal(self, state: State) -> Bool[Array, " A"]:
        """Returns the actions that the rules allow, all by default."""
        del state
        return jnp.ones(self.actions, bool)


@dataclasses.dataclass(frozen=True)
class FiniteEnvironment(Environment):
    """An environment with few states, for tables and exact solvers.

    Example:
      >>> from jaxdl import rl
      >>> game = rl.environment("flippers")
      >>> game.states, int(game.index(game.state_of(5)))
      (512, 5)
    """

    @property
    def states(self) -> int:
        """Number of indices. Some may belong to no state that can be reached."""
        raise NotImplementedError

    def index(self, state: State) -> Int[Array, ""]:
        """Returns the number of a state, int32 in [0, states)."""
        raise NotImplementedError

    def state_of(self, index: Int[Array, ""]) -> State:
        """Returns the state with a number, at the start of an episode."""
        raise NotImplementedError

    def over(self, state: State) -> Bool[Array, ""]:
        """Returns True for a state in which the episode has ended.

        A step from there changes nothing, has the reward 0, and is terminated.
        """
        raise NotImplementedError

    def outcomes(self) -> "Outcomes | None":
        """Returns all outcomes of all moves, or None if no move is random."""
        return None


class Outcomes(NamedTuple):
    """All outcomes of each action a in each state s of a finite environment, in NumPy.

    Attributes:
      probabilities: `[S, A, K]`, float64, of the K outcomes; each sum over K is 1.
      following: `[S, A, K]`, the index of the next state.
      rewards: `[S, A, K]`, float64.
      terminated: `[S, A, K]`, True if the episode ends with that outcome.
    """

    probabilities: Float[np.ndarray, "S A K"]
    following: Int[np.ndarray, "S A K"]
    rewards: Float[np.ndarray, "S A K"]
    terminated: Bool[np.ndarray, "S A K"]


def truncated_at(limit: int, moves: Int[Array, ""], terminated: Bool[Array, ""]) -> Bool[Array, ""]:
    """Returns True if the limit of moves is reached and the episode has not ended by its rules.

    Example:
      >>> bool(truncated_at(99, jnp.int32(99), jnp.bool_(False)))
      True
    """
    return (moves >= limit) & ~terminated


def step_and_reset(
    environment: Environment,
    state: State,
    action: Int[Array, ""],
    key: Key[Array, ""],
    observe: Callable[[State], Any] | None = None,
) -> tuple[Transition, State]:
    """Returns the transition of a move, and the state from which the next move continues.

    That is the first state of another episode if this one is terminated or truncated. The
    transition has the observation from before that reset, so a stored successor never belongs
    to another episode.

    Args:
      environment: the environment.
      state: its state.
      action: number of the move.
      key: a typed key, another one for each move. The move uses its stream "step", and the reset
        the key.
      observe: function of a state for both observations, such as `environment.index` for tables.
        The default is `environment.observe`.

    Returns:
      A `Transition` and a state.

    Example:
      >>> from jaxdl import rl
      >>> catch = rl.environment("catch", rows=2)
      >>> key = jax.random.key(0)
      >>> state = catch.reset(key)
      >>> transition, state = step_and_reset(catch, state, 1, key)
      >>> bool(transition.terminated), int(state.row)
      (True, 0)
    """
    observe = observe or environment.observe
    after, reward, terminated, truncated = environment.step(state, action, stream(key, "step"))
    # Another stream for the reset would cost a tenth of the time of a step of CartPole. Numbers of
    # the reset and of the stream are independent, because their counters differ.
    first = environment.reset(key)
    ended = terminated | truncated
    following = jax.tree.map(lambda new, old: jnp.where(ended, new, old), first, after)
    transition = Transition(
        observe(state), jnp.asarray(action), reward, terminated, truncated, observe(after)
    )
    return transition, following


def check_action(environment: Environment, action: Any) -> None:
    """Raises unless an action, or each of an array, is an integer in [0, actions).

    Args:
      environment: the environment.
      action: numbers on the host; traced ones are unknown and not checked.

    Example:
      >>> from jaxdl import rl
      >>> check_action(rl.environment("cart_pole"), 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: action: got 2, allowed: an integer in [0, 2): left, right
    """
    if isinstance(action, jax.core.Tracer):
        return
    values = np.asarray(action)
    names = ", ".join(environment.action_names)
    allowed = f"an integer in [0, {environment.actions}): {names}"
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError("action", action, allowed)
    bad = (values < 0) | (values >= environment.actions)
    if bad.any():
        raise InputError("action", int(values[bad].flat[0]), allowed)


def check_share(field: str, value: Any) -> None:
    """Raises unless a value is a number in [0, 1], such as a probability or a discount.

    Example:
      >>> check_share("discount", 1.5)
      Traceback (most recent call last):
      jaxdl.errors.InputError: discount: got 1.5, allowed: a number in [0, 1]
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not 0 <= value <= 1:
        raise InputError(field, value, "a number in [0, 1]")


def check_limit(limit: int) -> None:
    """Raises unless a limit of moves is an integer that int32 counts.

    Example:
      >>> check_limit(0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: limit: got 0, allowed: at least 1
    """
    at_least("limit", limit, 1)
    if limit >= 2**31:
        raise InputError("limit", limit, "less than 2**31")


def check_environment(environment: Environment) -> None:
    """Raises if a step of an environment does not keep to the protocol or returns a NaN.

    It does one step of each action from one first state, on the host.

    Args:
      environment: the environment.

    Raises:
      InputError: the first of the wrong shapes, dtypes and numbers.

    Example:
      >>> from jaxdl import rl
      >>> check_environment(rl.environment("acrobot"))
    """
    of_kind("environment", environment, Environment, "an Environment, such as of rl.environment")
    key = root(0)
    state = environment.reset(key)
    _check_arrays(environment, state)
    for action in range(environment.actions):
        stepped = environment.step(state, jnp.int32(action), key)
        if not isinstance(stepped, tuple) or len(stepped) != 4:
            raise InputError("step", type(stepped), "(state, reward, terminated, truncated)")
        after, reward, terminated, truncated = stepped
        if _form(after) != _form(state):
            raise InputError("step", _form(after), f"a state like that of reset, {_form(state)}")
        _check_form("reward", reward, "float32[]")
        _check_form("terminated", terminated, "bool[]")
        _check_form("truncated", truncated, "bool[]")
        if terminated & truncated:
            raise InputError("truncated", True, "False for a terminated episode")
        _check_finite("reward", reward)
        _check_arrays(environment, after)


def _check_arrays(environment: Environment, state: State) -> None:
    """Raises if a state, its observation, index or legal actions do not keep to the protocol."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        _check_finite(f"state{jax.tree_util.keystr(path)}", leaf)
    observation = jnp.asarray(environment.observe(state))
    if observation.dtype != jnp.float32 or observation.ndim not in (1, 3):
        raise InputError("observe", _form(observation), "float32 [D] or [H, W, C]")
    _check_finite("observe", observation)
    _check_form("legal", environment.legal(state), f"bool[{environment.actions}]")
    if isinstance(environment, FiniteEnvironment):
        index = environment.index(state)
        _check_form("index", index, "int32[]")
        if not 0 <= index < environment.states:
            raise InputError("index", int(index), f"an integer in [0, {environment.states})")


def _form(tree: Any) -> str:
    """Returns the dtypes and shapes of a tree of arrays."""
    return str(jax.tree.map(_array_form, tree))


def _array_form(leaf: Any) -> str:
    array = jnp.asarray(leaf)
    return f"{array.dtype}[{','.join(map(str, array.shape))}]"


def _check_form(field: str, value: Any, allowed: str) -> None:
    if _form(value) != allowed:
        raise InputError(field, _form(value), allowed)


def _check_finite(field: str, value: Any) -> None:
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.inexact) and not jnp.isfinite(array).all():
        raise InputError(field, np.asarray(array).tolist(), "finite numbers")
