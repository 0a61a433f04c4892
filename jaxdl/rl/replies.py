"""Exhaustive games of a policy for tic-tac-toe against every reply."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jaxdl.errors import InputError, one_of
from jaxdl.rl.environments.tic_tac_toe import FULL, boards, has_line, index_of
from jaxdl.rl.exact import Policy


class Replies(NamedTuple):
    """All games of a policy.

    Attributes:
      positions: number of boards on which the policy moves.
      wins: number of games, as sequences of moves, that the policy wins.
      draws: number of games without a winner.
      losses: number of games that the other player wins, with those of an illegal move.
    """

    positions: int
    wins: int
    draws: int
    losses: int


def against_every_reply(policy: Policy, first: str = "either") -> Replies:
    """Plays a policy for tic-tac-toe against every legal reply, and counts the games.

    Args:
      policy: for each index of `TicTacToe` the number of a move `[19683]`, or probabilities
        `[19683, 9]`. Every move with a positive probability is played, so ties count as all of
        their moves.
      first: player of the first move: "agent", "opponent", or "either" for both kinds of games.

    Returns:
      The number of positions, and of games that end in each of three ways.

    Example:
      >>> from jaxdl.rl.environments.tic_tac_toe import minimax
      >>> moves, values = minimax()
      >>> found = against_every_reply(moves.argmax(1))
      >>> found.wins > 500, found.losses
      (True, 0)
    """
    one_of("first", first, ("agent", "opponent", "either"))
    allowed = _allowed(np.asarray(policy))
    own, other = boards()
    games = np.zeros(3**9, np.int64)
    if first != "opponent":
        games[0] = 1
    if first != "agent":
        games[index_of(np.zeros(9, int), 1 << np.arange(9))] = 1
    positions = 0
    ends = np.zeros(3, np.int64)
    while games.any():
        rows = np.flatnonzero(games)
        positions += len(rows)
        games, ended = _round(own[rows], other[rows], games[rows], allowed[rows])
        ends += ended
    wins, draws, losses = ends.tolist()
    return Replies(positions, wins, draws, losses)


def _round(
    own: Int[np.ndarray, " N"],
    other: Int[np.ndarray, " N"],
    count: Int[np.ndarray, " N"],
    allowed: Bool[np.ndarray, "N 9"],
) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, "3"]]:
    """Returns the games after a move of the policy and each reply, and those that have ended."""
    games = np.zeros(3**9, np.int64)
    ends = np.zeros(3, np.int64)
    for move in range(9):
        plays = allowed[:, move]
        illegal = plays & ((own | other) >> move & 1 == 1)
        ends[2] += count[illegal].sum()
        plays = plays & ~illegal
        a = own[plays] | 1 << move
        b = other[plays]
        n = count[plays]
        wins = has_line(a)
        draws = ~wins & (a | b == FULL)
        ends += [n[wins].sum(), n[draws].sum(), 0]
        a, b, n = (x[~wins & ~draws] for x in (a, b, n))
        for reply in range(9):
            free = (a | b) >> reply & 1 == 0
            replied = b[free] | 1 << reply
            loses = has_line(replied)
            full = ~loses & (a[free] | replied == FULL)
            ends += [0, n[free][full].sum(), n[free][loses].sum()]
            goes = ~loses & ~full
            np.add.at(games, index_of(a[free][goes], replied[goes]), n[free][goes])
    return games, ends


def _allowed(policy: Policy) -> Bool[np.ndarray, "S 9"]:
    """Returns True for the moves that a policy plays."""
    if policy.shape == (3**9,) and np.issubdtype(policy.dtype, np.integer):
        in_range = (policy >= 0) & (policy < 9)
        if not in_range.all():
            raise InputError("policy", int(policy[~in_range][0]), "moves from 0 to 8")
        return np.eye(9, dtype=bool)[policy]
    if policy.shape == (3**9, 9):
        return policy > 0
    raise InputError(
        "policy", f"{policy.dtype}{list(policy.shape)}", "moves [19683] or probabilities [19683, 9]"
    )
