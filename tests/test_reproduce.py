"""Repeating a run from its result, and results that no run wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxdl.errors import InputError, JaxdlError, RunError
from jaxdl.reproduce import CALLER_OPTIONS, command_line, main, reproduce
from jaxdl.runs import flat_options, launch, with_options
from jaxdl.runs.command_line import parsed
from tests.runs.scripts import EXPERIMENTS, script

NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))

#: Values of every kind that an option may have.
ODD = {
    "mlp": {
        "hidden": (),
        "norm": "weight",
        "standardize": True,
        "learning_rate": 1e-7,
        "data": "--out",
        "steps": None,
    },
    "cnn": {
        "network": "lecture-5x5",
        "seeds": 3,
        "cpu_devices": None,
        "data_dir": "a b",
        "label_smoothing": 0.1,
    },
    "memory": {"cells": ("gru", "tcn"), "lengths": (8,)},
    "video": {"networks": ()},
    "text_generation": {"prompt": "Wer? 'Ich' = \"du\"\n--steps 3", "vocabulary": 7},
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The `result.json` of a short run."""
    module = script("mlp")
    out = tmp_path_factory.mktemp("first")
    launch(
        module.main,
        module.Config,
        ["--data", "moons", "--hidden", "4", "--smoke", "--out", str(out)],
    )
    return out / "result.json"


@pytest.fixture
def no_process(monkeypatch):
    """The result that a replaced process writes, and the commands that would be run."""

    class Process:
        returncode = 0
        stderr = ()

        def __init__(self, command, **options):
            words = [word for word in command if word.startswith("--out=")]
            out = Path(words[0].removeprefix("--out="))
            out.mkdir(exist_ok=True)
            (out / "result.json").write_text(json.dumps(new))
            commands.append(command)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    new = {}
    commands = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    return new, commands


def write(path: Path, result: object) -> Path:
    path.write_text(json.dumps(result))
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [False, True])
def test_the_command_line_gives_the_same_options(name, odd):
    config = script(name).Config
    options = with_options(config(), smoke=True).validate()
    if odd:
        options = with_options(config(), **ODD.get(name, {}))
    stored = json.loads(json.dumps(flat_options(options)))
    words = command_line(EXPERIMENTS / f"{name}.py", stored, "/there")
    read = parsed(config, words)
    assert read == with_options(options, out="/there")
    assert odd or read.validate() == read


def test_a_result_does_not_decide_where_files_are_written(stored):
    config = json.loads(stored.read_text())["config"]
    paths = {"out": "/theirs", "cache_dir": "/theirs", "track": ["csv"], "stop_after": 3}
    words = command_line(EXPERIMENTS / "mlp.py", config | paths, "/mine")
    assert words == command_line(EXPERIMENTS / "mlp.py", config, "/mine")
    assert not any("theirs" in word for word in words) and set(CALLER_OPTIONS) < set(config)


def test_old_and_new_values_are_printed_side_by_side(stored, no_process, tmp_path, capsys):
    new, commands = no_process
    new.update(json.loads(stored.read_text()))
    comparison = reproduce(stored, out=tmp_path / "again", experiments=EXPERIMENTS)
    assert comparison == (True, True, "bits", {}, {})
    (command,) = commands
    assert command[1] == str(EXPERIMENTS / "mlp.py") and f"--out={tmp_path / 'again'}" in command
    output = capsys.readouterr().out
    assert output.count("  the same\n") == 17
    assert output.endswith("reproduced: all 17 values are the same\n")


@pytest.mark.parametrize(
    ("changes", "code", "line"),
    [
        ({}, 0, "reproduced: all 17 values are the same"),
        ({"state_sha256": "0" * 64}, 1, "NOT reproduced: 1 of 17 values differ"),
        (
            {"environment": {"versions": {"jax": "0.9.0"}}, "state_sha256": "0" * 64},
            0,
            "versions/jax: old 0.9.0, new ",
        ),
    ],
)
def test_the_exit_code_is_0_if_the_promise_was_kept(
    changes, code, line, stored, no_process, tmp_path, capsys
):
    old = json.loads(stored.read_text())
    no_process[0].update(old)
    changed = write(tmp_path / "result.json", old | changes)
    assert main([str(changed), "--experiments", str(EXPERIMENTS)]) == code
    assert line in capsys.readouterr().out


def test_a_result_of_other_settings_is_refused(stored, no_process, tmp_path):
    """Flags are not restored: `--xla_dump_to` of a result from elsewhere would write files."""
    old = json.loads(stored.read_text())
    flags = {"xla_flags": "--xla_dump_to=/theirs --xla_cpu_enable_fast_math=true"}
    result = write(tmp_path / "result.json", old | {"environment": old["environment"] | flags})
    with pytest.raises(InputError) as raised:
        reproduce(result, experiments=EXPERIMENTS)
    message = str(raised.value)
    assert message.startswith("XLA_FLAGS: got ")
    assert message.endswith(
        "allowed: '--xla_cpu_enable_fast_math=true', as in the result; "
        "set the environment variable XLA_FLAGS"
    )
    assert not no_process[1]


HOSTILE = [
    ({"experiment": "../../x"}, "experiment: got '../../x', allowed: activations, adversarial, "),
    ({"experiment": "os"}, "experiment: got 'os', allowed: activations, adversarial, "),
    ({"experiment": "mlp.py"}, "experiment: got 'mlp.py', allowed: activations, adversarial, "),
    (
        {"experiment": "benchmarks/speed"},
        "experiment: got 'benchmarks/speed', allowed: activations, adversarial, ",
    ),
    (
        {"experiment": ["mlp"]},
        "experiment: got <class 'list'>, allowed: what a finished run writes to result.json",
    ),
    (
        {"config": None},
        "config: got <class 'NoneType'>, allowed: what a finished run writes to result.json",
    ),
    ({"config": {"widht": 3}}, "config: got 'widht', allowed: accumulate, activation, "),
    ({"config": {"help": True}}, "config: got 'help', allowed: accumulate, activation, "),
    (
        {"config": {"tyro_write_completion": ["bash", "/x"]}},
        "config: got 'tyro_write_completion', allowed: ",
    ),
    (
        {"config": {"seeds_share_cores": True}},
        "config: got 'seeds_share_cores', allowed: accumulate, activation, ",
    ),
    (
        {"config": {"hidden": ["--help"]}},
        "config.hidden: got '--help', allowed: a value that does not start with '-'",
    ),
    (
        {"config": {"hidden": [3, "--out", "/x"]}},
        "config.hidden: got '--out', allowed: a value that does not start with ",
    ),
    (
        {"config": {"hidden": [-3]}},
        "config.hidden: got -3, allowed: a value that does not start with '-'",
    ),
    (
        {"config": {"steps": "7"}},
        "config.steps: got '7', allowed: a value that can be given on the command line",
    ),
    (
        {"config": {"norm": "None"}},
        "config.norm: got 'None', allowed: a value that can be given on the command line",
    ),
    (
        {"config": {"data": {"a": 1}}},
        "config.data: got {'a': 1}, allowed: a value that can be given on the command line",
    ),
    ({"config": {"steps": "many"}}, "--steps: no type matching "),
    ({"config": {"smoke": "yes"}}, "option: got 'yes', allowed: the options that --help lists"),
    (
        {"environment": 3},
        "environment: got 3, allowed: what a finished run writes to result.json",
    ),
]


@pytest.mark.parametrize(("changes", "line"), HOSTILE, ids=[str(changes) for changes, _ in HOSTILE])
def test_a_hostile_result_is_refused(changes, line, stored, no_process, tmp_path, capsys):
    changed = write(tmp_path / "result.json", json.loads(stored.read_text()) | changes)
    with pytest.raises(JaxdlError) as raised:
        reproduce(changed, experiments=EXPERIMENTS)
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)
    assert main([str(changed), "--experiments", str(EXPERIMENTS)]) == 2
    assert capsys.readouterr().err == f"error: {raised.value}\n"
    assert not no_process[1]


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "3"])
def test_a_file_that_is_no_result_is_refused(text, tmp_path):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(JaxdlError, match=r"result"):
        reproduce(tmp_path / "result.json", experiments=EXPERIMENTS)


def test_another_file_of_a_run_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 0}')
    with pytest.raises(
        JaxdlError, match="^result: got .*config.json', allowed: .* result.json, with 'experiment'$"
    ):
        reproduce(tmp_path / "config.json", experiments=EXPERIMENTS)
    with pytest.raises(
        JaxdlError,
        match="^result: got .*, allowed: a result.json file, not the directory of a run$",
    ):
        reproduce(tmp_path, experiments=EXPERIMENTS)


def test_importing_jaxdl_loads_nothing_that_runs_need():
    code = (
        "import sys, jaxdl\n"
        "parts = {name.split('.')[1] for name in sys.modules if name.startswith('jaxdl.')}\n"
        "assert not parts & {'reproduce', 'runs', 'recipes'}, parts\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_command_runs_without_a_warning(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "jaxdl.reproduce", str(tmp_path / "none.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "none.json cannot be read" in done.stderr


def test_an_abbreviated_option_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["result.json", "--ou", str(tmp_path)])
    assert stop.value.code == 2
    assert "unrecognized arguments: --ou" in capsys.readouterr().err


def test_unusable_paths_are_refused(stored, no_process, tmp_path):
    with pytest.raises(RunError, match="nowhere.json cannot be read"):
        reproduce(tmp_path / "nowhere.json", experiments=EXPERIMENTS)
    with pytest.raises(
        InputError, match="experiments: got .* allowed: the directory of the experiments' scripts"
    ):
        reproduce(stored, experiments=tmp_path)
    with pytest.raises(InputError, match="out: got .* allowed: an empty directory"):
        reproduce(stored, out=stored.parent, experiments=EXPERIMENTS)
    assert not no_process[1]


@pytest.mark.slow
@pytest.mark.optimized
def test_a_run_in_a_new_process(stored, tmp_path, capfd):
    comparison = reproduce(stored, out=tmp_path / "again", experiments=EXPERIMENTS)
    assert comparison == (True, True, "bits", {}, {})
    assert json.loads((tmp_path / "again" / "result.json").read_text())["state_sha256"]
    output = capfd.readouterr()
    assert "mlp  100 %" in output.err and str(tmp_path / "again" / "result.json") in output.out


@pytest.mark.slow
def test_a_temporary_run_prints_no_paths(stored, capfd):
    assert reproduce(stored, experiments=EXPERIMENTS).same
    output = capfd.readouterr()
    assert "mlp  100 %" in output.err
    assert "result.json" not in output.out and output.out.startswith("\nvalue ")


@pytest.mark.slow
def test_the_error_of_a_failed_run_is_reported(stored, tmp_path):
    old = json.loads(stored.read_text())
    changed = write(
        tmp_path / "result.json", old | {"config": old["config"] | {"data": "nowhere.npz"}}
    )
    with pytest.raises(RunError, match="mlp.py exited with code 2: error: "):
        reproduce(changed, experiments=EXPERIMENTS)
