"""Number of files of the package in which a run calls functions.

    python experiments/benchmarks/files_entered.py

It counts the files for the library's example of the README, and for `mlp.py --smoke`. Both are
counted by a profiler, so code that only an import runs does not count. The script prints the files
and fails if a number is above its limit.
"""

import argparse
import contextlib
import io
import runpy
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxdl

ROOT = Path(__file__).parents[2]
PACKAGE = Path(jaxdl.__file__).parent

#: The largest allowed number of files.
LIMITS = {"library": 20, "mlp": 35}


def library() -> None:
    """Runs the example of the README, for fewer steps."""
    import optax

    train_set, test_set = jaxdl.data.load("digits")
    task = jaxdl.tasks.classify(jaxdl.models.MLP((64,), outputs=10))
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
    state = jaxdl.train(net, train_set, key=jaxdl.root(0), steps=20)
    jaxdl.evaluate(net, state, test_set)


def mlp() -> None:
    """Runs `mlp.py --smoke`."""
    with tempfile.TemporaryDirectory() as directory:
        sys.argv = ["mlp.py", "--smoke", "--out", directory]
        sys.path.insert(0, str(ROOT / "experiments"))
        runpy.run_path(str(ROOT / "experiments" / "mlp.py"), run_name="__main__")


@contextlib.contextmanager
def profiled(calls: Counter[str]) -> Iterator[None]:
    """Counts the calls of functions of the package by file, except those during imports."""

    def profile(frame, event, _):
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(str(PACKAGE)):
            return
        # The body of a module or a class runs once, while it is imported.
        if frame.f_code.co_name.startswith("<module") or not frame.f_code.co_flags & 2:
            return
        calls[Path(file).relative_to(PACKAGE).as_posix()] += 1

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def count(run: Callable[[], None]) -> Counter[str]:
    """Returns the number of calls in each file that a run enters."""
    calls: Counter[str] = Counter()
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent), profiled(calls):
        run()
    return calls


def main() -> None:
    """Counts the files of both runs and prints them."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    failed = False
    for run in (library, mlp):
        calls = count(run)
        limit = LIMITS[run.__name__]
        failed = failed or len(calls) > limit
        print(f"{run.__name__}: {len(calls)} files, allowed: {limit}")
        for file, number in sorted(calls.items()):
            print(f"  {number:>6}  {file}")
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
