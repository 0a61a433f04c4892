"""Long-range tasks, which measure how many steps a network remembers.

    python experiments/memory.py
    python experiments/memory.py --lengths 200 --steps 4000
    python experiments/memory.py --task copy --lengths 100 --steps 3000
    python experiments/memory.py --task copy --lengths 1000 --cells tcn --steps 1500 \\
        --examples 20000

`--task adding` asks for the sum of two marked numbers, `--task copy` for ten symbols after a long
blank. A plain recurrent network forgets early inputs. Networks with gates and dilated convolutions
do not. The trivial baseline remembers nothing (`data.memoryless_error`).

Results of the last three commands with one seed, on two cores of an AMD EPYC. The last one ran on
one core while other work shared it:

    task, steps, metric                baseline  simple  LSTM           GRU            TCN
    adding, 200, mean squared error    0.167     0.167   3.5e-4, 103 s  4.0e-5, 107 s  5.3e-4, 76 s
    copy, 100, cross-entropy           0.173     0.173   0.173, 95 s    0.092, 91 s    1.2e-6, 63 s
    copy, 1,000, cross-entropy         0.020                                           2.7e-7, 898 s

The plain network took 31 s and 34 s.
"""

import dataclasses
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jax.nn.initializers import normal

from jaxdl import data, plots, tasks
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models import OneHot, SequenceNet
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.evaluation import predict_set, regression_metrics
from jaxdl.recipes.sequences import POOLS, blocks_to_cover, sequence_body
from jaxdl.recipes.variants import error_table, values_of_seeds
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants

CELLS = ("simple", "lstm", "gru", "tcn")

#: Name and error of each task, for the picture.
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


def network(config: Config, steps: int) -> SequenceNet:
    """Returns the network of the first of the `cells`, for sequences of this many steps."""
    cell = config.cells[0]
    features = config.features
    layers = 1
    if cell == "tcn":
        features = config.channels
        layers = blocks_to_cover(steps, config.kernel)
    copy = config.task == "copy"
    body = sequence_body(
        cell,
        features,
        layers,
        kernel_size=config.kernel,
        return_sequences=copy,
        kernel_init=normal(0.5) if copy else "lecun_normal",
        dtype=config.training.dtype,
    )
    if copy:
        return SequenceNet(OneHot(10), body, 10)
    return SequenceNet(None, body, 1, pool=POOLS.get(cell))


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains and tests one network on sequences of one length, for all seeds in one run."""
    config = run.config
    validation = round(config.run.validation * config.examples)
    if config.run.validation:
        validation = max(1, validation)
    sets = data.long_range_sets(
        config.task, config.lengths[0], config.examples, config.test_examples, validation
    )
    model = network(config, sets["train"]["input"].shape[1])
    task: Any = {"adding": tasks.regress, "copy": tasks.language}[config.task](model)
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    if config.task == "adding":
        predictions = predict_set(run, task, state, sets["test"])
        metrics = metrics | regression_metrics(run, sets["test"], predictions)
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
    losses = {name: values_of_seeds(result, "test/loss") for name, result in results.items()}
    errors = {
        cell: np.stack([losses[f"{cell}-{length}"] for length in config.lengths], 1)
        for cell in config.cells
    }
    lengths = np.array(config.lengths)
    baseline = data.memoryless_error(config.task, lengths)
    title, label = LABELS[config.task]
    picture = plots.error_by_length(lengths, errors, out / "errors.png", baseline, title, label)
    print(f"\n{label}, by length")
    print(error_table({**errors, "baseline": baseline[None]}, [f"{each:,}" for each in lengths]))
    print(f"\npicture  {picture}")
    return results


if __name__ == "__main__":
    launch(main, Config)
