"""Exact numbers of a table of Flippers, and the games that it plays, for pictures and a page."""

import dataclasses
from pathlib import Path

import numpy as np

from jaxdl import rl
from jaxdl.plots import Board, board_rows, play_page
from jaxdl.plots.boards import DOT
from jaxdl.recipes.games import Table
from jaxdl.rl import Flippers

#: Most moves of a game in a picture.
SHOWN = 8


def flippers_numbers(game: Flippers, discount: float, q: Table) -> dict[str, float]:
    """Computes what a table of Flippers is worth, by exact solvers.

    Args:
      game: the game, with or without flips.
      discount: that of the table.
      q: values of moves `[S, A]`.

    Returns:
      By name: `optimal_boards`, on which every best move shortens the distance;
      `greatest_error` of the value of a board; `mean_moves` of the greedy player over all boards
      that are not won. A board from which this player needs more moves than the limit counts with
      the limit.

    Example:
      >>> game = rl.environment("flippers")
      >>> best = rl.value_iteration(game, 0.9).q
      >>> numbers = flippers_numbers(game, 0.9, best)
      >>> numbers["optimal_boards"], round(numbers["mean_moves"], 4)
      (506, 2.7036)
    """
    open_boards = np.setdiff1d(np.arange(game.states), game.won_boards)
    errors = abs(q.max(-1) - rl.value_iteration(game, discount).values)
    moves = np.minimum(rl.expected_moves(game, rl.greedy(q)), game.limit)
    return {
        "optimal_boards": rl.optimal_boards(q, game),
        "greatest_error": float(errors[open_boards].max()),
        "mean_moves": float(moves[open_boards].mean()),
    }


def greedy_game(game: Flippers, q: Table, board: int, limit: int = 99) -> list[tuple[int, int]]:
    """Plays Flippers without flips by the first best move of a table.

    Args:
      game: the game; its flips are ignored.
      q: values of moves `[S, A]`.
      board: index of the first board.
      limit: most moves.

    Returns:
      Board and move of each turn; the last one is the last board with the move -1.

    Example:
      >>> game = rl.environment("flippers")
      >>> greedy_game(game, rl.value_iteration(game, 0.9).q, 0b011)
      [(3, 2), (7, -1)]
    """
    following = rl.dynamics(dataclasses.replace(game, flips=0.0)).outcomes.following[..., 0]
    won = set(game.won_boards)
    turns: list[tuple[int, int]] = []
    while board not in won and len(turns) < limit:
        move = int(q[board].argmax())
        turns.append((board, move))
        board = int(following[board, move])
    return [*turns, (board, -1)]


def find_wander(game: Flippers, early: Table, late: Table, most: int = SHOWN) -> int | None:
    """Returns a board that an early table wins in a wander, and a later one in the fewest moves.

    Args:
      game: the game.
      early: values of moves `[S, A]` after few games.
      late: values of moves after more games.
      most: most moves of the wander.

    Returns:
      The index of the board with the longest wander of at most `most` moves, or None.

    Example:
      >>> game = rl.environment("flippers")
      >>> best = rl.value_iteration(game, 0.9).q
      >>> find_wander(game, best, best) is None
      True
    """
    found = None
    longest = 0
    won = set(game.won_boards)
    distances = rl.distances(dataclasses.replace(game, flips=0.0))
    for board in np.flatnonzero(distances > 0).tolist():
        wander = greedy_game(game, early, board, most)
        direct = greedy_game(game, late, board, most)
        wins = wander[-1][0] in won and direct[-1][0] in won
        surplus = len(wander) - len(direct)
        if wins and len(direct) - 1 == distances[board] and surplus > longest:
            found = board
            longest = surplus
    return found


def flippers_board(game: Flippers, q: Table, board: int, chosen: int, caption: str) -> Board:
    """Returns a board of Flippers with the values of its moves, none if it is won."""
    marks = [DOT if board >> tile & 1 else "" for tile in range(game.size**2)]
    values = q[board].astype(float)
    if board in game.won_boards:
        values = np.full(len(marks), np.nan)
    return Board(marks, values, None if chosen < 0 else chosen, caption)


def drawn_game(game: Flippers, q: Table, board: int) -> list[Board]:
    """Returns the boards of a greedy game of Flippers for a picture, at most 8 moves."""
    turns = greedy_game(game, q, board, SHOWN)
    found = []
    for number, (at, move) in enumerate(turns):
        caption = f"move {number + 1}"
        if move < 0:
            caption = f"won in {_moves(number)}" if at in game.won_boards else "and so on"
        found.append(flippers_board(game, q, at, move, caption))
    return found


def draw_games(
    game: Flippers, tables: dict[str, Table], board: int, limits: tuple[float, float], path: Path
) -> Path:
    """Draws the games that several tables play from one board, a row for each table.

    Args:
      game: the game; its flips are ignored.
      tables: values of moves `[S, A]` by the text of the row.
      board: index of the first board.
      limits: values of an empty and of a full bar.
      path: path of the PNG file.

    Returns:
      The path.
    """
    rows = [drawn_game(game, q, board) for q in tables.values()]
    counts = [_count(game, q, board) for q in tables.values()]
    title = "One board by several tables: " + ", ".join(counts)
    return board_rows(rows, path, title=title, labels=list(tables), limits=limits)


def _count(game: Flippers, q: Table, board: int) -> str:
    """Returns the number of moves of a greedy game in words."""
    turns = greedy_game(game, q, board)
    if turns[-1][0] not in game.won_boards:
        return "no win"
    return _moves(len(turns) - 1)


def _moves(number: int) -> str:
    """Returns a number of moves in words."""
    return f"{number} move{'s' * (number != 1)}"


def write_flippers_page(game: Flippers, q: Table, board: int, games: int, path: Path) -> Path:
    """Writes the page on which one plays Flippers beside a table.

    Args:
      game: the game.
      q: values of moves `[S, A]`.
      board: index of the first board.
      games: number of games that the table learned from.
      path: path of the HTML file.

    Returns:
      The path.
    """
    open_boards = np.setdiff1d(np.arange(game.states), game.won_boards)
    learned = q[open_boards]
    best = rl.optimal_boards(q, game)
    return play_page(
        "flippers",
        dict(zip(open_boards.tolist(), learned.tolist(), strict=True)),
        path,
        title="Flippers",
        rules="A move flips one tile. Make one full row or one full column of dots, and leave all "
        "other tiles blank.",
        source=f"The table has learned from {games:,} games. Its moves are best on {best} of "
        f"{len(open_boards)} boards. A long bar is a good move.",
        limits=(float(learned.min()), float(learned.max())),
        won=game.won_boards,
        start=board,
    )
