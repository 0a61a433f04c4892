"""Reads hostile files and names: each must be refused with a one-line error, or do no harm.

    python -m tests.faults.hostile

Each case runs in an empty directory and in another process, with limits on time and memory. Its
outcome is "refused" if it ends in a `JaxdlError` of one line, and "harmless" if it succeeds. In
both cases, nothing outside of the directory may be changed or opened for writing. No code from the
files may be unpickled or started. Any other outcome gives exit code 1.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from jaxdl.data import load
from jaxdl.errors import JaxdlError
from tests.faults import (
    hostile_checkpoints,
    hostile_data,
    hostile_files,
    hostile_npz,
    hostile_runs,
    hostile_weights,
)
from tests.faults.hostile_npz import Row
from tests.runs.scripts import script

PARTS = (
    hostile_npz,
    hostile_data,
    hostile_files,
    hostile_runs,
    hostile_checkpoints,
    hostile_weights,
)

#: By name, a function that prepares the case in an empty directory, and the expected outcome.
#: The directory lies beside another one called `outside`.
ROWS: dict[str, tuple[Row, str]] = {
    **{name: (row, "refused") for part in PARTS for name, row in part.REFUSED.items()},
    **{name: (row, "harmless") for part in PARTS for name, row in part.HARMLESS.items()},
}

#: Limits of one case and of the process.
SECONDS = 240
BYTES = 8 * 2**30

#: Directories that may be written to because nothing is stored there.
NOT_STORED = ("/dev/", "/proc/")

#: Audit events of running code that a file names.
RUNS = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")

#: Audit events of changes to files.
WRITES = (
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir"),
    *("os.symlink", "os.link", "os.chmod", "shutil.rmtree"),
)


class Worker:
    """A process that runs one case after the other; it is replaced if it hangs or dies."""

    def __init__(self) -> None:
        self.process: BaseProcess | None = None

    def outcome(self, name: str) -> tuple[str, str]:
        """Runs a case; returns its outcome and the error message."""
        if self.process is None:
            self._start()
        with tempfile.TemporaryDirectory() as folder:
            self.pipe.send((name, Path(folder).resolve()))
            try:
                if self.pipe.poll(SECONDS):
                    return self.pipe.recv()
                result = ("hangs", f"more than {SECONDS} s")
            except EOFError:
                result = ("died", "")
            self.close()
        return result

    def close(self) -> None:
        """Kills the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def _start(self) -> None:
        """Starts the process and waits until it is ready."""
        method = multiprocessing.get_context("spawn")
        self.pipe, other_end = method.Pipe()
        self.process = method.Process(target=_work, args=(other_end,), daemon=True)
        self.process.start()
        other_end.close()
        self.pipe.recv()


def _work(pipe: Connection) -> None:
    """Runs in the process: receives cases and sends their outcomes."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    jax.config.update("jax_enable_compilation_cache", False)
    # The imports have opened the cache that all tests share, which lies outside of the directory.
    compilation_cache.reset_cache()
    warnings.simplefilter("ignore")
    # These calls take seconds, which must not count as the time of the first case.
    jax.devices()
    load("digits")
    script("dcgan")
    watch = Watch()
    pipe.send("ready")
    while True:
        pipe.send(_run_case(watch, *pipe.recv()))


def _run_case(watch: "Watch", name: str, root: Path) -> tuple[str, str]:
    """Prepares and runs a case; returns its outcome and the error message."""
    here = root / "here"
    outside = root / "outside"
    for part in (here, outside):
        part.mkdir()
    (outside / "precious.txt").write_text("precious")
    os.chdir(here)
    os.environ["JAXDL_CACHE"] = str(here / "cache")
    use = ROWS[name][0](here)
    before = _contents(outside)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as errors,
        watch.over(here),
    ):
        outcome = _outcome(use, errors)
    os.chdir("/")
    if watch.seen or _contents(outside) != before or (here / "executed").exists():
        return "harm", f"{watch.seen or 'something outside has changed'} ({outcome})"
    return outcome


class Watch:
    """An audit hook that records writes outside of a directory and started code.

    Attributes:
      seen: recorded events of the last watched directory.
    """

    def __init__(self) -> None:
        self.here = ""
        self.seen = list[str]()
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def over(self, here: Path) -> Iterator[None]:
        """Records events inside the `with` block."""
        self.here = str(here)
        self.seen = []
        try:
            yield
        finally:
            self.here = ""

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.here:
            return
        if event in RUNS:
            self.seen.append(event)
        writes = event in WRITES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        )
        if writes and isinstance(arguments[0], str | os.PathLike | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path != self.here and not path.startswith((f"{self.here}{os.sep}", *NOT_STORED)):
                self.seen.append(f"{event} {path}")


def _outcome(use: Callable[[], object], errors: io.StringIO) -> tuple[str, str]:
    """Calls `use`; returns the outcome and the error message."""
    try:
        use()
    except JaxdlError as error:
        line = str(error)
    except SystemExit as stop:
        *_, line = errors.getvalue().splitlines() or [""]
        if stop.code != 2 or not line.startswith("error: "):
            return f"exit code {stop.code}", errors.getvalue()
    except BaseException as error:
        return type(error).__name__, str(error)
    else:
        return "harmless", ""
    if not line.isprintable():
        return "not one line", line
    return "refused", line


def _contents(folder: Path) -> dict[str, bytes | None]:
    """Returns the content of each file below a folder; None for each directory."""
    contents: dict[str, bytes | None] = {}
    for path in folder.rglob("*"):
        contents[str(path)] = None
        if path.is_file():
            contents[str(path)] = path.read_bytes()
    return contents


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="run only cases with this text in their name")
    wanted = parser.parse_args().only
    rows = {name: row for name, row in ROWS.items() if wanted in name}
    good = 0
    worker = Worker()
    for name, (_, expected) in rows.items():
        outcome, message = worker.outcome(name)
        line = f"{name}: {outcome} {message[:200]!r}"
        if outcome == expected:
            good += 1
        else:
            line = f"WRONG: {line}"
        print(line, flush=True)
    worker.close()
    print(f"hostile: {good}/{len(rows)} cases refused or harmless")
    return int(good < len(rows))


if __name__ == "__main__":
    sys.exit(main())
