"""A run from its data to its result: warnings of faulty sets, and weights with preprocessing."""

import dataclasses

import numpy as np
import pytest

import jaxdl
from jaxdl.data import load
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.classification import prepared
from jaxdl.runs import Options, RunOptions, run_experiment, with_options
from jaxdl.runs.directory import read_result
from jaxdl.tasks import classify
from tests.runs.scripts import script

RANDOM = np.random.default_rng(0)
X = RANDOM.random((60, 6), np.float32)
Y = np.arange(60) % 3
TEST_X = RANDOM.random((12, 6), np.float32)
TEST_Y = np.arange(12) % 3
TRAINING = TrainingOptions(learning_rate=0.03)
OPTIONS = Options(RunOptions(batch_size=8, steps=2, validation=0.0))


def result_of(path, out, standardize=False, training=TRAINING, **options):
    """Returns the result of a classifier of this set, as it is stored, and its last state."""
    states = []

    def experiment(run):
        sets = prepared(run.config.run, standardize)
        task = classify(MLP((2,), sets["train"].classes))
        state, metrics = fit_and_test(run, training, None, task, sets)
        states.append(state)
        return run.finish(state, metrics, **sets)

    config = with_options(OPTIONS, data=str(path), out=str(out), **options)
    run_experiment(config.validate(), experiment)
    return read_result(out / "result.json"), states[0]


def constant(x):
    x = x.copy()
    x[:, 3] = 1
    return x


FAULTS = {
    "labels from 1": ({"y_train": Y + 1, "y_test": TEST_Y + 1}, "label: class 0 of 4 has no"),
    "a class of the test set only": (
        {"y_test": TEST_Y + (TEST_Y == 2)},
        "label: class 3 of 4 has no training example, but 4 of 12",
    ),
    "imbalance": ({"y_train": Y * 0 + (np.arange(60) < 2)}, "label: class 0 has 58 training"),
    "constant column": ({"x_train": constant(X)}, "input: 1 of 6 columns has one value only"),
    "equal images": (
        {"x_train": np.ones((60, 6, 6)), "x_test": np.ones((12, 6, 6))},
        "input: all training examples are equal",
    ),
    "test example": ({"x_test": X[:12]}, "input: 12 of 12 test examples are in the training set"),
    "contradiction": ({"x_train": np.tile(X[:20], (3, 1))}, "label: 20 training inputs occur"),
    "series": (
        {"x_train": RANDOM.normal(size=(60, 20, 6)), "x_test": RANDOM.normal(size=(12, 20, 6))},
        "input: [20, 6, 1] is taken for grey images",
    ),
    "bytes as vectors": ({"x_train": (255 * X).round()}, "input: values from "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_result_of_a_faulty_set_has_a_warning(fault, tmp_path, capsys):
    arrays, warning = FAULTS[fault]
    fields = {"x_train": X, "y_train": Y, "x_test": TEST_X, "y_test": TEST_Y, **arrays}
    np.savez(tmp_path / "mine.npz", **fields)
    stored, _ = result_of(tmp_path / "mine.npz", tmp_path / "run")
    assert any(line.startswith(warning) for line in stored["warnings"])
    assert f"warning: {warning}" in capsys.readouterr().err


def test_a_set_without_faults_has_no_warning(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=X, y_train=Y, x_test=TEST_X, y_test=TEST_Y)
    found = result_of(tmp_path / "mine.npz", tmp_path / "run")[0]["warnings"]
    # The labels are random, so the accuracy is one of chance.
    assert all(warning.startswith("the accuracy") for warning in found)


@pytest.mark.parametrize("standardize", [False, True])
def test_a_loaded_network_has_the_accuracy_of_its_result_on_raw_pixels(tmp_path, standardize):
    out = tmp_path / "run"
    stored, _ = result_of("photos", out, standardize, steps=40, batch_size=32)
    network = jaxdl.load(out)
    test = load("photos")[1]
    accuracy = (network.predict(test["input"]).argmax(1) == test["label"]).mean()
    assert accuracy == pytest.approx(stored["metrics"]["test/accuracy"], abs=1e-6)
    assert network.classes == ("temple", "flower")
    assert bool(network.preprocessing.scaling) == standardize


@pytest.mark.slow
def test_an_experiment_warns_of_a_fault(tmp_path):
    np.savez(tmp_path / "mine.npz", x=X, y=Y + 1)
    module = script("mlp")
    options = {"data": str(tmp_path / "mine.npz"), "out": str(tmp_path / "run"), "smoke": True}
    config = with_options(module.Config(), hidden=(2,), batch_size=8, **options)
    result = module.main(config.validate())
    assert result["warnings"] == [
        "label: class 0 of 4 has no example; labels that start at 1 need y - 1"
    ]


def test_a_run_starts_from_the_weights_of_another(tmp_path):
    result_of("photos", tmp_path / "first", steps=5, batch_size=32)
    first = jaxdl.load(tmp_path / "first").variables["params"]
    options = {"initial": str(tmp_path / "first"), "skip_initial": ("out",), "freeze": ("dense_0",)}
    training = dataclasses.replace(TRAINING, **options)
    result_of("photos", tmp_path / "second", training=training, steps=5, batch_size=32)
    second = jaxdl.load(tmp_path / "second").variables["params"]
    np.testing.assert_array_equal(first["dense_0"]["kernel"], second["dense_0"]["kernel"])
    assert (first["out"]["kernel"] != second["out"]["kernel"]).any()
    typo = dataclasses.replace(TRAINING, freeze=("dense",))
    with pytest.raises(InputError, match="freeze"):
        result_of("photos", tmp_path / "third", training=typo, steps=5, batch_size=32)
    assert not (tmp_path / "third").exists()
    with pytest.raises(InputError, match="^skip_initial: got"):
        TrainingOptions(skip_initial=("out",)).validate(RunOptions())
