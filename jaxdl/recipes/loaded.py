"""A loaded network in place of a training: its options, scores, sets of images, and results."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxdl import data
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.network import Network
from jaxdl.recipes.augmentations import AugmentOptions
from jaxdl.recipes.fitting import TrainingOptions
from jaxdl.recipes.images import photograph_crops
from jaxdl.recipes.methods import Classifier, classifier
from jaxdl.recipes.seeing import preparation
from jaxdl.runs.card import decimals
from jaxdl.runs.options import Options, RunOptions, flat_options

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
    options: Options, load: str | None, others: Iterable[str] = ()
) -> None:
    """Raises InputError for an option that only a training uses, if a network is loaded.

    Such options are those of `TrainingOptions` and `AugmentOptions`, and some of `RunOptions`. They
    are refused if they are unlike their defaults.

    Args:
      options: those of an experiment.
      load: the network that replaces the training; None for a training.
      others: names of more options that only the training of this experiment uses.

    Example:
      >>> refuse_options_of_training(Options(RunOptions(seed=7)), "runs/mine")
      >>> refuse_options_of_training(Options(RunOptions(steps=7)), "runs/mine")
      Traceback (most recent call last):
      jaxdl.errors.InputError: steps: got 7, allowed: none with --load, which trains no network
    """
    if load is None:
        return
    groups = [*dataclasses.fields(TrainingOptions), *dataclasses.fields(AugmentOptions)]
    names = {*OF_TRAINING, *others, *(field.name for field in groups)}
    default = flat_options(type(options)())
    for name, value in flat_options(options).items():
        if name in names and value != default[name]:
            raise InputError(name, value, "none with --load, which trains no network")


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
