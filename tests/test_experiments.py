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
from tests.experiment_cases import (
    CLASSIFIER_PICTURES,
    COMPARED,
    SLOW,
    SLOW_COMPARED,
    SMOKE,
)
from tests.recipes.classifiers import trained_classifier
from tests.runs.scripts import EXPERIMENTS, script

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
    """Returns the parameters of fast and slow cases, named by their commands.

    CI runs the first case of each experiment.
    """
    marked: list = [(row, ()) for row in fast]
    first = {row[0] for row in fast}
    for row in slow:
        marks = [pytest.mark.slow]
        if row[0] in first:
            marks.append(pytest.mark.release)
        first.add(row[0])
        marked.append((row, marks))
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
    signatures = {".png": b"\x89PNG\r\n\x1a\n", ".gif": b"GIF89a", ".html": b"<!DOCTYPE html>"}
    assert all(path.read_bytes().startswith(signatures[path.suffix]) for path in figures)
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {record["step"] for record in records} == {5, 10, 15, 20}
    validated = any(name.startswith("validation/") for record in records for name in record)
    assert validated == (script(name).Config.run.validation > 0 or "--validation" in arguments)
    assert bool(list((tmp_path / "samples").glob("step-*.png"))) == ("training" in pictures)
    assert ("feature_classifier" in result) == ("--feature-classifier" in arguments)
    assert any((tmp_path / "checkpoints").glob("*/manifest.json"))
    assert bool(list(tmp_path.glob("tensorboard/*tfevents*"))) == ("tensorboard" in arguments)
    assert (tmp_path / "metrics.csv").exists() == ("csv" in arguments)

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
@pytest.mark.optimized
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
@pytest.mark.optimized
@pytest.mark.release
def test_a_loaded_network_dreams_and_an_interrupted_dream_continues(tmp_path, capsys):
    """A missing dream is made again with the same bits."""
    metrics = run("dream", tmp_path / "run", "--size", "96", "--layers", "activation_2")["metrics"]
    assert metrics["activation_2/growth"] > 1.3
    module = script("dream")
    words = ["--load", str(tmp_path / "run"), "--size", "64", "--dream-steps", "4"]
    words += ["--octaves", "3", "--seeds", "2"]
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "loaded")])
    pictures = {path.name for path in (tmp_path / "loaded").iterdir()}
    assert pictures == {"dreams", "depths.png", "octaves.png", "seeds.png", "dream.gif"}
    first = {path.name: path.read_bytes() for path in (tmp_path / "loaded" / "dreams").iterdir()}
    assert len(first) == 3 * (2 + 1 + 1)
    (tmp_path / "loaded" / "dreams" / "activation_1-1.npz").unlink()
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "loaded")])
    again = {path.name: path.read_bytes() for path in (tmp_path / "loaded" / "dreams").iterdir()}
    pictures = [name for name in first if name.endswith(".png")]
    assert set(first) == set(again) and all(first[name] == again[name] for name in pictures)
    assert "activation_2/growth" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.release
def test_explanations_report_a_mark_that_the_network_uses(tmp_path, capsys):
    """Runs are explained, too; a network without positions has no Grad-CAM."""
    module = script("why")
    methods = ["--methods", "gradient_times_input", "integrated_gradients", "occlusion", "sobel"]
    launch(module.main, module.Config, [*methods, "--out", str(tmp_path / "runs")])
    results = {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in (tmp_path / "runs").glob("*/result.json")
    }
    area = results["marked"]["area"]
    assert results["marked"]["uses_mark"] >= 0.8
    for method in methods[1:-1]:
        share = f"share_in_mark/{method}"
        assert results["marked"][share] >= 3 * area
        assert results["twin"][share] <= 2 * area
        assert results["everywhere"][share] <= 3 * area
    shown = capsys.readouterr().out
    assert "reported" in shown
    words = ["--load", str(tmp_path / "runs" / "marked"), "--methods", "gradient", "grad_cam"]
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "loaded")])
    assert {path.name for path in (tmp_path / "loaded").iterdir()} == {
        "explanations.png",
        "cascade.png",
    }
    launch(script("mlp").main, script("mlp").Config, ["--smoke", "--out", str(tmp_path / "mlp")])
    words = ["--load", str(tmp_path / "mlp"), "--methods", "gradient", "grad_cam"]
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "explained")])
    reason = "grad_cam is left out: the network has no layer with positions"
    assert reason in capsys.readouterr().out


def test_the_loss_around_a_finished_run(tmp_path, capsys):
    mlp = script("mlp")
    module = script("landscape")
    words = ["--smoke", "--data", "moons", "--hidden", "8", "--batch-size", "32"]
    launch(mlp.main, mlp.Config, [*words, "--out", str(tmp_path / "run")])
    words = ["--load", str(tmp_path / "run"), "--points", "3", "--examples", "50"]
    launch(module.main, module.Config, [*words, "--out", str(tmp_path / "loaded")])
    files = {path.name for path in (tmp_path / "loaded").iterdir()}
    assert files == {"around.png", "plane-filter.npz"}
    shown = capsys.readouterr().out
    assert "largest_eigenvalue" in shown and str(tmp_path / "loaded" / "around.png") in shown


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
@pytest.mark.optimized
@pytest.mark.release
def test_conditional_dcgan_on_digits(tmp_path):
    metrics = run("conditional_dcgan", tmp_path)["metrics"]
    assert metrics["samples/agreement"] >= 0.95
    assert metrics["samples/classes"] == 10


@pytest.mark.slow
@pytest.mark.optimized
def test_cnn_on_digits(tmp_path):
    assert run("cnn", tmp_path)["metrics"]["test/accuracy"] >= 0.97


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.skipif(
    not (TFDS / "mnist").is_dir(), reason=f"no prepared MNIST in {TFDS}; set TFDS_DATA_DIR"
)
def test_mlp_on_mnist(tmp_path):
    result = run("mlp", tmp_path, "--data", "mnist", "--data-dir", str(TFDS), "--epochs", "2")
    assert (result["data"]["test"]["size"], result["data"]["train"]["size"]) == (10_000, 54_000)
    assert result["metrics"]["test/accuracy"] >= 0.96
