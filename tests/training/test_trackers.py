"""Trackers get the numbers of the JSON lines, and an error of theirs ends no run."""

import csv
import gzip
import json
import sys
import types

import numpy as np
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.training import strategy
from jaxdl.training.trackers import (
    TRACKERS,
    Csv,
    Function,
    MLflow,
    Profiler,
    Tolerant,
    Wandb,
    tolerant,
    tracker,
)
from jaxdl.training.writers import JsonLines, Memory, read_metrics
from tests.training.linear import line, points


def recorder(*names):
    """Returns a module whose functions record their calls, and the list of the calls."""
    calls = []

    def function(name):
        return lambda *args, **kwargs: calls.append((name, args, kwargs))

    return types.SimpleNamespace(**{name: function(name) for name in names}), calls


def train(*writers, **options):
    """Trains a line for 12 steps."""
    options = {"steps": 12, "log_every": 3, "batch_size": 11} | options
    options["strategy"] = strategy("single")
    return jaxdl.train(line(), points(), key=jaxdl.root(0), writers=writers, **options)


def test_csv_has_the_numbers_of_the_json_lines(tmp_path):
    writers = [Csv(tmp_path / "a" / "metrics.csv"), JsonLines(tmp_path / "metrics.jsonl")]
    train(*writers)
    for writer in writers:
        writer.close()
    with open(tmp_path / "a" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        found.setdefault(int(row["step"]), {})[row["name"]] = float(row["value"])
    expected = read_metrics(tmp_path / "metrics.jsonl")
    assert [{**numbers, "step": step} for step, numbers in found.items()] == expected
    assert len(expected) == 4


def test_csv_is_appended_with_one_head(tmp_path):
    for step in (1, 2):
        writer = Csv(tmp_path / "metrics.csv")
        writer.write(step, {"a, b": np.float32(0.5)})
        writer.close()
    assert (tmp_path / "metrics.csv").read_text() == 'step,name,value\n1,"a, b",0.5\n2,"a, b",0.5\n'
    Csv(tmp_path / "none.csv").close()
    assert not (tmp_path / "none.csv").exists()


def test_a_module_of_the_form_of_wandb(monkeypatch, tmp_path):
    module, calls = recorder("log", "finish", "Image")

    def init(project, name, config, resume, id=None):
        calls.append(("init", (project, name, config, resume, id), {}))

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    identities = []
    for _ in range(2):
        writer = Wandb("wandb", tmp_path / "run", {"seed": 3})
        assert not [call for call in calls if call[0] == "init"]
        writer.write(5, {"train/loss": np.float32(0.5)})
        writer.picture(6, "samples", tmp_path / "a.png")
        writer.close()
        (_, start, _), *rest = calls
        project, name, config, resume, identity = start
        assert (project, config, resume) == ("jaxdl", {"seed": 3}, "allow")
        assert name.startswith("run-") and identity.isalnum()
        assert rest[0] == ("log", ({"train/loss": 0.5},), {"step": 5})
        assert rest[1] == ("Image", (str(tmp_path / "a.png"),), {})
        assert rest[2][0] == "log" and rest[2][2] == {"step": 6}
        assert rest[3] == ("finish", (), {})
        identities.append(identity)
        calls.clear()
    assert identities[0] == identities[1]
    assert Wandb("wandb", tmp_path / "other", {})._arguments["id"] != identities[0]


def test_a_module_without_identities(monkeypatch, tmp_path):
    module, calls = recorder("log", "finish")
    module.init = lambda project, name, config, resume: calls.append(("init", name))
    monkeypatch.setitem(sys.modules, "trackio", module)
    tracker("trackio", tmp_path, {}).write(1, {"a": 1.0})
    assert [call[0] for call in calls] == ["init", "log"]


def test_mlflow_gets_options_numbers_and_pictures(monkeypatch, tmp_path):
    names = ("start_run", "log_params", "log_metrics", "log_artifact", "end_run")
    module, calls = recorder(*names)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    unused = MLflow(tmp_path / "run", {"seed": 3})
    unused.close()
    assert calls == []
    writer = MLflow(tmp_path / "run", {"seed": 3})
    writer.write(5, {"train/loss": np.float32(0.5)})
    writer.picture(5, "samples", "a.png")
    writer.close()
    assert calls == [
        ("start_run", (), {"run_name": "run"}),
        ("log_params", ({"seed": 3},), {}),
        ("log_metrics", ({"train/loss": 0.5},), {"step": 5}),
        ("log_artifact", ("a.png",), {"artifact_path": "samples"}),
        ("end_run", (), {}),
    ]


@pytest.mark.parametrize("method", ["write", "picture", "close"])
def test_a_failing_writer_gets_no_more_calls(method):
    calls = []
    messages = []

    class Failing:
        def write(self, step, metrics):
            self.call("write")

        def picture(self, step, name, path):
            self.call("picture")

        def close(self):
            self.call("close")

        def call(self, name):
            calls.append(name)
            if name == method:
                raise ConnectionError("no network\nat all")

    writer = Tolerant(Failing(), messages.append)
    for step in range(3):
        writer.write(step, {})
        writer.picture(step, "samples", "a.png")
    writer.close()
    assert calls.count(method) == 1 and calls[-1] == "close" and calls.count("close") == 1
    reason = "ConnectionError: no network at all"
    assert messages == [f"the writer Failing gets no more metrics: {reason}"]


def test_a_function_that_raises_ends_no_run():
    def unlucky(step, metrics):
        steps.append(step)
        if step == 6:
            raise KeyError("loss")

    steps: list[int] = []
    memory = Memory()
    alone = train()
    with pytest.warns(RuntimeWarning, match="the writer unlucky gets no more metrics: KeyError"):
        state = train(unlucky, memory)
    assert steps == [3, 6]
    # The last call has the times of the whole run.
    assert [step for step, _ in memory.records] == [3, 6, 9, 12, 12]
    np.testing.assert_array_equal(state.params["w"], alone.params["w"])


def test_functions_get_the_metrics_of_each_step():
    memory = Memory()
    found = []
    train(memory, lambda step, metrics: found.append((step, metrics)))
    assert found == memory.records


def test_a_failing_record_of_a_run_ends_it(tmp_path):
    writer = JsonLines(tmp_path / "metrics.jsonl")
    assert tolerant(writer) is writer
    writer.close()
    with pytest.raises(ValueError, match="closed file"):
        train(writer)
    assert isinstance(tolerant(Function(print)), Tolerant)


def test_no_writers(tmp_path):
    with pytest.raises(InputError, match=r"^writers: got <class 'int'>, allowed: functions f\("):
        train(3)
    with pytest.raises(InputError, match="^track: got 'wand', allowed: .*did you mean 'wandb'"):
        tracker("wand", tmp_path, {})


@pytest.mark.parametrize("name", sorted(set(TRACKERS) - {"csv", "profile"}))
def test_a_missing_module(name, monkeypatch, tmp_path):
    module = {"tensorboard": "tensorboardX"}.get(name, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="pip install"):
        tracker(name, tmp_path, {})


def test_the_trace_has_the_steps_between_two_log_lines(tmp_path):
    state = train(Profiler(tmp_path / "profile"))
    np.testing.assert_array_equal(state.params["w"], train().params["w"])
    (path,) = (tmp_path / "profile").rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))
    assert len(events["traceEvents"] if isinstance(events, dict) else events) > 1


def test_a_trace_of_a_run_with_one_log_line_is_ended(tmp_path):
    profiler = Profiler(tmp_path / "profile")
    train(profiler, steps=3)
    profiler.close()
    profiler.close()
    assert list((tmp_path / "profile").rglob("*.gz"))
