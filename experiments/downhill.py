"""Optimizers on test functions and on digits: rates, momentum, schedules, the size of a batch.

    python experiments/downhill.py
    python experiments/downhill.py --optimizers sgd momentum adam --descent-steps 100
    python experiments/downhill.py --batch-size 16 --multiples 1 8 --data mnist --epochs 2
    python experiments/downhill.py --scale-rate

All optimizers have the same steps and the same grid of 25 learning rates on each function. The
pictures are the paths with the best rates, a too small and a too large rate, a plateau, hills, and
all schedules.

Then one MLP is trained with several sizes of a batch, which are multiples of `--batch-size`. All of
them read the same number of examples with the same learning rate. With `--scale-rate` the rate is
proportional to the size.

Measured with the digits and 3 seeds in one program, in 38 s of processor time. Other work shared
the two cores of an Intel Xeon:

    batch   steps   seconds per epoch   training loss   noise of the gradient   test accuracy
    8        1798               0.065          0.0327                    1.93          97.5 %
    32        449               0.032          0.1073                    0.96          97.0 %
    128       112               0.036          0.2569                    0.47          95.4 %
    512        28               0.057          0.7438                    0.19          93.2 %

The noise is relative to the length of the gradient, and falls with 1 / sqrt(B). Final values after
100 steps with the best rate, which has the lowest mean value of its path:

    terrain      sgd      momentum   nesterov   rmsprop   adam
    ravine       2.2e-1   8.8e-5     4.0e-6     4.4e-1    5.3e-4
    rosenbrock   2.1e-1   5.7e-3     1.5e-2     3.4       7.7e-1
    beale        2.9e-2   6.3e-3     1.8e-4     4.3e-3    1.3e-3
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from jaxdl import plots, root, stream, tasks
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models import MLP
from jaxdl.optimizers import OPTIMIZERS
from jaxdl.recipes import TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.downhill import (
    NAMES,
    batch_numbers,
    draw_hills,
    draw_plateau,
    draw_races,
    draw_schedules,
    draw_too_small_and_too_large,
    noise_of_batches,
    race,
    table,
)
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(epochs=10.0, batch_size=8, seeds=3, validation=0.0)
    training: TrainingOptions = TrainingOptions(optimizer="sgd", learning_rate=0.1)

    optimizers: tuple[str, ...] = NAMES
    """Optimizers that are compared on the test functions."""
    descent_steps: int = 100
    """Steps of each optimizer on the test functions."""
    multiples: tuple[int, ...] = (1, 4, 16, 64)
    """Sizes of a batch that are compared, in multiples of --batch-size."""
    scale_rate: bool = False
    """If True, the learning rate is proportional to the size of the batch."""
    hidden: tuple[int, ...] = (512,)
    """Widths of the hidden layers of the MLP."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        self.training.refuse_find_lr("whose batch sizes have fixed rates")
        at_least("descent_steps", self.descent_steps, 1)
        for name in self.optimizers:
            one_of("optimizers", name, OPTIMIZERS)
        for field in ("optimizers", "multiples"):
            values = getattr(self, field)
            if not values or len(set(values)) < len(values):
                raise InputError(field, values, "at least one, each once")
        for multiple in self.multiples:
            at_least("multiples", multiple, 1)
        for width in self.hidden:
            at_least("hidden", width, 1)
        return super().validate()

    def for_smoke(self) -> Self:
        short = dataclasses.replace(super().for_smoke(), descent_steps=5)
        return dataclasses.replace(
            short, multiples=self.multiples[:2], optimizers=self.optimizers[:2]
        )


def train_batches(run: Run[Config]) -> dict[str, Any]:
    """Trains the MLP with one size of a batch."""
    config = run.config
    train, _, sets = image_sets(config.run)
    model = MLP(config.hidden, train.classes or 1, dtype=config.training.dtype)
    task = tasks.classify(model)
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    noise = []
    for seed in run.seeds:
        key = root(seed)
        params, extra = task.init(stream(key, "init"), sets["train"].arrays)
        size = min(config.run.batch_size, sets["train"].size)
        noise.append(noise_of_batches(task, params, extra, sets["train"], size, key))
    metrics["gradient_noise"] = run.per_seed(noise)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def variants(config: Config) -> dict[str, dict[str, Any]]:
    """Returns the options that each size of a batch changes."""
    changes: dict[str, dict[str, Any]] = {}
    examples = config.run.epochs * image_sets(config.run)[2]["train"].size
    for multiple in config.multiples:
        size = multiple * config.run.batch_size
        steps = config.run.steps or max(1, round(examples / size))
        changes[f"batch-{size}"] = {"batch_size": size, "steps": steps}
        if config.scale_rate:
            rate = multiple * config.training.learning_rate
            changes[f"batch-{size}"]["learning_rate"] = rate
    return changes


def compare(out: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Draws and prints the size of a batch against examples, time and noise."""
    runs = {}
    print("\nbatch   steps  seconds per epoch  training loss, highest - lowest      noise")
    for name, result in results.items():
        size = result["config"]["batch_size"]
        seeds = result.get("seeds", [result["seed"]])
        noise = result["metrics"]["gradient_noise"]
        runs[size] = batch_numbers(out / name, size, range(len(seeds)), noise)
        epochs = result["steps"] * size / result["data"]["train"]["size"]
        seconds = result["seconds"]["train"] / epochs
        last = runs[size].losses[-1]
        spread = f"{last.mean():>13.4f} {last.max() - last.min():>17.4f}"
        print(f"{size:>5} {result['steps']:>7} {seconds:>18.3f} {spread} {noise:>10.2f}")
    title = "The size of a batch: equal examples, equal time, and noise"
    print(f"picture  {plots.batch_sizes(runs, out / 'batch_sizes.png', title=title)}")


def draw_terrains(config: Config, out: Path) -> None:
    """Draws all pictures of test functions, and prints rates and final values."""

    def picture(name: str) -> Path:
        return out / f"{name}.png"

    races = race(names=config.optimizers, steps=config.descent_steps)
    print(f"\nrate and final value after {config.descent_steps} steps\n{table(races)}")
    paths = draw_races(races, picture)
    paths += draw_hills(picture)
    paths.append(draw_too_small_and_too_large(picture("learning_rate")))
    paths.append(draw_plateau(picture("plateau")))
    paths.append(draw_schedules(picture("schedules")))
    for path in paths:
        print(f"picture  {path}")


def main(config: Config) -> dict[str, Any]:
    """Trains with several sizes of a batch, and draws optimizers on test functions."""
    changes = variants(config)
    out, results = run_variants(config, changes, train_batches)
    if len(results) == len(changes):
        compare(out, results)
        draw_terrains(config, out)
    return results


if __name__ == "__main__":
    launch(main, Config)
