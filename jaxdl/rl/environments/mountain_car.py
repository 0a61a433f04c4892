"""A car in a valley whose motor is too weak for the hill."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.rl.environment import Environment, Stepped, check_limit, truncated_at

LEAST_POSITION = -1.2
MOST_POSITION = 0.6
MOST_SPEED = 0.07
GOAL = 0.5
FORCE = 0.001
GRAVITY = 0.0025


class MountainCarState(NamedTuple):
    """A car.

    Attributes:
      position: its position in [-1.2, 0.6]; the lowest point of the valley is near -0.52.
      velocity: in [-0.07, 0.07].
      moves: number of moves of the episode, int32.
    """

    position: Float[Array, ""]
    velocity: Float[Array, ""]
    moves: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class MountainCar(Environment):
    """Gymnasium's MountainCar-v0: swing up to the position 0.5.

        velocity += 0.001 (action - 1) - 0.0025 cos(3 position)
        position += velocity

    Both are clipped, and the car stops at the left end. Each move has the reward -1. The episode is
    terminated at the position 0.5 and truncated after `limit` moves.

    An observation is the position and the velocity. At first the position is uniform in
    [-0.6, -0.4) and the car at rest.

    Source: A. Moore (1990); `MountainCarEnv` of Gymnasium 1.4.

    Example:
      >>> car = MountainCar()
      >>> state = car.reset(jax.random.key(0))
      >>> car.observe(state).shape, car.action_names
      ((2,), ('left', 'coast', 'right'))
    """

    limit: int = 200
    """Number of moves after which an episode is truncated."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Directions of the motor."""
        return ("left", "coast", "right")

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """Limits of the position and of the velocity."""
        return [LEAST_POSITION, -MOST_SPEED], [MOST_POSITION, MOST_SPEED]

    def reset(self, key: Key[Array, ""]) -> MountainCarState:
        """Returns a car at rest in the valley."""
        position = jax.random.uniform(key, minval=-0.6, maxval=-0.4)
        return MountainCarState(position, jnp.zeros_like(position), jnp.int32(0))

    def step(self, state: MountainCarState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the state after a move, with the reward -1. No number is random."""
        del key
        position, velocity, moves = state
        direction = (jnp.asarray(action) - 1).astype(velocity.dtype)
        velocity = velocity + (direction * FORCE - jnp.cos(3 * position) * GRAVITY)
        velocity = jnp.clip(velocity, -MOST_SPEED, MOST_SPEED)
        position = jnp.clip(position + velocity, LEAST_POSITION, MOST_POSITION)
        stopped = (position <= LEAST_POSITION) & (velocity < 0)
        velocity = jnp.where(stopped, jnp.zeros_like(velocity), velocity)
        after = MountainCarState(position, velocity, moves + 1)
        terminated = (position >= GOAL) & (velocity >= 0)
        truncated = truncated_at(self.limit, after.moves, terminated)
        return after, jnp.float32(-1), terminated, truncated

    def observe(self, state: MountainCarState) -> Float[Array, "2"]:
        """Returns the position and the velocity, float32."""
        return jnp.stack(state[:2]).astype(jnp.float32)
