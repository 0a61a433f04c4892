"""Experiments on files of a user, by commands alone."""

import numpy as np
import pytest

import jaxdl
from tests.data.folders import write_digits
from tests.experiment_cases import PICTURES
from tests.test_experiments import run


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of digits with a folder per class, and one without classes."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "classes")
    write_digits(folder / "plain", 150, classes=False)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))


def pictures(out):
    return {path.stem for path in (out / "figures").iterdir()}


def test_a_folder_of_classes_is_classified(digits, tmp_path):
    data = str(digits / "classes")
    result = run("mlp", tmp_path / "run", "--data", data, "--steps", "100", "--batch-size", "32")
    assert result["metrics"]["test/accuracy"] > 0.8
    assert result["data"]["train"]["name"] == "classes"
    assert pictures(tmp_path / "run") == PICTURES


def test_an_autoencoder_needs_no_classes(digits, tmp_path):
    data = str(digits / "plain")
    arguments = ["--data", data, "--smoke", "--batch-size", "32", "--hidden", "16"]
    result = run("autoencoder", tmp_path / "run", *arguments)
    assert result["metrics"]["test/psnr"] > 0
    assert pictures(tmp_path / "run") == {"curves", "reconstructions"}


def test_a_conditional_gan_needs_classes(digits, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("conditional_dcgan", tmp_path / "run", "--data", str(digits / "plain"), "--smoke")
    message = "without classes', allowed: grey or RGB images with classes, at least 20 in the"
    assert capsys.readouterr().err.strip().endswith(f"{message} test set")


def test_a_table_of_classes(tmp_path):
    from sklearn.datasets import load_wine

    wine = load_wine()
    text = ";".join([*wine.feature_names, "kind"])
    for row, kind in zip(wine.data, wine.target, strict=True):
        text += "\n" + ";".join([*map(str, row), wine.target_names[kind]])
    (tmp_path / "wine.csv").write_text(text)
    data = f"{tmp_path / 'wine.csv'}:kind"
    arguments = ["--data", data, "--batch-size", "16", "--steps", "300", "--hidden", "32"]
    result = run("mlp", tmp_path / "run", *arguments)
    assert result["metrics"]["test/accuracy"] > 0.9
    assert pictures(tmp_path / "run") == {"curves", "confusion", "calibration", "roc"}
    network = jaxdl.load(tmp_path / "run")
    assert [column.name for column in network.preprocessing.columns] == wine.feature_names
    assert network.classes == ("class_0", "class_1", "class_2")
    rows = [dict(zip(wine.feature_names, row, strict=True)) for row in wine.data]
    assert (network.predict(rows).argmax(1) == wine.target).mean() > 0.9


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_table_of_numbers(seeds, tmp_path):
    random = np.random.RandomState(0)
    rooms = random.randint(1, 7, 400)
    town = random.choice(["Aachen", "Bonn"], 400)
    price = 1000 * (50 * rooms + 80 * (town == "Bonn") + random.normal(size=400))
    rows = zip(rooms, town, price, strict=True)
    text = "rooms,town,price\n" + "".join(f"{r},{t},{p:.2f}\n" for r, t, p in rows)
    (tmp_path / "homes.csv").write_text(text)
    data = f"{tmp_path / 'homes.csv'}:price"
    arguments = ["--data", data, "--batch-size", "32", "--steps", "300", "--hidden", "32"]
    result = run("mlp", tmp_path / "run", *arguments, "--seeds", str(seeds))
    assert result["metrics"]["test/r2"] > 0.98
    # The noise has a standard deviation of 1,000.
    assert 500 < result["metrics"]["test/error"] < 15_000
    assert pictures(tmp_path / "run") == {"curves", "predictions"}
    if seeds == 1:
        with pytest.raises(SystemExit):
            run("mlp", tmp_path / "other", "--data", data, "--label-smoothing", "0.1")


@pytest.mark.slow
def test_a_convolutional_network_on_a_folder(digits, tmp_path):
    data = str(digits / "classes")
    result = run("cnn", tmp_path / "run", "--data", data, "--steps", "60", "--batch-size", "32")
    assert result["metrics"]["test/accuracy"] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("gan", ["--hidden", "16"]), ("vae", ["--hidden", "16", "--latent", "2"]), ("denoising", [])],
)
def test_a_generative_model_without_classes(name, options, digits, tmp_path):
    data = str(digits / "plain")
    arguments = ["--data", data, "--smoke", "--batch-size", "32", *options]
    result = run(name, tmp_path / "run", *arguments)
    assert not any(metric.startswith("samples/") for metric in result["metrics"])
    assert "curves" in pictures(tmp_path / "run")
