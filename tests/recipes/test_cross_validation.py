"""Cross-validation and the found learning rate of a run: files, members, and resuming."""

import json

import numpy as np
import pytest

import jaxdl
from jaxdl.recipes.evaluation import class_labels
from jaxdl.runs import with_options
from tests.runs.scripts import script

MLP = script("mlp")


def run(out, **options):
    """Trains a small network in a directory; returns its result."""
    defaults = {"hidden": (8,), "steps": 40, "batch_size": 64, "learning_rate": 0.05}
    return MLP.main(
        with_options(MLP.Config(), **(defaults | options | {"out": str(out)})).validate()
    )


@pytest.fixture(scope="module")
def moons(tmp_path_factory):
    """Returns a cross-validation of standardized points, as its result and directory."""
    out = tmp_path_factory.mktemp("folds") / "moons"
    return run(out, data="moons", folds=3, standardize=True), out


def test_the_result_has_mean_spread_and_each_fold(moons):
    result, _ = moons
    each = [member["metrics"]["folds/accuracy"] for member in result["members"]]
    assert result["folds"] == 3 and len(each) == 3
    np.testing.assert_allclose(result["metrics"]["folds/accuracy"], np.mean(each))
    np.testing.assert_allclose(result["metrics_std"]["folds/accuracy"], np.std(each, ddof=1))
    assert result["metrics"]["folds/accuracy"] > 0.75
    assert not [name for name in result["metrics"] if name.startswith("test")]
    assert set(result["data"]) == {"train"}


def test_predictions_are_those_of_the_network_that_was_trained_without_the_example(moons):
    result, out = moons
    train, _ = jaxdl.data.load("moons")
    with np.load(out / "out_of_fold.npz") as stored:
        fold = stored["fold"]
        prediction = stored["prediction"]
    assert prediction.shape == (len(train), 2)
    for member in range(3):
        rows = np.flatnonzero(fold == member)
        network = jaxdl.load(out, member=member)
        np.testing.assert_allclose(
            network.predict(train["input"][rows]), prediction[rows], atol=1e-6
        )
        right = prediction[rows].argmax(1) == class_labels(train)[rows]
        expected = result["members"][member]["metrics"]["folds/accuracy"]
        np.testing.assert_allclose(right.mean(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        result["out_of_fold"]["accuracy"], (prediction.argmax(1) == train["label"]).mean()
    )


def test_each_member_has_the_scaling_of_its_training_set(moons):
    _, out = moons
    train, _ = jaxdl.data.load("moons")
    fold = np.load(out / "out_of_fold.npz")["fold"]
    for member in range(3):
        ((shift, scale),) = jaxdl.load(out, member=member).preprocessing.scaling["input"]
        inputs = train["input"][fold != member]
        np.testing.assert_allclose(shift, inputs.mean(0), atol=1e-6)
        np.testing.assert_allclose(scale, inputs.std(0), rtol=1e-5)


def test_a_member_that_does_not_exist(moons):
    with pytest.raises(jaxdl.errors.InputError, match=r"member: got 3, allowed: an integer in"):
        jaxdl.load(moons[1], member=3)


def test_another_seed_has_the_same_folds(moons, tmp_path):
    run(tmp_path / "other", data="moons", folds=3, seed=1, steps=2)
    other = np.load(tmp_path / "other" / "out_of_fold.npz")["fold"]
    assert (other == np.load(moons[1] / "out_of_fold.npz")["fold"]).all()


def test_folds_of_several_seeds(moons, tmp_path):
    """Every seed trains every fold: as many members, and predictions of each seed."""
    options = {"data": "moons", "folds": 3, "standardize": True}
    assert run(tmp_path / "both", stop_after=15, seeds=2, **options) == {}
    both = run(tmp_path / "both", seeds=2, **options)
    assert (both["seeds"], both["folds"], len(both["members"])) == ([0, 0, 0, 1, 1, 1], 3, 6)
    assert [member["fold"] for member in both["members"]] == [0, 1, 2, 0, 1, 2]
    alone = [moons[0], run(tmp_path / "second", seed=1, **options)]
    expected = [member["state_sha256"] for result in alone for member in result["members"]]
    assert [member["state_sha256"] for member in both["members"]] == expected
    each = [member["metrics"]["folds/accuracy"] for member in both["members"]]
    np.testing.assert_allclose(both["metrics"]["folds/accuracy"], np.mean(each))
    np.testing.assert_allclose(both["metrics_std"]["folds/accuracy"], np.std(each, ddof=1))
    assert both["out_of_fold"] == [result["out_of_fold"] for result in alone]
    stored = np.load(tmp_path / "both" / "out_of_fold.npz")
    for i, out in enumerate((moons[1], tmp_path / "second")):
        one = np.load(out / "out_of_fold.npz")
        np.testing.assert_array_equal(stored["prediction"][i], one["prediction"])
        np.testing.assert_array_equal(stored["fold"], one["fold"])
    x = jaxdl.data.load("moons")[0]["input"][:5]
    network = jaxdl.load(tmp_path / "both", member=4)
    np.testing.assert_array_equal(
        network.predict(x), jaxdl.load(tmp_path / "second", member=1).predict(x)
    )
    figures = {path.stem for path in (tmp_path / "both" / "figures").iterdir()}
    assert figures == {"curves", "confusion", "folds"}


def test_an_interrupted_cross_validation_continues(moons, tmp_path):
    options = {"data": "moons", "folds": 3, "standardize": True}
    assert run(tmp_path / "run", stop_after=15, **options) == {}
    again = run(tmp_path / "run", **options)
    assert again["state_sha256"] == moons[0]["state_sha256"]


def test_a_table_of_numbers(tmp_path):
    """Targets are rescaled in each fold; predictions are in the unit of the table."""
    random = np.random.default_rng(0)
    x = random.normal(5, 2, (90, 2))
    lines = [f"{a},{b},{1000 + 300 * a - 100 * b}" for a, b in x]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["a,b,price", *lines]))
    options = {"data": f"{table}:price", "folds": 3, "batch_size": 16, "learning_rate": 0.02}
    result = run(tmp_path / "run", steps=200, **options)
    assert result["out_of_fold"]["r2"] > 0.9
    train, _ = jaxdl.data.load(f"{table}:price")
    prediction = np.load(tmp_path / "run" / "out_of_fold.npz")["prediction"]
    residual = prediction - train["target"]
    np.testing.assert_allclose(
        np.sqrt((residual**2).mean()), result["out_of_fold"]["rmse"], rtol=1e-4
    )


def test_a_found_rate_is_stored_and_used(tmp_path):
    result = run(tmp_path / "run", data="moons", find_lr=True, stop_after=20)
    assert result == {}
    stored = json.loads((tmp_path / "run" / "numbers.json").read_text())
    rate = stored["found_learning_rate"]
    assert (tmp_path / "run" / "figures" / "learning_rate.png").exists()
    # A resumed run reads the number, even one that a search would not find.
    result = run(tmp_path / "run", data="moons", find_lr=True)
    assert result["found_learning_rate"] == rate
    alone = run(tmp_path / "alone", data="moons", learning_rate=rate)
    assert alone["state_sha256"] == result["state_sha256"]
