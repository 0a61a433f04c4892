"""Seconds from the start of a process to 99 % of MNIST's test set, imports, data and compilation included.

    python experiments/benchmarks/to_99.py
    python experiments/benchmarks/to_99.py --only jaxdl-warm torch-small --seeds 3

    jaxdl-cold, jaxdl-warm  two convolutions with strides 2, one dense layer, BatchNorm; one-cycle Adam at 0.01,
                            1.75 epochs in batches of 128. Cold has no compiled programs on disk, warm has them
    torch-small             the same network and recipe in PyTorch, eager
    torch-lecture           the 3x3 network of the lectures in PyTorch, Adam at 0.001, tested after each epoch
    keras-lecture           the same by `fit` of Keras 3 on JAX

Who has a fixed recipe runs it to its end, whatever comes out; the others stop at 99 %. The images lie ready as arrays
for all of them. The machine should do nothing else. `pip install 'jaxdl[bench]'` brings the peers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contenders.mnist import GOAL

import jaxdl

HOME = Path(__file__).parent
NAMES = ("jaxdl-cold", "jaxdl-warm", "torch-small", "torch-lecture", "keras-lecture")

#: Seconds at most, on two cores.
BARS = {"jaxdl-warm": 10, "jaxdl-cold": 15}

#: How many times as fast jaxdl-warm is at least.
RATIOS = {"torch-small": 1.5, "torch-lecture": 10}


class Race(NamedTuple):
    """One process.

    Attributes:
      seconds: from its start to its last accuracy.
      accuracy: that one.
      epochs: until then.
    """

    seconds: float
    accuracy: float
    epochs: float


def lay_out(folder: Path) -> None:
    """Writes the images as the arrays that the peers read."""
    arrays = {}
    for part, data in zip(("train", "test"), jaxdl.data.load("mnist"), strict=True):
        arrays[f"{part}_input"] = np.round(255 * data["input"]).astype(np.uint8)
        arrays[f"{part}_label"] = data["label"]
    np.savez(folder / "mnist.npz", **arrays)


def race(name: str, seed: int, folder: Path) -> Race:
    """Starts a process and waits for its last line."""
    framework, kind = name.split("-")
    cache = tempfile.mkdtemp(dir=folder) if kind == "cold" else str(folder / "xla")
    rest = {"jaxdl": [str(seed), cache], "torch": [kind, str(seed)], "keras": [str(seed)]}[
        framework
    ]
    rest += [] if framework == "jaxdl" else [str(folder / "mnist.npz")]
    began = time.perf_counter()
    end = 0.0
    last = ""
    command = [sys.executable, "-m", f"contenders.mnist_{framework}", *rest]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            end = time.perf_counter()
            last = line
    if process.returncode:
        sys.exit(f"{name}: exit code {process.returncode}")
    told = json.loads(last)
    return Race(end - began, told["accuracy"], told["epoch"])


def main() -> None:
    """Every contender with every seed, in turns, and the bars."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument(
        "--seeds", type=int, default=5, help="runs of each (default: 5; of the 3x3 network 1)"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    seen: dict[str, list[Race]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay_out(folder)
        if "jaxdl-warm" in seen:
            race("jaxdl-warm", 0, folder)
        for seed in range(options.seeds):
            for name in options.only:
                if seed and name.endswith("lecture"):
                    continue
                seen[name].append(race(name, seed, folder))
                print(
                    f"{name:<14} seed {seed}: {seen[name][-1].accuracy:.2%} in {seen[name][-1].seconds:6.1f} s",
                    flush=True,
                )

    median = {name: statistics.median(one.seconds for one in races) for name, races in seen.items()}
    print(f"\n{'':<14}{'median, s':>10}{'epochs':>8}{'mean accuracy':>15}{'jaxdl-warm is':>15}")
    for name, races in seen.items():
        accuracy = statistics.mean(one.accuracy for one in races)
        faster = f"{median[name] / median['jaxdl-warm']:.2f}x" if "jaxdl-warm" in median else ""
        print(
            f"{name:<14}{median[name]:>10.1f}{races[0].epochs:>8.2f}{accuracy:>15.2%}{faster:>15}"
        )
    if options.json:
        about = {
            "cpus": len(os.sched_getaffinity(0)),
            "races": {n: [r._asdict() for r in rs] for n, rs in seen.items()},
        }
        options.json.write_text(json.dumps(about, indent=1) + "\n")

    checks = [
        (f"{name}, seconds", median[name], bar, median[name] <= bar)
        for name, bar in BARS.items()
        if name in seen
    ]
    for name, races in seen.items():
        if name.startswith("jaxdl"):
            accuracy = statistics.mean(one.accuracy for one in races)
            checks.append((f"{name}, mean accuracy", accuracy, GOAL, accuracy >= GOAL))
    if "jaxdl-warm" in median:
        ratios = {name: median[name] / median["jaxdl-warm"] for name in RATIOS if name in median}
        checks += [
            (f"jaxdl-warm, of {name}", r, RATIOS[name], r >= RATIOS[name])
            for name, r in ratios.items()
        ]
    print()
    for what, value, bar, passed in checks:
        print(f"{'pass' if passed else 'FAIL'}  {what:<32}{value:>8.3g}  bar {bar}")
    sys.exit(0 if all(check[-1] for check in checks) else "missed a bar")


if __name__ == "__main__":
    main()
