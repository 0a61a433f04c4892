"""Hostile files and names: each ends in one line of ours or does no harm.

    python -m tests.faults.hostile

Each is written into an empty directory and used in another process, with little time and memory. It counts as
refused if that ends in a `JaxdlError` of one line, as harmless if it ends well; in both cases nothing outside of the
directory may have changed or been written to, and nothing may have been unpickled or started. Exit code 1 if any
ended otherwise.
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
from tests.experiment.scripts import script
from tests.faults import hostile_checkpoints, hostile_data, hostile_npz, hostile_runs
from tests.faults.hostile_npz import Row

PARTS = hostile_npz, hostile_data, hostile_runs, hostile_checkpoints

#: By name, what is done in an empty directory beside one called `outside`, and how it is to end.
ROWS: dict[str, tuple[Row, str]] = {
    **{name: (row, "refused") for part in PARTS for name, row in part.REFUSED.items()},
    **{name: (row, "harmless") for part in PARTS for name, row in part.HARMLESS.items()},
}

SECONDS = 240
BYTES = 8 * 2**30

#: Files that belong to nobody, and events of code that comes from a file.
NOWHERE = ("/dev/", "/proc/")
RUNS = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
WRITES = (
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.chmod",
    "shutil.rmtree",
)


class Worker:
    """A process that does one row after the other; one that hangs or dies is replaced."""

    def __init__(self) -> None:
        self.process: BaseProcess | None = None

    def outcome(self, name: str) -> tuple[str, str]:
        """How a row ended, `refused` or `harmless` if well, and what was said."""
        if self.process is None:
            method = multiprocessing.get_context("spawn")
            self.pipe, theirs = method.Pipe()
            self.process = method.Process(target=_work, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
            self.pipe.recv()
        with tempfile.TemporaryDirectory() as folder:
            self.pipe.send((name, Path(folder).resolve()))
            try:
                if self.pipe.poll(SECONDS):
                    return self.pipe.recv()
                said = "hangs", f"more than {SECONDS} s"
            except EOFError:
                said = "died", ""
            self.close()
        return said

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def _work(pipe: Connection) -> None:
    """What the process does."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # importing has opened the one that the tests share, which lies outside
    warnings.simplefilter("ignore")
    (
        jax.devices(),
        load("digits"),
        script("dcgan"),
    )  # what takes seconds is not to count as a row's time
    on_validation = Watch()
    pipe.send("ready")
    while True:
        pipe.send(_row(on_validation, *pipe.recv()))


def _row(on_validation: "Watch", name: str, root: Path) -> tuple[str, str]:
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
        contextlib.redirect_stderr(io.StringIO()) as said,
        on_validation.over(here),
    ):
        ended = _ended(use, said)
    os.chdir("/")
    if on_validation.seen or _contents(outside) != before or (here / "executed").exists():
        return "harm", f"{on_validation.seen or 'something outside has changed'} ({ended})"
    return ended


class Watch:
    """Sees what is written outside of a directory, unpickled or started.

    Attributes:
      seen: what was, in the last directory that was watched over.
    """

    def __init__(self) -> None:
        self.here = ""
        self.seen = list[str]()
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def over(self, here: Path) -> Iterator[None]:
        """Watches."""
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
            if path != self.here and not path.startswith((f"{self.here}{os.sep}", *NOWHERE)):
                self.seen.append(f"{event} {path}")


def _ended(use: Callable[[], object], said: io.StringIO) -> tuple[str, str]:
    try:
        use()
    except JaxdlError as error:
        line = str(error)
    except SystemExit as stop:
        *_, line = said.getvalue().splitlines() or [""]
        if stop.code != 2 or not line.startswith("error: "):
            return f"exit code {stop.code}", said.getvalue()
    except BaseException as error:
        return type(error).__name__, str(error)
    else:
        return "harmless", ""
    return ("refused" if line.isprintable() else "not one line"), line


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="rows with this in their name")
    wanted = parser.parse_args().only
    rows = {name: row for name, row in ROWS.items() if wanted in name}
    good = 0
    worker = Worker()
    for name, (_, expected) in rows.items():
        ended, said = worker.outcome(name)
        good += ended == expected
        print(f"{'' if ended == expected else 'WRONG: '}{name}: {ended} {said[:200]!r}", flush=True)
    worker.close()
    print(f"hostile: {good}/{len(rows)} refused or harmless")
    return int(good < len(rows))


if __name__ == "__main__":
    sys.exit(main())
