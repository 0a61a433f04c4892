"""Loaded networks of images: the scores, and the sets that fit them."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl.data.crop import CenterCrop
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.network import Network
from jaxdl.recipes.loaded import loaded_classifier, print_results, sets_for
from jaxdl.rng import root
from jaxdl.runs import RunOptions

MODEL = MLP((4,), outputs=3)
X = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
VARIABLES = MODEL.init(root(0), X, train=False)


def network(task=None, shape=(8, 8, 1), preprocessing=Preprocessing()):
    fields = {"input": jax.ShapeDtypeStruct(shape, np.float32)}
    return Network(task or jaxdl.tasks.classify(MODEL), VARIABLES, preprocessing, fields)


def test_scores_are_the_logits_of_scaled_images():
    scaled = Preprocessing({"input": ((np.float32(0.5), np.float32(2.0)),)})
    found = loaded_classifier(network(preprocessing=scaled), "run")
    expected = MODEL.apply(VARIABLES, (X - 0.5) / 2, train=False)
    np.testing.assert_allclose(found.scores(X), expected, rtol=1e-5, atol=1e-6)
    assert found.model == MODEL


@pytest.mark.parametrize(
    "net",
    [
        network(shape=(64,)),
        network(jaxdl.tasks.regress(MODEL)),
        network(jaxdl.tasks.classify(MODEL, multi_label=True)),
    ],
)
def test_other_networks_are_refused(net):
    with pytest.raises(InputError, match="^load: got 'run', allowed: a classifier of images"):
        loaded_classifier(net, "run")


def test_sets_are_those_of_the_training_unless_others_are_named(tmp_path):
    rng = np.random.default_rng(1)
    images = {name: rng.random((6, 8, 8, 1)).astype(np.float32) for name in ("x", "y")}
    paths = {}
    for name, x in images.items():
        paths[name] = str(tmp_path / f"{name}.npz")
        np.savez(paths[name], x=x, y=np.arange(6) % 2)
    net = dataclasses.replace(network(), result={"config": {"data": paths["x"]}})
    for run, name in ((RunOptions(), "x"), (RunOptions(data=paths["y"]), "y")):
        train, test = sets_for(net, run)
        found = np.concatenate([train["input"], test["input"]])
        assert sorted(found.sum((1, 2, 3))) == sorted(images[name].sum((1, 2, 3)))


def test_images_of_another_shape_are_refused():
    larger = network(shape=(9, 9, 1))
    with pytest.raises(InputError, match=r"^data: got 'digits.*', allowed: images \[9, 9, 1\]"):
        sets_for(larger, RunOptions())
    assert sets_for(larger, RunOptions(), any_size=True)[1]["input"].shape[1:] == (8, 8, 1)
    with pytest.raises(InputError, match=r"^data: got 'digits.*', allowed: images with 3 channels"):
        sets_for(network(shape=(8, 8, 3)), RunOptions(), any_size=True)


def test_photographs_are_for_imported_weights():
    crop = Preprocessing(crop=CenterCrop(200, 224))
    imported = network(shape=(200, 200, 3), preprocessing=crop)
    train, test = sets_for(imported, RunOptions())
    assert train is test
    assert test["input"].shape[1:] == (200, 200, 3)


def test_results_are_printed_with_their_pictures(tmp_path, capsys):
    (tmp_path / "a.png").touch()
    print_results({"accuracy": 0.5}, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["accuracy", "0.5000"]
    assert lines[1] == f"picture  {tmp_path / 'a.png'}"
