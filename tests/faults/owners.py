"""Starts two processes on one directory: one of them owns it, and the other is refused or waits.

    python -m tests.faults.owners --trials 80

- two runs: the second one is refused in one line that names the first one's process; the first one
  ends with the bits of an undisturbed run;
- killed owner: the owner receives SIGKILL after its first checkpoint, and the same command resumes
  at once, with the same bits;
- moved: the directory is moved away after the first checkpoint; the run ends in one line, makes
  nothing again, and resumes at the new place with the same bits;
- two experiments: `gan.py` and `vae.py` start together with an empty cache. Both finish, and both
  use the feature classifier that one of them has trained, for 60 steps instead of 800.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import command
from tests.faults.resume import TIMEOUT, saved, sha256

SUMMARY = "pairs of processes shared a directory: one line or one wait, and the same bits"


def started(*arguments: object, cache: Path | None = None) -> subprocess.Popen:
    """Starts a child of this module and returns it."""
    variables = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONWARNINGS": "ignore"}
    if cache:
        variables["JAXDL_CACHE"] = str(cache)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.owners", "--child", *map(str, arguments)],
        cwd=command.ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def reached(process: subprocess.Popen, word: str) -> None:
    """Reads the output of a process up to a line that is this word."""
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        if line == f"{word}\n":
            return
    raise AssertionError(f"ended before {word}: {process.stderr.read()[-2000:]}")


def ended(process: subprocess.Popen, code: int) -> str:
    """Lets a process continue to its end; returns its standard error."""
    _, errors = process.communicate("go\n", timeout=TIMEOUT)
    assert process.returncode == code, f"ended with {process.returncode}: {errors[-2000:]}"
    return errors


def expected(directory: Path) -> str:
    """Returns the hash of an undisturbed run, which all trials of a command share."""
    whole = directory.parent / "whole"
    if not whole.exists():
        ended(started("run", whole, "none"), 0)
    return sha256(whole)


def two_runs(directory: Path) -> None:
    """Starts a second run while the first one holds the directory."""
    out = directory / "run"
    first = started("run", out, "owned")
    reached(first, "owned")
    second = started("run", out, "none")
    line = (
        f"error: {out}: process {first.pid} on {platform.node()} is using it; "
        "wait for its end, or choose another directory\n"
    )
    found = ended(second, 2)
    assert found == line, f"another line: {found!r}"
    ended(first, 0)
    assert sha256(out) == expected(directory), "other bits"


def killed_owner(directory: Path) -> None:
    """Kills the owner and repeats its command."""
    out = directory / "run"
    first = started("run", out, "saved")
    reached(first, "saved")
    first.kill()
    first.communicate()
    assert (out / "lock").exists() and saved(out), "nothing was interrupted"
    ended(started("run", out, "none"), 0)
    assert sha256(out) == expected(directory), "other bits"


def moved(directory: Path) -> None:
    """Moves the directory of a run away, and resumes it at its new place."""
    out = directory / "run"
    first = started("run", out, "saved")
    reached(first, "saved")
    out.rename(directory / "elsewhere")
    errors = [line for line in ended(first, 2).splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and f"{out}/checkpoints was moved or removed" in errors[0], errors
    assert not out.exists(), f"{out} was made again"
    ended(started("run", directory / "elsewhere", "none"), 0)
    assert sha256(directory / "elsewhere") == expected(directory), "other bits"


def two_experiments(directory: Path) -> None:
    """Starts two generative experiments with an empty cache."""
    names = ("gan", "vae")
    both = {name: started("smoke", directory / name, name, cache=directory) for name in names}
    errors = "".join(ended(process, 0) for process in both.values())
    results = [json.loads((directory / name / "result.json").read_text()) for name in names]
    used = {result["feature_classifier"]["sha256"] for result in results}
    assert len(used) == 1, f"two classifiers: {used}"
    assert errors.count("waiting for process") <= 1, errors


KINDS: dict[str, Callable[[Path], None]] = {
    "two runs": two_runs,
    "killed owner": killed_owner,
    "moved": moved,
    "two experiments": two_experiments,
}


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Runs one trial; raises AssertionError if it fails."""
    KINDS[kind](directory.resolve())


def child_run(out: str, pause: str) -> None:
    """Runs the perceptron on the moons; pauses once it is `owned` or has `saved`.

    The pause ends with a line of standard input. `none` means no pause.
    """
    from jaxdl.runs import launch, run
    from jaxdl.training import store
    from tests.runs.scripts import script

    def announced(module: Any, name: str, word: str) -> None:
        function = getattr(module, name)

        def call(*args: Any) -> Any:
            result = function(*args)
            if word == pause and not done:
                done.append(word)
                print(word, flush=True)
                sys.stdin.readline()
            return result

        setattr(module, name, call)

    done: list[str] = []
    announced(run, "claim", "owned")
    announced(store, "write_manifest", "saved")
    mlp = script("mlp")
    options = ["--data", "moons", "--hidden", "4", "--steps", "30", "--save-every", "10"]
    launch(mlp.main, mlp.Config, [*options, "--out", out])


def child_smoke(out: str, name: str) -> None:
    """Runs a generative experiment, whose feature classifier is trained for 60 steps."""
    from jaxdl.recipes import feature_classifier
    from jaxdl.runs import launch
    from tests.runs.scripts import script

    change = feature_classifier.with_options

    def with_fewer_steps(options: Any, **changes: Any) -> Any:
        if isinstance(options, feature_classifier.FeatureClassifierOptions):
            changes["steps"] = 60
        return change(options, **changes)

    feature_classifier.with_options = with_fewer_steps
    experiment = script(name)
    launch(experiment.main, experiment.Config, ["--smoke", "--out", out])


if __name__ == "__main__":
    if sys.argv[1:3] == ["--child", "run"]:
        child_run(*sys.argv[3:])
    elif sys.argv[1:3] == ["--child", "smoke"]:
        child_smoke(*sys.argv[3:])
    else:
        sys.exit(command.main("owners", SUMMARY, trial, KINDS, 80))
