"""Short runs of every experiment, from the command line to the pictures.

Slow tests train to the accuracy that is documented.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import jaxdl
from jaxdl.runs import launch
from tests.recipes.classifiers import trained_classifier
from tests.runs.scripts import EXPERIMENTS, script

#: Pictures of every classifier.
CLASSIFIER_PICTURES = {"curves", "confusion", "calibration", "roc"}
PICTURES = {*CLASSIFIER_PICTURES, "mistakes", "filters", "overview"}

#: Option of the experiments that generate images; `CLASSIFIER` is replaced by a directory.
CLASSIFIED = ["--feature-classifier", "CLASSIFIER"]
GAN_PICTURES = {"curves", "samples", "interpolation", "nearest", "training"}
VAE_PICTURES = {
    "curves",
    "samples",
    "interpolation",
    "training",
    "posterior_samples",
    "reconstructions",
}
AUTOENCODER_PICTURES = {"curves", "interpolation", "latent_map", "reconstructions"}

#: Experiment, arguments and the pictures that it writes.
SMOKE = [
    ("mlp", ["--hidden", "--norm", "weight", "--standardize", "--tensorboard"], PICTURES),
    ("mlp", ["--data", "moons", "--hidden", "8"], {*CLASSIFIER_PICTURES, "decisions"}),
    ("text_generation", ["--validation", "0.1"], {"curves", "units"}),
    ("row_by_row", ["--features", "8"], {*CLASSIFIER_PICTURES, "mistakes"}),
    ("autoencoder", ["--hidden", "16"], AUTOENCODER_PICTURES),
    ("what_it_sees", ["--units", "0", "2", "--layers", "conv_1"], {"maps", "filters", "conv_1"}),
]

#: More such cases, which take long to compile.
SLOW = [
    ("gan", [*CLASSIFIED, "--hidden", "32", "--validation", "0.1"], GAN_PICTURES),
    ("sentiment", [], {*CLASSIFIER_PICTURES, "text-best", "text-worst"}),
    ("cnn", ["--shift", "1", "--ema", "0.9"], PICTURES),
    (
        "vae",
        [
            *CLASSIFIED,
            "--latent",
            "2",
            "--binarize",
            "none",
            "--kl-warmup",
            "0.5",
            "--importance",
            "2",
            "--tensorboard",
        ],
        {*VAE_PICTURES, "latent_map", "grid"},
    ),
    ("denoising", ["--features", "4"], {"curves", "comparison"}),
    ("feature_classifier", [], PICTURES),
    (
        "vae",
        [
            *CLASSIFIED,
            "--seeds",
            "2",
            "--likelihood",
            "gaussian",
            "--binarize",
            "none",
            "--network",
            "conv",
            "--conditional",
        ],
        VAE_PICTURES,
    ),
    (
        "gan",
        [
            *CLASSIFIED,
            "--hidden",
            "32",
            "--loss",
            "wasserstein",
            "--penalty",
            "10",
            "--critic-steps",
            "2",
        ],
        GAN_PICTURES,
    ),
    (
        "dcgan",
        [*CLASSIFIED, "--features", "4", "--spectral-norm", "--loss", "hinge", "--seeds", "2"],
        GAN_PICTURES,
    ),
    (
        "conditional_dcgan",
        [*CLASSIFIED, "--features", "4", "--r1", "1", "--ema", "0.9", "--tensorboard"],
        GAN_PICTURES,
    ),
    (
        "autoencoder",
        ["--network", "conv", "--data", "photos", "--seeds", "2"],
        AUTOENCODER_PICTURES,
    ),
    (
        "denoising",
        ["--features", "4", "--noise", "salt_and_pepper", "--seeds", "2"],
        {"curves", "comparison"},
    ),
    ("mlp", ["--hidden", "16", "--bfloat16"], PICTURES),
    (
        "cnn",
        ["--network", "lecture-3x3", "--accumulate", "2", "--label-smoothing", "0.1", "--remat"],
        PICTURES,
    ),
    ("cnn", ["--network", "lecture-5x5", "--bfloat16"], PICTURES),
    ("cnn", ["--network", "resnet20", "--freeze", "conv_0", "norm_0", "skip_4"], PICTURES),
    (
        "what_it_sees",
        ["--seeds", "2", "--units", "1", "--score", "mean", "--no-warps"],
        {"maps", "filters", "conv_0", "conv_1", "conv_2"},
    ),
    (
        "mlp",
        ["--data", "spirals", "--hidden", "8", "8", "--norm", "layer"],
        {*CLASSIFIER_PICTURES, "decisions"},
    ),
    (
        "text_generation",
        ["--by", "word", "--embedding", "8", "--stride", "50", "--cell", "gru"],
        {"curves", "units"},
    ),
    (
        "sentiment",
        ["--cell", "conv", "--no-baseline"],
        {*CLASSIFIER_PICTURES, "text-best", "text-worst"},
    ),
    (
        "row_by_row",
        ["--cell", "tcn", "--features", "4", "--permuted"],
        {*CLASSIFIER_PICTURES, "mistakes"},
    ),
]

#: Experiments that compare several runs: arguments, runs and common pictures.
COMPARED = [
    ("forecast", [], {"rnn", "conv"}, {"errors.png", "week.png"}),
]
SLOW_COMPARED = [
    (
        "memory",
        ["--task", "copy", "--cells", "gru", "tcn", "--lengths", "8"],
        {"gru-8", "tcn-8"},
        {"errors.png"},
    ),
    ("video", [], {"frames", "recurrent"}, {"clips.png", "clips.gif"}),
    (
        "vae_vs_autoencoder",
        [*CLASSIFIED, "--hidden", "16"],
        {"autoencoder", "vae"},
        {"latent_maps.png"},
    ),
    (
        "memory",
        ["--cells", "lstm", "--lengths", "8", "12", "--seeds", "2"],
        {"lstm-8", "lstm-12"},
        {"errors.png"},
    ),
    (
        "autoencoder",
        ["--mode", "memorization", "--hidden", "16"],
        {"one_image", "many_images"},
        {"memorization.png"},
    ),
]

#: Directory of prepared TFDS sets, for the tests that need real data.
TFDS = Path(os.environ.get("TFDS_DATA_DIR") or Path(__file__).parents[2] / "shared" / "tfds")


def run(name: str, out: Path, *arguments: str) -> dict:
    """Runs an experiment in this process and returns its result."""
    module = script(name)
    launch(module.main, module.Config, [*with_classifier(arguments), "--out", str(out)])
    return json.loads((out / "result.json").read_text())


def with_classifier(arguments: Sequence[str]) -> list[str]:
    """Replaces `CLASSIFIER` by the directory of a trained classifier."""
    words = list(arguments)
    if "CLASSIFIER" in words:
        words[words.index("CLASSIFIER")] = str(trained_classifier())
    return words


def test_every_experiment_has_a_case():
    assert {path.stem for path in EXPERIMENTS.glob("*.py")} == {
        name for name, *_ in [*SMOKE, *SLOW, *COMPARED, *SLOW_COMPARED]
    }


def cases(fast: list, slow: list) -> list:
    """Returns the parameters of fast and slow cases, named by their commands."""
    marked = [(row, ()) for row in fast]
    marked += [(row, pytest.mark.slow) for row in slow]
    return [
        pytest.param(*row, id=" ".join([row[0], *row[1]]), marks=marks) for row, marks in marked
    ]


@pytest.mark.parametrize(("name", "arguments", "pictures"), cases(SMOKE, SLOW))
def test_smoke(name, arguments, pictures, tmp_path, capsys):
    result = run(name, tmp_path, "--smoke", "--batch-size", "32", *arguments)
    assert (result["experiment"], result["steps"]) == (name, 20)
    assert all(
        0 <= value <= 1
        for metric, value in result["metrics"].items()
        if metric.endswith("accuracy")
    )

    figures = sorted((tmp_path / "figures").iterdir())
    assert {path.stem for path in figures} == pictures
    signatures = {".png": b"\x89PNG\r\n\x1a\n", ".gif": b"GIF89a"}
    assert all(path.read_bytes().startswith(signatures[path.suffix]) for path in figures)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {record["step"] for record in records} == {5, 10, 15, 20}
    validated = any(name.startswith("validation/") for record in records for name in record)
    assert validated == (script(name).Config.run.validation > 0 or "--validation" in arguments)
    assert bool(list((tmp_path / "samples").glob("step-*.png"))) == ("training" in pictures)
    assert ("feature_classifier" in result) == ("--feature-classifier" in arguments)
    assert any((tmp_path / "checkpoints").glob("*/manifest.json"))
    assert bool(list(tmp_path.glob("tensorboard/*tfevents*"))) == ("--tensorboard" in arguments)

    shown = capsys.readouterr().out
    assert all(metric in shown for metric in result["metrics"]) and "\x1b" not in shown
    for path in [*figures, tmp_path / "result.json"]:
        assert str(path) in shown


@pytest.mark.parametrize(("name", "arguments", "runs", "pictures"), cases(COMPARED, SLOW_COMPARED))
def test_smoke_of_several_runs(name, arguments, runs, pictures, tmp_path, capsys):
    module = script(name)
    command = ["--smoke", "--batch-size", "32", *with_classifier(arguments), "--out", str(tmp_path)]
    launch(module.main, module.Config, command)
    assert {path.name for path in tmp_path.iterdir()} == runs | pictures
    for each in runs:
        result = json.loads((tmp_path / each / "result.json").read_text())
        assert (result["experiment"], result["steps"]) == (name, 20)
    shown = capsys.readouterr().out
    assert all(str(tmp_path / picture) in shown for picture in pictures)
    # Finished runs are not repeated, but the pictures are written again.
    launch(module.main, module.Config, command)
    assert capsys.readouterr().out.count("is finished already") == len(runs)


@pytest.mark.slow
def test_a_loaded_network_is_drawn_and_images_made_for_it_exceed_all_others(tmp_path, capsys):
    """The run that is loaded was trained by the same script, to the documented result."""
    metrics = run("what_it_sees", tmp_path / "run")["metrics"]
    for name in ("conv_0", "conv_1", "conv_2"):
        assert metrics[f"{name}/exceeding"] >= 0.9
    module = script("what_it_sees")
    words = ["--load", str(tmp_path / "run"), "--layers", "conv_2", "--units", "3"]
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "loaded")])
    pictures = {path.name for path in (tmp_path / "loaded").iterdir()}
    assert pictures == {"maps.png", "filters.png", "conv_2.png"}
    assert "conv_2/exceeding" in capsys.readouterr().out


@pytest.mark.slow
def test_text_samples_do_not_depend_on_interruptions(tmp_path):
    """Samples are files named by their step, which a resumed run writes with the same text."""
    first = ["--smoke", "--batch-size", "32", "--stop-after", "10"]
    module = script("text_generation")
    launch(module.main, module.Config, [*first, "--out", str(tmp_path / "a")])
    launch(module.main, module.Config, [*first[:3], "--out", str(tmp_path / "a")])
    run("text_generation", tmp_path / "b", *first[:3])
    interrupted, whole = (
        {path.name: path.read_text() for path in (tmp_path / name / "samples").iterdir()}
        for name in "ab"
    )
    assert interrupted == whole
    assert set(interrupted) == {"step-0000010.txt", "step-0000020.txt"}
    vocabulary = jaxdl.data.Vocabulary.load(tmp_path / "a" / "vocabulary.json")
    assert len(vocabulary) > 50


def test_several_seeds(tmp_path, capsys):
    result = run(
        "mlp",
        tmp_path,
        "--smoke",
        "--data",
        "moons",
        "--hidden",
        "4",
        "--seeds",
        "2",
        "--seed",
        "3",
    )
    assert result["seeds"] == [3, 4]
    assert result["metrics_std"]["test/loss"] > 0
    assert " ± " in capsys.readouterr().out
    assert [member["seed"] for member in result["members"]] == [3, 4]
    assert all(member["metrics"]["test/roc_auc"] > 0.5 for member in result["members"])
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {
        *CLASSIFIER_PICTURES,
        "decisions",
    }


@pytest.mark.slow
def test_a_collapsed_generator_is_reported(tmp_path, capsys):
    """The generator has learned nothing, which the losses alone do not show."""
    arguments = [
        "--smoke",
        "--hidden",
        "8",
        "--latent",
        "1",
        "--learning-rate",
        "0.3",
        "--feature-classifier",
        str(trained_classifier()),
    ]
    result = run("gan", tmp_path, *arguments)
    warnings = result["warnings"]
    assert any("classes" in warning or "look real" in warning for warning in warnings)
    shown = capsys.readouterr()
    for warning in warnings:
        assert warning in shown.err
        assert f"warning                {warning}" in shown.out


@pytest.mark.slow
def test_both_learning_rates_of_a_gan_end_together(tmp_path):
    """The discriminator has three times as many updates as the generator."""
    arguments = [
        "--smoke",
        "--hidden",
        "8",
        "--critic-steps",
        "3",
        "--feature-classifier",
        str(trained_classifier()),
    ]
    arguments += ["--schedule", "cosine", "--discriminator-learning-rate", "1e-3"]
    run("gan", tmp_path, *arguments)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    discriminator, generator = (
        [record[f"train/{network}_learning_rate"] for record in records[:-1]]
        for network in ("discriminator", "generator")
    )
    assert generator[0] > generator[1] > 0
    assert discriminator == pytest.approx(generator, abs=6e-5)


@pytest.mark.slow
def test_conditional_dcgan_on_digits(tmp_path):
    metrics = run("conditional_dcgan", tmp_path)["metrics"]
    assert metrics["samples/agreement"] >= 0.95
    assert metrics["samples/classes"] == 10


@pytest.mark.slow
def test_cnn_on_digits(tmp_path):
    assert run("cnn", tmp_path)["metrics"]["test/accuracy"] >= 0.97


@pytest.mark.slow
@pytest.mark.skipif(
    not (TFDS / "mnist").is_dir(), reason=f"no prepared MNIST in {TFDS}; set TFDS_DATA_DIR"
)
def test_mlp_on_mnist(tmp_path):
    result = run("mlp", tmp_path, "--data", "mnist", "--data-dir", str(TFDS), "--epochs", "2")
    assert (result["data"]["test"]["size"], result["data"]["train"]["size"]) == (10_000, 54_000)
    assert result["metrics"]["test/accuracy"] >= 0.96
