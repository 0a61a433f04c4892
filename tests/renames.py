"""The old and new names of results, and a comparison of old runs with new ones through them.

    python -m tests.renames --write DIR          # every experiment's --smoke with this checkout
    python -m tests.renames OLD NEW              # two such directories, value by value

`--write` uses the fewest threads that an experiment runs with, as `python -m tests.golden` does.
The comparison covers steps, metrics and the SHA-256 of states. Arrays of wrappers have new paths,
so the hashes of states with an average of weights differ. Then the arrays of the last checkpoints
are compared. The exit code is 1 if a value differs or is missing.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.training.manifest import leaves
from tests.faults.twice import NAMES, smoke
from tests.runs.scripts import script

#: Directories of runs, by their old names.
RUNS = {
    "judge": "feature_classifier",
    "autoencoder/one": "autoencoder/one_image",
    "autoencoder/many": "autoencoder/many_images",
}

#: Metrics of results, by their old names.
METRICS = {
    "drawn/frechet": "samples/fid_classifier",
    "drawn/frechet_floor": "samples/fid_classifier_floor",
    "test/drawn": "test/score_fake",
    "test/real": "test/score_real",
    "test/psnr_of_first": "test/psnr_to_first_image",
}


def metric(name: str) -> str:
    """Returns the new name of a metric.

    Example:
      >>> metric("drawn/recall"), metric("drawn/frechet"), metric("test/loss")
      ('samples/recall', 'samples/fid_classifier', 'test/loss')
    """
    if name in METRICS:
        return METRICS[name]
    return name.replace("drawn/", "samples/", 1)


def results(directory: Path) -> dict[str, dict[str, Any]]:
    """Returns the results below a directory, by the new names of their runs."""
    found = {}
    for path in sorted(directory.rglob("result.json")):
        name = path.parent.relative_to(directory).as_posix()
        found[RUNS.get(name, name)] = json.loads(path.read_text())
    return found


def values(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of a result that are compared, by their new names."""
    found = {"steps": result["steps"], "state_sha256": result["state_sha256"]}
    for name, value in result["metrics"].items():
        found[metric(name)] = value
    for i, member in enumerate(result.get("members", [])):
        found[f"members/{i}/state_sha256"] = member["state_sha256"]
        for name, value in member["metrics"].items():
            found[f"members/{i}/{metric(name)}"] = value
    return found


def differences(old: Path, new: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Yields each run's name, its number of values, and the names of those that differ."""
    before = results(old)
    after = results(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            yield name, 0, ["a run of one side only"]
            continue
        first = values(before[name])
        second = values(after[name])
        names = sorted(first.keys() | second.keys())
        different = [each for each in names if first.get(each) != second.get(each)]
        if "state_sha256" in different and same_arrays(old, new, name):
            different.remove("state_sha256")
        yield name, len(names), different


def same_arrays(old: Path, new: Path, name: str) -> bool:
    """Returns True if the last checkpoints of a run have the same arrays, up to their paths."""
    old_names = [former for former, now in RUNS.items() if now == name]
    before = last_state(old / (old_names or [name])[0])
    after = last_state(new / name)
    return (
        bool(before)
        and before.keys() == after.keys()
        and all(before[path].tobytes() == after[path].tobytes() for path in before)
    )


def last_state(run: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a run's last checkpoint by path; those of wrappers by the old paths."""
    from orbax.checkpoint import v1 as ocp

    steps = [int(each.name) for each in (run / "checkpoints").glob("*") if each.name.isdigit()]
    if not steps:
        return {}
    with warnings.catch_warnings(action="ignore"):
        state = ocp.load(run.resolve() / "checkpoints" / str(max(steps)) / "state")
    found = {}
    for path, leaf in leaves(state).items():
        found[path.replace("wrapped/", "extra/", 1)] = np.asarray(leaf)
    return found


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.renames",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directories", nargs="*", type=Path, metavar="DIR", help="directories OLD and NEW"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="DIR",
        help="runs every experiment with --smoke into this directory",
    )
    options = parser.parse_args()
    if options.write:
        for name in NAMES:
            threads = str(script(name).Config.default_cpu_devices)
            smoke(name, options.write / name, "--cpu-threads", threads)
            print(f"{name} finished", flush=True)
        return 0
    if len(options.directories) != 2:
        parser.error("two directories are needed: OLD NEW")
    rows = list(differences(*options.directories))
    for name, count, different in rows:
        print(f"{name:<32} {count:>3} values  {', '.join(different) or 'equal'}")
    equal = sum(not different for _, _, different in rows)
    print(f"renames: {equal}/{len(rows)} runs equal")
    return int(equal < len(rows) or not rows)


if __name__ == "__main__":
    sys.exit(main())
