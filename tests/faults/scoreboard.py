"""Runs the commands that test reliability and writes their results to `docs/reliability.md`.

    python -m tests.faults.scoreboard                       # all commands, as for a release: hours
    python -m tests.faults.scoreboard --only damage newest  # only these; other results are kept
    python -m tests.faults.scoreboard --only                # no command; only writes the page
    python -m tests.faults.scoreboard --quick               # few trials, as for a pull request

The results are stored in `docs/reliability.json`, and the page is written from them. Exits with
code 1 if any command fails.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import jax

import jaxdl
from jaxdl.errors import one_of
from tests.faults.resume import ROOT

#: Longest time of a command, in seconds.
LONGEST = 6 * 3600

RESULTS = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"


class Row(NamedTuple):
    """One row of the scoreboard.

    Attributes:
      requirement: the requirement that the command tests.
      module: the module of the command, `python -m MODULE`.
      full: arguments for a release.
      quick: arguments for a pull request; empty means the same as for a release.
    """

    requirement: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


def _faults(name: str, requirement: str, full: str = "", quick: str = "") -> Row:
    """Returns the row of a command in this directory."""
    return Row(requirement, f"tests.faults.{name}", tuple(full.split()), tuple(quick.split()))


ROWS: dict[str, Row] = {
    "kill": _faults(
        "kill",
        "A run that is killed and restarted ends with the same bits",
        "--trials 100",
        "--trials 2",
    ),
    "signals": _faults(
        "signals",
        "After SIGTERM or SIGINT, a run saves and exits within 5 s, or 5 s after a compilation",
        "--trials 20",
        "--trials 2",
    ),
    "inflight": _faults("inflight", "A save in progress is completed, however the run ends"),
    "saves": _faults(
        "saves", "A failing save ends the run with an error; earlier checkpoints stay intact"
    ),
    "calls": _faults(
        "calls",
        "If any file-system call fails, the run survives or ends in one line, and resumes",
        "",
        "--every 60",
    ),
    "owners": _faults(
        "owners",
        "A directory has one owner: other runs are refused in one line, or wait",
        "--trials 80",
        "--trials 4",
    ),
    "damage": _faults(
        "damage",
        "A damaged checkpoint is refused before any array is loaded",
        "--trials 300",
        "--trials 20",
    ),
    "newest": _faults(
        "newest", "If the newest checkpoint is invalid, the previous one is used, with a warning"
    ),
    "retention": _faults(
        "retention",
        "The newest, the best and the last finite checkpoint are kept",
        "",
        "--trials 500",
    ),
    "restoring": _faults(
        "restoring", "A checkpoint with another layout is refused, with the path and both values"
    ),
    "identity": _faults(
        "identity",
        "Another key, set, learner or environment than the store's is noticed, with both values",
        "",
        "--trials 50",
    ),
    "devices": _faults("devices", "A state saved on n devices and restored on m has the same bits"),
    "order": _faults("order", "A run resumed after any batch repeats no example and misses none"),
    "changes": _faults(
        "changes", "A resumed run refuses a changed option or changed data, unless it is allowed"
    ),
    "reader": _faults(
        "reader",
        "If the data reader fails, the run ends within 5 s and reports the cause",
        "",
        "--trials 4",
    ),
    "output": _faults(
        "output",
        "Output that fails ends no run, and no signal leaves a traceback",
        "",
        "--trials 14",
    ),
    "processes": _faults(
        "processes",
        "Losses agree on 1, 2 and 4 devices and in 2 processes; a dead peer is noticed within 30 s",
    ),
    "twice": _faults(
        "twice",
        "Every experiment has the same bits on all cores and on one",
        "",
        "--experiments mlp",
    ),
    "loaded": Row(
        "A finished run is loaded in another process and repeats its test metrics, bit for bit",
        "tests.loaded",
        (),
        ("--experiments", "mlp"),
    ),
    "golden": Row(
        "Random numbers, data orders and tiny trainings match the stored hashes", "tests.golden"
    ),
    "loops": _faults("loops", "Training on several devices never deadlocks", "", "--trials 4"),
    "inputs": Row(
        "Bad data, labels, shapes, ranges and options each give a one-line error",
        "pytest",
        ("tests/bad_inputs",),
    ),
    "nonfinite": _faults(
        "nonfinite",
        "At a NaN or an infinity, the run ends and names the array, or skips the step",
        "",
        "--trials 8",
    ),
    "fuzz": _faults(
        "fuzz",
        "Mutated files and command lines are accepted or give an error of jaxdl",
        "--inputs 100000",
        "--inputs 2000",
    ),
    "hostile": _faults("hostile", "Hostile files and names do no harm"),
    "long": _faults(
        "long",
        "In a run of 20,000 steps, memory stays constant within 2 %; files and log stay bounded",
    ),
    "badput": _faults(
        "badput",
        "Saving and verifying checkpoints take less than 2 % of the training time",
        "",
        "--data digits --epochs 20",
    ),
}

HEAD = """# Reliability

jaxdl is tested by injecting faults: runs are killed, checkpoints are damaged, input files are
forged. The table lists each requirement, the command that tests it, and its last result.

- **Run a command** from the root of the repository, such as `python -m tests.faults.damage`. It
  prints the result as its last line, and exits with code 1 if a trial fails. The docstring of its
  module describes the trials; `--help` prints it.
- **Read a result:** most begin with the number of passed trials and the number of all trials. Two
  states have "the same bits" if their `state_sha256`, a hash of all arrays, is the same.
- **Update this page** with `python -m tests.faults.scoreboard`, which runs the commands and writes
  the page. The test suite runs most of the commands with fewer trials.

[Kinds of faults](faults.md) lists what users meet, what jaxdl does instead, and the tests.
[Reproducibility](reproducibility.md) explains which runs have the same bits.
[Security](../SECURITY.md) lists the promises about files from others.

| passed | requirement | `python -m ...` | result | date, duration |
|---|---|---|---|---|
"""


def run(row: Row, quick: bool) -> dict[str, Any]:
    """Runs a command; returns its last line of output, its success, and the environment."""
    arguments = row.full
    if quick and row.quick:
        arguments = row.quick
    began = time.monotonic()
    command = [sys.executable, "-m", row.module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    lines = done.stdout.splitlines() or [""]
    if done.returncode:
        for line in done.stdout.splitlines()[:-1]:
            print(f"  {line}")
        # A command whose trials fail still prints its result; one that crashes does not.
        if not lines[-1].startswith(f"{row.module.rpartition('.')[2]}: "):
            lines = done.stderr.splitlines() or lines
    versions = f"jaxdl {jaxdl.__version__}, JAX {jax.__version__}"
    return {
        "command": " ".join([row.module, *arguments]),
        "result": lines[-1].strip(" ="),
        "passed": not done.returncode,
        "seconds": round(time.monotonic() - began),
        "date": date.today().isoformat(),
        "environment": f"{versions}, {os.cpu_count()} cores, {platform.machine()}",
    }


def page(results: dict[str, dict[str, Any]]) -> str:
    """Returns the page as Markdown.

    Example:
      >>> page({}).count("not run yet") == len(ROWS)
      True
    """
    lines = [_line(name, row, results.get(name)) for name, row in ROWS.items()]
    environments = sorted({each["environment"] for each in results.values()})
    measured = [f"\nMeasured with {environment}.\n" for environment in environments]
    return HEAD + "\n".join(lines) + "\n" + "".join(measured)


def _line(name: str, row: Row, result: dict[str, Any] | None) -> str:
    """Returns one line of the table."""
    if result is None:
        return f"| | {row.requirement} | `{row.module}` | not run yet | |"
    passed = "**no**"
    if result["passed"]:
        passed = "yes"
    text = result["result"].removeprefix(f"{name}: ").replace("|", "\\|")
    when = f"{result['date']}, {result['seconds']} s"
    return f"| {passed} | {row.requirement} | `{result['command']}` | {text} | {when} |"


def main() -> int:
    """Runs the commands; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=list(ROWS),
        metavar="NAME",
        help=f"rows to run; default: all of {', '.join(ROWS)}",
    )
    parser.add_argument("--quick", action="store_true", help="run few trials and store no results")
    args = parser.parse_args()
    passed = []
    for name in args.only:
        one_of("only", name, ROWS)
        result = run(ROWS[name], args.quick)
        passed.append(result["passed"])
        verdict = "FAILED"
        if result["passed"]:
            verdict = "passed"
        print(f"{verdict:<7} {result['result']} ({result['seconds']} s)", flush=True)
        if not args.quick:
            store({name: result})
    if not args.quick:
        store({})
    print(f"scoreboard: {sum(passed)}/{len(passed)} commands passed")
    return int(not all(passed))


def store(new: dict[str, Any]) -> None:
    """Adds results to the stored ones and writes the page."""
    results: dict[str, Any] = {}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text())
    results |= new
    in_order = {name: results[name] for name in ROWS if name in results}
    write(RESULTS, json.dumps(in_order, indent=1) + "\n")
    write(PAGE, page(results))


def write(file: Path, text: str) -> None:
    """Writes a file atomically, because two scoreboards may run at the same time."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main())
