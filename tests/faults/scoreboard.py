"""Runs the commands of this directory and keeps what each said, with where and how long, in `docs/reliability.md`.

    python -m tests.faults.scoreboard                       # all of them, at the counts of a release: hours
    python -m tests.faults.scoreboard --only damage newest  # these; the others stay as they were said last
    python -m tests.faults.scoreboard --only                # no command: writes the page anew
    python -m tests.faults.scoreboard --quick               # at the counts of a pull request

What is kept lies in `docs/reliability.json`; the page is written from it. Exit code 1 if any command failed.
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

#: Seconds that a command may take.
LONGEST = 6 * 3600

KEPT = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"


class Row(NamedTuple):
    """One line of the scoreboard.

    Attributes:
      what: what must hold.
      module: what is run, `python -m MODULE`.
      full: its arguments at the counts of a release.
      quick: the same for a pull request.
    """

    what: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()


def _faults(what: str, name: str, full: str = "", quick: str = "") -> Row:
    return Row(what, f"tests.faults.{name}", tuple(full.split()), tuple(quick.split()))


ROWS: dict[str, Row] = {
    "kill": _faults(
        "killed at random moments, it ends with the same bits", "kill", "--trials 100", "--trials 2"
    ),
    "signals": _faults(
        "told to end in any phase: saved, the right exit code, in 5 s",
        "signals",
        "--trials 20",
        "--trials 2",
    ),
    "inflight": _faults("a save under way is completed, however the run is left", "inflight"),
    "saves": _faults("a save that fails ends the run, named; earlier steps stay", "saves"),
    "damage": _faults(
        "damage is named before a weight is used", "damage", "--trials 300", "--trials 20"
    ),
    "newest": _faults("a bad newest step is passed over, with the reason", "newest"),
    "retention": _faults(
        "the latest, best and last finite step are kept", "retention", "", "--trials 500"
    ),
    "restoring": _faults("another layout is refused with path and both values", "restoring"),
    "devices": _faults("saved on n devices, restored on m: the same bits", "devices"),
    "order": _faults("stopped after any batch: none repeated, none missing", "order"),
    "changes": _faults("what a run cannot honour is refused, what it can is documented", "changes"),
    "reader": _faults("a reader that dies ends the run, named, in 5 s", "reader", "", "--trials 4"),
    "processes": _faults(
        "losses on 1, 2, 4 devices and 2 processes; a dead peer is noticed in 30 s", "processes"
    ),
    "twice": _faults(
        "every experiment on all cores and on one: the same bits", "twice", "", "--experiments mlp"
    ),
    "golden": Row(
        "random numbers, orders and tiny trainings are those that were kept", "tests.golden"
    ),
    "loops": _faults("loops over several devices do not hang", "loops", "", "--trials 4"),
    "inputs": Row(
        "bad data, labels, shapes, ranges, options: one line each", "pytest", ("tests/bad_inputs",)
    ),
    "nonfinite": _faults(
        "NaN and infinity: at their step, named, or skipped", "nonfinite", "", "--trials 8"
    ),
    "fuzz": _faults(
        "broken files end in success or our error", "fuzz", "--inputs 100000", "--inputs 2000"
    ),
    "hostile": _faults("hostile files and names do no harm", "hostile"),
    "long": _faults("20,000 steps: memory flat to 2 %, files and log bounded", "long"),
    "badput": _faults(
        "saving and verifying cost less than 2 % of training",
        "badput",
        "",
        "--data digits --epochs 20",
    ),
}

HEAD = """# How reliable

What was tried to break runs, and what came of it. The lines are written by `python -m tests.faults.scoreboard`, which
runs the commands they name; each command ends with exit code 1 if anything was not as it should be, and says what
it does in its docstring; the test suite runs most of them at smaller counts. What is promised of equal bits is in
[reproducibility.md](reproducibility.md), of files in [SECURITY.md](../SECURITY.md).

| | what must hold | `python -m ...` | what it said | when, how long |
|---|---|---|---|---|
"""


def run(row: Row, quick: bool) -> dict[str, Any]:
    """What a command says last, and whether it is content."""
    arguments = row.quick or row.full if quick else row.full
    began = time.monotonic()
    command = [sys.executable, "-m", row.module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    lines = done.stdout.splitlines() or [""]
    # A command that fails sums up all the same; one that breaks says why elsewhere.
    if done.returncode and not lines[-1].startswith(f"{row.module.rpartition('.')[2]}: "):
        lines = done.stderr.splitlines() or lines
    for line in done.stdout.splitlines()[:-1] if done.returncode else []:
        print(f"  {line}")
    return {
        "command": " ".join([row.module, *arguments]),
        "said": lines[-1].strip(" ="),
        "fine": not done.returncode,
        "seconds": round(time.monotonic() - began),
        "date": date.today().isoformat(),
        "on": f"jaxdl {jaxdl.__version__}, JAX {jax.__version__}, {os.cpu_count()} cores, {platform.machine()}",
    }


def page(kept: dict[str, dict[str, Any]]) -> str:
    """The document.

    Example:
      >>> page({}).count("not run yet") == len(ROWS)
      True
    """
    lines = []
    places = sorted({each["on"] for each in kept.values()})
    for name, row in ROWS.items():
        found = kept.get(name)
        if found is None:
            lines.append(f"| | {row.what} | `{row.module}` | not run yet | |")
            continue
        said = found["said"].removeprefix(f"{name}: ").replace("|", "\\|")
        when = f"{found['date']}, {found['seconds']} s"
        lines.append(
            f"| {'yes' if found['fine'] else '**no**'} | {row.what} | `{found['command']}` | {said} | {when} |"
        )
    return (
        HEAD + "\n".join(lines) + "\n" + "".join(f"\nMeasured with {place}.\n" for place in places)
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="*", default=list(ROWS), metavar="NAME", help=", ".join(ROWS)
    )
    parser.add_argument(
        "--quick", action="store_true", help="the counts of a pull request; nothing is kept"
    )
    read = parser.parse_args()
    fine = []
    for name in read.only:
        one_of("only", name, ROWS)
        found = run(ROWS[name], read.quick)
        fine.append(found["fine"])
        print(
            f"{'fine' if found['fine'] else 'FAILED':<7} {found['said']} ({found['seconds']} s)",
            flush=True,
        )
        if not read.quick:
            keep({name: found})
    if not read.quick:
        keep({})
    print(f"scoreboard: {sum(fine)}/{len(fine)} commands are content")
    return int(not all(fine))


def keep(found: dict[str, Any]) -> None:
    """Adds to what is kept, and writes the page."""
    kept = (json.loads(KEPT.read_text()) if KEPT.exists() else {}) | found
    write(KEPT, json.dumps({each: kept[each] for each in ROWS if each in kept}, indent=1) + "\n")
    write(PAGE, page(kept))


def write(file: Path, text: str) -> None:
    """In one piece: two boards may be at work."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(file)


if __name__ == "__main__":
    sys.exit(main())
