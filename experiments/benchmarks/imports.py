"""What `import jaxdl` costs next to importing what it stands on.

    python experiments/benchmarks/imports.py

Both imports start fresh interpreters, in turns. Fails if the ratio is above the bar, or if jaxdl
loads a package that only some function needs, or starts a backend.
"""

import argparse
import json
import statistics
import subprocess
import sys

#: What `import jaxdl` may take, as a multiple of the baseline.
BAR = 1.3

BASELINE = "import jax, flax.linen, optax"
JAXDL = "import jaxdl"

#: Packages that no import of jaxdl's needs. What the baseline loads by itself is not jaxdl's doing.
HEAVY = (
    *(
        "tensorflow",
        "tensorflow_datasets",
        "sklearn",
        "scipy.stats",
        "matplotlib",
        "orbax.checkpoint",
        "grain",
    ),
    *("rich", "tyro", "pandas", "PIL"),
)

TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
ASKED = """
import json, sys
{}
from jax._src import xla_bridge
print(json.dumps([[name for name in {} if name in sys.modules], xla_bridge.backends_are_initialized()]))
"""


def main() -> None:
    """Times both, in turns, and prints medians, ratio and bar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="how often each is imported (default: 10)"
    )
    rounds = parser.parse_args().rounds

    check()
    for statement in (BASELINE, JAXDL):
        seconds(statement)
    times = [(seconds(BASELINE), seconds(JAXDL)) for _ in range(rounds)]
    base, ours = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{BASELINE:<32} {base:6.3f} s")
    print(f"{JAXDL:<32} {ours:6.3f} s")
    print(f"{'ratio':<32} {ours / base:6.3f}    bar: {BAR}")
    if ours > BAR * base:
        sys.exit(f"import jaxdl takes {ours / base:.2f} times as long, the bar is {BAR}")


def check() -> None:
    """Asserts that `import jaxdl` loads nothing heavy and touches no device."""
    theirs, _ = loaded(BASELINE)
    ours, started = loaded(JAXDL)
    own = sorted(set(ours) - set(theirs))
    assert not own, f"import jaxdl loads {', '.join(own)}"
    assert not started, "import jaxdl starts a backend"


def loaded(statement: str) -> tuple[list[str], bool]:
    """Which of `HEAVY` a statement loads in a fresh interpreter, and whether it starts a backend."""
    names, started = json.loads(fresh(ASKED.format(statement, HEAVY)))
    return names, started


def seconds(statement: str) -> float:
    """What a statement takes in a fresh interpreter, whose own start does not count."""
    return float(fresh(TIMED.format(statement)))


def fresh(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main()
