"""Errors for bad command lines.

Each is one line with the field, the value and what is allowed. The exit code is 2, and nothing is
written.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxdl.runs import launch
from tests.bad_inputs.allowed import DATA
from tests.bad_inputs.options import BAD
from tests.runs.scripts import EXPERIMENTS, script


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty current directory and a separate cache."""
    monkeypatch.setenv("JAXDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    directory = tmp_path / "current"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def refused(name: str, arguments: list[str], capture) -> list[str]:
    """Returns the lines on stderr of an experiment that ends with code 2 and writes no file."""
    before = sorted(Path().rglob("*"))
    module = script(name)
    with pytest.raises(SystemExit) as stopped:
        launch(module.main, module.Config, arguments)
    assert stopped.value.code == 2
    assert sorted(Path().rglob("*")) == before
    return capture.readouterr().err.splitlines()


@pytest.mark.parametrize(("name", "arguments", "line"), BAD, ids=[" ".join(row[:2]) for row in BAD])
def test_options(name, arguments, line, capsys):
    assert refused(name, arguments.split(), capsys) == [f"error: {line}"]


@pytest.mark.parametrize("columns", ["20", "80", "500"])
def test_the_error_is_one_line_in_terminals_of_any_width(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    (line,) = refused("cnn", ["--network", "lenet"], capsys)
    (expected,) = (row[2] for row in BAD if row[:2] == ("cnn", "--network lenet"))
    assert line == f"error: {expected}"


X = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
Y = np.arange(20) % 4
NAN = np.where(np.arange(20)[:, None, None, None] == 7, np.float32("nan"), X)


def no_zip(path: Path) -> None:
    """Writes a text file."""
    path.write_text("no arrays")


def objects(path: Path) -> None:
    """Writes an array of Python objects."""
    np.savez(path, x=np.array([{"run": "me"}] * 20, dtype=object), y=Y)


def damaged(path: Path) -> None:
    """Writes arrays and overwrites 50 bytes in the middle of the file."""
    np.savez_compressed(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = bytes(50)
    path.write_bytes(content)


def arrays(**named):
    """Returns a function that writes these arrays."""
    return lambda path: np.savez(path, **named)


FILES = [
    ("not a zip", no_zip, "data: got 'my.npz', allowed: a file written by numpy.savez"),
    (
        "objects",
        objects,
        "x of my.npz: got 'Python objects', allowed: numbers; objects are never loaded",
    ),
    ("negative label", arrays(x=X, y=Y - 1), "label[0]: got -1, allowed: an integer in [0, 3)"),
    (
        "no labels",
        arrays(x=X),
        "data: got \"my.npz with ['x']\", allowed: also an array train_label",
    ),
    ("NaN", arrays(x=NAN, y=Y), "input[7]: got nan, allowed: finite numbers"),
    ("lengths", arrays(x=X, y=Y[:19]), "label rows: got 19, allowed: 20, as many as input has"),
    ("empty", arrays(x=X[:0], y=Y[:0]), "input rows: got 0, allowed: at least 1, not an empty set"),
    ("fractions as labels", arrays(x=X, y=Y / 2), None),
    ("0..255", arrays(x=np.floor(255 * X), y=Y), None),
    ("channels first", arrays(x=X.reshape(20, 1, 8, 8), y=Y), None),
    ("damaged", damaged, None),
]

#: Regular expressions of the messages that are None in `FILES`.
PATTERNS = {
    "damaged": "x of my.npz: got '.+', allowed: an undamaged array",
    "fractions as labels": r"label\[\d+\]: got \d\.5, "
    "allowed: integers, the class of each example",
    "0..255": r"input: got 'values from 0 to 25\d', allowed: pixels in \[0, 1\], or standardized",
    "channels first": r"input shape: got \(20, 1, 8, 8\), "
    r"allowed: \[N, H, W, C\], channels last; .*",
}


@pytest.mark.parametrize(("name", "write", "line"), FILES, ids=[name for name, *_ in FILES])
def test_files(name, write, line, capsys):
    write(Path("my.npz"))
    (message,) = refused("cnn", ["--data", "my.npz", "--batch-size", "4"], capsys)
    assert re.fullmatch(f"error: {PATTERNS.get(name) or re.escape(line)}", message)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a b c\n", "min_count: got 5, allowed: at most 1, the count of the most frequent token"),
        (
            5 * "once . ",
            "data: got 'text.txt', allowed: a text with words that occur 5 times; "
            "or less --min-count",
        ),
    ],
)
def test_a_text_without_frequent_words(text, line, capsys):
    Path("text.txt").write_text(text)
    assert refused("word2vec", ["--data", "text.txt"], capsys) == [f"error: {line}"]


def test_out_that_is_a_file(capsys):
    Path("file").write_text("precious")
    for name in ("out", "cache_dir"):
        line = f"error: {name}: got 'file', allowed: a directory; this is a file"
        assert refused("mlp", [f"--{name.replace('_', '-')}", "file"], capsys) == [line]
    assert Path("file").read_text() == "precious"


def test_out_below_a_file(capsys):
    Path("file").write_text("precious")
    line = "error: out: got 'file/run', allowed: a directory that can be written (Not a directory)"
    assert refused("mlp", ["--out", "file/run"], capsys) == [line]


def test_out_with_unrelated_files(capsys):
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("precious")
    line = "error: out: mine holds files but no config.json; choose an empty directory"
    assert refused("mlp", ["--out", "mine"], capsys) == [line]


def test_out_of_another_config(capsys):
    module = script("mlp")
    mine = ["--data", "moons", "--hidden", "4", "--smoke", "--out", "mine", "--stop-after", "1"]
    launch(module.main, module.Config, mine)
    capsys.readouterr()
    there = "error: out: mine belongs to a run with other options: hidden (stored [4], given [8])"
    remedy = "use the stored ones, another directory, or remove this one"
    assert refused("mlp", [*mine[:3], "8", *mine[4:]], capsys) == [f"{there}; {remedy}"]


def test_a_set_that_does_not_exist(capfd):
    reading, line = refused("cnn", ["--data", "mnits"], capfd)
    assert reading.startswith("reading mnits from ")
    assert line == f"error: data: got 'mnits', allowed: {DATA} (did you mean 'mnist'?)"


#: Hides an installed TensorFlow, so that the test downloads nothing.
NO_TENSORFLOW = """
import importlib.util
original = importlib.util.find_spec
def find_spec(name, *rest):
    if name != "tensorflow":
        return original(name, *rest)
importlib.util.find_spec = find_spec
"""


def test_a_set_that_is_not_available_offline(tmp_path):
    """The script runs in a separate process without TensorFlow and without a network."""
    (tmp_path / "sitecustomize.py").write_text(NO_TENSORFLOW)
    data_dir = tmp_path / "sets"
    done = command("cnn", "--data", "kmnist", "--data-dir", str(data_dir), path=str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    reading, line = done.stderr.splitlines()
    assert reading == f"reading kmnist from {data_dir} into the cache ..."
    assert line.startswith("error: kmnist: ")
    prepare = f"python -m jaxdl.data.prepare kmnist --data-dir {data_dir}"
    assert line.endswith(f"run: pip install 'jaxdl[tfds]' && {prepare}")
    assert not data_dir.exists()
    assert not list(Path().iterdir())


def test_a_separate_process():
    done = command("mlp", "--optimizer", "adm", "--out", "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {BAD[0][2]}\n"
    assert not list(Path().iterdir())


def command(name: str, *arguments: str, path: str = "") -> subprocess.CompletedProcess:
    """Runs an experiment as a command, with another directory in the Python path if given."""
    python_path = os.pathsep.join([str(EXPERIMENTS.parent), *filter(None, [path])])
    line = [sys.executable, str(EXPERIMENTS / f"{name}.py"), *arguments]
    return subprocess.run(
        line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": python_path}
    )
