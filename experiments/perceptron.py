"""Rosenblatt's perceptron, mistake by mistake, beside softmax regression by gradient.

    python experiments/perceptron.py
    python experiments/perceptron.py --sets curve --seeds 20
    python experiments/perceptron.py --sets xor --passes 1000

Each set has points in the plane. `line` has bananas and peppers by length and weight, which a line
separates. `curve` has two sorts of peppers beside the bananas, and the squares of both features.
`xor` has no separator: the weights of the perceptron repeat, and no line is right for more than
three of the four corners.

Measured in 21 s of processor time on two cores of an Intel Xeon:

    set      mistakes   Novikoff's bound   perceptron   softmax regression
    line            9                462      100.0 %              100.0 %
    curve          34              3,869       98.3 %               98.3 %
    xor        no end               none       50.0 %               55.0 %

With `--sets line curve --seeds 20`, which are 20 orders of the examples, there are 8.1 and 43.7
mistakes. The weights of XOR are those of the start again after 4 mistakes.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from jaxdl import classic, plots, tasks
from jaxdl.core import inference
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.models import MLP
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.perceptron import (
    WORDS,
    draw_cycle,
    draw_steps,
    softmax_line,
    train_perceptrons,
    two_classes,
    xor_cycle,
)
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants

Name = Literal["line", "curve", "xor"]


@dataclasses.dataclass(frozen=True)
class FruitOptions(RunOptions):
    """Options of a run on generated points."""

    data: str = "generated"
    """The points are generated; --sets chooses them."""
    save_every: int = 240
    """Steps between two checkpoints; 0 means once per epoch."""


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: FruitOptions = FruitOptions(epochs=60.0, batch_size=20, validation=0.0)
    training: TrainingOptions = TrainingOptions(optimizer="sgd", learning_rate=0.5)

    sets: tuple[Name, ...] = ("line", "curve", "xor")
    """Sets of points."""
    passes: int = 200
    """Largest number of passes of the perceptron."""
    max_mistakes: int = 2000
    """Number of mistakes after which the perceptron stops."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        one_of("data", self.run.data, ["generated"])
        if not self.sets or len(set(self.sets)) < len(self.sets):
            raise InputError("sets", self.sets, "line, curve, xor, each once")
        at_least("passes", self.passes, 1)
        at_least("max_mistakes", self.max_mistakes, 1)
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), max_mistakes=min(self.max_mistakes, 4))


def train_both(run: Run[Config]) -> dict[str, Any]:
    """Trains softmax regression and perceptrons on the first of the sets."""
    config = run.config
    name = config.sets[0]
    fruits = two_classes(name)
    train = fruits.sets["train"]
    model = MLP((), 2, dtype=config.training.dtype)
    task = tasks.classify(model)
    state, metrics = fit_and_test(run, config.training, model, task, fruits.sets)
    trained = train_perceptrons(fruits.sets, run.seeds, config.passes, config.max_mistakes)
    metrics["mistakes"] = run.per_seed([int(each.found.mistakes) for each in trained])
    metrics["perceptron/accuracy"] = run.per_seed([each.accuracy for each in trained])
    first = trained[0]
    count = int(first.found.mistakes)
    if name == "xor":
        cycle = xor_cycle()[1]
        metrics["cycle_length"] = run.per_seed(cycle.mistakes)
        draw_cycle(run.figure("cycle").parent)
    else:
        bound = classic.novikoff_bound(train["input"], 2 * np.asarray(train["label"]) - 1)
        metrics["bound"] = run.per_seed(bound)
        title = f"{count} mistakes of the perceptron; Novikoff's bound is {bound:,.0f}"
        end = f"pass {int(first.found.epochs)}: no further mistake"
        draw_steps(fruits, first, run.figure("steps").parent, title, end)
    shares = {"perceptron": first.accuracy, "softmax regression": metrics["test/accuracy"]}
    lines = {
        "perceptron": np.append(first.found.weights, first.found.bias),
        "softmax regression": softmax_line(inference(run.first_seed(state)).params),
    }
    np.savez(run.sample("lines.npz"), **lines)
    panels = {
        f"{each}: {100 * np.ravel(shares[each])[0]:.1f} %": (fruits.shown("test"), line)
        for each, line in lines.items()
    }
    title = f"{WORDS[name]}: right answers among {len(fruits.sets['test'])} test points"
    plots.separators(panels, run.figure("lines"), title=title)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **fruits.sets)


def compare(out: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Draws the lines of all sets in one picture."""
    panels = {}
    metrics = {"perceptron": "perceptron/accuracy", "softmax regression": "test/accuracy"}
    for method, metric in metrics.items():
        for name, result in results.items():
            with np.load(out / name / "samples" / "lines.npz", allow_pickle=False) as archive:
                line = archive[method]
            first = result.get("members", [result])[0]["metrics"]
            words = f"{method}, {WORDS[name]}\n{100 * first[metric]:.1f} % of the test points"
            if method == "perceptron":
                end = " and no end" * (name == "xor")
                words += f", {first['mistakes']:,.0f} mistakes{end}"
            panels[words] = (two_classes(name).shown("test"), line)
    title = "Rosenblatt's rule and softmax regression by gradient"
    path = plots.separators(panels, out / "lines.png", title=title, columns=len(results))
    print(f"picture  {path}")


def main(config: Config) -> dict[str, Any]:
    """Trains perceptrons and softmax regressions on all sets."""
    variants = {name: {"sets": (name,)} for name in config.sets}
    out, results = run_variants(config, variants, train_both)
    if len(results) == len(variants):
        compare(out, results)
    return results


if __name__ == "__main__":
    launch(main, Config)
