"""A loaded network in place of a training: its options, scores, sets of images, and results."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl import data
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.network import Network
from jaxdl.recipes.images import photograph_crops
from jaxdl.recipes.methods import Classifier, classifier
from jaxdl.recipes.seeing import preparation
from jaxdl.runs.card import decimals
from jaxdl.runs.options import Options, RunOptions

#: Options of a run that only a training uses.
OF_TRAINING = (
    "epochs",
    "steps",
    "batch_size",
    "validation",
    "log_every",
    "save_every",
    "stop_after",
    "track",
    "profile",
)


def refuse_options_of_training(
    options: Options, load: str | None, others: Sequence[str] = ()
) -> None:
    """Raises InputError for an option without effect, because a network is loaded, not trained.

    An option has an effect if it is unlike its default. Those of the groups `training` and
    `augmentation` are refused, and the options of a run that only a training uses.

    Args:
      options: those of an experiment.
      load: the network that replaces the training; None for a training.
      others: names of further options, of the run or of the experiment, that are refused.

    Example:
      >>> from jaxdl.runs.options import RunOptions
      >>> refuse_options_of_training(Options(RunOptions(seed=7)), "runs/mine")
      >>> refuse_options_of_training(Options(RunOptions(steps=7)), "runs/mine")
      Traceback (most recent call last):
      jaxdl.errors.InputError: steps: got 7, allowed: none with --load, which trains no network
    """
    if load is None:
        return
    default = _values_of_training(type(options)(), others)
    for name, value in _values_of_training(options, others).items():
        if value != default[name]:
            raise InputError(name, value, "none with --load, which trains no network")


def _values_of_training(options: Options, others: Sequence[str]) -> dict[str, Any]:
    """Returns the options that only a training uses, by name."""
    values = {name: getattr(options.run, name) for name in OF_TRAINING}
    for group in ("training", "augmentation"):
        if hasattr(options, group):
            values |= dataclasses.asdict(getattr(options, group))
    for name in others:
        owner = options if hasattr(options, name) else options.run
        values[name] = getattr(owner, name)
    return values


def loaded_classifier(net: Network, source: str) -> Classifier:
    """Returns a loaded network as a classifier of images in [0, 1].

    Args:
      net: the network.
      source: its path, for the message.

    Raises:
      InputError: a network that does not choose one class of an image, or has several modules.

    Example:
      >>> import tempfile, jaxdl, optax
      >>> train, test = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP((4,), outputs=10))
      >>> learner = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> state = learner.init(jaxdl.root(0), {"input": train["input"][:2]})
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     jaxdl.save(directory, task, state, train)
      ...     net = jaxdl.load(directory)
      >>> loaded_classifier(net, "runs/mine").scores(test["input"][:5]).shape
      (5, 10)
    """
    is_classifier = net.task.name == "classify" and not net.task.arguments.get("multi_label")
    if net.model is None or len(net.fields["input"].shape) != 3 or not is_classifier:
        raise InputError("load", source, "a classifier of images with one module")
    return classifier(net.model, net.variables, preparation(net.preprocessing))


def sets_for(
    net: Network, run: RunOptions, images: str | None = None, *, any_size: bool = False
) -> tuple[Dataset, Dataset]:
    """Returns the training set and the test set of images for a loaded network.

    By default they are those of its training. For imported weights both are squares of two
    photographs.

    Args:
      net: the network.
      run: options, of which `data` and its directories are used.
      images: a folder of images in place of `data`. They are scaled to the size that the network
        reads.
      any_size: if True, images may have another size, which convolutions can read.

    Raises:
      InputError: images of another shape.

    Example: see `experiments/why.py`.
    """
    shape = net.fields["input"].shape
    name = run.data
    if images is not None:
        name = f"{images}:{shape[0]}"
    elif name == RunOptions().data:
        if net.preprocessing.crop is not None:
            squares = Dataset({"input": photograph_crops(shape[0])}, "photographs")
            return squares, squares
        name = net.result.get("config", {}).get("data", name)
    train, test = data.load(name, run.data_dir, run.cache_dir)
    given = test["input"].shape[1:]
    if any_size:
        if len(given) != 3 or given[-1] != shape[-1]:
            allowed = f"images with {shape[-1]} channels, as the network reads"
            raise InputError("data", f"{test.name} {list(given)}", allowed)
    elif given != shape:
        allowed = f"images {list(shape)}, as the network reads"
        raise InputError("data", f"{test.name} {list(given)}", allowed)
    return train, test


def print_results(metrics: Mapping[str, float], out: Path) -> None:
    """Prints metrics, and the paths of the pictures in a folder."""
    for name, value in metrics.items():
        print(f"{name:<40} {decimals(value)}")
    for path in sorted(out.glob("*.png")):
        print(f"picture  {path}")
