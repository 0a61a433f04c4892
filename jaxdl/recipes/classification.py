"""Classification of images or points: shared options, and a run from the data to the figures."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from jaxdl import data, plots, tasks
from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, in_range
from jaxdl.functions import bind, predict_batched
from jaxdl.plots.page import PALETTE
from jaxdl.recipes.augmentations import AugmentOptions
from jaxdl.recipes.cross_validation import cross_validate
from jaxdl.recipes.evaluation import (
    class_labels,
    classification_metrics,
    draw_calibration_and_roc,
    predict_set,
)
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test, split_sets
from jaxdl.recipes.regression import regress_sets
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run


@dataclasses.dataclass(frozen=True)
class ClassificationOptions(AugmentOptions):
    """Options of the experiments that classify."""

    label_smoothing: float = 0.0
    """Fraction of the target that is spread over all classes, in [0, 1)."""
    standardize: bool = False
    """If True, inputs are rescaled to mean 0 and variance 1.
    The statistics are those of the training set. Inputs from a table always are rescaled.
    --augment then changes rescaled images: pixels outside of the image have the mean."""

    folds: int = 0
    """Number of folds of a cross-validation on the training set; 0 for none.
    All folds, with --seeds those of every seed, are trained in one program. A held-out fold is the
    validation set, so --validation has no effect, and the test set is not evaluated."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        if self.folds < 0 or self.folds == 1:
            allowed = "0 for no cross-validation, or at least 2"
            raise InputError("folds", self.folds, allowed)
        in_range("label_smoothing", self.label_smoothing, 0, 1)
        super().validate(run)


def run_classification(
    run: Run[Options],
    training: TrainingOptions,
    options: ClassificationOptions,
    model_for: Callable[[int], nn.Module],
    first_layer: Callable[[Any, tuple], np.ndarray],
) -> dict[str, Any]:
    """Loads and prepares the data of a run, then does the rest as `classify_sets`.

    A set with numbers to predict, such as those of a table, is passed to `regress_sets` instead.

    Args:
      run: run to train in.
      training: options of the optimizer.
      options: options of the data and of the task.
      model_for: `model_for(classes) -> model`.
      first_layer: `first_layer(params, shape of an input) -> kernel`, shown as filters.

    Returns:
      The result of `Run.finish`.
    """
    if options.folds:
        return _cross_validate(run, training, options, model_for)
    sets = prepared(run.config.run, options.standardize)
    if "target" in sets["train"].arrays:
        _check_regression(options)
        return regress_sets(run, training, sets, model_for)
    return classify_sets(
        run,
        training,
        sets,
        model_for,
        first_layer=first_layer,
        label_smoothing=options.label_smoothing,
        **options.changes(sets["train"]["input"].shape[1:])._asdict(),
    )


def _check_regression(options: ClassificationOptions) -> None:
    """Raises InputError for options of classifiers, with a set that has numbers to predict."""
    if options.label_smoothing or options.augment is not None:
        allowed = "none for a set with numbers to predict"
        raise InputError("label_smoothing or augment", "a value", allowed)


def _cross_validate(
    run: Run[Options],
    training: TrainingOptions,
    options: ClassificationOptions,
    model_for: Callable[[int], nn.Module],
) -> dict[str, Any]:
    """Returns the result of a cross-validation; see `cross_validate`."""

    def task_for(train: Dataset) -> tuple[nn.Module, tasks.Task]:
        if "target" in train.arrays:
            _check_regression(options)
            model = model_for(train["target"].shape[1])
            return model, tasks.regress(model)
        if train.classes is None:
            raise InputError("data", run.config.run.data, "a set with classes")
        model = model_for(train.classes)
        changes = options.changes(train["input"].shape[1:])
        task = tasks.classify(model, label_smoothing=options.label_smoothing, **changes._asdict())
        return model, task

    return cross_validate(run, training, options.folds, task_for, standardize=options.standardize)


def classify_sets(
    run: Run[Options],
    training: TrainingOptions,
    sets: Mapping[str, Dataset],
    model_for: Callable[[int], nn.Module],
    *,
    images: np.ndarray | None = None,
    first_layer: Callable[[Any, tuple], np.ndarray] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Trains a classifier, evaluates it on the test set, draws figures and writes the result.

    Args:
      run: run to train in.
      training: options of the optimizer.
      sets: `train`, `test` and optionally `validation`, with `input` and `label`.
      model_for: `model_for(classes) -> model`.
      images: test images `[N, H, W, C]` for the figures, if the inputs were made from images. None
        means the inputs.
      first_layer: `first_layer(params, shape of an input) -> kernel`, shown as filters. None shows
        none.
      **options: further arguments of `jaxdl.tasks.classify`.

    Returns:
      The result of `Run.finish`.

    Raises:
      InputError: the sets have no classes, or `multi_label`.
    """
    if options.get("multi_label"):
        # Reports and figures are those of one class per example.
        raise InputError("multi_label", True, "False; use jaxdl.train with tasks.classify")
    classes = sets["train"].classes
    if classes is None:
        raise InputError("data", run.config.run.data, "a set with classes")
    model = model_for(classes)
    task = tasks.classify(model, **options)
    state, metrics = fit_and_test(run, training, model, task, sets)
    predictions = predict_set(run, task, state, sets["test"])
    metrics = metrics | classification_metrics(run, task, state, sets, predictions)
    draw_calibration_and_roc(run, sets["test"], predictions[0], metrics)
    draw(run, task, run.first_seed(state), sets["test"], predictions[0], images, first_layer)
    return run.finish(state, metrics, **sets)


def prepared(run: RunOptions, standardize: bool) -> dict[str, Dataset]:
    """Loads and splits the data of a run, and rescales it to mean 0 and variance 1.

    Only tables are rescaled unless it is requested.
    """
    train, test = data.load(run.data, run.data_dir, run.cache_dir)
    sets = split_sets(run, train, test)
    if standardize or train.columns is not None:
        sets = dict(zip(sets, data.standardize(*sets.values()), strict=True))
    return sets


def draw(
    run: Run[Options],
    task: tasks.Task,
    state: State,
    test: Dataset,
    probabilities: np.ndarray,
    images: np.ndarray | None,
    first_layer: Callable | None,
) -> None:
    """Draws the figures of a classifier; see `classify_sets` for the arguments.

    These are learning curves and a confusion matrix; for images the worst mistakes, the filters of
    the first layer and an overview; for points in the plane a map of the decisions.
    """
    inputs = np.asarray(test["input"])
    pixels = inputs if images is None else np.asarray(images)
    label = class_labels(test)
    names = test.class_names
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(
        label, probabilities.argmax(1), probabilities.shape[1], run.figure("confusion"), names
    )
    if pixels.ndim == 4 and pixels.shape[-1] in (1, 3):
        plots.mistakes(pixels, label, probabilities, run.figure("mistakes"), names=names)
        if first_layer is None:
            return
        kernel = first_layer(inference(state).params, inputs.shape[1:])
        plots.filters(kernel, run.figure("filters"))
        # A folder of images is in the order of its classes.
        few = np.linspace(0, len(label) - 1, min(len(label), 12)).round().astype(int)
        plots.overview(
            pixels[few],
            label[few],
            probabilities[few],
            run.records(),
            kernel,
            run.figure("overview"),
            names,
        )
    elif inputs.shape[1:] == (2,) and probabilities.shape[1] <= len(PALETTE):
        predict = bind(task.predict, state)
        plots.decision_map(
            lambda points: predict_batched(predict, points),
            inputs,
            label,
            run.figure("decisions"),
        )
