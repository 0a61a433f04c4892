"""Two hanging links with a motor in the joint between them."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.rl.environment import Environment, Stepped, check_limit, truncated_at

GRAVITY = 9.8
#: Distance of a link's centre of mass from its joint. Length, mass and inertia are 1.
CENTER = 0.5
#: Seconds of a step.
TIME = 0.2
MOST_SPEED_1 = 4 * math.pi
MOST_SPEED_2 = 9 * math.pi

# Turns of an angle in one step, at most: a rate of four times the largest velocity has 3.6.
_MOST_TURNS = 4

#: Angle of the first link, relative angle of the second one, and their velocities.
Motion = tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]


class AcrobotState(NamedTuple):
    """Two links.

    Attributes:
      angle_1: of the first link in radians, 0 if it hangs down, in [-pi, pi].
      angle_2: of the second link, relative to the first one, in [-pi, pi].
      velocity_1: of `angle_1`, in [-4 pi, 4 pi].
      velocity_2: of `angle_2`, in [-9 pi, 9 pi].
      moves: number of moves of the episode, int32.
    """

    angle_1: Float[Array, ""]
    angle_2: Float[Array, ""]
    velocity_1: Float[Array, ""]
    velocity_2: Float[Array, ""]
    moves: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Acrobot(Environment):
    """Gymnasium's Acrobot-v1: swing the free end one length above the fixed joint.

        terminated = -cos(angle_1) - cos(angle_1 + angle_2) > 1

    A step is one of Runge and Kutta's method of order four, 0.2 s long, with the equations of
    Sutton and Barto's book. Each move has the reward -1, the one that ends the episode 0. The
    episode is truncated after `limit` moves.

    An observation is cosine and sine of both angles, then both velocities. All four numbers of the
    motion are uniform in [-0.1, 0.1) at first.

    Source: Sutton (1996); `AcrobotEnv` of Gymnasium 1.4.

    Example:
      >>> acrobot = Acrobot()
      >>> state = acrobot.reset(jax.random.key(0))
      >>> acrobot.observe(state).shape, acrobot.actions
      ((6,), 3)
    """

    limit: int = 500
    """Number of moves after which an episode is truncated."""

    def __post_init__(self) -> None:
        check_limit(self.limit)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Torques on the joint between the links."""
        return ("torque -1", "torque 0", "torque 1")

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """Limits of sine and cosine and of both velocities."""
        high = [1.0, 1.0, 1.0, 1.0, MOST_SPEED_1, MOST_SPEED_2]
        return [-number for number in high], high

    def reset(self, key: Key[Array, ""]) -> AcrobotState:
        """Returns a state near the hanging links at rest."""
        first = jax.random.uniform(key, (4,), minval=-0.1, maxval=0.1)
        return AcrobotState(first[0], first[1], first[2], first[3], jnp.int32(0))

    def step(self, state: AcrobotState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the state after 0.2 s of a torque. No number is random."""
        del key
        torque = (jnp.asarray(action) - 1).astype(state.angle_1.dtype)
        angle_1, angle_2, velocity_1, velocity_2 = _runge_kutta(state[:4], torque)
        after = AcrobotState(
            _wrapped(angle_1),
            _wrapped(angle_2),
            jnp.clip(velocity_1, -MOST_SPEED_1, MOST_SPEED_1),
            jnp.clip(velocity_2, -MOST_SPEED_2, MOST_SPEED_2),
            state.moves + 1,
        )
        terminated = -jnp.cos(after.angle_1) - jnp.cos(after.angle_2 + after.angle_1) > 1
        reward = jnp.where(terminated, jnp.float32(0), jnp.float32(-1))
        return after, reward, terminated, truncated_at(self.limit, after.moves, terminated)

    def observe(self, state: AcrobotState) -> Float[Array, "6"]:
        """Returns cos and sin of the first angle, of the second one, and both velocities."""
        first, second, velocity_1, velocity_2, _ = state
        numbers = [jnp.cos(first), jnp.sin(first), jnp.cos(second), jnp.sin(second)]
        return jnp.stack([*numbers, velocity_1, velocity_2]).astype(jnp.float32)


def _wrapped(angle: Float[Array, ""]) -> Float[Array, ""]:
    """Returns the equal angle in [-pi, pi]."""
    for _ in range(_MOST_TURNS):
        angle = jnp.where(angle > math.pi, angle - 2 * math.pi, angle)
        angle = jnp.where(angle < -math.pi, angle + 2 * math.pi, angle)
    return angle


def _runge_kutta(motion: Motion, torque: Float[Array, ""]) -> Motion:
    """Returns the motion after a step of the method of order four."""

    def moved(rate: Motion, time: float) -> Motion:
        return tuple(x + time * d for x, d in zip(motion, rate, strict=True))  # type: ignore

    rate_1 = _derivative(motion, torque)
    rate_2 = _derivative(moved(rate_1, TIME / 2), torque)
    rate_3 = _derivative(moved(rate_2, TIME / 2), torque)
    rate_4 = _derivative(moved(rate_3, TIME), torque)
    rates = zip(rate_1, rate_2, rate_3, rate_4, strict=True)
    return moved(tuple(a + 2 * b + 2 * c + d for a, b, c, d in rates), TIME / 6)  # type: ignore


def _derivative(motion: Motion, torque: Float[Array, ""]) -> Motion:
    """Returns the velocities and accelerations of both angles.

    The links have length, mass and inertia 1, so these factors are left out.
    """
    angle_1, angle_2, velocity_1, velocity_2 = motion
    sin_2 = jnp.sin(angle_2)
    cos_2 = jnp.cos(angle_2)
    d1 = CENTER**2 + (1 + CENTER**2 + 2 * CENTER * cos_2) + 2
    d2 = CENTER**2 + CENTER * cos_2 + 1
    phi2 = CENTER * GRAVITY * jnp.sin(angle_1 + angle_2)
    phi1 = (
        -CENTER * velocity_2**2 * sin_2
        - 2 * CENTER * velocity_2 * velocity_1 * sin_2
        + (CENTER + 1) * GRAVITY * jnp.sin(angle_1)
        + phi2
    )
    acceleration_2 = (torque + d2 / d1 * phi1 - CENTER * velocity_1**2 * sin_2 - phi2) / (
        CENTER**2 + 1 - d2**2 / d1
    )
    acceleration_1 = -(d2 * acceleration_2 + phi1) / d1
    return velocity_1, velocity_2, acceleration_1, acceleration_2
