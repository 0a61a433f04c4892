"""Exact numbers of a table of tic-tac-toe, and the games that it plays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxdl import rl
from jaxdl.plots import Board, board_rows, play_page
from jaxdl.recipes.games import Table
from jaxdl.rl import TicTacToe
from jaxdl.rl.environments.tic_tac_toe import boards, has_line, index_of, is_over, minimax


def tic_tac_toe_numbers(q: Table) -> dict[str, float]:
    """Computes what a table of tic-tac-toe is worth, exactly and for both sides.

    Args:
      q: values of moves `[19683, 9]`.

    Returns:
      By name: `losses`, the number of lost games among all sequences of replies, with all best
      moves of the table; `positions` on which it moves in them; `optimal_positions`, on which
      every best move is optimal, of 4,520; `greatest_error` of a value, over all their moves;
      `return_random` and `return_perfect`, the mean result against these opponents, who begin
      every other game.

    Example:
      >>> numbers = tic_tac_toe_numbers(minimax()[0].astype(float))
      >>> numbers["losses"], numbers["positions"], numbers["optimal_positions"]
      (0, ..., 4520)
    """
    policy = tic_tac_toe_policy(q)
    replies = rl.against_every_reply(policy)
    exact, best = minimax()
    played = open_positions()
    legal = exact > -2
    optimal = ((exact == best[:, None]) | (policy == 0)).all(-1)
    numbers = {
        "losses": replies.losses,
        "positions": replies.positions,
        "optimal_positions": int(optimal[played].sum()),
        "greatest_error": float(np.where(legal, abs(q - exact), 0)[played].max()),
    }
    replied = index_of(np.zeros(9, int), 1 << np.arange(9))
    for opponent in ("random", "perfect"):
        values = rl.policy_evaluation(TicTacToe(opponent=opponent), policy, 1.0)
        numbers[f"return_{opponent}"] = float(values[0] + values[replied].mean()) / 2
    return numbers


def lost_games(q: Table) -> int:
    """Counts the sequences of replies that beat a table of tic-tac-toe, from both sides.

    Args:
      q: values of moves `[19683, 9]`.

    Returns:
      A number of games. Equal values count as all of their moves.

    Example:
      >>> lost_games(minimax()[0].astype(float)), lost_games(np.zeros((19683, 9))) > 10**5
      (0, True)
    """
    return rl.against_every_reply(tic_tac_toe_policy(q)).losses


def tic_tac_toe_policy(q: Table) -> Table:
    """Returns the probabilities of the best legal moves, `[19683, 9]`."""
    return rl.greedy(q, minimax()[0] > -2)


def open_positions() -> Int[np.ndarray, " P"]:
    """Returns the 4,520 indices of boards of a game on which a player moves.

    Example:
      >>> len(open_positions())
      4520
    """
    own, other = boards()
    ahead = np.bitwise_count(other).astype(int) - np.bitwise_count(own)
    return np.flatnonzero(((ahead == 0) | (ahead == 1)) & ~is_over(own, other))


def drawn_match(q: Table, reply: Callable[[Any], int] | None = None) -> list[Board]:
    """Returns the boards of a game of tic-tac-toe that a table begins, for a picture.

    Args:
      q: values of moves `[19683, 9]`.
      reply: function from the free tiles `[9]` to the tile of the other player. None means that
        the table plays both sides.

    Returns:
      A board for each move, with values where the table moves, and the last one.

    Example:
      >>> [board.chosen for board in drawn_match(minimax()[0].astype(float))]
      [0, 4, 1, 2, 6, 3, 5, 7, 8, None]
    """
    marks = [0, 0]
    found: list[Board] = []
    for turn in range(10):
        own = np.asarray(marks[turn % 2])
        other = np.asarray(marks[1 - turn % 2])
        signs = [_sign(marks, tile) for tile in range(9)]
        if bool(is_over(own, other)):
            lost = bool(has_line(other))
            end = f"{'OX'[turn % 2]} wins" if lost else "a draw"
            return [*found, Board(signs, np.full(9, np.nan), None, end)]
        free = (own | other) >> np.arange(9) & 1 == 0
        values = np.full(9, np.nan)
        caption = f"{'XO'[turn % 2]} moves"
        if reply is None or turn % 2 == 0:
            values = np.where(free, q[int(index_of(own, other))], np.nan)
            move = int(np.nanargmax(values))
        else:
            move = reply(free)
        found.append(Board(signs, values, move, caption))
        marks[turn % 2] |= 1 << move
    return found


def _sign(marks: list[int], tile: int) -> str:
    """Returns the sign of a tile."""
    for sign, each in zip("XO", marks, strict=True):
        if each >> tile & 1:
            return sign
    return ""


def draw_matches(q: Table, games: int, path: Path) -> Path:
    """Draws two games: the table on both sides, and against a player of the last free tile.

    Args:
      q: values of moves `[19683, 9]`.
      games: number of games that the table learned from.
      path: path of the PNG file.

    Returns:
      The path.
    """
    rows = [drawn_match(q), drawn_match(q, lambda free: int(np.flatnonzero(free)[-1]))]
    lost = lost_games(q)
    title = f"After {games:,} games: {lost:,} losses among all replies; a red bar loses, blue wins"
    return board_rows(
        rows,
        path,
        title=title,
        labels=["X and O by\nthe table", "X by the table,\nO takes the\nlast free tile"],
        limits=(-1.0, 1.0),
        scale="value of a move for the player who moves",
        colors="RdYlBu",
    )


def write_tic_tac_toe_page(q: Table, games: int, path: Path) -> Path:
    """Writes the page on which one plays tic-tac-toe against a table.

    Args:
      q: values of moves `[19683, 9]`.
      games: number of games that the table learned from.
      path: path of the HTML file.

    Returns:
      The path.
    """
    exact = minimax()[0]
    values = {
        index: [
            value if allowed > -2 else None
            for value, allowed in zip(q[index].tolist(), exact[index].tolist(), strict=True)
        ]
        for index in open_positions().tolist()
    }
    return play_page(
        "tic_tac_toe",
        values,
        path,
        title="Tic-tac-toe",
        rules="Three marks in a row, a column or a diagonal win.",
        source=f"The table has learned from {games:,} games against itself. It loses "
        f"{lost_games(q):,} of all possible games. A full bar wins, a half one draws.",
        limits=(-1.0, 1.0),
    )
