"""Repetition of the run of a result: `reproduce`, and `python -m jaxdl.reproduce RESULT`.

The contents of a result are not trusted. Its experiment must be one of the scripts of this copy of
jaxdl, or of a directory that the caller names. Its options must be those of that script's Config.
The caller decides where files are written.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.data.files import expand_path
from jaxdl.environment import changed_settings
from jaxdl.errors import InputError, RunError, of_kind, one_of
from jaxdl.output import command
from jaxdl.runs.command_line import parsed
from jaxdl.runs.comparison import Comparison, compare_results, report
from jaxdl.runs.directory import are_conversions, read_json
from jaxdl.runs.options import Options, flat_options, with_options
from jaxdl.runs.scripts import experiments_folder, script_of

#: Options that are not taken from the result. They decide where files are written, and do not
#: affect the numbers.
CALLER_OPTIONS = ("out", "stop_after", "track", "profile", "cache_dir")

#: Parts that a result must have, with their types.
REQUIRED = {
    "experiment": str,
    "config": dict,
    "state_sha256": str,
    "metrics": dict,
    "data": dict,
    "environment": dict,
}


def reproduce(
    result: str | os.PathLike,
    out: str | os.PathLike | None = None,
    experiments: str | os.PathLike | None = None,
) -> Comparison:
    """Repeats the run of a result and prints the old and the new values side by side.

    The run is started in a new process with the options that the result contains. See
    `docs/reproducibility.md` for what is promised to be equal.

    Args:
      result: `result.json` of a finished run.
      out: empty directory for the new run. None means a temporary directory.
      experiments: directory with the script of the experiment, which is executed. None means the
        scripts of this copy of jaxdl.

    Returns:
      The comparison: `same`, `promise_kept`, the `level` of the promise with its `reasons`, and
      the `differences`.

    Raises:
      InputError: the result names an unknown script or option, or was made with other settings of
        JAX and XLA; or `out` is not empty.
      RunError: the result cannot be read, or the run failed.
    """
    file = expand_path(result, "result")
    if file.is_dir():
        raise InputError("result", str(file), "a result.json file, not the directory of a run")
    old = _read_stored(file)
    script = script_of(old["experiment"], Path(experiments or experiments_folder()))
    _check_settings(old["environment"])
    with tempfile.TemporaryDirectory() as temporary:
        target = expand_path(out or temporary, "out").resolve()
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise InputError("out", str(out), "an empty directory, or one that does not exist yet")
        words = command_line(script, old["config"], str(target))
        new = _run(script, words, target, old["config"], bool(out))
    comparison = compare_results(old, new)
    print("\n" + report(old, new, comparison))
    return comparison


def _read_stored(file: Path) -> dict[str, Any]:
    """Reads a result and checks its parts; raises InputError for a missing or wrong one."""
    stored = read_json(file)
    written = "what a finished run writes to result.json"
    for name, kind in REQUIRED.items():
        if name not in stored:
            raise InputError("result", str(file), f"{written}, with {name!r}")
        of_kind(name, stored[name], kind, written)
    if not are_conversions(stored.get("conversions", {})):
        raise InputError("conversions", stored["conversions"], written)
    return stored


def _check_settings(stored: Mapping[str, Any]) -> None:
    """Raises InputError if the result was made with other settings than those of this process.

    They are not restored, because flags of XLA may write files, and a result is not trusted.
    """
    for name, (before, now) in changed_settings(stored).items():
        variable = name.upper()
        raise InputError(
            name, now, f"{before!r}, as in the result; set the environment variable {variable}"
        )


def command_line(script: Path, stored: Mapping[str, Any], out: str) -> list[str]:
    """Returns the arguments that give a script the options of a result.

    The arguments are parsed again, to check that they give the same options.

    Args:
      script: script of the experiment.
      stored: the `config` of the result.
      out: directory of the new run.

    Raises:
      InputError: the script does not have an option, or would read a value as another one.
    """
    config = _options_of(script)
    names = list(flat_options(config()))
    words = [f"--out={out}"]
    expected: dict[str, Any] = {"out": out}
    for name, value in stored.items():
        one_of("config", name, names)
        if name not in CALLER_OPTIONS:
            words += _arguments(name, value)
            expected[name] = tuple(value) if isinstance(value, list) else value
    read = flat_options(parsed(config, words))
    options = flat_options(with_options(config(), **expected))
    for name in names:
        if read[name] != options[name]:
            allowed = "a value that can be given on the command line"
            raise InputError(f"config.{name}", expected.get(name), allowed)
    return words


def _options_of(script: Path) -> type[Options]:
    """Returns the Config of a script, imported under a name that no module can have."""
    spec = importlib.util.spec_from_file_location(f"<{script.stem}>", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Tyro reads the source of Config, which it finds through `sys.modules`.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Config


def _arguments(name: str, value: Any) -> list[str]:
    """Returns an option with its value, as Tyro reads it."""
    option = name.replace("_", "-")
    if value is True:
        return [f"--{option}"]
    if value is False:
        return [f"--no-{option}"]
    if not isinstance(value, list):
        return [f"--{option}={value}"]
    for each in value:
        if str(each).startswith("-"):
            raise InputError(f"config.{name}", each, "a value that does not start with '-'")
    return [f"--{option}", *map(str, value)]


def _run(
    script: Path, words: list[str], out: Path, options: Mapping[str, Any], show: bool
) -> dict[str, Any]:
    """Runs a script in a new process and returns the result with the given options.

    An experiment that compares several runs writes their results to subdirectories. The progress
    is passed on to the standard error stream.

    Args:
      script: script to run.
      words: its arguments.
      out: directory of the new run.
      options: the `config` of the old result.
      show: if True, the standard output of the script is shown too.
    """
    command = [sys.executable, str(script), *words]
    stdout = None
    if not show:
        stdout = subprocess.DEVNULL
    last = ""
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True) as child:
        for line in child.stderr or ():
            sys.stderr.write(last)
            last = line
    if child.returncode:
        message = last.strip() or "no output"
        raise RunError(f"{script} exited with code {child.returncode}: {message}")
    sys.stderr.write(last)
    results = [read_json(path) for path in sorted(out.rglob("result.json"))]
    # An option that is None in the old result has been filled in by the new run.
    expected = {
        name: value
        for name, value in options.items()
        if name not in CALLER_OPTIONS and value is not None
    }
    for result in results:
        if all(result["config"].get(name) == value for name, value in expected.items()):
            return result
    raise RunError(
        f"{script} wrote no result.json with these options to {out} ({len(results)} with others)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jaxdl.reproduce`; returns its exit code, 0 if the promise was kept."""
    parser = argparse.ArgumentParser(
        "python -m jaxdl.reproduce",
        description="Repeat the run of a result.json and compare the results.",
        allow_abbrev=False,
    )
    parser.add_argument("result", help="result.json of a finished run")
    parser.add_argument(
        "--out", help="empty directory for the new run; default: a temporary directory"
    )
    parser.add_argument(
        "--experiments", help="directory of the experiments' scripts; default: those of jaxdl"
    )
    options = vars(parser.parse_args(arguments))
    return command(lambda: int(not reproduce(**options).promise_kept))


if __name__ == "__main__":
    sys.exit(main())
