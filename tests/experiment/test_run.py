"""A run's directory: what it leaves, how it goes on, what it refuses."""

import dataclasses
import json
import math
import os
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import rng
from jaxdl.errors import InputError, RunError
from jaxdl.experiment import Options, Run, run_experiment
from jaxdl.experiment.directory import check_out, claim, environment, write_json
from jaxdl.training import Patience

KEYS = [
    *("experiment", "config", "seed", "steps", "metrics", "state_sha256", "warnings", "data"),
    *("environment", "seconds", "throughput", "memory"),
]
METRICS = {"test/loss", "test/accuracy"}


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Few steps over few points."""

    data: str = "moons"
    batch_size: int = 16
    steps: int | None = 8
    log_every: int = 2
    save_every: int = 4
    strategy: str = "single"
    patience: int = 0


TASK = jaxdl.tasks.classify(jaxdl.models.MLP((4,), 2, dropout=0.2))
NET = jaxdl.learner(TASK.init, jaxdl.Update(TASK.loss, optax.sgd(0.1, momentum=0.9)))


def one(run: Run[Config]) -> dict:
    train, test = jaxdl.data.load(run.config.data)
    train, validation = jaxdl.data.split(train, jaxdl.root(0), run.config.validation)
    patience = Patience("loss", run.config.patience) if run.config.patience else None
    state = run.fit(NET, train, validation, patience)
    LAST[run.config.seed] = jax.device_get(state)
    return run.finish(
        state, run.test(NET, state, test), train=train, validation=validation, test=test
    )


#: The state that each seed's last run ended with.
LAST: dict[int, jaxdl.State] = {}


def config(out: Path, **changes) -> Config:
    return dataclasses.replace(Config(out=str(out)), **changes).validate()


def stop(out: Path, **changes) -> None:
    assert run_experiment(config(out, **changes), one) == {}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted: its directory and its result."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_experiment(config(out), one)


def no_training(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr("jaxdl.experiment.run.train", refuse)


def test_the_result_has_exactly_the_keys_it_promises(whole):
    out, result = whole
    assert list(result) == KEYS
    assert json.loads((out / "result.json").read_text()) == json.loads(json.dumps(result))
    assert result["experiment"] == "test_run"
    assert result["seed"] == 0 and result["steps"] == 8
    assert result["config"] == json.loads(json.dumps(dataclasses.asdict(config(out))))
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


def test_what_the_directory_holds(whole):
    out, _ = whole
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "data.json", "metrics.jsonl", "checkpoints", "result.json")
    }
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == [2, 4, 6, 8]
    assert [line["step"] for line in lines if "validation/loss" in line] == [4, 8]
    kept = json.loads((out / "config.json").read_text())
    assert kept["steps"] == 8 and "out" not in kept


def test_a_finished_run_says_so_and_is_not_done_again(whole, monkeypatch, capsys):
    out, result = whole
    no_training(monkeypatch)
    again = run_experiment(config(out), one)
    assert again == json.loads(json.dumps(result))
    shown = capsys.readouterr().out
    assert f"{out} is finished already; this is its result" in shown
    assert f"{100 * result['metrics']['test/accuracy']:.2f} %" in shown


@pytest.mark.parametrize("steps", [[3], [4], [1, 6]])
def test_a_stopped_run_goes_on_to_the_same_bits(whole, tmp_path, steps, capsys):
    for step in steps:
        stop(tmp_path, stop_after=step)
        assert f"stopped after step {step} of 8" in capsys.readouterr().out
        assert not (tmp_path / "result.json").exists()
    result = run_experiment(config(tmp_path), one)
    for name in ("state_sha256", "metrics", "steps", "data"):
        assert result[name] == whole[1][name], name


def test_a_damaged_step_is_named_and_told_by_the_result(whole, tmp_path, capsys):
    stop(tmp_path, stop_after=6)
    (tmp_path / "checkpoints" / "6" / "manifest.json").write_text("{")
    result = run_experiment(config(tmp_path), one)
    (said,) = result["warnings"]
    assert "checkpoints/6" in said and said.endswith("; going back to step 4")
    assert f"warning: {said}\n" in capsys.readouterr().err
    assert result["state_sha256"] == whole[1]["state_sha256"]


def test_stopping_where_the_run_has_passed_is_refused(tmp_path):
    stop(tmp_path, stop_after=4)
    with pytest.raises(
        InputError, match=r"stop_after: got 2, allowed: at least 4, the step that .* has reached"
    ):
        run_experiment(config(tmp_path, stop_after=2), one)
    stop(tmp_path, stop_after=4)


def test_stopping_after_the_end_is_no_stop(whole, tmp_path):
    assert (
        run_experiment(config(tmp_path, stop_after=8), one)["state_sha256"]
        == whole[1]["state_sha256"]
    )


def test_a_run_out_of_patience_finishes_although_it_was_to_stop_later(tmp_path):
    # A rising validation loss cannot be had for sure, so every validation counts as one without improvement.
    result = run_experiment(
        config(tmp_path, patience=1, steps=400, save_every=1, stop_after=399, validation=0.002), one
    )
    assert result["steps"] < 399
    assert (tmp_path / "result.json").exists()


def test_other_options_are_refused_by_name(whole):
    out, _ = whole
    before = (out / "config.json").read_bytes()
    with pytest.raises(RunError) as raised:
        run_experiment(config(out, batch_size=8, seed=3), one)
    said = "batch_size is 16 there and 8 here, seed is 0 there and 3 here"
    assert str(raised.value) == f"out: {out} belongs to a run with other options: {said}"
    assert (out / "config.json").read_bytes() == before


def test_options_that_only_drive_a_run_may_differ(whole, monkeypatch):
    out, result = whole
    no_training(monkeypatch)
    driven = config(out, stop_after=3, tensorboard=True, data_dir="x")
    assert run_experiment(driven, one)["state_sha256"] == result["state_sha256"]


@dataclasses.dataclass(frozen=True)
class Lasting(Config):
    """Nothing of it goes by its length."""

    @property
    def length_dependent_option(self) -> str:
        return ""


def lasting(out: Path, **changes) -> Lasting:
    return dataclasses.replace(Lasting(out=str(out)), **changes).validate()


def test_a_finished_run_becomes_longer(tmp_path, capsys):
    out = tmp_path / "run"
    first = run_experiment(lasting(out), one)
    longer = run_experiment(lasting(out, steps=12), one)
    assert "goes on after step 8 with steps 12, begun with 8\n" in capsys.readouterr().err
    assert longer["conversions"] == [{"step": 8, "options": {"steps": [8, 12]}}]
    assert json.loads((out / "result-8.json").read_text())["state_sha256"] == first["state_sha256"]
    begun_so = run_experiment(lasting(tmp_path / "other", steps=12), one)
    assert longer["state_sha256"] == begun_so["state_sha256"] != first["state_sha256"]
    assert longer["metrics"] == begun_so["metrics"] and "conversions" not in begun_so
    assert run_experiment(lasting(out, steps=12), one) == json.loads(
        (out / "result.json").read_text()
    )


def test_what_goes_by_the_length_keeps_it(whole):
    out, _ = whole
    with pytest.raises(RunError) as raised:
        run_experiment(config(out, steps=12), one)
    said = "steps is 8 there and 12 here; this experiment goes by the length, which cannot change"
    assert str(raised.value) == f"out: {out} belongs to a run with other options: {said}"
    with pytest.raises(RunError, match="steps is 8 there and 7 here$"):
        lasting_there = lasting(out, steps=7)
        check_out(out, lasting_there)


def test_a_run_goes_on_elsewhere(tmp_path, whole):
    out = tmp_path / "run"
    stop(out, stop_after=4)
    result = run_experiment(config(out, strategy="auto", debug=True), one)
    changed = {"debug": [False, True], "strategy": ["single", "auto"]}
    assert result["conversions"] == [{"step": 4, "options": changed}]
    assert result["metrics"]["test/loss"] == pytest.approx(
        whole[1]["metrics"]["test/loss"], rel=1e-5
    )
    # It is finished: where it would go on does not matter.
    assert run_experiment(config(out), one) == result


def test_what_cannot_run_there_is_refused_before_anything_is_written(tmp_path):
    out = tmp_path / "run"
    stop(out, seeds=2, stop_after=4)
    before = {path: path.read_bytes() for path in out.glob("*.json")}
    with pytest.raises(InputError, match="strategy: got 'fsdp'"):
        run_experiment(config(out, seeds=2, strategy="fsdp"), one)
    assert {path: path.read_bytes() for path in out.glob("*.json")} == before


def test_pmap_is_another_run(tmp_path):
    claim(tmp_path, config(tmp_path))
    with pytest.raises(RunError, match="strategy is 'single' there and 'pmap' here$"):
        check_out(tmp_path, config(tmp_path, strategy="pmap"))


def test_epochs_say_nothing_beside_steps(tmp_path):
    claim(tmp_path, config(tmp_path, epochs=3.0))
    assert check_out(tmp_path, config(tmp_path, epochs=2.0)) == {}


def test_an_option_that_is_younger_than_the_run_is_at_its_default(tmp_path):
    claim(tmp_path, config(tmp_path))
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["debug"], stored["patience"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert check_out(tmp_path, config(tmp_path)) == {}
    with pytest.raises(RunError, match="patience is 0 there and 1 here"):
        check_out(tmp_path, config(tmp_path, patience=1))


@pytest.mark.parametrize(
    "text", ['{"changed": 3}', '{"changed": [{"step": "4", "options": {}}]}', "{"]
)
def test_conversions_that_no_run_wrote(tmp_path, text):
    claim(tmp_path, config(tmp_path))
    (tmp_path / "conversions.json").write_text(text)
    with pytest.raises(RunError, match=r"conversions\.json"):
        claim(tmp_path, config(tmp_path, strategy="auto"))


def test_files_of_somebody_else_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError) as raised:
        run_experiment(config(tmp_path), one)
    assert (
        str(raised.value)
        == f"out: {tmp_path} holds files but no config.json; choose an empty directory"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_half_a_claim_that_a_kill_left_is_no_hindrance(tmp_path):
    (tmp_path / "config.json.partial").write_text('{"batch_')
    check_out(tmp_path, config(tmp_path))
    claim(tmp_path, config(tmp_path))
    check_out(tmp_path, config(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    claim(tmp_path, config(tmp_path))
    (tmp_path / name).write_text('{"seed": ')
    with pytest.raises(RunError, match=f"{name} cannot be read"):
        run_experiment(config(tmp_path), one)


def test_a_batch_that_the_devices_cannot_share_leaves_nothing(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InputError) as raised:
        run_experiment(config(out, batch_size=10, strategy="sharded"), one)
    assert (
        str(raised.value)
        == f"batch_size: got 10, allowed: a multiple of the {jax.device_count()} devices"
    )
    assert not out.exists()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out, allowed in [
        (tmp_path / "file", "a directory; this is a file"),
        (tmp_path / "file" / "run", "a directory that can be written (Not a directory)"),
        ("a\0b", "a path (embedded null byte)"),
    ]:
        with pytest.raises(InputError) as raised:
            run_experiment(config(out), one)
        assert str(raised.value) == f"out: got {str(out)!r}, allowed: {allowed}"


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two seeds, the first of which was interrupted."""
    out = tmp_path_factory.mktemp("several")
    stop(out, seeds=2, stop_after=5)
    return out, run_experiment(config(out, seeds=2), one)


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


def test_a_member_is_the_run_alone(several, whole, tmp_path):
    """Bit for bit, though the two were interrupted, and share a program and perhaps devices."""
    alone = [whole[1], run_experiment(config(tmp_path, seed=1), one)]
    for member, run in zip(several[1]["members"], alone, strict=True):
        assert member == {name: run[name] for name in ("seed", "metrics", "state_sha256")}


def test_finished_seeds_are_not_done_again(several, monkeypatch):
    out, result = several
    no_training(monkeypatch)
    assert run_experiment(config(out, seeds=2), one)["metrics"] == result["metrics"]


def test_more_seeds_are_another_run(several):
    out, _ = several
    with pytest.raises(RunError, match="seeds is 2 there and 3 here"):
        run_experiment(config(out, seeds=3), one)


def test_write_json_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_write_json_leaves_no_other_file(tmp_path):
    write_json(tmp_path / "x.json", [1, {"b": None}])
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == [1, {"b": None}]


def test_environment(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some_flag=1")
    found = environment()
    assert found["versions"]["jax"] == jax.__version__ == version("jax")
    assert found["versions"]["jaxdl"] == jaxdl.__version__
    assert found["versions"].keys() >= {
        "python",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "numpy",
    }
    assert (found["platform"], found["device_count"]) == (jax.default_backend(), jax.device_count())
    assert (found["processes"], found["xla_flags"]) == (1, "--some_flag=1")
    assert 1 <= found["cores"] <= os.cpu_count()
    assert str(jax.random.key_impl(rng.root(0))) == found["prng"] and "threefry" in found["prng"]
    assert json.loads(json.dumps(found)) == found


def test_other_data_under_the_same_name_are_refused(tmp_path):
    """The options are the same, so only the checksums can tell."""
    stop(tmp_path, stop_after=4)
    known = json.loads((tmp_path / "data.json").read_text())
    assert known.keys() == {"train", "validation"}
    write_json(tmp_path / "data.json", known | {"train": "0" * 64})
    with pytest.raises(RunError) as raised:
        run_experiment(config(tmp_path), one)
    said = f"out: {tmp_path} was begun with other data: train is 000000000000 there and {known['train'][:12]} here"
    assert str(raised.value) == said


def test_the_rate_is_that_of_all_steps_but_the_first(whole):
    result = whole[1]
    rate = (result["steps"] - 1) * 16 / result["seconds"]["train"]
    assert result["throughput"]["examples_per_second"] == pytest.approx(rate)
