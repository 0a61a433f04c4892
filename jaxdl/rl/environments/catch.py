"""Catch: a ball falls, and a paddle on the lowest row moves below it."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least
from jaxdl.rl.environment import FiniteEnvironment, Stepped


class CatchState(NamedTuple):
    """A ball and a paddle.

    Attributes:
      row: row of the ball, int32, 0 at the top. It is the number of moves of the episode.
      ball: column of the ball, int32.
      paddle: column of the paddle, int32.
    """

    row: Int[Array, ""]
    ball: Int[Array, ""]
    paddle: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Catch(FiniteEnvironment):
    """A ball that falls one row per move, from a random column of the top row.

    The paddle begins in the middle of the lowest row. When the ball reaches that row, the episode
    is terminated with the reward 1 if the paddle is in its column, else -1. All other rewards
    are 0. An observation is the picture `[rows, columns, 1]`, 1 for the ball and for the paddle.

    Source: `Catch` of bsuite (Osband et al. 2020), which rlax's examples use.

    Example:
      >>> catch = Catch()
      >>> state = catch.reset(jax.random.key(0))
      >>> catch.observe(state).shape, catch.action_names
      ((10, 5, 1), ('left', 'stay', 'right'))
    """

    rows: int = 10
    """Rows, at least 2. An episode has one move less."""
    columns: int = 5
    """Columns."""

    def __post_init__(self) -> None:
        at_least("rows", self.rows, 2)
        at_least("columns", self.columns, 1)
        if self.states >= 2**31:
            raise InputError("rows", self.rows, "rows * columns^2 less than 2^31")

    @property
    def action_names(self) -> tuple[str, ...]:
        """Moves of the paddle."""
        return ("left", "stay", "right")

    @property
    def states(self) -> int:
        """Number of places of ball and paddle."""
        return self.rows * self.columns**2

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """0 and 1."""
        return 0.0, 1.0

    def reset(self, key: Key[Array, ""]) -> CatchState:
        """Returns a ball in a random column of the top row."""
        ball = jax.random.randint(key, (), 0, self.columns, jnp.int32)
        return CatchState(jnp.int32(0), ball, jnp.int32(self.columns // 2))

    def step(self, state: CatchState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the state after a move of the paddle and of the ball. Nothing is random."""
        del key
        paddle = state.paddle + jnp.asarray(action, jnp.int32) - 1
        moved = CatchState(state.row + 1, state.ball, jnp.clip(paddle, 0, self.columns - 1))
        over = self.over(state)
        after = jax.tree.map(lambda old, new: jnp.where(over, old, new), state, moved)
        terminated = self.over(after)
        caught = jnp.where(after.paddle == after.ball, jnp.float32(1), jnp.float32(-1))
        reward = jnp.where(terminated & ~over, caught, jnp.float32(0))
        return after, reward, terminated, jnp.bool_(False)

    def observe(self, state: CatchState) -> Float[Array, "H W 1"]:
        """Returns the picture of the board."""
        row = jnp.arange(self.rows)[:, None]
        column = jnp.arange(self.columns)[None, :]
        ball = (row == state.row) & (column == state.ball)
        paddle = (row == self.rows - 1) & (column == state.paddle)
        return (ball | paddle).astype(jnp.float32)[..., None]

    def index(self, state: CatchState) -> Int[Array, ""]:
        """Returns (row * columns + ball) * columns + paddle."""
        return (state.row * self.columns + state.ball) * self.columns + state.paddle

    def state_of(self, index: Int[Array, ""]) -> CatchState:
        """Returns the state with a number."""
        index = jnp.asarray(index, jnp.int32)
        rest = index // self.columns
        return CatchState(rest // self.columns, rest % self.columns, index % self.columns)

    def over(self, state: CatchState) -> Bool[Array, ""]:
        """Returns True if the ball is on the lowest row."""
        return state.row >= self.rows - 1
