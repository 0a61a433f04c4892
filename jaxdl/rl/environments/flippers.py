"""Flippers: a solitaire game on square tiles that are blank or have a dot."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, one_of
from jaxdl.rl.environment import (
    FiniteEnvironment,
    Outcomes,
    Stepped,
    check_limit,
    check_share,
    truncated_at,
)

#: Games: the dots of a won board.
GAMES = ("lines", "box", "plus")


class FlippersState(NamedTuple):
    """A board.

    Attributes:
      board: the tiles as bits, int32. The first tile is the top left one and counts 1, the next
        one to its right counts 2.
      moves: number of moves of the episode, int32.
    """

    board: Int[Array, ""]
    moves: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Flippers(FiniteEnvironment):
    """A game of one player, who flips one tile per move until the dots form the goal.

    | game | goal, with all other tiles blank | a flip turns |
    |---|---|---|
    | `lines` | a full row or a full column of dots | the tile |
    | `box` | a square of 2 x 2 dots | the tile |
    | `plus` | a dot and its four neighbours | the tile and its neighbours |

    An episode begins on a random board and is terminated on a won one. It is truncated after
    `limit` moves. An observation is the tiles, `[size^2]`, 1 for a dot.

    Source: A. Glassner, Deep Learning: A Visual Approach (2021), chapter on reinforcement
    learning.

    Example:
      >>> game = Flippers()
      >>> state, reward, terminated, _ = game.step(game.state_of(0b011), 2, jax.random.key(0))
      >>> game.observe(state).astype(int).tolist(), float(reward), bool(terminated)
      ([1, 1, 1, 0, 0, 0, 0, 0, 0], 1.0, True)
    """

    game: str = "lines"
    """The goal: lines, box or plus."""
    size: int = 3
    """Tiles in a row and in a column, 2 to 4; a plus needs 3."""
    flips: float = 0.0
    """Probability in [0, 1] that a random tile is flipped after a move, as by another move. The
    board is compared with the goal after that flip."""
    reward: str = "win"
    """"win": 1 for the move that wins, else 0. "move": -1 for each move."""
    start: str = "open"
    """"open": each board that is not won is equally probable as the first one. "any": won ones,
    too; such an episode ends with its first move, which changes nothing and has no reward."""
    limit: int = 99
    """Number of moves after which an episode is truncated."""

    def __post_init__(self) -> None:
        one_of("game", self.game, GAMES)
        at_least("size", self.size, 3 if self.game == "plus" else 2)
        if self.size > 4:
            raise InputError("size", self.size, "at most 4, which has 65,536 boards")
        check_share("flips", self.flips)
        one_of("reward", self.reward, ("win", "move"))
        one_of("start", self.start, ("open", "any"))
        check_limit(self.limit)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Row and column of the tile to flip, counted from 1 at the top left."""
        numbers = range(1, self.size + 1)
        return tuple(f"row {row} column {column}" for row in numbers for column in numbers)

    @property
    def states(self) -> int:
        """Number of boards, won ones included."""
        return 2 ** (self.size**2)

    @property
    def won_boards(self) -> tuple[int, ...]:
        """Indices of the won boards, in increasing order."""
        return _won_boards(self.game, self.size)

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """0 and 1."""
        return 0.0, 1.0

    def reset(self, key: Key[Array, ""]) -> FlippersState:
        """Returns a random board."""
        boards = _first_boards(self)
        row = jax.random.randint(key, (), 0, len(boards), jnp.int32)
        return FlippersState(jnp.asarray(boards)[row], jnp.int32(0))

    def step(self, state: FlippersState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the board after a move."""
        masks = jnp.asarray(_masks(self.game, self.size))
        board = state.board ^ masks[action]
        if self.flips:
            # One number decides on the flip and on its tile.
            tile = jnp.floor(jax.random.uniform(key) * (self.actions / self.flips))
            tile = jnp.minimum(tile, self.actions).astype(jnp.int32)
            board ^= jnp.append(masks, np.int32(0))[tile]
        over = self.over(state)
        board = jnp.where(over, state.board, board)
        terminated = self._won(board)
        if self.reward == "win":
            reward = jnp.where(terminated, jnp.float32(1), jnp.float32(0))
        else:
            reward = jnp.float32(-1)
        after = FlippersState(board, state.moves + 1)
        reward = jnp.where(over, jnp.float32(0), reward)
        return after, reward, terminated, truncated_at(self.limit, after.moves, terminated)

    def observe(self, state: FlippersState) -> Float[Array, " T"]:
        """Returns the tiles, row by row, 1 for a dot."""
        return (state.board >> jnp.arange(self.actions, dtype=jnp.int32) & 1).astype(jnp.float32)

    def index(self, state: FlippersState) -> Int[Array, ""]:
        """Returns the tiles as bits, the first tile with the value 1."""
        return state.board

    def state_of(self, index: Int[Array, ""]) -> FlippersState:
        """Returns a board before the first move."""
        return FlippersState(jnp.asarray(index, jnp.int32), jnp.int32(0))

    def over(self, state: FlippersState) -> Bool[Array, ""]:
        """Returns True for a won board."""
        return self._won(state.board)

    def _won(self, board: Int[Array, ""]) -> Bool[Array, ""]:
        return (board == jnp.asarray(self.won_boards, jnp.int32)).any()

    def outcomes(self) -> Outcomes:
        """Returns the outcomes of all moves: no random flip, or one of each tile."""
        masks = _masks(self.game, self.size)
        boards = np.arange(self.states)
        won = np.zeros(self.states, bool)
        won[list(self.won_boards)] = True
        moved = boards[:, None] ^ masks[None]
        disturbed = np.append(masks, 0)
        following = moved[:, :, None] ^ disturbed[None, None]
        following[won] = boards[won][:, None, None]
        shares = np.append(np.full(self.actions, self.flips / self.actions), 1 - self.flips)
        terminated = won[following]
        rewards = np.where(terminated, 1.0, 0.0) if self.reward == "win" else -1.0
        rewards = np.where(won[:, None, None], 0.0, rewards)
        kept = shares > 0
        probabilities = np.broadcast_to(shares, following.shape)
        rewards = np.broadcast_to(rewards, following.shape)
        return Outcomes(*(x[..., kept] for x in (probabilities, following, rewards, terminated)))


@functools.cache
def _masks(game: str, size: int) -> Int[np.ndarray, " A"]:
    """Returns for each action the bits that a move turns."""
    if game == "plus":
        return np.array(
            [_plus(row, column, size) for row in range(size) for column in range(size)], np.int32
        )
    return 1 << np.arange(size**2, dtype=np.int32)


def _plus(row: int, column: int, size: int) -> int:
    """Returns the bits of a tile and of its neighbours on the board."""
    tiles = [(row, column), (row - 1, column), (row + 1, column), (row, column - 1)]
    tiles.append((row, column + 1))
    return sum(1 << (size * i + j) for i, j in tiles if 0 <= i < size and 0 <= j < size)


@functools.cache
def _won_boards(game: str, size: int) -> tuple[int, ...]:
    """Returns the boards whose dots are one goal."""
    if game == "plus":
        inner = range(1, size - 1)
        return tuple(sorted(_plus(row, column, size) for row in inner for column in inner))
    if game == "box":
        box = 0b11 | 0b11 << size
        last = range(size - 1)
        return tuple(sorted(box << (size * row + column) for row in last for column in last))
    row = 2**size - 1
    column = sum(1 << size * i for i in range(size))
    return tuple(
        sorted([*(row << size * i for i in range(size)), *(column << i for i in range(size))])
    )


@functools.cache
def _first_boards(environment: Flippers) -> Int[np.ndarray, " N"]:
    """Returns the boards on which an episode begins."""
    boards = np.arange(environment.states, dtype=np.int32)
    if environment.start == "any":
        return boards
    return np.setdiff1d(boards, np.array(environment.won_boards, np.int32))
