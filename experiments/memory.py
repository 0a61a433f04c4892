"""How long does a network remember? A plain recurrent network forgets, gates and wide convolutions do not.

    python experiments/memory.py
    python experiments/memory.py --lengths 200 --steps 4000
    python experiments/memory.py --task copy --lengths 100 --steps 3000

One picture: the test error of each network against the length of the sequences, every seed by itself, next to the
error of who remembers nothing: 1/6 for the sum of two marked numbers, 10 ln 8 / (T + 20) for copying ten symbols.

The adding problem at 200 steps (`--lengths 200`), mean squared error of one seed, two cores of an AMD EPYC: simple
0.167, which is nothing, LSTM 3.5e-4, GRU 4.0e-5, TCN 5.3e-4; 31, 103, 107 and 76 s. Copying over a blank of 100 (the
third command), cross-entropy per step: who remembers nothing 0.173, simple 0.173, LSTM 0.173, GRU 0.092, TCN 1.2e-6;
34, 95, 91 and 63 s. Over a blank of 1,000 (`--lengths 1000 --cells tcn --steps 1500 --examples 20000`): nothing 0.020,
TCN 2.7e-7 in 898 s on one core that other work shared.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
from jax.nn.initializers import normal

from jaxdl import data, plots, tasks
from jaxdl.data import Dataset
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.experiment import Run, TrainingOptions, fit_and_test, launch, run_variants
from jaxdl.models import TCN, OneHot, SequenceNet
from jaxdl.nn import RNN

CELLS = ("simple", "lstm", "gru", "tcn")


@dataclasses.dataclass(frozen=True)
class Config(TrainingOptions):
    """Options of the memory tests."""

    data: str = "generated"
    """Examples are generated; there is no other set."""
    task: Literal["adding", "copy"] = "adding"
    """adding: the sum of two marked numbers; copy: ten symbols, after a long blank."""
    cells: tuple[str, ...] = CELLS
    """Which networks: simple, lstm, gru, tcn."""
    lengths: tuple[int, ...] = (25, 50, 100)
    """Of the sequences, in steps."""
    features: int = 128
    """Units of a recurrent network."""
    channels: int = 24
    """Features of a TCN, which has as many blocks as it needs to see the whole sequence."""
    kernel: int = 8
    """Steps that a TCN's kernels see."""
    examples: int = 40_000
    """Sequences to learn from."""
    tested: int = 1_000
    """Sequences to test on."""
    steps: int | None = 4_000
    """Updates."""
    batch_size: int = 32
    """Sequences per step."""
    learning_rate: float = 5e-3
    """The largest of the run."""
    schedule: str = "one_cycle"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    clip: float = 1.0
    """Largest norm of the whole gradient; 0: any."""
    validation: float = 0.0
    """More sequences to validate on, as a share of `examples`; 0: none."""

    default_cpu_devices: ClassVar[int] = 2

    def validate(self) -> Self:
        one_of("data", self.data, ["generated"])
        for cell in self.cells:
            one_of("cells", cell, CELLS)
        for length in self.lengths:
            at_least("lengths", length, 2)
        if not self.cells or not self.lengths:
            raise InputError(
                "cells and lengths", (self.cells, self.lengths), "at least one of each"
            )
        for name in ("features", "channels", "examples", "tested"):
            at_least(name, getattr(self, name), 1)
        at_least("kernel", self.kernel, 2)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(
            super().for_smoke(), lengths=self.lengths[:2], features=8, channels=4, examples=200
        )


def network(config: Config, cell: str, length: int) -> SequenceNet:
    """The network of that name for sequences of that length."""
    if cell == "tcn":
        sees = length if config.task == "adding" else length + 20
        blocks = math.ceil(math.log2((sees - 1) / (2 * (config.kernel - 1)) + 1))
        body: Any = TCN((config.channels,) * max(1, blocks), config.kernel, dtype=config.dtype)
    else:
        body = RNN(
            cell,  # type: ignore[arg-type]
            config.features,
            return_sequences=config.task == "copy",
            dtype=config.dtype,
            kernel_init=normal(0.5) if config.task == "copy" else "lecun_normal",
        )
    if config.task == "copy":
        return SequenceNet(OneHot(10), body, 10)
    return SequenceNet(None, body, 1, pool="last" if cell == "tcn" else None)


def one(run: Run[Config]) -> dict[str, Any]:
    """One network on sequences of one length, all seeds at once."""
    config = run.config
    length = run.config.lengths[0]
    make = data.adding if config.task == "adding" else data.copy_memory
    sets: dict[str, Dataset] = {
        "train": make(length, config.examples),
        "test": make(length, config.tested, seed=1),
    }
    if config.validation:
        sets["validation"] = make(
            length, max(1, round(config.validation * config.examples)), seed=2
        )
    model = network(config, config.cells[0], length)
    task = tasks.regress(model) if config.task == "adding" else tasks.language(model)
    state, metrics = fit_and_test(run, model, task, sets)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def main(config: Config) -> dict[str, Any]:
    """Every network on every length, and the picture of their errors."""
    each = {
        f"{cell}-{length}": (cell, length) for cell in config.cells for length in config.lengths
    }
    variants = {
        name: {"cells": (cell,), "lengths": (length,)} for name, (cell, length) in each.items()
    }
    out, results = run_variants(config, variants, one)
    if len(results) < len(each):
        return results
    errors = {
        cell: np.array([losses(results[f"{cell}-{length}"]) for length in config.lengths]).T
        for cell in config.cells
    }
    lengths = np.array(config.lengths)
    adding = config.task == "adding"
    nothing = np.full(len(lengths), 1 / 6) if adding else 10 * np.log(8) / (lengths + 20)
    title = "sum of two marked numbers" if adding else "ten symbols after a blank"
    label = "mean squared error" if adding else "cross-entropy per step (nats)"
    picture = plots.error_by_length(lengths, errors, out / "errors.png", nothing, title, label)
    print(f"\n{'':<8}" + "".join(f"{length:>12}" for length in config.lengths))
    for cell, found in errors.items():
        print(f"{cell:<8}" + "".join(f"{error:>12.2e}" for error in found.mean(0)))
    print(
        f"{'nothing':<8}"
        + "".join(f"{error:>12.2e}" for error in nothing)
        + f"\n\npicture  {picture}"
    )
    return results


def losses(result: dict[str, Any]) -> list[float]:
    """The test error of each seed."""
    members = result.get("members", [result])
    return [member["metrics"]["test/loss"] for member in members]


if __name__ == "__main__":
    launch(main, Config)
