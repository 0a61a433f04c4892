"""A pole on a cart that is pushed to the left or to the right."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.rl.environment import Environment, Stepped, check_limit, truncated_at

GRAVITY = 9.8
CART_MASS = 1.0
POLE_MASS = 0.1
TOTAL_MASS = CART_MASS + POLE_MASS
#: Half of the pole's length.
LENGTH = 0.5
FORCE = 10.0
#: Seconds of a step.
TIME = 0.02
#: Largest distance of the cart from the middle.
MOST_X = 2.4
#: Largest angle of the pole, 12 degrees.
MOST_ANGLE = 12 * 2 * math.pi / 360


class CartPoleState(NamedTuple):
    """A cart and its pole.

    Attributes:
      x: position of the cart, 0 in the middle.
      velocity: of the cart.
      angle: of the pole in radians, 0 if it is upright.
      angular_velocity: of the pole.
      moves: number of moves of the episode, int32.
    """

    x: Float[Array, ""]
    velocity: Float[Array, ""]
    angle: Float[Array, ""]
    angular_velocity: Float[Array, ""]
    moves: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class CartPole(Environment):
    """Gymnasium's CartPole-v1: keep the pole upright for `limit` moves.

        angle'' = (g sin(angle) - cos(angle) u) / (l (4/3 - m cos(angle)^2 / M))
        x'' = u - m l angle'' cos(angle) / M,  u = (F + m l angle'^2 sin(angle)) / M

    A step is one of Euler's method, 0.02 s long. Each move has the reward 1. The episode is
    terminated if the cart is more than 2.4 from the middle or the angle is more than 12 degrees.
    It is truncated after `limit` moves.

    An observation is x, its velocity, the angle and the angular velocity. All four are uniform in
    [-0.05, 0.05) at first.

    Source: Barto, Sutton and Anderson (1983); `CartPoleEnv` of Gymnasium 1.4.

    Example:
      >>> pole = CartPole(limit=200)
      >>> state = pole.reset(jax.random.key(0))
      >>> pole.observe(state).shape, pole.action_names
      ((4,), ('left', 'right'))
    """

    limit: int = 500
    """Number of moves after which an episode is truncated."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Directions of the push."""
        return ("left", "right")

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """Twice the limits of an episode; velocities have none."""
        high = [2 * MOST_X, math.inf, 2 * MOST_ANGLE, math.inf]
        return [-number for number in high], high

    def reset(self, key: Key[Array, ""]) -> CartPoleState:
        """Returns a state near the upright pole at rest."""
        first = jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        return CartPoleState(first[0], first[1], first[2], first[3], jnp.int32(0))

    def step(self, state: CartPoleState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the state after a push, with the reward 1. No number is random."""
        del key
        x, velocity, angle, angular_velocity, moves = state
        force = jnp.where(jnp.asarray(action) == 1, FORCE, -FORCE).astype(x.dtype)
        cos = jnp.cos(angle)
        sin = jnp.sin(angle)
        push = (force + POLE_MASS * LENGTH * angular_velocity**2 * sin) / TOTAL_MASS
        angular_acceleration = (GRAVITY * sin - cos * push) / (
            LENGTH * (4.0 / 3.0 - POLE_MASS * cos**2 / TOTAL_MASS)
        )
        acceleration = push - POLE_MASS * LENGTH * angular_acceleration * cos / TOTAL_MASS
        after = CartPoleState(
            x + TIME * velocity,
            velocity + TIME * acceleration,
            angle + TIME * angular_velocity,
            angular_velocity + TIME * angular_acceleration,
            moves + 1,
        )
        terminated = (abs(after.x) > MOST_X) | (abs(after.angle) > MOST_ANGLE)
        truncated = truncated_at(self.limit, after.moves, terminated)
        return after, jnp.float32(1), terminated, truncated

    def observe(self, state: CartPoleState) -> Float[Array, "4"]:
        """Returns x, its velocity, the angle and the angular velocity, float32."""
        return jnp.stack(state[:4]).astype(jnp.float32)
