"""Tic-tac-toe against a random or a perfect opponent, or with both sides played in turns."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import one_of
from jaxdl.rl.environment import FiniteEnvironment, Outcomes, Stepped
from jaxdl.rng import fold

#: Marks of a full board, as bits.
FULL = 511
#: Three marks in a row, in a column or on a diagonal, as bits.
LINES = (0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124)


class TicTacToeState(NamedTuple):
    """A board, seen by the player to move.

    Attributes:
      own: the marks of the player to move as bits, int32. The top left tile counts 1, the next
        one to its right counts 2.
      other: the marks of the other player.
    """

    own: Int[Array, ""]
    other: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class TicTacToe(FiniteEnvironment):
    """Two players mark tiles in turns. Three marks in a row, a column or a diagonal win.

    The reward is 1 for the move that wins and 0 for a draw. It is -1 for a move after which the
    opponent wins, and for an illegal one, which also ends the game. All other moves have 0.

    A state is seen by the player to move, so no mark has a colour. An observation is
    `[3, 3, 2]`: 1 in the first channel for own marks, in the second one for the other player's.
    An index has a digit of base 3 for each tile: 0 for an empty one, 1 for an own mark, 2 for
    the other player's. Of the 19,683 indices 5,478 belong to boards of a game.

    Example:
      >>> game = TicTacToe(opponent="self")
      >>> state = game.reset(jax.random.key(0))
      >>> state, reward, terminated, _ = game.step(state, 4, jax.random.key(0))
      >>> game.legal(state).astype(int).tolist(), float(reward), int(game.index(state))
      ([1, 1, 1, 1, 0, 1, 1, 1, 1], 0.0, 162)
    """

    opponent: str = "random"
    """"random": a random legal reply. "perfect": a random one of the replies that are optimal by
    exact search. "self": no reply; the players move in turns, and `players` is 2."""
    first: str = "either"
    """Player of the first move: "agent", "opponent" or, with equal probability, "either". With
    the opponent "self" a game begins on the empty board."""

    def __post_init__(self) -> None:
        one_of("opponent", self.opponent, ("random", "perfect", "self"))
        one_of("first", self.first, ("agent", "opponent", "either"))

    @property
    def action_names(self) -> tuple[str, ...]:
        """Row and column of the tile to mark, counted from 1 at the top left."""
        return tuple(f"row {row} column {column}" for row in (1, 2, 3) for column in (1, 2, 3))

    @property
    def players(self) -> int:
        """2 with the opponent "self", else 1."""
        return 2 if self.opponent == "self" else 1

    @property
    def states(self) -> int:
        """Number of boards with empty, own and other tiles, 3^9."""
        return 3**9

    @property
    def observation_range(self) -> tuple[Any, Any]:
        """0 and 1."""
        return 0.0, 1.0

    def reset(self, key: Key[Array, ""]) -> TicTacToeState:
        """Returns the empty board, or one with the opponent's first mark."""
        empty = TicTacToeState(jnp.int32(0), jnp.int32(0))
        if self.players == 2 or self.first == "agent":
            return empty
        replied = TicTacToeState(jnp.int32(0), self._reply(empty, fold(key, 0)))
        if self.first == "opponent":
            return replied
        begins = jax.random.bernoulli(fold(key, 1))
        return jax.tree.map(lambda old, new: jnp.where(begins, new, old), empty, replied)

    def step(self, state: TicTacToeState, action: Int[Array, ""], key: Key[Array, ""]) -> Stepped:
        """Returns the board for the next move of the agent, or with "self" of the other player."""
        own, other = state
        mark = jnp.int32(1) << jnp.asarray(action, jnp.int32)
        over = self.over(state)
        illegal = ((own | other) & mark != 0) & ~over
        moved = own | mark
        wins = has_line(moved)
        ended = wins | (moved | other == FULL)
        if self.players == 2:
            loses = jnp.bool_(False)
            after = TicTacToeState(other, moved)
        else:
            # A finished game needs no reply. The reply to the full board is no mark.
            reply = self._reply(TicTacToeState(other, moved), key)
            replied = other | jnp.where(ended, jnp.int32(0), reply)
            loses = has_line(replied) & ~wins
            ended |= loses | (moved | replied == FULL)
            after = TicTacToeState(moved, replied)
        stays = over | illegal
        after = jax.tree.map(lambda old, new: jnp.where(stays, old, new), state, after)
        reward = wins.astype(jnp.float32) - loses.astype(jnp.float32)
        reward = jnp.where(illegal, jnp.float32(-1), reward)
        reward = jnp.where(over, jnp.float32(0), reward)
        return after, reward, ended | stays, jnp.bool_(False)

    def observe(self, state: TicTacToeState) -> Float[Array, "3 3 2"]:
        """Returns own marks in the first channel, and those of the other player in the second."""
        planes = [_bits(marks).reshape(3, 3) for marks in state]
        return jnp.stack(planes, axis=-1).astype(jnp.float32)

    def legal(self, state: TicTacToeState) -> Bool[Array, "9"]:
        """Returns the empty tiles."""
        return ~_bits(state.own | state.other)

    def index(self, state: TicTacToeState) -> Int[Array, ""]:
        """Returns the board as a number of base 3."""
        ternary = jnp.asarray(_ternary())
        return ternary[state.own] + 2 * ternary[state.other]

    def state_of(self, index: Int[Array, ""]) -> TicTacToeState:
        """Returns the board with a number."""
        tiles = jnp.arange(9, dtype=jnp.int32)
        digits = jnp.asarray(index, jnp.int32) // jnp.asarray(3 ** np.arange(9), jnp.int32) % 3
        bits = jnp.int32(1) << tiles
        own, other = (
            jnp.where(digits == player, bits, 0).sum(dtype=jnp.int32) for player in (1, 2)
        )
        return TicTacToeState(own, other)

    def over(self, state: TicTacToeState) -> Bool[Array, ""]:
        """Returns True for a full board or three marks on a line."""
        own, other = state
        return has_line(own) | has_line(other) | (own | other == FULL)

    def _reply(self, state: TicTacToeState, key: Key[Array, ""]) -> Int[Array, ""]:
        """Returns the mark of the opponent's move on a board that the opponent sees."""
        allowed = self.legal(state)
        if self.opponent == "perfect":
            allowed = _bits(jnp.asarray(_optimal())[self.index(state)])
        count = allowed.sum(dtype=jnp.int32)
        number = jax.random.randint(key, (), 0, jnp.maximum(count, 1), jnp.int32)
        chosen = allowed & (jnp.cumsum(allowed, dtype=jnp.int32) == number + 1)
        bits = jnp.int32(1) << jnp.arange(9, dtype=jnp.int32)
        return jnp.where(chosen, bits, 0).sum(dtype=jnp.int32)

    def outcomes(self) -> Outcomes:
        """Returns the outcomes of all moves, one for each reply of the opponent."""
        own, other = boards()
        moves = 1 << np.arange(9)
        over = is_over(own, other)[:, None]
        illegal = ((own | other)[:, None] & moves != 0) & ~over
        moved = np.where(over | illegal, own[:, None], own[:, None] | moves)
        others = np.broadcast_to(other[:, None], moved.shape)
        wins = has_line(moved) & ~over & ~illegal
        ended = is_over(moved, others) | illegal
        rewards = wins - 1.0 * illegal
        if self.players == 2:
            stays = over | illegal
            following = np.where(stays, index_of(moved, others), index_of(others, moved))
            one = np.ones(moved.shape)
            return Outcomes(*(x[..., None] for x in (one, following, rewards, ended)))
        return _replied(self, moved, others, rewards, ended)


def _replied(
    game: TicTacToe, moved: np.ndarray, others: np.ndarray, rewards: np.ndarray, ended: np.ndarray
) -> Outcomes:
    """Returns outcomes `[S, A, 9]` of moves that the opponent answers."""
    moves = 1 << np.arange(9)
    replies = (moved | others)[..., None] & moves == 0
    if game.opponent == "perfect":
        replies = _optimal()[index_of(others, moved)][..., None] & moves != 0
    # A finished game has one outcome.
    done = ended[..., None]
    replies = np.where(done, moves == 1, replies)
    replied = np.where(done, others[..., None], others[..., None] | moves)
    following = index_of(moved[..., None], np.where(replies, replied, others[..., None]))
    loses = has_line(replied) & ~done
    probabilities = replies / np.maximum(replies.sum(-1, keepdims=True), 1)
    terminated = done | is_over(np.broadcast_to(moved[..., None], replied.shape), replied)
    return Outcomes(probabilities, following, rewards[..., None] - loses, terminated)


def _bits(marks: Int[Array, ""]) -> Bool[Array, "9"]:
    """Returns True for the tiles with a mark."""
    return (marks >> jnp.arange(9, dtype=jnp.int32) & 1).astype(bool)


def has_line(marks: Any) -> Any:
    """Returns True for marks with three on a line.

    Args:
      marks: bits, an array of any shape, of JAX or NumPy.

    Example:
      >>> bool(has_line(np.int64(0b100010001)))
      True
    """
    found = marks & LINES[0] == LINES[0]
    for line in LINES[1:]:
        found = found | (marks & line == line)
    return found


def boards() -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " S"]]:
    """Returns own and other marks of each index, as bits.

    Example:
      >>> own, other = boards()
      >>> own[5], other[5]
      (np.int64(2), np.int64(1))
    """
    digits = np.arange(3**9)[:, None] // np.array([3**i for i in range(9)]) % 3
    moves = 1 << np.arange(9)
    return (digits == 1) @ moves, (digits == 2) @ moves


def is_over(own: Int[np.ndarray, "*N"], other: Int[np.ndarray, "*N"]) -> Bool[np.ndarray, "*N"]:
    """Returns True for boards on which the game has ended.

    Example:
      >>> bool(is_over(np.int64(0b111), np.int64(0b11000)))
      True
    """
    return has_line(own) | has_line(other) | (own | other == FULL)


def index_of(own: Int[np.ndarray, "*N"], other: Int[np.ndarray, "*N"]) -> Int[np.ndarray, "*N"]:
    """Returns the indices of boards.

    Example:
      >>> int(index_of(np.int64(2), np.int64(1)))
      5
    """
    return _ternary()[own] + 2 * _ternary()[other]


@functools.cache
def _ternary() -> Int[np.ndarray, "512"]:
    """Returns for 9 bits the number with the same digits in base 3."""
    bits = np.arange(512)[:, None] >> np.arange(9) & 1
    return (bits @ 3 ** np.arange(9)).astype(np.int32)


@functools.cache
def minimax() -> tuple[Int[np.ndarray, "S 9"], Int[np.ndarray, " S"]]:
    """Returns the exact values of all moves and boards for the player to move, by search.

    Returns:
      Values of moves `[19683, 9]`: 1 if the player can force a win after it, 0 for a draw, -1
      for a loss; illegal moves have -2. Values of boards `[19683]`, the best ones.

    Example:
      >>> moves, values = minimax()
      >>> int(values[0]), moves[0].tolist()
      (0, [0, 0, 0, 0, 0, 0, 0, 0, 0])
    """
    own, other = boards()
    values = has_line(own).astype(int) - has_line(other)
    best = np.full((3**9, 9), -2)
    empty = 9 - np.bitwise_count(own | other)
    over = is_over(own, other)
    for count in range(1, 10):
        rows = np.flatnonzero((empty == count) & ~over)
        for move in range(9):
            legal = rows[(own[rows] | other[rows]) >> move & 1 == 0]
            best[legal, move] = -values[index_of(other[legal], own[legal] | 1 << move)]
        values[rows] = best[rows].max(1)
    return best, values


@functools.cache
def _optimal() -> Int[np.ndarray, " S"]:
    """Returns the optimal moves of each board as bits; all legal ones if the game is over."""
    best, values = minimax()
    optimal = (best == values[:, None]) & (best > -2)
    return (optimal @ (1 << np.arange(9))).astype(np.int32)
