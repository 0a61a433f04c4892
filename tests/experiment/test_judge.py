"""The judge: what it says of images whose answer is known, and what it refuses."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import data
from jaxdl.data import Dataset
from jaxdl.errors import InputError, RunError
from jaxdl.experiment import Run, collapse, judge_draws, judge_of, judged, noise
from jaxdl.experiment.game import Game
from jaxdl.experiment.judge import Judging, home, spread_rows, train_judge
from jaxdl.experiment.options import place
from jaxdl.scores import precision_recall
from tests.experiment.judges import judge

TRAIN, TEST = data.load("digits")
IMAGES, LABEL = np.asarray(TEST["input"]), np.asarray(TEST["label"])


@pytest.fixture(scope="module")
def found():
    return judge_of(Game(judge=str(judge())), TRAIN, TEST)


def test_it_is_the_classifier_that_its_result_speaks_of(found):
    result = json.loads((judge() / "result.json").read_text())
    features, label = found.look(IMAGES)
    assert found.accuracy == pytest.approx((label == LABEL).mean(), abs=1e-6) == result["metrics"]["test/accuracy"]
    assert found.sha256 == result["state_sha256"]
    assert features.shape == (TEST.size, 128)
    np.testing.assert_array_equal(features, found.real)
    assert found.known.shape == (TRAIN.size, 128)


def test_unseen_real_images_are_as_good_as_the_floor(found):
    seen = judged(found, IMAGES, LABEL)
    assert seen["frechet"] == seen["frechet_floor"] > 0
    assert seen["nearest"] == seen["nearest_test"] > 0
    assert (seen["precision"], seen["recall"], seen["classes"], seen["spread"]) == (1.0, 1.0, 10.0, 1.0)
    some = found.known[spread_rows(TRAIN.size, TEST.size)]
    assert (seen["precision_floor"], seen["recall_floor"]) == precision_recall(found.real, some)
    assert seen["agreement"] == pytest.approx(found.accuracy)
    assert collapse(seen, 10) == []


def test_images_that_were_learned_by_heart_are_near(found):
    again = np.asarray(TRAIN["input"])[: TEST.size]
    assert judged(found, again)["nearest"] == pytest.approx(0, abs=1e-6)


def test_one_image_and_noise_are_a_collapse(found):
    same = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    assert collapse(judged(found, same), 10) == [
        "drawn images hardly differ",
        "drawn images show 1 of 10 classes",
        "drawn images cover 0 % of the real ones",
    ]
    grey = np.random.default_rng(0).random(IMAGES.shape).astype(np.float32)
    assert any(said.endswith("look real") for said in collapse(judged(found, grey), 10))


def test_of_each_seed_there_are_numbers_and_warnings(found, tmp_path, capsys):
    several = Run(Game(seeds=2, seed=3), tmp_path, "game")

    @dataclasses.dataclass
    class Drawer:
        params: float
        extra: tuple = ()

    def generate(grey, extra, z, label):
        assert z.shape[0] == label.shape[0]
        return jnp.full((z.shape[0], 8, 8, 1), grey)

    metrics = judge_draws(several, found, generate, [Drawer(0.0), Drawer(1.0)], 4, True)
    assert metrics["drawn/classes"].tolist() == [1.0, 1.0]
    assert metrics["drawn/agreement"].shape == (2,)
    assert {said.split(":")[0] for said in several.warnings} == {"seed 3", "seed 4"}
    said = several.about["judge"]
    assert said.pop("environment") == json.loads((judge() / "result.json").read_text())["environment"]
    assert said == {"accuracy": found.accuracy, "sha256": found.sha256, "data_sha256": TRAIN.sha256}
    assert "warning: seed 3: drawn images show 1 of 10 classes" in capsys.readouterr().err


def test_a_seed_that_diverged_has_no_numbers_and_says_so(found, tmp_path):
    run = Run(Game(seeds=2), tmp_path, "game")

    @dataclasses.dataclass
    class Drawer:
        params: float
        extra: tuple = ()

    def generate(shift, extra, z):
        return jnp.tanh(z.reshape(-1, 8, 8, 1)) / 2 + shift

    metrics = judge_draws(run, found, generate, [Drawer(np.nan), Drawer(0.5)], 64, False)
    assert np.isnan(metrics["drawn/frechet"]).tolist() == [True, False]
    assert "seed 0: drawn images are not finite" in run.warnings


def test_a_class_that_is_drawn_as_one_image_hardly_differs(found):
    one_of_each = np.stack([IMAGES[np.flatnonzero(label == LABEL)[0]] for label in LABEL])
    seen = judged(found, one_of_each, LABEL)
    assert seen["spread"] < 1e-6 < judged(found, one_of_each)["spread"]
    assert collapse(seen, 10)[0] == "drawn images hardly differ"


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
        out = place(Judging(**cache, **options).checked(), train_judge)[1]
        assert (out == tmp_path / "judges" / "digits") == its
    assert home(Game(data="a/mine.npz")) != home(Game(data="b/mine.npz"))


def test_noise_depends_on_the_seed_alone():
    a, b = noise(0, 8, 500), noise(1, 8, 500)
    np.testing.assert_array_equal(a, noise(0, 8, 500))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1
    assert (abs(a.mean()), a.std()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))


def test_no_judge_another_data_set_and_files_that_changed(tmp_path):
    with pytest.raises(
        InputError, match=r"judge: got '.*nowhere', allowed: .* python experiments/judge.py --data digits"
    ):
        judge_of(Game(judge=str(tmp_path / "nowhere")), TRAIN, TEST)
    other = Dataset({"input": np.asarray(TRAIN["input"]) / 2, "label": TRAIN["label"]}, "halves", 10)
    with pytest.raises(InputError, match=f"allowed: a judge of halves {other.sha256[:12]}; this one is of digits"):
        judge_of(Game(judge=str(judge())), other, TEST)
    mine = shutil.copytree(judge(), tmp_path / "mine")
    for name, part in (
        ("result", {"experiment": "cnn"}),
        ("result", {"seeds": [0, 1]}),
        ("config", {"network": "best"}),
    ):
        told = json.loads((mine / f"{name}.json").read_text())
        (mine / f"{name}.json").write_text(json.dumps({**told, **part}))
        with pytest.raises(InputError, match="allowed: the directory of a finished run of python experiments/judge.py"):
            judge_of(Game(judge=str(mine)), TRAIN, TEST)
        (mine / f"{name}.json").write_text(json.dumps(told))
    result = json.loads((mine / "result.json").read_text())
    (mine / "result.json").write_text(json.dumps({**result, "state_sha256": "0" * 64}))
    with pytest.raises(RunError, match="does not hold the state that its result.json names"):
        judge_of(Game(judge=str(mine)), TRAIN, TEST)
    shutil.rmtree(mine / "checkpoints")
    with pytest.raises(RunError, match="does not hold the state"):
        judge_of(Game(judge=str(mine)), TRAIN, TEST)


def test_a_missing_one_is_trained_where_the_cache_is(tmp_path, monkeypatch, capsys):
    trained = []

    def main(config):
        trained.append(config)
        shutil.copytree(judge(), home(config))

    monkeypatch.setattr("jaxdl.experiment.judge.train_judge", main)
    config = Game(cache_dir=str(tmp_path))
    assert judge_of(config, TRAIN, TEST).sha256 == judge_of(config, TRAIN, TEST).sha256
    assert [(each.data, each.strategy) for each in trained] == [("digits", "single")]
    assert "training it, once" in capsys.readouterr().out
