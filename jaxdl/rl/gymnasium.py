"""Gymnasium: its environments for trained agents, and environments of jaxdl for others' agents."""

import contextlib
import functools
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, JaxdlError, at_least, of_kind
from jaxdl.rl.environment import Environment, State, check_action
from jaxdl.rng import root

if TYPE_CHECKING:
    import gymnasium


def _package() -> ModuleType:
    """Returns the package `gymnasium`, which is optional."""
    try:
        return importlib.import_module("gymnasium")
    except ImportError:
        raise JaxdlError("gymnasium is not installed; run: pip install 'jaxdl[rl]'") from None


def evaluate_in_gymnasium(
    act: Callable[[np.ndarray], Any],
    gym_env: "gymnasium.Env | str",
    episodes: int = 100,
    seed: int = 0,
) -> Float[np.ndarray, " N"]:
    """Returns the returns of a trained agent in an environment of Gymnasium.

    Args:
      act: function from one observation to one action, without a batch axis.
      gym_env: an environment, or the name of a registered one, such as "CartPole-v1".
      episodes: number of episodes. Each ends when it is terminated or truncated.
      seed: seed of the first episode; the following ones continue its random numbers.

    Returns:
      The sum of the rewards of each episode `[N]`, float64.

    Raises:
      JaxdlError: gymnasium is not installed.
      InputError: an unknown name; an action that the environment does not have; an observation or
        a reward that is not finite.

    Example:
      >>> evaluate_in_gymnasium(lambda x: int(x[2] > 0), "CartPole-v1", episodes=2).shape
      (2,)
    """
    at_least("episodes", episodes, 1)
    package = _package()
    if isinstance(gym_env, str):
        try:
            made = package.make(gym_env)
        except package.error.Error as error:
            raise InputError("gym_env", gym_env, f"a registered environment; {error}") from None
        with contextlib.closing(made):
            return evaluate_in_gymnasium(act, made, episodes, seed)
    of_kind("gym_env", gym_env, package.Env, "a gymnasium.Env, or the name of one")
    seeds = [seed, *[None] * (episodes - 1)]
    return np.array([_return_of(act, gym_env, each) for each in seeds])


def _return_of(act: Callable[[np.ndarray], Any], gym_env: Any, seed: int | None) -> float:
    """Returns the return of one episode."""
    observation, _ = gym_env.reset(seed=seed)
    total = 0.0
    ended = False
    while not ended:
        _check_finite("observation", observation)
        action = np.asarray(act(observation))
        if action.ndim == 0:
            action = action.item()
        if not gym_env.action_space.contains(action):
            raise InputError("action", action, f"an element of {gym_env.action_space}")
        observation, reward, terminated, truncated, _ = gym_env.step(action)
        _check_finite("reward", reward)
        total += float(reward)
        ended = terminated or truncated
    return total


def _check_finite(field: str, value: Any) -> None:
    """Raises for numbers of an environment that are not finite."""
    array = np.asarray(value)
    if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
        raise InputError(field, array.tolist(), "finite numbers from the environment")


def to_gymnasium(environment: Environment, seed: int | None = None) -> "gymnasium.Env":
    """Returns a `gymnasium.Env` around an environment, for agents of other libraries.

    Args:
      environment: an environment of one player.
      seed: seed of the first episode if `reset` receives none; the default is random.

    Returns:
      An environment with a `Discrete` space of actions and a `Box` of observations. `info` has
      "action_mask", the legal actions as int8 `[A]`, which `Discrete.sample` takes.

    Raises:
      JaxdlError: gymnasium is not installed.
      InputError: not an environment, or one of two players. Its `step` raises it for an action out
        of range, and after the end of an episode.

    Example:
      >>> from jaxdl import rl
      >>> env = to_gymnasium(rl.environment("flippers"), seed=0)
      >>> observation, info = env.reset()
      >>> observation.shape, info["action_mask"].tolist()
      ((9,), [1, 1, 1, 1, 1, 1, 1, 1, 1])
      >>> observation, reward, terminated, truncated, info = env.step(4)
    """
    of_kind("environment", environment, Environment, "an Environment, such as of rl.environment")
    if environment.players != 1:
        raise InputError("environment", environment, "one of a single player")
    return _class()(environment, seed)


@functools.cache
def _functions(environment: Environment) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns the compiled functions `reset` and `step` of one number that makes the key."""

    def seen(state: State) -> tuple[Array, Array]:
        return environment.observe(state), environment.legal(state).astype(jnp.int8)

    def reset(key: Array) -> Any:
        state = environment.reset(key)
        return state, *seen(state)

    def step(state: State, action: Array, key: Array, move: Array) -> Any:
        stepped = environment.step(state, action, jax.random.fold_in(key, move))
        return *stepped, *seen(stepped[0])

    return jax.jit(reset), jax.jit(step)


@functools.cache
def _class() -> Any:
    """Returns the class of the adapter, whose base class is part of an optional package."""
    package = _package()

    class Adapter(package.Env):
        """An environment of jaxdl as Gymnasium has them."""

        metadata: dict[str, Any] = {"render_modes": []}

        def __init__(self, environment: Environment, seed: int | None):
            self.environment = environment
            self.action_space = package.spaces.Discrete(environment.actions)
            state = jax.eval_shape(environment.reset, root(0))
            shape = jax.eval_shape(environment.observe, state).shape
            low, high = (
                np.broadcast_to(np.float32(x), shape) for x in environment.observation_range
            )
            self.observation_space = package.spaces.Box(low, high, shape, np.float32)
            self._seed = seed
            self._state: State = None

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
            """Starts an episode. There are no options."""
            if seed is None and self._np_random is None:
                seed = self._seed
            super().reset(seed=seed)
            self._key = root(int(self.np_random.integers(2**32)))
            self._moves = 0
            start, _ = _functions(self.environment)
            self._state, observation, legal = start(self._key)
            return np.array(observation), {"action_mask": np.array(legal)}

        def step(self, action: Any) -> Any:
            """Makes one move."""
            if self._state is None:
                raise InputError("step", "no episode", "reset() first, also after an episode")
            check_action(self.environment, action)
            _, move = _functions(self.environment)
            found = move(self._state, np.int32(action), self._key, np.uint32(self._moves))
            self._state, reward, terminated, truncated, observation, legal = found
            self._moves += 1
            ended = bool(terminated), bool(truncated)
            if any(ended):
                self._state = None
            info = {"action_mask": np.array(legal)}
            return np.array(observation), float(reward), *ended, info

    return Adapter
