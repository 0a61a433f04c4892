"""Numbers and figures of a trained classifier, for every seed, against its predictions."""

import dataclasses
import json

import numpy as np
import pytest

from jaxdl import bind, data, predict_batched, reports, tasks
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.recipes import TrainingOptions, classify_sets, fit_and_test, split_sets
from jaxdl.recipes.evaluation import (
    class_labels,
    classification_metrics,
    predict_set,
    regression_metrics,
)
from jaxdl.runs import Options, RunOptions, run_experiment


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of a run on points."""

    run: RunOptions = RunOptions(data="spirals", steps=30, batch_size=100)
    training: TrainingOptions = TrainingOptions(learning_rate=1e-2)


def finished(tmp_path, experiment, **options) -> dict:
    """Runs an experiment and returns its result."""
    run = dataclasses.replace(Config.run, out=str(tmp_path / "run"), **options)
    return run_experiment(dataclasses.replace(Config(), run=run).validate(), experiment)


def spirals(run, masked: bool = False) -> dict[str, Dataset]:
    """Returns the sets of the run, whose classes have names."""
    parts = []
    for part in data.load("spirals"):
        arrays = dict(part.arrays)
        if masked:
            arrays["mask"] = np.arange(part.size) % 3 > 0
        parts.append(dataclasses.replace(part, arrays=arrays, class_names=("red", "green", "blue")))
    return split_sets(run.config.run, *parts)


@pytest.mark.parametrize("seeds", [1, 2])
def test_metrics_of_each_seed_are_those_of_its_predictions(tmp_path, seeds):
    kept = {}

    def experiment(run):
        sets = spirals(run)
        task = tasks.classify(MLP((16,), 3))
        state, metrics = fit_and_test(run, run.config.training, None, task, sets)
        predictions = predict_set(run, task, state, sets["test"])
        metrics |= classification_metrics(run, task, state, sets, predictions)
        kept.update(sets=sets, task=task, members=run.members(state), predictions=predictions)
        return run.finish(state, metrics, **sets)

    result = finished(tmp_path, experiment, seeds=seeds)
    test, validation = (kept["sets"][part] for part in ("test", "validation"))
    members = result.get("members", [result])
    assert len(members) == len(kept["predictions"]) == seeds
    for member, state, p in zip(members, kept["members"], kept["predictions"], strict=True):
        predict = bind(kept["task"].predict, state)
        np.testing.assert_array_equal(p, predict_batched(predict, test["input"]))
        report = reports.classification_report(p, test["label"])
        numbers = member["metrics"]
        assert numbers["test/accuracy"] == pytest.approx(report["accuracy"], abs=1e-6)
        for name in ("balanced_accuracy", "f1_macro", "roc_auc", "average_precision", "ece"):
            assert numbers[f"test/{name}"] == pytest.approx(report[name], abs=1e-9), name
        on_validation = predict_batched(predict, validation["input"])
        temperature = reports.fit_temperature(on_validation, validation["label"])
        assert numbers["temperature"] == temperature
        scaled = reports.rescale(p, temperature)
        np.testing.assert_array_equal(scaled.argmax(1), p.argmax(1))
        assert numbers["test/ece_scaled"] == reports.calibration_error(scaled, test["label"])
    first = reports.classification_report(kept["predictions"][0], test["label"], test.class_names)
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored["classes"] == first["classes"]
    assert [row["name"] for row in stored["classes"]] == ["red", "green", "blue"]


def test_a_run_without_validation_has_no_temperature(tmp_path):
    def experiment(run):
        return classify_sets(run, run.config.training, spirals(run), lambda n: MLP((4,), n))

    metrics = finished(tmp_path, experiment, validation=0.0)["metrics"]
    assert "test/ece" in metrics and "test/f1_macro" in metrics
    assert not {"temperature", "test/ece_scaled", "test/top_5_accuracy"} & metrics.keys()


def test_several_classes_per_example_are_refused_before_the_training(tmp_path):
    def experiment(run):
        sets = spirals(run)
        return classify_sets(
            run, run.config.training, sets, lambda n: MLP((4,), n), multi_label=True
        )

    with pytest.raises(InputError, match="^multi_label: got True, allowed: False"):
        finished(tmp_path, experiment)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_masked_examples_do_not_count(tmp_path):
    def experiment(run):
        return classify_sets(run, run.config.training, spirals(run, True), lambda n: MLP((4,), n))

    result = finished(tmp_path, experiment)
    assert sum(row["examples"] for row in result["classes"]) == 400
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert figures == {"curves", "confusion", "calibration", "roc", "decisions"}


def test_predictions_that_are_not_finite_have_no_numbers(tmp_path):
    def experiment(run):
        sets = spirals(run)
        task = tasks.classify(MLP((4,), 3))
        state, _ = fit_and_test(run, run.config.training, None, task, sets)
        predictions = list(predict_set(run, task, state, sets["test"]))
        good = classification_metrics(run, task, state, sets, predictions)
        predictions[1] = np.full_like(predictions[1], np.nan)
        bad = classification_metrics(run, task, state, sets, predictions)
        assert good.keys() == bad.keys()
        for name, values in bad.items():
            assert values[0] == good[name][0] and np.isnan(values[1]), name
        return run.finish(state, good, **sets)

    finished(tmp_path, experiment, seeds=2)


def test_regression_metrics(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)).astype(np.float32)
    plane = Dataset({"input": x, "target": x @ np.array([[1.0], [-2.0]], np.float32)}, "plane")

    def experiment(run):
        train, test = data.split(plane, run.key, 0.2)
        task = tasks.regress(MLP((8,), 1))
        sets = {"train": train, "test": test}
        state, metrics = fit_and_test(run, run.config.training, None, task, sets)
        predictions = predict_set(run, task, state, test)
        metrics |= regression_metrics(run, test, predictions)
        expected = reports.regression_report(predictions[0], test["target"])
        assert metrics["test/r2"] == expected["r2"]
        assert metrics["test/mae"] == pytest.approx(expected["mae"], rel=1e-5)
        assert metrics["test/rmse"] ** 2 == pytest.approx(metrics["test/loss"], rel=1e-5)
        return run.finish(state, metrics, **sets)

    assert finished(tmp_path, experiment, validation=0.0)["metrics"]["test/r2"] < 1


def test_labels_that_are_probabilities():
    label = np.array([[0.3, 0.7], [1.0, 0.0]])
    assert class_labels(Dataset({"label": label}, "soft")).tolist() == [1, 0]
    with pytest.raises(InputError, match="^field"):
        class_labels(Dataset({"input": label}, "none"))
