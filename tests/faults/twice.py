"""Runs every experiment's `--smoke` twice, on all cores and on one: the bits must be the same.

    python -m tests.faults.twice
    python -m tests.faults.twice --experiments mlp cnn

Compares `state_sha256`, the metrics and the hashes of the data. `mlp` and `cnn` are also run with
these changes, which must not change a bit:

- in another process;
- with a cold and with a warm cache of compiled programs;
- without donated buffers;
- with one step per dispatch instead of several;
- started on all cores and finished on one.

Prints one line per change. Exits with code 1 unless each result is as promised by
`docs/reproducibility.md`.
"""

import argparse
import contextlib
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxdl.runs import flat_options
from jaxdl.runs.comparison import Comparison, compare_results
from tests.faults.resume import finished
from tests.recipes.classifiers import trained_classifier
from tests.runs.scripts import EXPERIMENTS, script

NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))

#: Experiments that are also run with all changes.
CLOSELY = ("mlp", "cnn")

Results = dict[str, dict[str, Any]]


def smoke(
    name: str,
    out: Path,
    *more: str,
    environment: dict[str, str] | None = None,
    donated: bool = True,
) -> Results:
    """Runs `--smoke` of an experiment in a new process, as a user would start it on a CPU.

    Args:
      name: the experiment.
      out: directory of the run.
      *more: options behind `--smoke`.
      environment: environment variables to add or replace.
      donated: if True, a step may reuse the memory of the state that it receives.

    Returns:
      The results by directory: one called `.`, or one for each run of an experiment that compares
      several.
    """
    options = ["--smoke", *more, "--out", str(out)]
    if "feature_classifier" in flat_options(script(name).Config()):
        with contextlib.redirect_stdout(sys.stderr):
            options += ["--feature-classifier", str(trained_classifier())]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")
    }
    python = [sys.executable]
    if not donated:
        python += ["-m", "tests.faults.twice", "--undonated"]
    finished(
        [*python, str(EXPERIMENTS / f"{name}.py"), *options],
        {**inherited, "JAX_PLATFORMS": "cpu", **(environment or {})},
    )
    return {
        str(path.parent.relative_to(out)): json.loads(path.read_text())
        for path in sorted(out.rglob("result.json"))
    }


def undonated(path: str, *options: str) -> None:
    """Runs a script in this process, with all arguments that donate buffers removed from `jit`.

    Raises:
      RuntimeError: the script donates no buffers.
    """
    import jax

    jit = jax.jit
    removed = []

    def jit_without_donation(*args: Any, **keywords: Any) -> Any:
        removed.extend(name for name in keywords if name.startswith("donate"))
        remaining = {
            name: value for name, value in keywords.items() if not name.startswith("donate")
        }
        return jit(*args, **remaining)

    jax.jit = jit_without_donation
    sys.argv = [path, *options]
    runpy.run_path(path, run_name="__main__")
    if not removed:
        raise RuntimeError(f"{path} donates no buffers")


@contextlib.contextmanager
def one_core() -> Iterator[str]:
    """Restricts processes that are started in this context to one core.

    Yields:
      Words for the output; they differ on a system that cannot restrict the cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        yield "on the same cores"
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield "on one core"
    finally:
        os.sched_setaffinity(0, before)


def both(first: Results, second: Results) -> list[Comparison]:
    """Compares each result with the one of the same directory.

    Raises:
      RuntimeError: the results have different directories, or there are none.
    """
    if first.keys() != second.keys() or not first:
        raise RuntimeError(f"one left {sorted(first)}, the other {sorted(second)}")
    return [compare_results(first[run], second[run]) for run in first]


def trials(name: str, directory: Path) -> Iterator[tuple[str, list[Comparison]]]:
    """Yields each change to an experiment, with the comparison of each of its runs."""
    first = smoke(name, directory / "first")
    threads = ("--cpu-threads", str(next(iter(first.values()))["config"]["cpu_threads"]))
    with one_core() as where:
        yield where, both(first, smoke(name, directory / "second", *threads))
    if name not in CLOSELY:
        return
    yield "in another process", both(first, smoke(name, directory / "third"))
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(directory / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for warmth in ("cold", "warm"):
        results = smoke(name, directory / warmth, environment=cache)
        yield f"with a {warmth} cache", both(first, results)
    if not any((directory / "cache").iterdir()):
        raise RuntimeError(f"{name} wrote no compiled programs to the cache")
    smoke(name, directory / "moved", "--stop-after", "10")
    with one_core() as where:
        yield f"finished {where}", both(first, smoke(name, directory / "moved"))
    yield "without donation", both(first, smoke(name, directory / "undonated", donated=False))
    results = smoke(name, directory / "single", "--log-every", "1")
    yield "one step per dispatch", both(first, results)


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--experiments",
        nargs="+",
        default=NAMES,
        choices=NAMES,
        metavar="NAME",
        help="experiments to run; default: all",
    )
    same = []
    as_promised = []
    for name in parser.parse_args().experiments:
        with tempfile.TemporaryDirectory() as directory:
            began = time.perf_counter()
            for change, comparisons in trials(name, Path(directory)):
                seconds = time.perf_counter() - began
                began = time.perf_counter()
                same.append(all(each.same for each in comparisons))
                as_promised.append(all(each.promise_kept for each in comparisons))
                verdict = "the same"
                if not same[-1]:
                    names = ", ".join(name for each in comparisons for name in each.differences)
                    verdict = f"{names} differ; promised: {comparisons[0].level}"
                print(f"{name:<18} {change:<22} {verdict} ({seconds:.0f} s)", flush=True)
    print(
        f"twice: {sum(same)}/{len(same)} comparisons had the same bits, "
        f"{sum(as_promised)}/{len(as_promised)} were as promised"
    )
    return int(not all(as_promised))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--undonated"]:
        undonated(*sys.argv[2:])
    else:
        sys.exit(main())
