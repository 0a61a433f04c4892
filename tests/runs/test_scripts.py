"""Experiments by name: the list, the command `jaxdl run`, and names that do not exist."""

import re
import subprocess
import sys

import pytest

from jaxdl.errors import InputError
from jaxdl.runs import scripts
from tests.runs.scripts import EXPERIMENTS

NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))


def test_a_clone_has_its_scripts_in_the_top_level_folder():
    assert scripts.experiments_folder() == EXPERIMENTS


def test_an_installed_package_has_its_scripts_inside(tmp_path, monkeypatch):
    package = tmp_path / "jaxdl"
    (package / "experiments").mkdir(parents=True)
    (tmp_path / "experiments").mkdir()
    monkeypatch.setattr(scripts, "_PACKAGE", package)
    assert scripts.experiments_folder() == package / "experiments"


def test_a_package_without_scripts_is_reported_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scripts, "_PACKAGE", tmp_path / "jaxdl")
    assert scripts.main(["cnn"]) == 2
    line = capsys.readouterr().err
    assert re.fullmatch(r"error: experiments: got .*installed with its scripts\n", line)


def test_the_list_has_a_line_of_words_for_each_experiment(capsys):
    assert scripts.main(["--help"]) == 0
    rows = [row.split(maxsplit=1) for row in capsys.readouterr().out.splitlines()]
    listed = {row[0]: row[1] for row in rows if row and row[0] in NAMES}
    assert sorted(listed) == NAMES
    assert all(len(line.split()) > 3 and line.endswith(".") for line in listed.values())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "error: experiment: got None, allowed: a name that jaxdl run --help lists,"),
        (["--smoke"], "error: experiment: got '--smoke', allowed: a name that jaxdl run --help"),
        (["cn"], "error: experiment: got 'cn', allowed: activations, adversarial, "),
        (["cnn.py"], "error: experiment: got 'cnn.py', allowed: activations, "),
        (["../conftest"], "error: experiment: got '../conftest', allowed: activations, "),
        (["benchmarks"], "error: experiment: got 'benchmarks', allowed: activations, "),
    ],
)
def test_an_unknown_name_is_refused_in_one_line(words, line, capsys):
    assert scripts.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(line) and error.count("\n") == 1


@pytest.mark.parametrize("name", ["cn", "cnnn", "cnn.py"])
def test_the_error_suggests_the_experiment_that_was_meant(name):
    with pytest.raises(InputError, match=r"\(did you mean 'cnn'\?\)$"):
        scripts.script_of(name, EXPERIMENTS)


def test_the_script_runs_as_the_main_program_with_its_options(tmp_path, monkeypatch, capsys):
    (tmp_path / "shown.py").write_text(
        '"""An experiment."""\nimport sys\n'
        "if __name__ == '__main__':\n    print(__file__, sys.argv)\n"
    )
    monkeypatch.setattr(scripts, "experiments_folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "argv", ["jaxdl"])
    assert scripts.main(["shown", "--steps", "3"]) == 0
    path = str(tmp_path / "shown.py")
    assert capsys.readouterr().out == f"{path} {[path, '--steps', '3']}\n"


@pytest.mark.slow
def test_a_run_by_name_has_the_bits_of_the_script(tmp_path):
    """The command and the script leave the same result, except for times and places."""
    options = ["--data", "moons", "--smoke", "--out"]
    hashes = []
    for place, start in (
        ("command", ["-m", "jaxdl", "run", "mlp"]),
        ("script", [str(EXPERIMENTS / "mlp.py")]),
    ):
        words = [sys.executable, *start, *options, str(tmp_path / place)]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / place / "result.json").read_text()
        hashes.append(re.findall(r'"(?:experiment|state_sha256)": "(\w+)"', text))
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 2
