"""A run again, from its result: the same command in a process of its own.

What a result says is not trusted: its experiment is one of the scripts of a directory that the caller names, its
options are fields of that script's Config, and where files go is the caller's to say.
"""

import argparse
import dataclasses
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.data.files import path_of
from jaxdl.errors import InputError, JaxdlError, RunError, of_kind, one_of
from jaxdl.experiment.comparison import Comparison, compare_results, report
from jaxdl.experiment.directory import are_conversions, read_json
from jaxdl.experiment.options import Options, parsed

#: Options that are not the result's to say: they decide where files go, not what comes out.
OWN = ("out", "stop_after", "tensorboard", "cache_dir")

#: What a result must have.
NEEDED = {
    "experiment": str,
    "config": dict,
    "state_sha256": str,
    "metrics": dict,
    "data": dict,
    "environment": dict,
}


def reproduce(
    result: str | os.PathLike, out: str | os.PathLike | None, experiments: str | os.PathLike
) -> Comparison:
    """Does what `jaxdl.reproduce` says."""
    where = path_of(result, "result")
    if where.is_dir():
        raise InputError("result", str(where), "a result.json; that of a run lies in its directory")
    old = read_json(where)
    for name, kind in NEEDED.items():
        if name not in old:
            raise InputError(
                "result", str(where), f"what a finished run writes into result.json, with {name!r}"
            )
        of_kind(name, old[name], kind, "what a finished run writes into result.json")
    if not are_conversions(old.get("conversions", [])):
        raise InputError(
            "conversions", old["conversions"], "what a finished run writes into result.json"
        )
    script = script_of(old["experiment"], Path(experiments))
    with tempfile.TemporaryDirectory() as spare:
        place = path_of(out or spare, "out").resolve()
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise InputError("out", str(out), "an empty directory, or one that is not there yet")
        new = _run(
            script, command_line(script, old["config"], str(place)), place, old["config"], bool(out)
        )
    found = compare_results(old, new)
    print("\n" + report(old, new, found))
    return found


def script_of(name: Any, experiments: Path) -> Path:
    """The script of an experiment, which is a file of that directory and of no other."""
    known = [path.stem for path in experiments.glob("*.py") if path.stem.isidentifier()]
    if not known:
        raise InputError(
            "experiments", str(experiments), "the directory of the experiments' scripts"
        )
    return experiments / f"{one_of('experiment', name, known)}.py"


def command_line(script: Path, stored: Mapping[str, Any], out: str) -> list[str]:
    """What stands behind a script's name to give it the options of a result, read back to see that it does.

    Args:
      script: the experiment's.
      stored: the `config` of its result.
      out: the new run's directory.

    Raises:
      InputError: an option that the script does not have, or a value that it would read as something else.
    """
    config = _options_of(script)
    words = [f"--out={out}"]
    wanted: dict[str, Any] = {"out": out}
    for name, value in stored.items():
        one_of("config", name, (field.name for field in dataclasses.fields(config)))
        if name not in OWN:
            words += _said(name, value)
            wanted[name] = tuple(value) if isinstance(value, list) else value
    read = parsed(config, words)
    meant = config(**wanted)
    for name in (field.name for field in dataclasses.fields(config)):
        if getattr(read, name) != getattr(meant, name):
            raise InputError(
                f"config.{name}", wanted.get(name), "a value that the command line can say"
            )
    return words


def _options_of(script: Path) -> type[Options]:
    """The Config of a script, which is imported under a name that no module can have."""
    spec = importlib.util.spec_from_file_location(f"<{script.stem}>", script)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(
        spec
    )  # Tyro reads the source of Config
    spec.loader.exec_module(module)
    return module.Config


def _said(name: str, value: Any) -> list[str]:
    """An option with its value, as Tyro reads it."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if not isinstance(value, list):
        return [f"--{option}={value}"]
    for each in value:
        if str(each).startswith("-"):
            raise InputError(f"config.{name}", each, "a value that is no option itself")
    return [f"--{option}", *map(str, value)]


def _run(
    script: Path, words: list[str], place: Path, options: Mapping[str, Any], shown: bool
) -> dict[str, Any]:
    """The result of a run in a process of its own; an experiment that compares several leaves it further down.

    Its progress goes on to the standard error stream; what it prints at its end only if `shown`.
    """
    command = [sys.executable, str(script), *words]
    last = ""
    output = None if shown else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as child:
        for line in child.stderr or ():
            sys.stderr.write(last)
            last = line
    if child.returncode:
        raise RunError(f"{script} ended with {child.returncode}: {last.strip() or 'no word'}")
    sys.stderr.write(last)
    results = [read_json(path) for path in sorted(place.rglob("result.json"))]
    # What was left open there has been filled in here.
    told = {name: value for name, value in options.items() if name not in OWN and value is not None}
    for result in results:
        if all(result["config"].get(name) == value for name, value in told.items()):
            return result
    raise RunError(
        f"{script} left no result.json of these options in {place}, but {len(results)} others"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m jaxdl.reproduce`; returns its exit code, 0 if what is promised came out."""
    said = "Run again what left a result.json."
    parser = argparse.ArgumentParser(
        "python -m jaxdl.reproduce", description=said, allow_abbrev=False
    )
    parser.add_argument("result", help="the result.json of a finished run")
    parser.add_argument(
        "--out", help="an empty directory for the new run; default: one that is removed afterwards"
    )
    parser.add_argument(
        "--experiments", default="experiments", help="the directory of the experiments' scripts"
    )
    try:
        return int(not reproduce(**vars(parser.parse_args(arguments))).promise_kept)
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
