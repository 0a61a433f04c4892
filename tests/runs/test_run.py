"""Runs: their results, resuming them, and several seeds."""

import json
import math

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import plots
from jaxdl.errors import InputError, RunError
from jaxdl.runs import Run, flat_options, run_experiment
from tests.plots.pictures import pixels
from tests.runs import runs
from tests.runs.runs import LAST, TASK, Config, options, stop

KEYS = [
    *("experiment", "config", "seed", "steps", "metrics", "state_sha256", "warnings", "data"),
    *("environment", "seconds", "throughput", "memory"),
]
METRICS = {"test/loss", "test/accuracy"}


def experiment(run: Run[Config]) -> dict:
    """Trains and tests a small network. The experiment has the name of this file."""
    return runs.experiment(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The directory and the result of a run without interruptions."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_experiment(options(out), experiment)


def no_training(monkeypatch):
    """Makes every training fail."""

    def refuse(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("jaxdl.runs.run.train", refuse)


def test_the_keys_and_values_of_a_result(whole):
    out, result = whole
    assert list(result) == KEYS
    assert json.loads((out / "result.json").read_text()) == json.loads(json.dumps(result))
    assert result["experiment"] == "test_run"
    assert result["seed"] == 0 and result["steps"] == 8
    assert result["config"] == json.loads(json.dumps(flat_options(options(out))))
    assert result["metrics"].keys() == METRICS
    assert all(
        isinstance(value, float) and math.isfinite(value) for value in result["metrics"].values()
    )
    assert result["seconds"].keys() == {"total", "compile", "train", "evaluate", "save"}
    assert (
        result["seconds"]["total"]
        >= sum(result["seconds"].values()) - result["seconds"]["total"]
        > 0
    )
    assert result["throughput"]["examples_per_second"] > 0
    assert 2**20 < result["memory"]["host_bytes"] < 2**40


def test_the_result_names_its_data(whole):
    _, result = whole
    train, test = jaxdl.data.load("moons")
    assert {part: data["size"] for part, data in result["data"].items()} == {
        "train": 1440,
        "validation": 160,
        "test": 400,
    }
    assert result["data"]["test"] == {"name": "moons", "sha256": test.sha256, "size": 400}
    assert result["data"]["train"]["sha256"] not in (
        train.sha256,
        result["data"]["validation"]["sha256"],
    )


def test_the_result_belongs_to_the_state(whole):
    _, result = whole
    assert result["state_sha256"] == jaxdl.state_sha256(LAST[0])
    _, test = jaxdl.data.load("moons")
    logits = np.asarray(TASK.predict(LAST[0].params, LAST[0].extra, test["input"]))
    assert result["metrics"]["test/accuracy"] == pytest.approx(
        (logits.argmax(1) == test["label"]).mean(), abs=1e-6
    )


def test_the_files_of_a_run(whole):
    out, _ = whole
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "environment.json", "data.json", "metrics.jsonl", "checkpoints"),
        *("model.json", "weights.safetensors", "README.md", "result.json"),
    }
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == [2, 4, 6, 8]
    assert [line["step"] for line in lines if "validation/loss" in line] == [4, 8]
    stored = json.loads((out / "config.json").read_text())
    assert stored["steps"] == 8 and "out" not in stored


def test_a_finished_run_is_not_repeated(whole, monkeypatch, capsys):
    out, result = whole
    no_training(monkeypatch)
    again = run_experiment(options(out), experiment)
    assert again == json.loads(json.dumps(result))
    output = capsys.readouterr().out
    assert f"{out} is finished already; this is its result" in output
    assert f"{100 * result['metrics']['test/accuracy']:.2f} %" in output


@pytest.mark.parametrize("steps", [[3], [4], [1, 6]])
def test_a_resumed_run_ends_with_the_same_bits(whole, tmp_path, steps, capsys):
    for step in steps:
        stop(tmp_path, stop_after=step)
        assert f"stopped after step {step} of 8" in capsys.readouterr().out
        assert not (tmp_path / "result.json").exists()
    result = run_experiment(options(tmp_path), experiment)
    for name in ("state_sha256", "metrics", "steps", "data"):
        assert result[name] == whole[1][name], name


def test_a_damaged_checkpoint_gives_a_warning_in_the_result(whole, tmp_path, capsys):
    stop(tmp_path, stop_after=6)
    (tmp_path / "checkpoints" / "6" / "manifest.json").write_text("{")
    result = run_experiment(options(tmp_path), experiment)
    (warning,) = result["warnings"]
    assert "checkpoints/6" in warning and warning.endswith("; going back to step 4")
    assert f"warning: {warning}\n" in capsys.readouterr().err
    assert result["state_sha256"] == whole[1]["state_sha256"]


def test_stop_after_a_step_in_the_past_is_refused(tmp_path):
    stop(tmp_path, stop_after=4)
    with pytest.raises(
        InputError, match=r"stop_after: got 2, allowed: at least 4, the step that .* has reached"
    ):
        run_experiment(options(tmp_path, stop_after=2), experiment)
    stop(tmp_path, stop_after=4)


def test_stop_after_the_last_step_finishes_the_run(whole, tmp_path):
    result = run_experiment(options(tmp_path, stop_after=8), experiment)
    assert result["state_sha256"] == whole[1]["state_sha256"]


def test_early_stopping_before_stop_after_finishes_the_run(tmp_path):
    # A rising validation loss cannot be guaranteed. With so few validation examples and a
    # validation after every step, one of them brings no improvement.
    result = run_experiment(
        options(tmp_path, patience=1, steps=400, save_every=1, stop_after=399, validation=0.002),
        experiment,
    )
    assert result["steps"] < 399
    assert (tmp_path / "result.json").exists()


def test_other_options_are_refused_by_name(whole):
    out, _ = whole
    before = (out / "config.json").read_bytes()
    with pytest.raises(RunError) as raised:
        run_experiment(options(out, batch_size=8, seed=3), experiment)
    text = "batch_size (stored 16, given 8), seed (stored 0, given 3)"
    line = f"out: {out} belongs to a run with other options: {text}; use the stored ones, "
    assert str(raised.value) == f"{line}another directory, or remove this one"
    assert (out / "config.json").read_bytes() == before


def test_options_that_do_not_define_the_run_may_differ(whole, monkeypatch):
    out, result = whole
    no_training(monkeypatch)
    changed = options(out, stop_after=3, track=("csv",), profile=True, data_dir="x")
    assert run_experiment(changed, experiment)["state_sha256"] == result["state_sha256"]


@pytest.mark.parametrize("steps", [7, 12])
def test_another_number_of_steps_is_refused(whole, steps):
    out, _ = whole
    with pytest.raises(RunError, match=rf"steps \(stored 8, given {steps}\);"):
        run_experiment(options(out, steps=steps), experiment)


def test_a_run_can_be_resumed_on_other_devices(tmp_path, whole):
    out = tmp_path / "run"
    stop(out, stop_after=4)
    result = run_experiment(options(out, strategy="auto", debug=True), experiment)
    changed = {"debug": [False, True], "strategy": ["single", "auto"]}
    assert result["conversions"] == changed
    assert result["metrics"]["test/loss"] == pytest.approx(
        whole[1]["metrics"]["test/loss"], rel=1e-5
    )
    # The run is finished, so other devices no longer matter.
    assert run_experiment(options(out), experiment) == result


def test_a_strategy_that_cannot_be_used_is_refused_before_files_are_written(tmp_path):
    out = tmp_path / "run"
    stop(out, seeds=2, stop_after=4)
    before = {path: path.read_bytes() for path in out.glob("*.json")}
    with pytest.raises(InputError, match="strategy: got 'fsdp'"):
        run_experiment(options(out, seeds=2, strategy="fsdp"), experiment)
    assert {path: path.read_bytes() for path in out.glob("*.json")} == before


def test_an_indivisible_batch_is_refused_before_files_are_written(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InputError) as raised:
        run_experiment(options(out, batch_size=10, strategy="sharded"), experiment)
    assert (
        str(raised.value)
        == f"batch_size: got 10, allowed: a multiple of the {jax.device_count()} devices"
    )
    assert not out.exists()


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """The directory and the result of a run of two seeds that was interrupted."""
    out = tmp_path_factory.mktemp("several")
    stop(out, seeds=2, stop_after=5)
    return out, run_experiment(options(out, seeds=2), experiment)


def test_several_seeds_give_mean_and_deviation(several):
    out, result = several
    assert json.loads((out / "result.json").read_text()) == json.loads(json.dumps(result))
    assert [member["seed"] for member in result["members"]] == result["seeds"] == [0, 1]
    assert (
        set(result) == {*KEYS, "seeds", "metrics_std", "members"}
        and result["metrics"].keys() == METRICS
    )
    for name in METRICS:
        values = [member["metrics"][name] for member in result["members"]]
        assert values[0] != values[1]
        np.testing.assert_allclose(result["metrics"][name], np.mean(values), rtol=1e-12)
        np.testing.assert_allclose(result["metrics_std"][name], np.std(values, ddof=1), rtol=1e-12)


def test_a_member_has_the_bits_of_a_separate_run(several, whole, tmp_path):
    """The two members were interrupted, and share a program and perhaps devices."""
    separate = [whole[1], run_experiment(options(tmp_path, seed=1), experiment)]
    for member, run in zip(several[1]["members"], separate, strict=True):
        assert member == {name: run[name] for name in ("seed", "metrics", "state_sha256")}


def test_finished_seeds_are_not_repeated(several, monkeypatch):
    out, result = several
    no_training(monkeypatch)
    assert run_experiment(options(out, seeds=2), experiment)["metrics"] == result["metrics"]


def test_more_seeds_are_another_run(several):
    out, _ = several
    with pytest.raises(RunError, match=r"seeds \(stored 2, given 3\)"):
        run_experiment(options(out, seeds=3), experiment)


def test_the_examples_per_second_leave_out_the_first_step(whole):
    result = whole[1]
    rate = (result["steps"] - 1) * 16 / result["seconds"]["train"]
    assert result["throughput"]["examples_per_second"] == pytest.approx(rate)


@pytest.mark.parametrize("seeds", [1, 3])
def test_values_per_seed_have_the_shape_of_the_key(seeds, tmp_path):
    run = Run(options(tmp_path, seeds=seeds), tmp_path, "test_run")
    values = np.arange(float(seeds))
    assert run.per_seed(values).shape == run.key.shape
    np.testing.assert_array_equal(np.ravel(run.per_seed(list(values))), values)
    np.testing.assert_array_equal(run.per_seed(0.5), np.full(run.key.shape, 0.5))


def test_the_pictures_of_all_steps_have_words_and_one_size(tmp_path, monkeypatch):
    drawn = []
    draw = plots.image_grid

    def keep(*arguments, **texts):
        drawn.append(texts)
        return draw(*arguments, **texts)

    monkeypatch.setattr("jaxdl.runs.run.image_grid", keep)
    run = Run(options(tmp_path / "run"), tmp_path / "run", "test")
    images = np.random.default_rng(0).random((4, 8, 8, 1))
    for step in (1, 123_456):
        run.grid(step, images, 2, rows=["cat", "dog"])
    assert [each["title"].split("\n")[0] for each in drawn] == ["step 1", "step 123,456"]
    assert [each["rows"] for each in drawn] == 2 * [["cat", "dog"]]
    shapes = {pixels(path).shape for path in run.sample("").glob("step-*.png")}
    assert len(shapes) == 1
    run.training_gif()
    assert run.figure("training").with_suffix(".gif").stat().st_size > 0
