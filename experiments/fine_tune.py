"""Fine-tuning: a network that was trained on other data, and few labels of a new task.

    python experiments/fine_tune.py
    python experiments/fine_tune.py --source mnist --source-steps 3000
    python experiments/fine_tune.py --load weights.pth --labels 120
    python experiments/fine_tune.py --load runs/mine --data pictures:64

The network of the source is trained once. Then it learns the target with few labels: from scratch,
with frozen layers below a new head, or with a new head and all layers trained. The source of the
first command is the digits 0 to 4, and the target 5 to 9. That of the second one is MNIST in the
size of the digits, and the target all digits. The third command reads imported weights. Its target
are twelve regions of two photographs.

Test accuracy with three seeds and 10, 50, 100 and 500 labels. The first command took 62 s of the
processor, on two cores of an Intel Xeon that other work shared:

    target           start          10       50      100      500
    digits 5 to 9    scratch      79.5 %   88.6 %   89.6 %   97.4 %
                     frozen       68.9 %   79.9 %   81.2 %   94.6 %
                     fine-tuned   73.0 %   86.4 %   85.7 %   96.3 %
    all digits       scratch      55.6 %   79.0 %   79.4 %   93.0 %
                     frozen       83.1 %   87.6 %   86.4 %   93.4 %
                     fine-tuned   76.8 %   86.4 %   86.4 %   94.0 %

The third command has the weights of EfficientNet-Lite0, `--seeds 1 --steps 40 --batch-size 24`. It
reaches 28.5 % from scratch, 39.6 % with frozen layers and 48.6 % fine-tuned.

Features of MNIST help, and those of five digits do not: there are only 721 of them.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import tyro

from jaxdl import data, load, plots, tasks
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least
from jaxdl.models import CNN, Stage
from jaxdl.nn import Norm
from jaxdl.recipes import AugmentOptions, TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.fine_tuning import (
    few_repeated,
    gains,
    half_of_classes,
    head_and_body,
    photograph_regions,
    prepared_for,
    reduced,
)
from jaxdl.recipes.variants import values_of_seeds
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants
from jaxdl.runs.options import run_directory

Method = Literal["source", "scratch", "frozen", "fine_tuned"]

#: Methods in words.
WORDS = {"scratch": "from scratch", "frozen": "frozen layers", "fine_tuned": "fine-tuned"}


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the comparison."""

    run: RunOptions = RunOptions(steps=300, batch_size=32, validation=0.0, seeds=3)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3, schedule="cosine")
    augmentation: AugmentOptions = AugmentOptions()

    methods: tuple[Method, ...] = ("scratch", "frozen", "fine_tuned")
    """Starts of the target to compare; source trains the network of the source only."""
    labels: tuple[int, ...] = (10, 50, 100, 500)
    """Numbers of training images of the target, ascending, equally many of each class."""
    source: Literal["half", "mnist"] = "half"
    """half: the first half of the classes, and the rest are the target; mnist: MNIST, reduced."""
    source_steps: int = 1000
    """Steps of the training of the source."""
    fine_tuned_rate: float = 0.3
    """Learning rate of fine_tuned, relative to that of the others."""
    load: Annotated[str | None, tyro.conf.arg(aliases=["--weights"])] = None
    """A finished run, or a file of weights, in place of a training of the source."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        self.training.refuse_find_lr("whose methods have fixed rates")
        self.run.refuse_validation("whose labels are all trained on")
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise InputError("methods", self.methods, "scratch, frozen, fine_tuned, each once")
        if not self.labels or list(self.labels) != sorted(set(self.labels)):
            raise InputError("labels", self.labels, "at least one number, ascending")
        at_least("labels", self.labels[0], 1)
        at_least("source_steps", self.source_steps, 1)
        if not 0 < self.fine_tuned_rate < float("inf"):
            raise InputError("fine_tuned_rate", self.fine_tuned_rate, "a finite number above 0")
        return super().validate()

    def for_smoke(self) -> Self:
        return dataclasses.replace(super().for_smoke(), source_steps=20, labels=self.labels[:2])


def network(config: Config, classes: int) -> Any:
    """Returns the network with an output layer for a number of classes."""
    if config.load is None:
        model = CNN((Stage(16), Stage(32), Stage(32, pool=None)), (64,), classes)
        return model.clone(dtype=config.training.dtype)
    model = load(config.load).model
    if not hasattr(model, "outputs"):
        raise InputError("load", config.load, "a classifier of images with one module")
    norm = getattr(model, "norm", None)
    if isinstance(norm, Norm):
        # In a few hundred steps the running mean of an imported network hardly moves.
        model = model.clone(norm=dataclasses.replace(norm, momentum=0.9))
    return model.clone(outputs=classes, dtype=config.training.dtype)


def target_sets(config: Config) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of the target, in the form that the network reads."""
    if config.load is not None:
        net = load(config.load)
        if net.preprocessing.crop is not None and config.run.data == RunOptions().data:
            train, test = photograph_regions()
        else:
            train, test, _ = image_sets(config.run)
        return prepared_for(net, train, config.load), prepared_for(net, test, config.load)
    train, test, _ = image_sets(config.run)
    if config.source == "half":
        return half_of_classes(train, second=True), half_of_classes(test, second=True)
    return train, test


def source_sets(config: Config) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of the source."""
    train, test, _ = image_sets(config.run)
    if config.source == "half":
        return half_of_classes(train, second=False), half_of_classes(test, second=False)
    shape = train["input"].shape[1:]
    mnist = data.load("mnist", config.run.data_dir, config.run.cache_dir)
    return reduced(mnist[0], shape), reduced(mnist[1], shape)


def train_and_test(run: Run[Config]) -> dict[str, Any]:
    """Trains the source, or the target from one start with one number of labels."""
    config = run.config
    if config.methods[0] == "source":
        train, test = source_sets(config)
    else:
        train, test = target_sets(config)
        size = max(config.labels[-1], config.run.batch_size)
        train = few_repeated(train, config.labels[0], size)
    model = network(config, train.classes or 1)
    changes = config.augmentation.changes(train["input"].shape[1:])
    task = tasks.classify(model, **changes._asdict())
    sets = {"train": train, "test": test}
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def variants(config: Config, source: str, params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the options of each training of the target.

    Args:
      config: options.
      source: the run or the file with the weights of the source.
      params: its parameters.
    """
    head, body = head_and_body(params)
    start = {"initial": source, "skip_initial": (head,)}
    changes: dict[str, dict[str, Any]] = {
        "scratch": {},
        "frozen": {**start, "freeze": body},
        "fine_tuned": {
            **start,
            "learning_rate": config.training.learning_rate * config.fine_tuned_rate,
        },
    }
    found = {}
    for method in config.methods:
        for count in config.labels:
            # All sets have the size of the largest one, which is the last number of labels.
            labels = (count, config.labels[-1])
            found[f"{method}-{count}"] = {
                **changes[method],
                "methods": (method,),
                "labels": labels,
            }
    return found


def compare(config: Config, out: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Prints and draws the test accuracies over the number of labels."""
    curves = {}
    for method in config.methods:
        runs = [results[f"{method}-{count}"] for count in config.labels]
        values = [values_of_seeds(result, "test/accuracy") for result in runs]
        curves[WORDS[method]] = np.stack(values, 1)
    for name, values in curves.items():
        shown = "".join(f"{100 * mean:>9.1f} %" for mean in values.mean(0))
        print(f"{name:<16}{shown}")
    title = "Test accuracy over the number of labels"
    if "scratch" in config.methods and len(curves) > 1:
        found = gains(curves, WORDS["scratch"])
        best = max(found, key=lambda name: float(found[name][0]))
        gain = f"{found[best][0]:+.1f} points over a training from scratch".replace("-", "−")
        title = f"{best}: {gain}, with {config.labels[0]} labels"
    picture = plots.label_curves(curves, config.labels, out / "labels.png", title)
    print(f"picture  {picture}")


def main(config: Config) -> dict[str, Any]:
    """Trains the source, then the target from each start with each number of labels."""
    if config.training.initial is not None:
        path = config.training.initial
        raise InputError("initial", path, f"none; write --load {path}")
    if config.training.freeze:
        allowed = "none; --methods frozen freezes all below the head"
        raise InputError("freeze", config.training.freeze, allowed)
    # Checked before a run has a directory.
    target = target_sets(config)[0]
    few_repeated(target, config.labels[0], 1)
    few_repeated(target, config.labels[-1], 1)
    config.augmentation.changes(target["input"].shape[1:])
    out = run_directory(config, train_and_test)[1]
    results = {}
    source = config.load
    if source is None:
        changes = {"methods": ("source",), "seeds": 1, "steps": config.source_steps}
        _, results = run_variants(config, {"source": changes}, train_and_test)
        if not results or config.methods == ("source",):
            return results
        source = str(out / "source")
    methods = tuple(method for method in config.methods if method != "source")
    config = dataclasses.replace(config, methods=methods)
    changes = variants(config, source, load(source).variables["params"])
    _, found = run_variants(config, changes, train_and_test)
    if len(found) == len(changes):
        compare(config, out, found)
    return {**results, **found}


if __name__ == "__main__":
    launch(main, Config)
