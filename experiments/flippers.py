"""Flippers by a table: Q-learning and SARSA beside the exact optimum, without and with flips.

    python experiments/flippers.py
    python experiments/flippers.py --parts q_learning --seeds 20
    python experiments/flippers.py --parts own --rule double_q --flips 0.1 --rate-decay 0.7

The parts are Q-learning with random moves, Q-learning with few of them, SARSA, and a world with
random flips. The exact player needs 2.7036 moves on average, or 2.8878 with flips. The first
command, with 5 seeds, took 64 s (35 s of processor time) on two shared cores of an Intel Xeon:

    part         games   optimal boards of 506   greatest error   mean moves
    q_learning    1200          506 on each seed             9e-8       2.7036
    few_games     6000                458 to 482              0.6       2.7327
    sarsa        20000          506 on each seed              1.3       2.7036
    flips         4000          506 on each seed            0.029       2.9001

The values of SARSA are those of a player that still explores. The second command has 506 boards on
20 of 20 seeds; its training takes 5 s.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from jaxdl import rl
from jaxdl.errors import InputError
from jaxdl.plots import board_rows, curves_by_games
from jaxdl.recipes.flippers import (
    draw_games,
    find_wander,
    flippers_board,
    flippers_numbers,
    write_flippers_page,
)
from jaxdl.recipes.games import (
    GameOptions,
    TableOptions,
    fewer_seeds,
    learn,
    read_tables,
    save_interval,
    tables_of,
)
from jaxdl.rl import Flippers
from jaxdl.runs import Options, Run, launch, run_variants

Part = Literal["q_learning", "few_games", "sarsa", "flips", "own"]

#: Options of each part. The part `own` has the options of the command line.
PARTS: dict[str, dict[str, Any]] = {
    "q_learning": {
        "rule": "q_learning",
        "games": 1200,
        "reward": "win",
        "flips": 0.0,
        "discount": 0.9,
        "rate": 1.0,
        "rate_decay": 0.0,
        "explore_first": 1.0,
        "explore_last": 1.0,
        "explore_games": 1,
    },
    "few_games": {
        "rule": "q_learning",
        "games": 6000,
        "reward": "move",
        "flips": 0.0,
        "discount": 1.0,
        "rate": 1.0,
        "rate_decay": 0.0,
        "explore_first": 0.1,
        "explore_last": 0.1,
        "explore_games": 1,
    },
    "sarsa": {
        "rule": "sarsa",
        "games": 20_000,
        "reward": "move",
        "flips": 0.0,
        "discount": 1.0,
        "rate": 1.0,
        "rate_decay": 0.5,
        "explore_first": 0.6,
        "explore_last": 0.0,
        "explore_games": 20_000,
    },
    "flips": {
        "rule": "q_learning",
        "games": 4000,
        "reward": "win",
        "flips": 0.1,
        "discount": 0.9,
        "rate": 1.0,
        "rate_decay": 0.7,
        "explore_first": 1.0,
        "explore_last": 1.0,
        "explore_games": 1,
    },
    "own": {},
}


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: GameOptions = GameOptions(seeds=5)
    table: TableOptions = TableOptions()

    parts: tuple[Part, ...] = ("q_learning", "few_games", "sarsa", "flips")
    """Parts of the experiment, each with its own settings.
    The settings of the part own are the options of the table, --reward and --flips."""
    reward: Literal["win", "move"] = "win"
    """win: 1 for the move that wins, else 0. move: -1 for each move."""
    flips: float = 0.0
    """Probability that a random tile is flipped after each move, in [0, 1]."""

    def validate(self) -> Self:
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise InputError("parts", self.parts, f"some of {', '.join(PARTS)}, each once")
        Flippers(flips=self.flips, reward=self.reward)
        return super().validate()

    def for_smoke(self) -> Self:
        return fewer_seeds(super().for_smoke())

    @property
    def game(self) -> Flippers:
        """The game of a run."""
        return Flippers(flips=self.flips, reward=self.reward)


def train_and_play(run: Run[Config]) -> dict[str, Any]:
    """Trains the tables of one part, and compares them with the exact optimum."""
    game = run.config.game
    options = run.config.table
    learned = learn(run, options, game, lambda q: rl.optimal_boards(q, game))
    numbers = [flippers_numbers(game, options.discount, q) for q in tables_of(learned.state)]
    metrics = {name: run.per_seed([each[name] for each in numbers]) for name in numbers[0]}
    curves = learned.curves
    tables = learned.tables
    least = int(curves.values[:, -1].min())
    rule = options.rule.replace("_", " ")
    words = f"{rule}: at least {least} of 506 optimal boards after {curves.games[-1]:,} games"
    curves_by_games(
        {run.config.parts[0]: curves},
        run.figure("optimal_boards"),
        title=words,
        ylabel="boards with optimal moves",
        best=506,
    )
    half = int(np.argmin(abs(curves.games - curves.games[-1] / 2)))
    shown = {f"after\n{curves.games[k]:,} games": tables[k] for k in (half, -1)}
    shown["exact optimum"] = rl.value_iteration(game, options.discount).q
    board = find_wander(game, tables[half], tables[-1])
    if board is None:
        board = game.states - 1
    scale = (float(shown["exact optimum"].min()), float(shown["exact optimum"].max()))
    draw_games(game, shown, board, scale, run.figure("game"))
    page = run.figure("play").with_suffix(".html")
    write_flippers_page(game, tables[-1], board, int(curves.games[-1]), page)
    return run.finish(learned.state, metrics, train=learned.source)


def variants(config: Config) -> dict[str, dict[str, Any]]:
    """Returns the options that each part changes."""
    changes = {}
    for part in config.parts:
        games = PARTS[part].get("games", config.table.games)
        every = save_interval(config.run, games)
        changes[part] = {**PARTS[part], "parts": (part,), "save_every": every}
    return changes


def compare(out: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Prints the numbers of all parts; draws their curves, and values without and with flips."""
    print(f"\n{'part':<12} {'games':>6} {'optimal boards':>15} {'error':>9} {'mean moves':>11}")
    lines = {}
    tables = {}
    for name, result in results.items():
        lines[name], kept = read_tables(out / name)
        tables[name] = kept[-1]
        members = [each["metrics"] for each in result.get("members", [result])]
        boards = [int(each["optimal_boards"]) for each in members]
        error = max(each["greatest_error"] for each in members)
        moves = max(each["mean_moves"] for each in members)
        counted = f"{min(boards)}-{max(boards)}"
        print(f"{name:<12} {lines[name].games[-1]:>6} {counted:>15} {error:>9.1e} {moves:>11.4f}")
    title = f"Boards with optimal moves by games, a line for each of {len(boards)} seeds"
    path = curves_by_games(
        lines, out / "learning.png", title=title, ylabel="boards with optimal moves", best=506
    )
    print(f"picture  {path}")
    if {"q_learning", "flips"} <= set(results):
        path = draw_determinism(results, tables, out / "determinism.png")
        print(f"picture  {path}")


def draw_determinism(
    results: Mapping[str, dict[str, Any]], tables: Mapping[str, Any], path: Path
) -> Path:
    """Draws boards with learned and exact values, without and with random flips."""
    rows = []
    distances = rl.distances(Flippers())
    for part, world in (("q_learning", "without flips"), ("flips", "10 % flips")):
        options = results[part]["config"]
        game = Flippers(flips=options["flips"], reward=options["reward"])
        exact = rl.value_iteration(game, options["discount"]).q
        for kind, q in (("learned", tables[part]), ("exact", exact)):
            shown = []
            for moves in range(1, 7):
                board = int(np.flatnonzero(distances == moves)[-1])
                best = q[board].max()
                words = f"win in {moves}, value {best:.3f}"
                shown.append(flippers_board(game, q, board, -1, words))
            rows.append((f"{kind},\n{world}", shown))
    moves = results["flips"]["metrics"]["mean_moves"]
    return board_rows(
        [boards for _, boards in rows],
        path,
        title=f"Flips lower the values; the learned player needs {moves:.3f} moves, the best 2.888",
        labels=[label for label, _ in rows],
        limits=(0.0, 1.0),
    )


def main(config: Config) -> dict[str, Any]:
    """Trains tables in all parts."""
    changes = variants(config)
    out, results = run_variants(config, changes, train_and_play)
    if len(results) == len(changes):
        compare(out, results)
    return results


if __name__ == "__main__":
    launch(main, Config)
