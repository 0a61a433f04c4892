"""Runs as they lie in their directories, finished or not, and the options in which they differ."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxdl.data.files import expand_path
from jaxdl.errors import InputError, RunError
from jaxdl.runs.directory import read_json, read_result
from jaxdl.training.writers import read_metrics

#: Most runs that are read at once.
MOST_RUNS = 20


class StoredRun(NamedTuple):
    """A run in its directory.

    Attributes:
      name: shortest name that no other run has.
      directory: its directory.
      config: its options by name.
      records: its metrics by step, as `read_metrics` returns them; empty if there are none yet.
      result: contents of its `result.json`; empty for an unfinished run.
    """

    name: str
    directory: Path
    config: dict[str, Any]
    records: list[dict[str, float]]
    result: dict[str, Any]


def stored_runs(paths: Sequence[str | os.PathLike[str]]) -> list[StoredRun]:
    """Reads runs from their directories.

    Args:
      paths: directories of runs. One that holds runs, such as that of `run_variants`, stands for
        all of them.

    Returns:
      The runs in the order of the paths.

    Raises:
      InputError: a path is no directory of a run, a run is given twice, or there are too many.
      RunError: a file of a run is damaged.

    Example:
      >>> stored_runs(["nowhere"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: runs: got 'nowhere', allowed: an existing directory of a run
    """
    directories = [each for path in paths for each in _directories(path)]
    counts = Counter(each.resolve() for each in directories)
    twice = [str(each) for each in directories if counts[each.resolve()] > 1]
    if twice:
        raise InputError("runs", twice[0], "each run once")
    if not 1 <= len(directories) <= MOST_RUNS:
        raise InputError("runs", f"{len(directories)} runs", f"1 to {MOST_RUNS} runs")
    return [_read(*pair) for pair in zip(_names(directories), directories, strict=True)]


def _directories(path: str | os.PathLike[str]) -> list[Path]:
    """Returns a directory of a run, or those of the runs in it."""
    directory = expand_path(path, "runs")
    if not directory.is_dir():
        raise InputError("runs", str(path), "an existing directory of a run")
    if (directory / "config.json").exists():
        return [directory]
    inner = sorted(each.parent for each in directory.glob("*/config.json"))
    if not inner:
        allowed = "the directory of a run, which holds a config.json, or one with such directories"
        raise InputError("runs", str(path), allowed)
    return inner


def _names(directories: Sequence[Path]) -> list[str]:
    """Returns the last parts of the paths, as many as it takes for different names."""
    parts = [each.resolve().parts for each in directories]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            break
    return names


def _read(name: str, directory: Path) -> StoredRun:
    """Reads one run."""
    result = {}
    if (directory / "result.json").exists():
        result = read_result(directory / "result.json")
    records = []
    file = directory / "metrics.jsonl"
    if file.exists():
        try:
            records = read_metrics(file)
        except OSError as error:
            raise RunError(
                f"{file} cannot be read: {error.strerror}; make it readable, or leave the run out"
            ) from None
    return StoredRun(name, directory, read_json(directory / "config.json"), records, result)


def differing_options(runs: Sequence[StoredRun]) -> dict[str, list[Any]]:
    """Returns the options in which runs differ, with one value for each run.

    A run without the option, as of another experiment, has None.

    Example:
      >>> first = StoredRun("a", Path("a"), {"seed": 0, "width": 8}, [], {})
      >>> differing_options([first, first._replace(config={"seed": 0, "width": 16})])
      {'width': [8, 16]}
    """
    names = list(dict.fromkeys(name for run in runs for name in run.config))
    values = {name: [run.config.get(name) for run in runs] for name in names}
    return {name: row for name, row in values.items() if any(each != row[0] for each in row)}
