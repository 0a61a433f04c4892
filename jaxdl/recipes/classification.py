"""Classification of images or points: shared options, and a run from the data to the figures."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import numpy as np

from jaxdl import augment, data, plots, tasks
from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.plots.page import PALETTE
from jaxdl.predict import bind, predict_batched
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test, split_sets
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run


@dataclasses.dataclass(frozen=True)
class ClassificationOptions:
    """Options of the experiments that classify."""

    label_smoothing: float = 0.0
    """Fraction of the target that is spread over all classes, in [0, 1)."""
    shift: int = 0
    """Largest random shift of an image in pixels, as data augmentation."""
    standardize: bool = False
    """If True, inputs are rescaled to mean 0 and variance 1.
    The statistics are those of the training set."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("shift", self.shift, 0)
        in_range("label_smoothing", self.label_smoothing, 0, 1)


def run_classification(
    run: Run[Options],
    training: TrainingOptions,
    options: ClassificationOptions,
    model_for: Callable[[int], nn.Module],
    first_layer: Callable[[Any, tuple], np.ndarray],
) -> dict[str, Any]:
    """Trains a classifier, evaluates it on the test set, draws figures and writes the result.

    Args:
      run: run to train in.
      training: options of the optimizer.
      options: options of the task.
      model_for: `model_for(classes) -> model`.
      first_layer: `first_layer(params, shape of an input) -> kernel`, shown as filters.

    Returns:
      The result of `Run.finish`.
    """
    sets = prepared(run.config.run, options.standardize)
    shape = sets["train"]["input"].shape[1:]
    shift = None
    if options.shift:
        if len(shape) != 3:
            allowed = f"0 for inputs of shape {list(shape)}, which are not images"
            raise InputError("shift", options.shift, allowed)
        if options.shift >= min(shape[:2]):
            allowed = f"less than the smaller side of the images, {min(shape[:2])}"
            raise InputError("shift", options.shift, allowed)
        shift = augment.random_shift(options.shift)
    classes = sets["train"].classes
    if classes is None:
        raise InputError("data", run.config.run.data, "a set with classes")
    model = model_for(classes)
    task = tasks.classify(model, label_smoothing=options.label_smoothing, augment=shift)
    state, metrics = fit_and_test(run, training, model, task, sets)
    draw(run, task, run.first_seed(state), sets["test"], first_layer)
    return run.finish(state, metrics, **sets)


def prepared(run: RunOptions, standardize: bool) -> dict[str, Dataset]:
    """Loads and splits the data of a run, and rescales it to mean 0 and variance 1 on request."""
    train, test = data.load(run.data, run.data_dir, run.cache_dir)
    sets = split_sets(run, train, test)
    if standardize:
        sets = dict(zip(sets, data.standardize(*sets.values()), strict=True))
    return sets


def draw(
    run: Run[Options], task: tasks.Task, state: State, test: Dataset, first_layer: Callable
) -> None:
    """Draws the figures of a classifier.

    These are learning curves and a confusion matrix; for images the worst mistakes, the filters of
    the first layer and an overview; for points in the plane a map of the decisions.
    """
    inputs = np.asarray(test["input"])
    label = np.asarray(test["label"])
    predict = bind(task.predict, state)
    probabilities = predict_batched(predict, inputs)
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(
        label, probabilities.argmax(1), probabilities.shape[1], run.figure("confusion")
    )
    if inputs.ndim == 4 and inputs.shape[-1] in (1, 3):
        plots.mistakes(inputs, label, probabilities, run.figure("mistakes"))
        kernel = first_layer(inference(state).params, inputs.shape[1:])
        plots.filters(kernel, run.figure("filters"))
        few = slice(12)
        plots.overview(
            inputs[few],
            label[few],
            probabilities[few],
            run.records(),
            kernel,
            run.figure("overview"),
        )
    elif inputs.shape[1:] == (2,) and probabilities.shape[1] <= len(PALETTE):
        plots.decision_map(
            lambda points: predict_batched(predict, points),
            inputs,
            label,
            run.figure("decisions"),
        )
