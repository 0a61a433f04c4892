"""Tests of `python -m jaxdl.compare`: the table, the best run, the picture, and bad calls."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxdl.compare import best_line, comparison_table, labelled, main
from jaxdl.runs.stored import StoredRun, stored_runs
from tests.stored import write_result, write_run


@pytest.fixture
def runs(tmp_path):
    """Two runs of three seeds and one of one seed, in one directory."""
    rng = np.random.default_rng(0)
    for name, accuracy, rate in [("a", 0.9, 0.1), ("b", 0.95, 0.01), ("c", 0.5, 0.001)]:
        write_run(tmp_path / "runs" / name, rng, learning_rate=rate, hidden=[64, 10])
        parts = {"metrics_std": {"test/accuracy": 0.01}, "members": [{}, {}, {}]}
        if name == "c":
            parts = {}
        write_result(tmp_path / "runs" / name, {"test/accuracy": accuracy}, **parts)
    return tmp_path / "runs"


def test_the_table_has_what_differs_and_the_spread(runs):
    table = comparison_table(stored_runs([runs]))
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["a", "b", "c"]
    assert ["learning_rate", "0.1", "0.01", "0.001"] in lines
    assert ["seeds", "3", "3", "1"] in lines
    assert "90.00 % ± 1.00 %  95.00 % ± 1.00 %  50.00 %" in table
    assert "hidden" not in table
    assert lines[-1][:2] == ["best:", "b,"]
    assert "standard deviation" not in table


def test_runs_within_the_spread_are_named(runs):
    spread = {"test/accuracy": 0.06}
    write_result(runs / "b", {"test/accuracy": 0.95}, metrics_std=spread, members=[{}, {}])
    assert best_line(stored_runs([runs])).endswith("within one standard deviation: a")


def test_labels_have_the_options_that_differ(runs):
    assert list(labelled(stored_runs([runs]))) == [
        "a: learning_rate 0.1",
        "b: learning_rate 0.01",
        "c: learning_rate 0.001",
    ]


def test_labels_leave_out_options_that_are_parts_of_the_names(runs):
    for old, new in (("a", "rate-0.1"), ("b", "rate-0.01"), ("c", "rate-0.001")):
        (runs / old).rename(runs / new)
    assert set(labelled(stored_runs([runs]))) == {"rate-0.1", "rate-0.01", "rate-0.001"}


def test_the_command_prints_and_draws(runs, tmp_path, capsys):
    (runs / "c" / "result.json").unlink()
    assert main([str(runs / "a"), str(runs / "c"), "--out", str(tmp_path / "p.png")]) == 0
    printed = capsys.readouterr().out
    assert "20 …" in printed and "a run that is not finished" in printed
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG"


def test_equal_names_get_more_of_their_path(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("x", "y"):
        write_run(tmp_path / name / "run", rng)
    stored = stored_runs([tmp_path / "x/run", tmp_path / "y/run"])
    assert [run.name for run in stored] == ["x/run", "y/run"]


def test_bad_calls_are_one_line(runs, tmp_path, capsys):
    (runs / "b" / "metrics.jsonl").write_text("no json\n")
    (runs / "c" / "metrics.jsonl").unlink()
    (runs / "c" / "metrics.jsonl").mkdir()
    other = write_run(tmp_path / "other", np.random.default_rng(2))
    (other / "metrics.jsonl").write_text(json.dumps({"step": 1, "x": 2.0}))
    out = ["--out", str(tmp_path / "p.png")]
    for arguments, words in [
        ([str(runs / "none"), *out], "an existing directory of a run"),
        ([str(runs / "a"), "--out", "p.txt"], "ends in .png"),
        ([str(runs / "c"), *out], "cannot be read"),
        ([str(runs / "a"), str(other), *out], "a metric of training in common"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    assert main([str(runs / "a"), str(runs / "b"), *out]) == 0


def test_folds_are_no_seeds():
    result = {"metrics": {}, "steps": 3, "folds": 5, "members": [{}] * 10}
    run = StoredRun("a", Path("a"), {"seeds": 2}, [], result)
    assert "2 × 5 folds" in comparison_table([run])


def test_agents_are_ordered_by_their_return():
    runs = []
    for name, reached, loss in (("a", 500.0, 0.9), ("b", 9.0, 0.1)):
        metrics = {"test/loss": loss, "greedy_return": reached}
        runs.append(StoredRun(name, Path(name), {}, [], {"metrics": metrics, "steps": 3}))
    assert "best: a, greedy_return 500.0000 (largest of 2)" in comparison_table(runs)


def test_no_run_is_finished():
    run = StoredRun("a", Path("a"), {}, [], {})
    assert comparison_table([run]).endswith("best: not determined, as no run is finished")
