"""Time of `import jaxdl` relative to the import of its main dependencies.

    python experiments/benchmarks/imports.py

Each import runs in a fresh interpreter, and the two alternate. The script fails if the ratio is
above the threshold. It also fails if `import jaxdl` loads a package that only some functions need,
or starts a backend.
"""

import argparse
import json
import statistics
import subprocess
import sys

#: The largest allowed time of `import jaxdl`, as a multiple of the baseline.
THRESHOLD = 1.3

BASELINE = "import jax, flax.linen, optax"
JAXDL = "import jaxdl"

#: Packages that `import jaxdl` must not load. Those that the baseline loads are not counted.
HEAVY = (
    "tensorflow",
    "tensorflow_datasets",
    "sklearn",
    "scipy.stats",
    "matplotlib",
    "orbax.checkpoint",
    "grain",
    "rich",
    "tyro",
    "pandas",
    "PIL",
)

TIMING_PROGRAM = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
LOADING_PROGRAM = """
import json, sys
{}
from jax._src import xla_bridge
loaded = [name for name in {} if name in sys.modules]
print(json.dumps([loaded, xla_bridge.backends_are_initialized()]))
"""


def main() -> None:
    """Times both imports in turns and prints the medians, the ratio and the threshold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="Number of timings per import (default: 10)."
    )
    rounds = parser.parse_args().rounds

    check()
    for statement in (BASELINE, JAXDL):
        seconds(statement)
    times = [(seconds(BASELINE), seconds(JAXDL)) for _ in range(rounds)]
    baseline, jaxdl = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{BASELINE:<32} {baseline:6.3f} s")
    print(f"{JAXDL:<32} {jaxdl:6.3f} s")
    print(f"{'ratio':<32} {jaxdl / baseline:6.3f}    threshold: {THRESHOLD}")
    if jaxdl > THRESHOLD * baseline:
        ratio = jaxdl / baseline
        sys.exit(f"import jaxdl takes {ratio:.2f} times as long, the threshold is {THRESHOLD}")


def check() -> None:
    """Asserts that `import jaxdl` loads no heavy package and starts no backend."""
    baseline, _ = loaded(BASELINE)
    jaxdl, started = loaded(JAXDL)
    added = sorted(set(jaxdl) - set(baseline))
    assert not added, f"import jaxdl loads {', '.join(added)}"
    assert not started, "import jaxdl starts a backend"


def loaded(statement: str) -> tuple[list[str], bool]:
    """Returns the packages of `HEAVY` that a statement loads, and True if it starts a backend."""
    names, started = json.loads(run_program(LOADING_PROGRAM.format(statement, HEAVY)))
    return names, started


def seconds(statement: str) -> float:
    """Returns the run time of a statement in a fresh interpreter, without its start."""
    return float(run_program(TIMING_PROGRAM.format(statement)))


def run_program(program: str) -> str:
    """Runs a program in a fresh interpreter and returns its output."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main()
