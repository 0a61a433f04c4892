"""Cross-validation: a run whose members are the folds of each seed (`--folds`)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Float

from jaxdl import data, plots, reports
from jaxdl.core import State
from jaxdl.data.dataset import Dataset
from jaxdl.data.faults import find_faults
from jaxdl.errors import InputError
from jaxdl.models import table
from jaxdl.recipes.evaluation import class_labels, example_mask
from jaxdl.recipes.fitting import TrainingOptions
from jaxdl.rng import root
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.selection import Folds, kfold
from jaxdl.tasks import Task
from jaxdl.training import evaluate, strategy


def cross_validate(
    run: Run[Options],
    training: TrainingOptions,
    count: int,
    task_for: Callable[[Dataset], tuple[nn.Module, Task]],
    *,
    standardize: bool = False,
) -> dict[str, Any]:
    """Trains a network for each fold, all in one program, and evaluates it on the held-out fold.

    The training set of the run is divided by `jaxdl.selection.kfold`, with the key of seed 0, so
    every seed has the same folds. The folds of a seed start from the same weights. All members
    train the same number of steps. The test set is not evaluated.

    The file `out_of_fold.npz` has the `prediction` for each example by the network that was trained
    without it, `[N, C]`, or `[S, N, C]` of S seeds. It also has the `fold` of each example and its
    `label` or `target`.

    Args:
      run: run to train in.
      training: options of the optimizer.
      count: number of folds.
      task_for: `task_for(training set) -> (model, task)`.
      standardize: if True, inputs are rescaled with the statistics of each fold's training set.

    Returns:
      The result of `Run.finish`, with `folds/...`: mean and standard deviation over all members.
      The entry `out_of_fold` has the numbers of all held-out predictions of a seed together, with
      several seeds a list of them. Figures of predictions show the first seed.

    Raises:
      InputError: options that do not fit, or folds that the set does not allow.
    """
    config = run.config
    if training.patience:
        allowed = "0 with folds; a held-out fold is not for choosing a step"
        raise InputError("patience", training.patience, allowed)
    train, test = data.load(config.run.data, config.run.data_dir, config.run.cache_dir)
    regression = "target" in train.arrays
    scaled = ["input"] if standardize or train.columns is not None else []
    if regression:
        scaled.append("target")
    _check_count(train, count)
    compared: tuple[Dataset, ...] = (train, test)
    for field in scaled:
        compared = data.standardize(*compared, field=field)
    for fault in find_faults(compared[0], compared[1]):
        run.warn(fault)
    folds = kfold(train, count, key=root(0), scaled=scaled).repeated(config.run.seeds)
    run.divide(count)
    model, task = task_for(train)
    print(table(model, train["input"][:1]))
    training = training.with_found_rate(run, task, folds.train)
    steps = config.run.total_steps(folds.train)
    net = training.make_learner(task, training.make_optimizer(steps))
    state = run.fit(net, folds.train, folds.held_out, task=task)
    metrics = evaluate(
        net, state, folds.held_out, key=run.key, strategy=strategy(config.devices.strategy_name)
    )
    named = {f"folds/{name}": value for name, value in metrics.items()}
    predictions = _predictions(folds, task, state)
    file = run.out / "out_of_fold.npz"
    truth = "target" if regression else "label"
    stored = predictions if folds.repeats > 1 else predictions[0]
    arrays = {"prediction": stored, "fold": folds.number, truth: np.asarray(train[truth])}
    np.savez(file, **arrays)  # type: ignore[arg-type]
    found = [_report(train, each) for each in predictions]
    run.metadata["out_of_fold"] = found if folds.repeats > 1 else found[0]
    _draw(run, train, predictions[0])
    shown = "accuracy" if "accuracy" in metrics else "loss"
    plots.learning_curves(run.records(), run.figure("curves"))
    scores = np.asarray(metrics[shown]).reshape(folds.repeats, count)
    plots.fold_scores(scores, shown, run.figure("folds"))
    return run.finish(state, named, train=train)


def _check_count(train: Dataset, count: int) -> None:
    """Raises InputError for more folds than the smallest class has examples."""
    most = train.size
    of = "the size of the training set"
    if "label" in train.arrays:
        labels, sizes = np.unique(class_labels(train), return_counts=True)
        most = int(sizes.min())
        smallest = int(labels[sizes.argmin()])
        name = train.class_names[smallest] if train.class_names else smallest
        of = f"the training examples of class {name}"
    if count > most:
        raise InputError("folds", count, f"at most {most}, {of}")


def _predictions(folds: Folds, task: Task, state: State) -> Float[np.ndarray, "S N K"]:
    """Returns the out-of-fold predictions of each seed, in the unit of the targets."""
    fields = [name for name in ("input", "length") if name in folds.data.arrays]
    outputs = np.array(folds.out_of_fold(task.predict, state, fields))
    outputs = outputs.reshape(folds.repeats, folds.data.size, -1)
    if "target" not in folds.data.arrays:
        return outputs
    for fold in range(folds.count):
        rows = folds.number == fold
        outputs[:, rows] = folds.preprocessing[fold].restored(outputs[:, rows])
    return outputs


def _report(train: Dataset, predictions: Float[np.ndarray, "N K"]) -> dict[str, Any]:
    """Returns the numbers of the out-of-fold predictions of one seed."""
    mask = example_mask(train)
    if "target" in train.arrays:
        report = reports.regression_report(predictions, train["target"], mask)
        return {name: report[name] for name in ("r2", "rmse")}
    return reports.classification_report(predictions, class_labels(train), train.class_names, mask)


def _draw(run: Run[Options], train: Dataset, predictions: Float[np.ndarray, "N K"]) -> None:
    """Draws the out-of-fold predictions of one seed."""
    if "target" in train.arrays:
        plots.predicted_values(np.asarray(train["target"]), predictions, run.figure("predictions"))
        return
    plots.confusion_matrix(
        class_labels(train),
        predictions.argmax(1),
        predictions.shape[1],
        run.figure("confusion"),
        train.class_names,
    )
