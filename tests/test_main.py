"""The command `jaxdl`: its list, its errors, and the modules that it calls."""

import importlib
import subprocess
import sys

import pytest

from jaxdl.__main__ import COMMANDS, main
from jaxdl.version import __version__


def test_the_list_has_a_line_for_each_command(capsys):
    for words in ([], ["-h"], ["--help"]):
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jaxdl {__version__}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["rnu"], " (did you mean 'run'?)"),
        (["--smoke"], ""),
        (["cnn"], ""),
        (["jaxdl"], ""),
    ],
)
def test_an_unknown_command_is_refused_in_one_line(words, hint, capsys):
    assert main(words) == 2
    line = capsys.readouterr().err
    names = ", ".join(sorted(COMMANDS))
    assert line.startswith(f"error: command: got {words[0]!r}, allowed: {names}")
    assert line.count("\n") == 1
    assert hint in line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_passes_the_other_words_and_the_exit_code(name, monkeypatch):
    module = importlib.import_module(COMMANDS[name][0])
    received = []
    monkeypatch.setattr(module, "main", lambda words: received.append(words) or 7)
    assert main([name, "--out", "x"]) == 7
    assert received == [["--out", "x"]]


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"run"}))
def test_a_command_is_a_module_of_its_name(name):
    module = COMMANDS[name][0].removesuffix(".__main__")
    assert module.rpartition(".")[2] == name


def test_the_package_is_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "jaxdl", "predict", "--nothing"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
