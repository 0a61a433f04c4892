"""Experiments on files of a user, by commands alone."""

import pytest

from tests.data.folders import write_digits
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
    assert pictures(tmp_path / "run") == {"curves", "confusion", "mistakes", "filters", "overview"}


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
