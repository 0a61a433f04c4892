"""Tic-tac-toe by a table that plays against itself, and then never loses.

    python experiments/tic_tac_toe.py
    python experiments/tic_tac_toe.py --games 2000 --seeds 20
    python experiments/tic_tac_toe.py --rule sarsa --rate 0.3 --explore-last 0 --explore-games 20000

Each move of each possible game is checked: the table plays all of its best moves against all
replies, from both sides. After 100,000 games with itself no game is lost on 5 of 5 seeds. All best
moves are right on 4,520 of 4,520 positions, and 3,232 of them can be reached. The first command
took 63 s on two shared cores of an Intel Xeon. After 30,000 games about 440 games are lost.
"""

import dataclasses
from typing import Any, Self

from jaxdl import rl
from jaxdl.plots import curves_by_games
from jaxdl.recipes.games import (
    GameOptions,
    TableOptions,
    fewer_seeds,
    learn,
    save_interval,
    tables_of,
)
from jaxdl.recipes.tic_tac_toe import (
    draw_matches,
    lost_games,
    tic_tac_toe_numbers,
    write_tic_tac_toe_page,
)
from jaxdl.runs import Options, Run, launch, run_experiment, with_options


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: GameOptions = GameOptions(seeds=5, batch_size=100)
    table: TableOptions = TableOptions(games=100_000, discount=1.0)

    def validate(self) -> Self:
        config = super().validate()
        return with_options(config, save_every=save_interval(config.run, self.table.games))

    def for_smoke(self) -> Self:
        return fewer_seeds(super().for_smoke())


def train_and_play(run: Run[Config]) -> dict[str, Any]:
    """Trains tables by self-play, and plays them against every reply."""
    options = run.config.table
    learned = learn(run, options, rl.environment("tic_tac_toe", opponent="self"), lost_games)
    numbers = [tic_tac_toe_numbers(table) for table in tables_of(learned.state)]
    metrics = {name: run.per_seed([each[name] for each in numbers]) for name in numbers[0]}
    games = int(learned.curves.games[-1])
    first = learned.tables[-1]
    curves_by_games(
        {"losses": learned.curves},
        run.figure("losses"),
        title=f"Lost games among all replies: {max(each['losses'] for each in numbers):,} after "
        f"{games:,} games, {len(numbers)} seeds",
        ylabel="lost games",
        best=0.0,
        logarithmic=True,
    )
    draw_matches(first, games, run.figure("game"))
    write_tic_tac_toe_page(first, games, run.figure("play").with_suffix(".html"))
    return run.finish(learned.state, metrics, train=learned.source)


def main(config: Config) -> dict[str, Any]:
    """Trains tables by self-play."""
    return run_experiment(config, train_and_play)


if __name__ == "__main__":
    launch(main, Config)
