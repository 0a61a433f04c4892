"""The feature classifier: its scores for known images, and what it refuses."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl import data
from jaxdl.data import Dataset
from jaxdl.errors import InputError, RunError
from jaxdl.recipes import (
    collapse_warnings,
    evaluate_samples,
    latent_noise,
    load_classifier,
    sample_metrics,
)
from jaxdl.recipes.feature_classifier import (
    FeatureClassifierOptions,
    default_directory,
    spread_rows,
    train_feature_classifier,
)
from jaxdl.runs import Options, Run, RunOptions, with_options
from jaxdl.runs.options import run_directory
from jaxdl.scores import precision_recall
from tests.recipes.classifiers import trained_classifier

RUN = RunOptions()
TRAIN, TEST = data.load("digits")
IMAGES = np.asarray(TEST["input"])
LABEL = np.asarray(TEST["label"])


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(RUN, str(trained_classifier()), TRAIN, TEST)


def test_it_is_the_classifier_that_its_result_describes(classifier):
    result = json.loads((trained_classifier() / "result.json").read_text())
    features, label = classifier.features_and_labels(IMAGES)
    assert (
        classifier.accuracy
        == pytest.approx((label == LABEL).mean(), abs=1e-6)
        == result["metrics"]["test/accuracy"]
    )
    assert classifier.sha256 == result["state_sha256"]
    assert features.shape == (TEST.size, 128)
    np.testing.assert_array_equal(features, classifier.test_features)
    assert classifier.train_features.shape == (TRAIN.size, 128)


def test_unseen_real_images_are_as_good_as_the_floor(classifier):
    metrics = sample_metrics(classifier, IMAGES, LABEL)
    assert metrics["fid_classifier"] == metrics["fid_classifier_floor"] > 0
    assert metrics["nearest"] == metrics["nearest_test"] > 0
    for name, value in {"precision": 1.0, "recall": 1.0, "classes": 10.0, "spread": 1.0}.items():
        assert metrics[name] == value, name
    some = classifier.train_features[spread_rows(TRAIN.size, TEST.size)]
    floor = precision_recall(classifier.test_features, some)
    assert (metrics["precision_floor"], metrics["recall_floor"]) == floor
    assert metrics["agreement"] == pytest.approx(classifier.accuracy)
    assert collapse_warnings(metrics, 10) == []


def test_its_test_set_keeps_the_names_of_its_classes():
    names = tuple("abcdefghij")
    test = dataclasses.replace(TEST, class_names=names)
    loaded = load_classifier(RUN, str(trained_classifier()), TRAIN, test)
    assert loaded.test.class_names == names and loaded.test.sha256 == TEST.sha256


def test_memorized_images_are_near(classifier):
    memorized = np.asarray(TRAIN["input"])[: TEST.size]
    assert sample_metrics(classifier, memorized)["nearest"] == pytest.approx(0, abs=1e-6)


def test_identical_images_and_noise_give_warnings(classifier):
    same = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    assert collapse_warnings(sample_metrics(classifier, same), 10) == [
        "generated images are almost identical",
        "generated images show 1 of 10 classes",
        "generated images cover 0 % of the real images",
    ]
    noise = np.random.default_rng(0).random(IMAGES.shape).astype(np.float32)
    warnings = collapse_warnings(sample_metrics(classifier, noise), 10)
    assert any(warning.endswith("look real") for warning in warnings)


def test_each_seed_has_metrics_and_warnings(classifier, tmp_path, capsys):
    run = Run(Options(RunOptions(seeds=2, seed=3)), tmp_path, "gan")

    def generate(grey, z, label):
        assert z.shape[0] == label.shape[0]
        return jnp.full((z.shape[0], 8, 8, 1), grey)

    generators = [Partial(generate, 0.0), Partial(generate, 1.0)]
    metrics = evaluate_samples(run, classifier, generators, 4, True)
    assert metrics["samples/classes"].tolist() == [1.0, 1.0]
    assert metrics["samples/agreement"].shape == (2,)
    assert {warning.split(":")[0] for warning in run.warnings} == {"seed 3", "seed 4"}
    metadata = run.metadata["feature_classifier"]
    assert (
        metadata.pop("environment")
        == json.loads((trained_classifier() / "result.json").read_text())["environment"]
    )
    assert metadata == {
        "accuracy": classifier.accuracy,
        "sha256": classifier.sha256,
        "data_sha256": TRAIN.sha256,
    }
    assert "warning: seed 3: generated images show 1 of 10 classes" in capsys.readouterr().err


def test_a_seed_that_diverged_has_a_warning_instead_of_metrics(classifier, tmp_path):
    run = Run(Options(RunOptions(seeds=2)), tmp_path, "gan")

    def generate(shift, z):
        return jnp.tanh(z.reshape(-1, 8, 8, 1)) / 2 + shift

    generators = [Partial(generate, np.nan), Partial(generate, 0.5)]
    metrics = evaluate_samples(run, classifier, generators, 64, False)
    assert np.isnan(metrics["samples/fid_classifier"]).tolist() == [True, False]
    assert "seed 0: generated images are not finite" in run.warnings


def test_identical_images_within_each_class_give_a_warning(classifier):
    one_of_each = np.stack([IMAGES[np.flatnonzero(label == LABEL)[0]] for label in LABEL])
    metrics = sample_metrics(classifier, one_of_each, LABEL)
    assert metrics["spread"] < 1e-6 < sample_metrics(classifier, one_of_each)["spread"]
    assert collapse_warnings(metrics, 10)[0] == "generated images are almost identical"


def test_only_the_default_options_use_the_directory_in_the_cache(tmp_path):
    cache = {"cache_dir": str(tmp_path)}
    for options, in_cache in (
        ({}, True),
        ({"cpu_threads": 7}, True),  # the first run that needs the classifier sets them
        ({"smoke": True}, False),
        ({"seeds": 2}, False),
        ({"validation": 0.1}, False),
        ({"out": "mine"}, False),
    ):
        out = run_directory(
            with_options(FeatureClassifierOptions(), **cache, **options).validate(),
            train_feature_classifier,
        )[1]
        assert (out == tmp_path / "feature_classifiers" / "digits") == in_cache
    assert default_directory(RunOptions(data="a/mine.npz")) != default_directory(
        RunOptions(data="b/mine.npz")
    )


def test_noise_depends_on_the_seed_alone():
    a = latent_noise(0, 8, 500)
    b = latent_noise(1, 8, 500)
    np.testing.assert_array_equal(a, latent_noise(0, 8, 500))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1
    assert (abs(a.mean()), a.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))


def test_missing_classifiers_other_data_and_changed_files_are_refused(tmp_path):
    script = "jaxdl run feature_classifier"
    with pytest.raises(
        InputError, match=rf"classifier: got '.*nowhere', allowed: .* {script} --data digits"
    ):
        load_classifier(RUN, str(tmp_path / "nowhere"), TRAIN, TEST)
    other = Dataset(
        {"input": np.asarray(TRAIN["input"]) / 2, "label": TRAIN["label"]}, "halves", 10
    )
    with pytest.raises(
        InputError,
        match=f"allowed: a classifier of halves {other.sha256[:12]}; this one is of digits",
    ):
        load_classifier(RUN, str(trained_classifier()), other, TEST)
    out = shutil.copytree(trained_classifier(), tmp_path / "mine")
    for name, part in (
        ("result", {"experiment": "cnn"}),
        ("result", {"seeds": [0, 1]}),
        ("config", {"network": "best"}),
    ):
        stored = json.loads((out / f"{name}.json").read_text())
        (out / f"{name}.json").write_text(json.dumps({**stored, **part}))
        with pytest.raises(
            InputError, match=f"allowed: the directory of a finished run of {script}"
        ):
            load_classifier(RUN, str(out), TRAIN, TEST)
        (out / f"{name}.json").write_text(json.dumps(stored))
    result = json.loads((out / "result.json").read_text())
    (out / "result.json").write_text(json.dumps({**result, "state_sha256": "0" * 64}))
    with pytest.raises(RunError, match="does not hold the state that its result.json names"):
        load_classifier(RUN, str(out), TRAIN, TEST)
    shutil.rmtree(out / "checkpoints")
    with pytest.raises(RunError, match="does not hold the state"):
        load_classifier(RUN, str(out), TRAIN, TEST)


def test_a_missing_classifier_is_trained_in_the_cache(tmp_path, monkeypatch, capsys):
    trained = []

    def main(config):
        trained.append(config)
        shutil.copytree(trained_classifier(), default_directory(config.run))

    monkeypatch.setattr("jaxdl.recipes.feature_classifier.train_feature_classifier", main)
    run = RunOptions(cache_dir=str(tmp_path))
    hashes = [load_classifier(run, None, TRAIN, TEST).sha256 for _ in range(2)]
    assert hashes[0] == hashes[1]
    used = [(each.run.data, each.run.cache_dir, each.devices.strategy) for each in trained]
    assert used == [("digits", str(tmp_path), "single")]
    assert "training it, once" in capsys.readouterr().out
