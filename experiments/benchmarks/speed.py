"""Examples per second of jaxdl next to its peers, the same networks on the same machine in one run.

    python experiments/benchmarks/speed.py
    python experiments/benchmarks/speed.py --only mlp-32 cnn3-128 --peers linen torch --rounds 7 --json speed.json

The peers: JAX by hand (`raw`), Flax Linen with Optax (`linen`), Keras 3 on JAX (`keras`), PyTorch (`torch`,
`torch-compile`); `pip install 'jaxdl[bench]'` brings the last three. Each contender is a process of its own; they take
turns, round by round in rotating order, and the others sleep. Compilation does not count. A row tells

    best, median   examples per second of jaxdl, over the rounds
    a peer         how many times as fast as the peer jaxdl is: of the medians, and (of the bests)
    roofline       FLOPs of the network per second over those of a large matrix product in the same rounds

Then come the bars; ends with exit code 1 below one of them. The machine should do nothing else.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from contenders.child import Child, Failed
from contenders.figures import OURS, ROOFLINE, Row, checks, geometric_mean
from contenders.workloads import WORKLOADS, Workload

PEERS = ("raw", "linen", "keras", "torch", "torch-compile")

PACKAGES = ("jaxdl", "jax", "jaxlib", "flax", "optax", "keras", "torch", "numpy")


def main() -> None:
    """Times the workloads one after the other, prints the table and the bars."""
    options = _options()
    peers = [peer for peer in PEERS if peer in options.peers]
    rows: list[Row] = []
    print(headline(peers), flush=True)
    for name in options.only:
        rows.append(measured(WORKLOADS[name], peers, options.rounds, options.seconds))
        print(line(rows[-1], peers), flush=True)
        if options.json:
            options.json.write_text(json.dumps(report(rows, options), indent=1) + "\n")

    print()
    print("\n".join(map(str, checks(rows))))
    broken = [row.workload for row in rows if OURS not in row.rates]
    if broken or not all(check.passed for check in checks(rows)):
        sys.exit(f"jaxdl did not run: {', '.join(broken)}" if broken else "below a bar")


def measured(workload: Workload, peers: list[str], rounds: int, seconds: float) -> Row:
    """Starts everybody, gives turns, ends everybody."""
    names = [OURS, *companions(workload), *peers, ROOFLINE]
    children = {name: Child(name, workload.name) for name in names}
    try:
        return taken(workload, children, rounds, seconds)
    finally:
        for child in children.values():
            child.close()


def companions(workload: Workload) -> list[str]:
    """What jaxdl is compared with of its own."""
    if workload.seeds > 1:
        return ["alone"]
    own = {"mlp": ["sharded", "streamed"], "cnn3": ["step", "streamed"], "cnn5": ["step"]}
    return {**own, "lstm": ["undivided"], "gru": ["undivided"]}.get(workload.network, [])


def taken(workload: Workload, children: Mapping[str, Child], rounds: int, seconds: float) -> Row:
    """Rounds of turns of about some seconds each; who fails is out."""
    rates: dict[str, list[float]] = {}
    steps: dict[str, int] = {}
    errors: dict[str, str] = {}
    devices: dict[str, str] = {}
    for name, child in children.items():
        try:
            made = child.ready()
            devices[name] = made["device"]
            if name != ROOFLINE and made["params"] != workload.params:
                raise Failed(f"has {made['params']:,} parameters, not {workload.params:,}")
            steps[name], rates[name] = filling(child, seconds), []
        except Failed as reason:
            errors[name] = str(reason)
    for turn in range(rounds):
        names = list(rates)
        for name in names[turn % len(names) :] + names[: turn % len(names)] if names else []:
            try:
                done = children[name].run(steps[name])
                rates[name].append(done["examples"] / done["seconds"])
            except Failed as reason:
                errors[name] = str(reason)
                del rates[name]
    return Row(workload.name, rates, errors, devices)


def filling(child: Child, seconds: float) -> int:
    """How many steps take about that long."""
    steps = 1
    while (took := child.run(steps)["seconds"]) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / took))


def headline(peers: list[str]) -> str:
    """Above the rows."""
    return f"{'':<15}{'best /s':>10}{'median /s':>11}" + "".join(
        f"{name:>15}" for name in [*peers, ROOFLINE]
    )


def line(row: Row, peers: list[str]) -> str:
    """One workload, and below it why somebody is missing."""

    def both(value: Any) -> str:
        median = value(statistics.median)
        best = value(max)
        return f"{'-':>15}" if math.isnan(median) else f"{median:>7.2f} ({best:5.2f})"

    cells = [both(lambda of, peer=peer: row.ratio(peer, of)) for peer in peers] + [
        both(row.fraction)
    ]
    start = f"{row.workload:<15}{row.rate(OURS, max):>10.1f}{row.rate(OURS):>11.1f}" + "".join(
        cells
    )
    return "\n".join([start, *(f"  {name}: {reason}" for name, reason in row.errors.items())])


def report(rows: list[Row], options: argparse.Namespace) -> dict[str, Any]:
    """Everything, for a file."""
    return {
        "environment": environment(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "workloads": {row.workload: details(row) for row in rows},
        "geometric_means": {
            peer: known(geometric_mean(rows, peer)) for peer in options.peers if peer != OURS
        },
        "checks": [check._asdict() | {"passed": check.passed} for check in checks(rows)],
    }


def details(row: Row) -> dict[str, Any]:
    """One workload."""
    workload = WORKLOADS[row.workload]
    both = {"median": statistics.median, "best": max}
    others = [name for name in row.rates if name not in (OURS, ROOFLINE)]
    return {
        "params": workload.params,
        "flops_per_example": workload.flops,
        "rates": row.rates,
        "errors": row.errors,
        "devices": row.devices,
        "ratios": {
            name: {key: known(row.ratio(name, of)) for key, of in both.items()} for name in others
        },
        "fraction_of_roofline": {key: known(row.fraction(of)) for key, of in both.items()},
    }


def environment() -> dict[str, Any]:
    """Where this ran."""
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


def known(value: float) -> float | None:
    """JSON has no NaN."""
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
        help="some of the workloads",
    )
    parser.add_argument(
        "--peers", nargs="+", choices=(OURS, *PEERS), default=list(PEERS), help="some of the peers"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each contender (default: 5)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (default: 2)")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
