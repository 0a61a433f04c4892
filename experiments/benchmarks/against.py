"""Rates of this checkout divided by those of another one, in alternating turns on one machine.

    git worktree add ../before HEAD~1
    python experiments/benchmarks/against.py ../before
    python experiments/benchmarks/against.py ../before --only mlp-32 --rounds 31

Three processes take turns, in an order that rotates: this checkout, this checkout a second time,
and the other checkout. Compilation does not count. Each row shows the median over the rounds, and
in brackets a 95 % interval of that median:

    same    this checkout divided by its second process, the noise of the machine
    other   this checkout divided by the other one

The exit code is 1 if an interval of `other` lies below 0.98. Run the script on an otherwise idle
machine.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from contenders.child import Child, Failed, rotated, steps_per_turn
from contenders.figures import JAXDL
from contenders.workloads import WORKLOADS

#: The smallest allowed ratio of the rates.
THRESHOLD = 0.98


class Interval(NamedTuple):
    """A median, and a 95 % interval of it that assumes no distribution."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:6.3f} ({self.low:.3f} to {self.high:.3f})"


def main() -> None:
    """Measures the workloads one after the other and prints their ratios."""
    options = _options()
    if not (options.checkout / "jaxdl").is_dir():
        sys.exit(f"checkout = {options.checkout}: has no jaxdl folder; give the root of a checkout")
    results = {}
    print(f"{'':<15}{'same':>24}{'other':>26}", flush=True)
    for name in options.only:
        rates = measure(name, options.checkout.resolve(), options.rounds, options.seconds)
        same = median_interval(ratios(rates["here"], rates["same"]))
        other = median_interval(ratios(rates["here"], rates["other"]))
        results[name] = {"rates": rates, "same": same, "other": other}
        print(f"{name:<15}{same!s:>24}  {other!s:>24}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    overall = statistics.geometric_mean(result["other"].median for result in results.values())
    print(f"geometric mean {overall:48.3f}")
    slower = [name for name, result in results.items() if result["other"].high < THRESHOLD]
    if slower:
        sys.exit(f"slower than {THRESHOLD} of the other checkout: {', '.join(slower)}")


def measure(workload: str, checkout: Path, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Returns the rates of `here`, `same` and `other`, one value per round."""
    children = {
        "here": Child(JAXDL, workload),
        "same": Child(JAXDL, workload),
        "other": Child(JAXDL, workload, checkout=checkout),
    }
    try:
        for child in children.values():
            child.ready()
        steps = steps_per_turn(children["here"], seconds)
        for child in children.values():
            child.run(steps)
        rates: dict[str, list[float]] = {name: [] for name in children}
        for turn in range(rounds):
            for name in rotated(list(children), turn):
                result = children[name].run(steps)
                rates[name].append(result["examples"] / result["seconds"])
    except Failed as reason:
        sys.exit(f"{workload}: {reason}")
    finally:
        for child in children.values():
            child.close()
    return rates


def ratios(here: Sequence[float], there: Sequence[float]) -> list[float]:
    """Returns the ratios of two rates, round by round."""
    return [a / b for a, b in zip(here, there, strict=True)]


def median_interval(values: Sequence[float]) -> Interval:
    """Returns the median and its interval between two order statistics.

    The rank is the largest `k` with `2 P(Binomial(n, 1/2) < k) <= 0.05`. Below six values the
    interval is their range.
    """
    ordered = sorted(values)
    n = len(ordered)
    rank = 0
    tail = math.comb(n, 0) / 2**n
    while 2 * tail <= 0.05:
        rank += 1
        tail += math.comb(n, rank) / 2**n
    rank = max(rank, 1)
    return Interval(ordered[rank - 1], statistics.median(ordered), ordered[n - rank])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="Root of the other checkout.")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=WORKLOADS,
        default=list(WORKLOADS),
        help="Some of the workloads (default: all).",
    )
    parser.add_argument("--rounds", type=int, default=15, help="Number of turns (default: 15).")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="Length of a turn in seconds (default: 1)."
    )
    parser.add_argument("--json", type=Path, help="File for all results.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
