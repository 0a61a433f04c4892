"""Long-range tasks, which measure how many steps a network remembers.

    python experiments/memory.py
    python experiments/memory.py --lengths 200 --steps 4000
    python experiments/memory.py --task copy --lengths 100 --steps 3000
    python experiments/memory.py --task copy --lengths 1000 --cells tcn --steps 1500 \\
        --examples 20000

A plain recurrent network forgets early inputs. Networks with gates and dilated convolutions do
not. `--task adding` asks for the sum of two marked numbers, `--task copy` for ten symbols after a
long blank. The picture shows the test error of each network against the length of the sequences,
with one line per seed. The trivial baseline remembers nothing. Its error is 1/6 for the sum, and
10 ln 8 / (T + 20) for the symbols after a blank of T steps.

Results of one seed, measured on two cores of an AMD EPYC, with the time of each network:

    task, metric                           baseline  simple    LSTM      GRU       TCN
    adding, 200 steps, mean squared error  0.167     0.167     3.5e-4    4.0e-5    5.3e-4
                                                     31 s      103 s     107 s     76 s
    copy, 100 steps, cross-entropy         0.173     0.173     0.173     0.092     1.2e-6
                                                     34 s      95 s      91 s      63 s
    copy, 1,000 steps, cross-entropy       0.020                                   2.7e-7
                                                                                   898 s

The rows are the last three commands. The last one ran on one core while other work shared it.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jax.nn.initializers import normal

from jaxdl import data, plots, tasks
from jaxdl.data import Dataset
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models import TCN, OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants

CELLS = ("simple", "lstm", "gru", "tcn")

#: Number of symbols to copy, and of different values that a step of the copy task can have.
SYMBOLS = 10
VALUES = 10

#: Title of the picture and name of the error, by task.
LABELS = {
    "adding": ("sum of two marked numbers", "mean squared error"),
    "copy": ("ten symbols after a blank", "cross-entropy per step (nats)"),
}


@dataclasses.dataclass(frozen=True)
class SequenceOptions(RunOptions):
    """Options of a run on generated sequences."""

    data: str = "generated"
    """The sequences are generated; there is no other set."""
    batch_size: int = 32
    """Sequences per step."""
    validation: float = 0.0
    """Number of additional validation sequences, as a fraction of `examples`; 0 means none."""


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the long-range tasks."""

    run: SequenceOptions = SequenceOptions(steps=4_000)
    training: TrainingOptions = TrainingOptions(learning_rate=5e-3, schedule="one_cycle", clip=1.0)

    task: Literal["adding", "copy"] = "adding"
    """adding: the sum of two marked numbers; copy: ten symbols, after a long blank."""
    cells: tuple[str, ...] = CELLS
    """Networks to compare: simple, lstm, gru, tcn."""
    lengths: tuple[int, ...] = (25, 50, 100)
    """Lengths of the sequences, in steps."""
    features: int = 128
    """Units of a recurrent network."""
    channels: int = 24
    """Features of a TCN, whose number of blocks follows from the length of the sequences."""
    kernel: int = 8
    """Kernel size of a TCN, in steps."""
    examples: int = 40_000
    """Number of training sequences."""
    test_examples: int = 1_000
    """Number of test sequences."""

    default_cpu_devices: ClassVar[int] = 2

    def validate(self) -> Self:
        one_of("data", self.run.data, ["generated"])
        for cell in self.cells:
            one_of("cells", cell, CELLS)
        for length in self.lengths:
            at_least("lengths", length, 2)
        if not self.cells or not self.lengths:
            raise InputError(
                "cells and lengths", (self.cells, self.lengths), "at least one of each"
            )
        for name in ("features", "channels", "examples", "test_examples"):
            at_least(name, getattr(self, name), 1)
        at_least("kernel", self.kernel, 2)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(
            super().for_smoke(), lengths=self.lengths[:2], features=8, channels=4, examples=200
        )


def tcn(config: Config, steps: int) -> TCN:
    """Returns a TCN with the fewest blocks whose receptive field covers all steps."""
    blocks = math.ceil(math.log2((steps - 1) / (2 * (config.kernel - 1)) + 1))
    return TCN((config.channels,) * max(1, blocks), config.kernel, dtype=config.training.dtype)


def rnn(config: Config, cell: Any, **options: Any) -> RNN:
    """Returns a recurrent network of one layer."""
    return RNN(cell, config.features, dtype=config.training.dtype, **options)


def network(config: Config, cell: str, length: int) -> SequenceNet:
    """Returns the network of a cell for sequences of this length."""
    if config.task == "copy":
        if cell == "tcn":
            body: Any = tcn(config, length + 2 * SYMBOLS)
        else:
            body = rnn(config, cell, return_sequences=True, kernel_init=normal(0.5))
        return SequenceNet(OneHot(VALUES), body, VALUES)
    if cell == "tcn":
        return SequenceNet(None, tcn(config, length), 1, pool="last")
    body = rnn(config, cell, return_sequences=False, kernel_init="lecun_normal")
    return SequenceNet(None, body, 1)


def make_sets(config: Config, length: int) -> dict[str, Dataset]:
    """Returns the sets by name; each has its own seed."""
    make = {"adding": data.adding, "copy": data.copy_memory}[config.task]
    sets = {
        "train": make(length, config.examples),
        "test": make(length, config.test_examples, seed=1),
    }
    if config.run.validation:
        count = max(1, round(config.run.validation * config.examples))
        sets["validation"] = make(length, count, seed=2)
    return sets


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests one network on sequences of one length, for all seeds in one run."""
    config = run.config
    length = config.lengths[0]
    sets = make_sets(config, length)
    model = network(config, config.cells[0], length)
    task: Any = {"adding": tasks.regress, "copy": tasks.language}[config.task](model)
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Trains every network on every length, and writes a picture of their errors."""
    variants = {
        f"{cell}-{length}": {"cells": (cell,), "lengths": (length,)}
        for cell in config.cells
        for length in config.lengths
    }
    out, results = run_variants(config, variants, train_and_test)
    if len(results) < len(variants):
        return results

    lengths = np.array(config.lengths)
    errors = {
        cell: np.array(
            [losses_of_seeds(results[f"{cell}-{length}"]) for length in config.lengths]
        ).T
        for cell in config.cells
    }
    baseline = trivial_error(config.task, lengths)
    title, label = LABELS[config.task]
    picture = plots.error_by_length(lengths, errors, out / "errors.png", baseline, title, label)
    print_errors(config.lengths, errors, baseline)
    print(f"\npicture  {picture}")
    return results


def losses_of_seeds(result: dict[str, Any]) -> list[float]:
    """Returns the test loss of each seed."""
    members = result.get("members", [result])
    return [member["metrics"]["test/loss"] for member in members]


def trivial_error(task: str, lengths: np.ndarray) -> np.ndarray:
    """Returns the error of a method that remembers nothing, by length."""
    if task == "adding":
        # The variance of the sum of two numbers that are uniform in [0, 1].
        return np.full(len(lengths), 1 / 6)
    # Each symbol is one of 8.
    return SYMBOLS * np.log(8) / (lengths + 2 * SYMBOLS)


def print_errors(
    lengths: tuple[int, ...], errors: Mapping[str, np.ndarray], baseline: np.ndarray
) -> None:
    """Prints a table of the errors, averaged over seeds, with one row per network."""
    means = {cell: values.mean(0) for cell, values in errors.items()}
    print(f"\n{'':<8}" + "".join(f"{length:>12}" for length in lengths))
    for name, values in {**means, "baseline": baseline}.items():
        print(f"{name:<8}" + "".join(f"{error:>12.2e}" for error in values))


if __name__ == "__main__":
    launch(main, Config)
