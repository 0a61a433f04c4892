"""Games learned by tables: the options, and a run that keeps its table after every few games."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxdl.core import State, learner
from jaxdl.data.source import Simulated
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.plots import Curves
from jaxdl.rl import FiniteEnvironment
from jaxdl.rl.environment import check_share
from jaxdl.rl.policies import check_exploration
from jaxdl.runs.options import C, Options, RunOptions, with_options
from jaxdl.runs.run import Run
from jaxdl.tasks import Task, q_table

#: A table of values of moves.
Table = Float[np.ndarray, "S A"]

#: Number of snapshots of a run, unless `save_every` is set.
SNAPSHOTS = 24


@dataclasses.dataclass(frozen=True)
class GameOptions(RunOptions):
    """Options of a run that plays games. A step plays as many games as a batch has rows."""

    data: str = "games"
    """The games that the agent plays; there is no other data."""
    epochs: float = 1.0
    """Number of times that --games games are played."""
    batch_size: int = 50
    """Games per step, played one after the other."""
    validation: float = 0.0
    """There is no validation set, only 0."""

    def validate(self) -> None:
        """Raises InputError for a value that is out of range."""
        one_of("data", self.data, ["games"])
        if self.validation:
            raise InputError("validation", self.validation, "0, as games need no validation set")
        super().validate()


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """Options of a table and its exploration."""

    rule: Literal["q_learning", "sarsa", "expected_sarsa", "double_q"] = "q_learning"
    """Rule by which the table learns."""
    games: int = 1200
    """Number of games."""
    discount: float = 0.9
    """Factor of later rewards, in [0, 1]."""
    rate: float = 1.0
    """Learning rate of the first visit of a board and move, in (0, 1]."""
    rate_decay: float = 0.0
    """Exponent of the number of visits that divides the rate, in [0, 1]."""
    explore_first: float = 1.0
    """Probability of a random move in the first game."""
    explore_last: float = 1.0
    """Probability of a random move from game --explore-games on."""
    explore_games: int = 1
    """Number of games in which that probability changes."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range or does not fit the run."""
        at_least("games", self.games, run.batch_size)
        if self.games % run.batch_size:
            allowed = f"a multiple of the {run.batch_size} games of a step; or another --batch-size"
            raise InputError("games", self.games, allowed)
        for name in ("explore_first", "explore_last"):
            check_share(name, getattr(self, name))
        check_share("discount", self.discount)
        check_share("rate_decay", self.rate_decay)
        if not 0 < self.rate <= 1:
            raise InputError("rate", self.rate, "a number in (0, 1]")
        check_exploration(self.exploration)

    @property
    def exploration(self) -> tuple[float, float, int]:
        """First and last probability of a random move, and the games between them."""
        return self.explore_first, self.explore_last, self.explore_games

    def task(self, environment: FiniteEnvironment) -> Task:
        """Returns the task of a table that learns by playing."""
        return q_table(
            environment,
            rule=self.rule,
            discount=self.discount,
            rate=self.rate,
            rate_decay=self.rate_decay,
            exploration=self.exploration,
        )


def save_interval(run: RunOptions, games: int) -> int:
    """Returns the steps between two snapshots: those of the options, or a default.

    Example:
      >>> save_interval(GameOptions(), 6000)
      5
    """
    return run.save_every or max(1, games // run.batch_size // SNAPSHOTS)


def fewer_seeds(config: C) -> C:
    """Returns the options of a smoke test with at most 2 seeds.

    Example:
      >>> fewer_seeds(Options(GameOptions(seeds=20))).run.seeds
      2
    """
    return with_options(config, seeds=min(config.run.seeds, 2))


class Learned(NamedTuple):
    """A table after its training.

    Attributes:
      state: the trained state.
      source: the source of the training.
      curves: the number that was computed after several numbers of games, for each seed.
      tables: `[K, S, A]`, the table of the first seed after the same numbers of games.
    """

    state: State
    source: Simulated
    curves: Curves
    tables: Float[np.ndarray, "K S A"]


def learn(
    run: Run[Options],
    options: TableOptions,
    environment: FiniteEnvironment,
    number: Callable[[Table], float],
) -> Learned:
    """Trains a table in a run; computes a number and keeps the table after every few games.

    Args:
      run: run to train in.
      options: options of the table.
      environment: the game.
      number: function of a table.

    Returns:
      The state, and the numbers and tables by games. Those from before an interruption are read
      from `samples/`.
    """
    size = run.config.run.batch_size
    task = options.task(environment)
    net = learner(task.init, *task.updates())
    fields = {"input": np.zeros(1, np.int32)}
    source = Simulated(max(1, options.games // size), str(run.name), arrays=fields)

    def keep(state: State) -> None:
        tables = tables_of(state)
        if jax.process_index() == 0:
            path = run.sample(f"table-{state.steps_done:07d}.npz")
            values = np.array([number(table) for table in tables])
            np.savez_compressed(path, games=state.steps_done * size, values=values, table=tables[0])

    state = run.fit(net, source, on_validation=keep, task=task)
    return Learned(state, source, *read_tables(run.out))


def read_tables(out: Path) -> tuple[Curves, Float[np.ndarray, "K S A"]]:
    """Returns the numbers and the tables of the first seed that `learn` has kept in a run.

    Args:
      out: directory of the run.

    Returns:
      The numbers of each seed by games, and tables `[K, S, A]`.
    """
    games = []
    values = []
    tables = []
    for path in sorted((out / "samples").glob("table-*.npz")):
        with np.load(path, allow_pickle=False) as archive:
            games.append(int(archive["games"]))
            values.append(archive["values"])
            tables.append(archive["table"])
    return Curves(np.array(games), np.stack(values, 1)), np.stack(tables)


def tables_of(state: State) -> Float[np.ndarray, "N S A"]:
    """Returns the table of each seed; that of double Q is the mean of its two.

    Args:
      state: a state of `jaxdl.tasks.q_table`, of one run or of several.

    Returns:
      `[N, S, A]`.
    """
    table = np.asarray(jax.device_get(state.params["table"])).mean(-3)
    return table.reshape(-1, *table.shape[-2:])
