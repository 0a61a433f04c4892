"""Lets one file-system call of a run fail: the run survives, or ends with an error in one line.

    python -m tests.faults.calls
    python -m tests.faults.calls --every 20 --errors EIO

Each trial is the perceptron on the moons. Its n-th file-system call inside the run directory gives
an error, for n = 3, 6, 9 and so on up to the last one. EIO is for every kind of call, ENOSPC for
those that need space. The run must finish, or end with exit code 2 and one line. The same command
without a fault must then end with the bits of an undisturbed run.

Calls of Python, Orbax and TensorStore are counted alike, because a library replaces the functions
of libc (`calls.c`). The command therefore needs Linux and a C compiler. The trials are forked from
one process that has imported everything, before JAX starts its threads.
"""

import argparse
import contextlib
import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.resume import ROOT, sha256

LIBRARY = Path(__file__).with_suffix(".c")
ERRORS = ("EIO", "ENOSPC")
SUMMARY = "runs with a failing file-system call survived or ended in one line, and resumed"


class Outcome(NamedTuple):
    """The outcome of one process.

    Attributes:
      code: exit code.
      output: standard error.
      calls: number of calls inside the run directory.
      failed: name and path of the call that failed; empty if none did.
    """

    code: int
    output: str
    calls: int
    failed: str


def compiler() -> str | None:
    """Returns the path of a C compiler; None without one, or on another system than Linux."""
    if sys.platform != "linux":
        return None
    return shutil.which("cc") or shutil.which("gcc")


@contextlib.contextmanager
def server() -> Iterator[subprocess.Popen]:
    """Yields the process from which trials are forked."""
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "calls.so"
        build = [str(compiler()), "-shared", "-fPIC", "-o", str(library), str(LIBRARY), "-ldl"]
        subprocess.run(build, check=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.calls", "--child"],
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(library), "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            yield process
            process.kill()


def run(process: subprocess.Popen, out: Path, n: int, error: str) -> Outcome:
    """Runs the experiment in a fork; its n-th call fails, or none for n = 0."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([str(out), n, error]) + "\n")
    process.stdin.flush()
    return Outcome(*json.loads(process.stdout.readline()))


def trial(process: subprocess.Popen, out: Path, n: int, error: str, expected: str) -> Outcome:
    """Lets one call fail and resumes the run; raises AssertionError with the problem."""
    faulty = run(process, out, n, error)
    where = f"{error} at call {n}, {faulty.failed}"
    assert faulty.code in (0, 2), f"{where}: exit code {faulty.code}: {shown(faulty.output)}"
    lines = faulty.output.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if faulty.code:
        assert lines[-1:] == errors and "Traceback" not in faulty.output, (
            f"{where}: not one line: {shown(faulty.output)}"
        )
    again = run(process, out, 0, error)
    assert again.code == 0, f"{where}: cannot be resumed: {shown(again.output)}"
    assert sha256(out) == expected, f"{where}: other bits"
    left = [path.name for path in out.rglob("*") if path.name == "lock"]
    # A lock that could not be removed is left, and is free for the next run.
    assert not left or "unlink" in faulty.failed, f"{where}: {left} is left"
    return faulty


def shown(text: str, size: int = 1500) -> str:
    """Returns the first and the last characters of a text, which hold the first and last error."""
    if len(text) <= 2 * size:
        return text
    return f"{text[:size]}\n[...]\n{text[-size:]}"


def trials(
    directory: Path, every: int, first: int, errors: tuple[str, ...] = ERRORS
) -> Iterator[tuple[str, str]]:
    """Yields the error number and the problem of each trial; the problem is empty if it passed."""
    with server() as process:
        run(process, directory / "warm", 0, "EIO")  # fills the cache of compiled programs
        for error in errors:
            whole = run(process, directory / f"whole-{error}", 0, error)
            expected = sha256(directory / f"whole-{error}")
            for n in range(first, whole.calls + 1, every):
                out = directory / f"{error}-{n}"
                try:
                    outcome = trial(process, out, n, error, expected)
                except AssertionError as problem:
                    yield error, str(problem)
                else:
                    print(f"{error} {n:>4} {outcome.code} {outcome.failed}", flush=True)
                    yield error, ""
                shutil.rmtree(out, ignore_errors=True)


def child() -> None:
    """Runs the requested experiments in forks, one after the other."""
    from orbax.checkpoint import v1  # noqa: F401

    from jaxdl.runs import launch
    from tests.runs.scripts import script

    mlp = script("mlp")
    library = ctypes.CDLL(None)
    library.fault_failed.restype = ctypes.c_char_p
    for line in sys.stdin:
        out, n, error = json.loads(line)
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as counted:
            process = os.fork()
            if process == 0:
                os.dup2(output.fileno(), 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.argv = ["mlp.py", "--data", "moons", "--hidden", "4", "--smoke", "--out", out]
                library.fault_arm(os.fsencode(out), n, getattr(errno, error))
                code = exit_code(lambda: launch(mlp.main, mlp.Config))
                count = library.fault_count()
                failed = library.fault_failed().decode()
                json.dump([count, failed], counted)
                counted.flush()
                os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            output.seek(0)
            counted.seek(0)
            print(json.dumps([code, output.read(), *json.load(counted)]), flush=True)


def exit_code(main: Any) -> int:
    """Calls a function; returns the exit code that a process would have, and prints tracebacks."""
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=3, help="distance of the calls; default: 3")
    parser.add_argument("--first", type=int, default=3, help="first call that fails; default: 3")
    parser.add_argument("--errors", nargs="*", default=ERRORS, choices=ERRORS)
    args = parser.parse_args()
    if compiler() is None:
        print("calls: needs Linux and a C compiler")
        return 1
    passed = []
    with tempfile.TemporaryDirectory() as directory:
        for _, problem in trials(Path(directory), args.every, args.first, tuple(args.errors)):
            passed.append(not problem)
            if problem:
                print(f"  {problem}", flush=True)
    print(f"calls: {sum(passed)}/{len(passed)} {SUMMARY}")
    return int(not all(passed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        sys.exit(main())
