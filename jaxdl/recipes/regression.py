"""Regression: a run from sets with numbers to predict to the figures."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import numpy as np

from jaxdl import data, plots, tasks
from jaxdl.data.dataset import Dataset
from jaxdl.recipes.evaluation import predict_set, regression_metrics
from jaxdl.recipes.fitting import TrainingOptions, fit_and_test
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run


def regress_sets(
    run: Run[Options],
    training: TrainingOptions,
    sets: Mapping[str, Dataset],
    model_for: Callable[[int], nn.Module],
) -> dict[str, Any]:
    """Trains a regression, evaluates it on the test set, draws figures and writes the result.

    Targets are rescaled to mean 0 and variance 1 in the training set, so the loss of a constant
    prediction is about 1. The figures are learning curves, and predictions over true values.

    Args:
      run: run to train in.
      training: options of the optimizer.
      sets: `train`, `test` and optionally `validation`, with `input` and `target [N, D]`.
      model_for: `model_for(D) -> model`.

    Returns:
      The result of `Run.finish`: besides `test/loss` and `test/mae` of rescaled targets `test/r2`,
      and `test/rmse` and `test/error` (the mean absolute error) in the unit of the target.
    """
    sets = dict(zip(sets, data.standardize(*sets.values(), field="target"), strict=True))
    model = model_for(sets["train"]["target"].shape[1])
    task = tasks.regress(model)
    state, metrics = fit_and_test(run, training, model, task, sets)
    outputs = predict_set(run, task, state, sets["test"])
    restored = sets["test"].preprocessing.restored
    target = restored(np.asarray(sets["test"]["target"]))
    predictions = [restored(each) for each in outputs]
    test = dataclasses.replace(sets["test"], arrays={**sets["test"].arrays, "target": target})
    metrics = metrics | regression_metrics(run, test, predictions)
    metrics["test/error"] = run.per_seed([abs(each - target).mean() for each in predictions])
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.predicted_values(target, predictions[0], run.figure("predictions"))
    return run.finish(state, metrics, **sets)
