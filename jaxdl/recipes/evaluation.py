"""Numbers and figures of trained classifiers and regression models, from their predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from jaxdl import plots, reports
from jaxdl.core import State
from jaxdl.data.dataset import Dataset
from jaxdl.functions import bind, predict_batched
from jaxdl.reports.calibration import calibration_error, fit_temperature, rescale
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.tasks import Task

#: Predictions of each seed.
Predictions = Sequence[Float[np.ndarray, "N K"]]


def predict_set(
    run: Run[Options], task: Task, state: State, data: Dataset, batch_size: int = 500
) -> Predictions:
    """Returns the predictions of each seed for a whole set.

    Args:
      run: run after its training.
      task: task with `predict(params, extra, inputs, lengths=None)`.
      state: trained state of all seeds.
      data: set with `input [N, ...]`, and with `length [N]` for sequences of different lengths.
      batch_size: examples that are computed at once.

    Returns:
      `[N, K]` for each seed.
    """
    inputs = [data[name] for name in ("input", "length") if name in data.arrays]
    return [
        predict_batched(bind(task.predict, member), *inputs, batch_size=batch_size)
        for member in run.members(state)
    ]


def classification_metrics(
    run: Run[Options],
    task: Task,
    state: State,
    sets: Mapping[str, Dataset],
    predictions: Predictions,
    batch_size: int = 500,
) -> dict[str, np.ndarray]:
    """Computes the numbers of `jaxdl.reports.classification_report` for each seed.

    With a validation set a temperature is fitted to its predictions, and the calibration error of
    the rescaled test predictions is added. The numbers of each class, for the first seed, become
    the entry `classes` of the result.

    Args:
      run: run after its training.
      task: trained classifier.
      state: trained state of all seeds.
      sets: `test` and optionally `validation`.
      predictions: predictions of each seed for the test set, see `predict_set`.
      batch_size: examples that are computed at once.

    Returns:
      `test/...` by name, and `temperature` and `test/ece_scaled` with a validation set. Numbers of
      a seed whose predictions are not finite are NaN.
    """
    test = sets["test"]
    label = class_labels(test)
    mask = example_mask(test)
    temperatures: list[float] = []
    if "validation" in sets:
        temperatures = [
            _temperature(p, sets["validation"])
            for p in predict_set(run, task, state, sets["validation"], batch_size)
        ]
    rows = []
    for seed, p in enumerate(predictions):
        row: dict[str, float] = {}
        if np.isfinite(p).all():
            report = reports.classification_report(p, label, test.class_names, mask)
            classes = report.pop("classes")
            if seed == 0:
                run.metadata["classes"] = classes
            row = {f"test/{name}": value for name, value in report.items()}
            if temperatures:
                scaled = np.nan
                if np.isfinite(temperatures[seed]):
                    scaled = calibration_error(rescale(p, temperatures[seed]), label, mask=mask)
                row |= {"test/ece_scaled": scaled, "temperature": temperatures[seed]}
        rows.append(row)
    return _by_name(run, rows)


def regression_metrics(
    run: Run[Options], test: Dataset, predictions: Predictions
) -> dict[str, np.ndarray]:
    """Computes the numbers of `jaxdl.reports.regression_report` for each seed.

    Args:
      run: run after its training.
      test: test set, with `target [N, D]`.
      predictions: predictions of each seed for the test set, see `predict_set`.

    Returns:
      `test/r2` and `test/rmse`. They are NaN for a seed whose predictions are not finite.
    """
    rows = []
    for y in predictions:
        row = {}
        if np.isfinite(y).all():
            report = reports.regression_report(y, test["target"], example_mask(test))
            row = {f"test/{name}": report[name] for name in ("r2", "rmse")}
        rows.append(row)
    return _by_name(run, rows)


def draw_calibration_and_roc(
    run: Run[Options],
    test: Dataset,
    probabilities: Float[np.ndarray, "N K"],
    metrics: Mapping[str, Any],
) -> None:
    """Draws the reliability diagram and the ROC curves of the first seed.

    They are `figures/calibration.png` and `figures/roc.png`. There are no curves if only one class
    occurs, and no figures of predictions that are not finite.

    Args:
      run: run after its training.
      test: test set.
      probabilities: predictions of the first seed for it.
      metrics: metrics of `classification_metrics`.
    """
    if not np.isfinite(probabilities).all():
        return
    temperature = None
    if "temperature" in metrics and np.isfinite(np.ravel(metrics["temperature"])[0]):
        temperature = float(np.ravel(metrics["temperature"])[0])
    label = class_labels(test)
    mask = example_mask(test)
    plots.reliability_diagram(
        label, probabilities, run.figure("calibration"), temperature, mask=mask
    )
    if "test/roc_auc" in metrics:
        plots.roc_curves(label, probabilities, run.figure("roc"), test.class_names, mask)


def class_labels(data: Dataset) -> Int[np.ndarray, " N"]:
    """Returns the class of each example; of labels that are probabilities, the most probable one.

    Example:
      >>> class_labels(Dataset({"label": np.array([[0.2, 0.8]])}, "one")).tolist()
      [1]
    """
    label = np.asarray(data["label"])
    if label.ndim == 1:
        return label
    return label.argmax(-1)


def example_mask(data: Dataset) -> Num[np.ndarray, " N"] | None:
    """Returns the weights of the examples of a set, None if it has none.

    Example:
      >>> example_mask(Dataset({"mask": np.array([1, 0])}, "two")).tolist()
      [1, 0]
    """
    if "mask" not in data.arrays:
        return None
    return np.asarray(data["mask"])


def _temperature(probabilities: Float[np.ndarray, "N K"], validation: Dataset) -> float:
    """Returns the temperature for predictions of the validation set, NaN if they are not finite."""
    if not np.isfinite(probabilities).all():
        return float("nan")
    return fit_temperature(probabilities, class_labels(validation), example_mask(validation))


def _by_name(run: Run[Options], rows: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Returns the numbers of each seed by name, as `Run.finish` expects them."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: run.per_seed([row.get(name, np.nan) for row in rows]) for name in names}
