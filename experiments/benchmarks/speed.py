"""Examples per second of jaxdl and its peers: the same networks on the same machine in one run.

    python experiments/benchmarks/speed.py
    python experiments/benchmarks/speed.py --only mlp-32 cnn3-128 --peers linen --json speed.json
    python experiments/benchmarks/speed.py --only mlp-32 --peers linen --rounds 2 --seconds 0.5

The peers are JAX by hand (`raw`), Flax Linen with Optax (`linen`), Keras 3 on JAX (`keras`) and
PyTorch (`torch`, `torch-compile`). `pip install 'jaxdl[bench]'` installs Keras and PyTorch.

Each contender is a separate process. The contenders take turns, in an order that rotates from round
to round, and the others sleep. Compilation does not count. Each row shows:

    best, median   examples per second of jaxdl, over the rounds
    a peer         jaxdl's rate divided by the peer's
    roofline       FLOP per second of the network, divided by those of a large matrix product

Ratios are those of the medians, and in brackets those of the best rates. The thresholds follow
after the rows. The exit code is 1 if one is missed. Run the script on an otherwise idle machine.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from contenders.child import Child, Failed, rotated, steps_per_turn
from contenders.figures import JAXDL, ROOFLINE, Row, checks, geometric_mean
from contenders.workloads import WORKLOADS, Workload

PEERS = ("raw", "linen", "keras", "torch", "torch-compile")

PACKAGES = ("jaxdl", "jax", "jaxlib", "flax", "optax", "keras", "torch", "numpy")


def main() -> None:
    """Measures the workloads one after the other, and prints the table and the thresholds."""
    options = _options()
    peers = [peer for peer in PEERS if peer in options.peers]
    rows: list[Row] = []
    print(header(peers), flush=True)
    for name in options.only:
        rows.append(measure(WORKLOADS[name], peers, options.rounds, options.seconds))
        print(line(rows[-1], peers), flush=True)
        if options.json:
            options.json.write_text(json.dumps(report(rows, options), indent=1) + "\n")

    print()
    print("\n".join(map(str, checks(rows))))
    failed = [row.workload for row in rows if JAXDL not in row.rates]
    if failed:
        sys.exit(f"jaxdl did not run: {', '.join(failed)}")
    if not all(check.passed for check in checks(rows)):
        sys.exit("missed a threshold")


def measure(workload: Workload, peers: list[str], rounds: int, seconds: float) -> Row:
    """Starts all contenders, measures their rates and ends them."""
    names = [JAXDL, *companions(workload), *peers, ROOFLINE]
    children = {name: Child(name, workload.name) for name in names}
    try:
        return take_turns(workload, children, rounds, seconds)
    finally:
        for child in children.values():
            child.close()


def companions(workload: Workload) -> list[str]:
    """Returns the other variants of jaxdl that run with a workload."""
    if workload.seeds > 1:
        return ["alone"]
    variants = {
        "mlp": ["sharded", "streamed"],
        "cnn3": ["step", "streamed"],
        "cnn5": ["step"],
        "lstm": ["undivided"],
        "gru": ["undivided"],
    }
    return variants.get(workload.network, [])


def take_turns(
    workload: Workload, children: Mapping[str, Child], rounds: int, seconds: float
) -> Row:
    """Measures rounds of turns of about `seconds` each; a contender that fails is excluded."""
    rates: dict[str, list[float]] = {}
    steps: dict[str, int] = {}
    errors: dict[str, str] = {}
    devices: dict[str, str] = {}
    for name, child in children.items():
        try:
            ready = child.ready()
            devices[name] = ready["device"]
            if name != ROOFLINE and ready["params"] != workload.params:
                raise Failed(f"has {ready['params']:,} parameters, not {workload.params:,}")
            steps[name] = steps_per_turn(child, seconds)
            rates[name] = []
        except Failed as reason:
            errors[name] = str(reason)
    for turn in range(rounds):
        for name in rotated(list(rates), turn):
            try:
                result = children[name].run(steps[name])
                rates[name].append(result["examples"] / result["seconds"])
            except Failed as reason:
                errors[name] = str(reason)
                del rates[name]
    return Row(workload.name, rates, errors, devices)


def header(peers: list[str]) -> str:
    """Returns the line above the rows."""
    names = "".join(f"{name:>15}" for name in [*peers, ROOFLINE])
    return f"{'':<15}{'best /s':>10}{'median /s':>11}{names}"


def line(row: Row, peers: list[str]) -> str:
    """Returns the line of one workload, and below it the reason of each missing contender."""
    cells = [cell(lambda of, peer=peer: row.ratio(peer, of)) for peer in peers]
    cells.append(cell(row.fraction))
    rates = f"{row.workload:<15}{row.rate(JAXDL, max):>10.1f}{row.rate(JAXDL):>11.1f}"
    reasons = [f"  {name}: {reason}" for name, reason in row.errors.items()]
    return "\n".join([rates + "".join(cells), *reasons])


def cell(value: Callable[[Callable], float]) -> str:
    """Returns a value of the medians, and in brackets that of the best rates; a dash for NaN."""
    median = value(statistics.median)
    best = value(max)
    if math.isnan(median):
        return f"{'-':>15}"
    return f"{median:>7.2f} ({best:5.2f})"


def report(rows: list[Row], options: argparse.Namespace) -> dict[str, Any]:
    """Returns all results for the file."""
    return {
        "environment": environment(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "workloads": {row.workload: details(row) for row in rows},
        "geometric_means": {
            peer: nan_to_none(geometric_mean(rows, peer)) for peer in options.peers if peer != JAXDL
        },
        "checks": [check._asdict() | {"passed": check.passed} for check in checks(rows)],
    }


def details(row: Row) -> dict[str, Any]:
    """Returns the results of one workload."""
    workload = WORKLOADS[row.workload]
    both = {"median": statistics.median, "best": max}
    others = [name for name in row.rates if name not in (JAXDL, ROOFLINE)]
    return {
        "params": workload.params,
        "flops_per_example": workload.flops,
        "rates": row.rates,
        "errors": row.errors,
        "devices": row.devices,
        "ratios": {
            name: {key: nan_to_none(row.ratio(name, of)) for key, of in both.items()}
            for name in others
        },
        "fraction_of_roofline": {key: nan_to_none(row.fraction(of)) for key, of in both.items()},
    }


def environment() -> dict[str, Any]:
    """Returns a description of the machine and the versions of the packages."""
    cpu = Path("/proc/cpuinfo")
    models = [
        text.split(":")[1].strip()
        for text in cpu.read_text().splitlines()
        if text.startswith("model name")
    ]
    installed = {package.metadata["Name"]: package.version for package in metadata.distributions()}
    return {
        "platform": platform.platform(),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{package: installed[package] for package in PACKAGES if package in installed},
    }


def nan_to_none(value: float) -> float | None:
    """Returns None for NaN, which JSON does not support."""
    return None if math.isnan(value) else value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=WORKLOADS,
        default=list(WORKLOADS),
        help="Some of the workloads (default: all).",
    )
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=(JAXDL, *PEERS),
        default=list(PEERS),
        help="Some of the peers (default: all); jaxdl alone means none.",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="Number of turns per contender (default: 5)."
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="Length of a turn in seconds (default: 2)."
    )
    parser.add_argument("--json", type=Path, help="File for all results.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
