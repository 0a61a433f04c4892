"""The classifier: what it says of images whose answer is known, and what it refuses."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import data
from jaxdl.data import Dataset
from jaxdl.errors import InputError, RunError
from jaxdl.experiment import (
    Run,
    collapse_warnings,
    evaluate_samples,
    latent_noise,
    load_classifier,
    sample_metrics,
)
from jaxdl.experiment.feature_classifier import (
    FeatureClassifierOptions,
    default_directory,
    spread_rows,
    train_feature_classifier,
)
from jaxdl.experiment.gan import GANOptions
from jaxdl.experiment.options import run_directory
from jaxdl.scores import precision_recall
from tests.experiment.classifiers import trained_classifier

TRAIN, TEST = data.load("digits")
IMAGES = np.asarray(TEST["input"])
LABEL = np.asarray(TEST["label"])


@pytest.fixture(scope="module")
def found():
    return load_classifier(GANOptions(feature_classifier=str(trained_classifier())), TRAIN, TEST)


def test_it_is_the_classifier_that_its_result_speaks_of(found):
    result = json.loads((trained_classifier() / "result.json").read_text())
    features, label = found.look(IMAGES)
    assert (
        found.accuracy
        == pytest.approx((label == LABEL).mean(), abs=1e-6)
        == result["metrics"]["test/accuracy"]
    )
    assert found.sha256 == result["state_sha256"]
    assert features.shape == (TEST.size, 128)
    np.testing.assert_array_equal(features, found.real)
    assert found.known.shape == (TRAIN.size, 128)


def test_unseen_real_images_are_as_good_as_the_floor(found):
    seen = sample_metrics(found, IMAGES, LABEL)
    assert seen["fid_classifier"] == seen["fid_classifier_floor"] > 0
    assert seen["nearest"] == seen["nearest_test"] > 0
    assert (seen["precision"], seen["recall"], seen["classes"], seen["spread"]) == (
        1.0,
        1.0,
        10.0,
        1.0,
    )
    some = found.known[spread_rows(TRAIN.size, TEST.size)]
    assert (seen["precision_floor"], seen["recall_floor"]) == precision_recall(found.real, some)
    assert seen["agreement"] == pytest.approx(found.accuracy)
    assert collapse_warnings(seen, 10) == []


def test_images_that_were_learned_by_heart_are_near(found):
    again = np.asarray(TRAIN["input"])[: TEST.size]
    assert sample_metrics(found, again)["nearest"] == pytest.approx(0, abs=1e-6)


def test_one_image_and_noise_are_a_collapse(found):
    same = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    assert collapse_warnings(sample_metrics(found, same), 10) == [
        "drawn images hardly differ",
        "drawn images show 1 of 10 classes",
        "drawn images cover 0 % of the real ones",
    ]
    grey = np.random.default_rng(0).random(IMAGES.shape).astype(np.float32)
    assert any(
        said.endswith("look real") for said in collapse_warnings(sample_metrics(found, grey), 10)
    )


def test_of_each_seed_there_are_numbers_and_warnings(found, tmp_path, capsys):
    several = Run(GANOptions(seeds=2, seed=3), tmp_path, "game")

    @dataclasses.dataclass
    class Drawer:
        params: float
        extra: tuple = ()

    def generate(grey, extra, z, label):
        assert z.shape[0] == label.shape[0]
        return jnp.full((z.shape[0], 8, 8, 1), grey)

    metrics = evaluate_samples(several, found, generate, [Drawer(0.0), Drawer(1.0)], 4, True)
    assert metrics["samples/classes"].tolist() == [1.0, 1.0]
    assert metrics["samples/agreement"].shape == (2,)
    assert {said.split(":")[0] for said in several.warnings} == {"seed 3", "seed 4"}
    said = several.metadata["feature_classifier"]
    assert (
        said.pop("environment")
        == json.loads((trained_classifier() / "result.json").read_text())["environment"]
    )
    assert said == {"accuracy": found.accuracy, "sha256": found.sha256, "data_sha256": TRAIN.sha256}
    assert "warning: seed 3: drawn images show 1 of 10 classes" in capsys.readouterr().err


def test_a_seed_that_diverged_has_no_numbers_and_says_so(found, tmp_path):
    run = Run(GANOptions(seeds=2), tmp_path, "game")

    @dataclasses.dataclass
    class Drawer:
        params: float
        extra: tuple = ()

    def generate(shift, extra, z):
        return jnp.tanh(z.reshape(-1, 8, 8, 1)) / 2 + shift

    metrics = evaluate_samples(run, found, generate, [Drawer(np.nan), Drawer(0.5)], 64, False)
    assert np.isnan(metrics["samples/fid_classifier"]).tolist() == [True, False]
    assert "seed 0: drawn images are not finite" in run.warnings


def test_a_class_that_is_drawn_as_one_image_hardly_differs(found):
    one_of_each = np.stack([IMAGES[np.flatnonzero(label == LABEL)[0]] for label in LABEL])
    seen = sample_metrics(found, one_of_each, LABEL)
    assert seen["spread"] < 1e-6 < sample_metrics(found, one_of_each)["spread"]
    assert collapse_warnings(seen, 10)[0] == "drawn images hardly differ"


def test_only_the_options_of_a_judge_make_the_judge(tmp_path):
    cache = {"cache_dir": str(tmp_path)}
    for options, its in (
        ({}, True),
        ({"cpu_threads": 7}, True),  # those of whoever needs it first
        ({"smoke": True}, False),
        ({"seeds": 2}, False),
        ({"validation": 0.1}, False),
        ({"out": "mine"}, False),
    ):
        out = run_directory(
            FeatureClassifierOptions(**cache, **options).validate(), train_feature_classifier
        )[1]
        assert (out == tmp_path / "feature_classifiers" / "digits") == its
    assert default_directory(GANOptions(data="a/mine.npz")) != default_directory(
        GANOptions(data="b/mine.npz")
    )


def test_noise_depends_on_the_seed_alone():
    a = latent_noise(0, 8, 500)
    b = latent_noise(1, 8, 500)
    np.testing.assert_array_equal(a, latent_noise(0, 8, 500))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1
    assert (abs(a.mean()), a.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))


def test_no_judge_another_data_set_and_files_that_changed(tmp_path):
    with pytest.raises(
        InputError,
        match=r"classifier: got '.*nowhere', allowed: .* python experiments/feature_classifier.py --data digits",
    ):
        load_classifier(GANOptions(feature_classifier=str(tmp_path / "nowhere")), TRAIN, TEST)
    other = Dataset(
        {"input": np.asarray(TRAIN["input"]) / 2, "label": TRAIN["label"]}, "halves", 10
    )
    with pytest.raises(
        InputError,
        match=f"allowed: a classifier of halves {other.sha256[:12]}; this one is of digits",
    ):
        load_classifier(GANOptions(feature_classifier=str(trained_classifier())), other, TEST)
    mine = shutil.copytree(trained_classifier(), tmp_path / "mine")
    for name, part in (
        ("result", {"experiment": "cnn"}),
        ("result", {"seeds": [0, 1]}),
        ("config", {"network": "best"}),
    ):
        told = json.loads((mine / f"{name}.json").read_text())
        (mine / f"{name}.json").write_text(json.dumps({**told, **part}))
        with pytest.raises(
            InputError,
            match="allowed: the directory of a finished run of python experiments/feature_classifier.py",
        ):
            load_classifier(GANOptions(feature_classifier=str(mine)), TRAIN, TEST)
        (mine / f"{name}.json").write_text(json.dumps(told))
    result = json.loads((mine / "result.json").read_text())
    (mine / "result.json").write_text(json.dumps({**result, "state_sha256": "0" * 64}))
    with pytest.raises(RunError, match="does not hold the state that its result.json names"):
        load_classifier(GANOptions(feature_classifier=str(mine)), TRAIN, TEST)
    shutil.rmtree(mine / "checkpoints")
    with pytest.raises(RunError, match="does not hold the state"):
        load_classifier(GANOptions(feature_classifier=str(mine)), TRAIN, TEST)


def test_a_missing_one_is_trained_where_the_cache_is(tmp_path, monkeypatch, capsys):
    trained = []

    def main(config):
        trained.append(config)
        shutil.copytree(trained_classifier(), default_directory(config))

    monkeypatch.setattr("jaxdl.experiment.feature_classifier.train_feature_classifier", main)
    config = GANOptions(cache_dir=str(tmp_path))
    assert (
        load_classifier(config, TRAIN, TEST).sha256 == load_classifier(config, TRAIN, TEST).sha256
    )
    assert [(each.data, each.strategy) for each in trained] == [("digits", "single")]
    assert "training it, once" in capsys.readouterr().out
