"""Every experiment's `--smoke` twice, on all cores and on one: the same `state_sha256`, the same numbers.

    python -m tests.faults.twice
    python -m tests.faults.twice --experiments mlp cnn

Of `mlp` and `cnn` also with what must not matter changed: the process alone, the compilation cache cold and warm,
buffers kept instead of donated, one step in a dispatch instead of several, and begun on all cores and ended on one.
Prints one line each and ends with exit code 1 if what is promised did not come out: the same bits.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxdl.experiment.comparison import Comparison, compare_results
from tests.experiment.classifiers import trained_classifier
from tests.experiment.scripts import EXPERIMENTS, script
from tests.faults.resume import finished

NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))

#: Those that are also tried with what must not matter.
CLOSELY = ("mlp", "cnn")

Results = dict[str, dict[str, Any]]


def smoke(
    name: str,
    out: Path,
    *more: str,
    environment: dict[str, str] | None = None,
    donated: bool = True,
) -> Results:
    """An experiment's shortest form in a process of its own, as a user would start it on a CPU.

    Args:
      name: the experiment.
      out: where it goes.
      *more: options behind `--smoke`.
      environment: variables that differ.
      donated: whether a step may reuse the memory of the state that it was given.

    Returns:
      Its results by directory: one called `.`, or one for each run of an experiment that compares several.
    """
    words = ["--smoke", *more, "--out", str(out)]
    if any(field.name == "feature_classifier" for field in dataclasses.fields(script(name).Config)):
        with contextlib.redirect_stdout(sys.stderr):
            words += ["--feature-classifier", str(trained_classifier())]
    plain = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    start = (
        [sys.executable] if donated else [sys.executable, "-m", "tests.faults.twice", "--undonated"]
    )
    finished(
        [*start, str(EXPERIMENTS / f"{name}.py"), *words],
        {**plain, "JAX_PLATFORMS": "cpu", **(environment or {})},
    )
    return {
        str(path.parent.relative_to(out)): json.loads(path.read_text())
        for path in sorted(out.rglob("result.json"))
    }


def undonated(path: str, *words: str) -> None:
    """Runs a script in this process, with no buffer given away.

    Raises:
      RuntimeError: none would have been anyway.
    """
    import jax

    jit = jax.jit
    kept = []

    def keeping(*args: Any, **options: Any) -> Any:
        kept.extend(name for name in options if name.startswith("donate"))
        return jit(
            *args,
            **{name: value for name, value in options.items() if not name.startswith("donate")},
        )

    jax.jit = keeping
    sys.argv = [path, *words]
    runpy.run_path(path, run_name="__main__")
    if not kept:
        raise RuntimeError(f"{path} donates nothing")


@contextlib.contextmanager
def one_core() -> Iterator[str]:
    """Processes that are started here have one core; where the system cannot say so it is said."""
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
    """Each result against the one of the same directory.

    Raises:
      RuntimeError: they did not leave the same ones.
    """
    if first.keys() != second.keys() or not first:
        raise RuntimeError(f"one left {sorted(first)}, the other {sorted(second)}")
    return [compare_results(first[run], second[run]) for run in first]


def trials(name: str, place: Path) -> Iterator[tuple[str, list[Comparison]]]:
    """Tries an experiment in every way: what was changed, and what came of each of its runs."""
    first = smoke(name, place / "first")
    threads = "--cpu-threads", str(next(iter(first.values()))["config"]["cpu_threads"])
    with one_core() as where:
        yield where, both(first, smoke(name, place / "second", *threads))
    if name not in CLOSELY:
        return
    yield "in another process", both(first, smoke(name, place / "third"))
    fresh = {
        "JAX_COMPILATION_CACHE_DIR": str(place / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for how in ("cold", "warm"):
        yield f"with a {how} cache", both(first, smoke(name, place / how, environment=fresh))
    if not any((place / "cache").iterdir()):
        raise RuntimeError(f"{name} kept no compiled programs")
    smoke(name, place / "moved", "--stop-after", "10")
    with one_core() as where:
        yield f"ended {where}", both(first, smoke(name, place / "moved"))
    yield "without donation", both(first, smoke(name, place / "kept", donated=False))
    yield "one step in a dispatch", both(first, smoke(name, place / "single", "--log-every", "1"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", nargs="+", default=NAMES, choices=NAMES, metavar="NAME")
    same = []
    kept = []
    for name in parser.parse_args().experiments:
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            for how, found in trials(name, Path(place)):
                seconds = time.perf_counter() - began
                began = time.perf_counter()
                same.append(all(each.same for each in found))
                kept.append(all(each.promise_kept for each in found))
                wrong = ", ".join(name for each in found for name in each.differences)
                said = "the same" if same[-1] else f"{wrong} differ; promised: {found[0].level}"
                print(f"{name:<18} {how:<22} {said} ({seconds:.0f} s)", flush=True)
    print(f"twice: {sum(same)}/{len(same)} the same bits, {sum(kept)}/{len(kept)} what is promised")
    return int(not all(kept))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--undonated"]:
        undonated(*sys.argv[2:])
    else:
        sys.exit(main())
