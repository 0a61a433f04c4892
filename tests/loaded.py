"""Loads the network of every experiment in another process, and computes its test metrics again.

    python -m tests.loaded
    python -m tests.loaded --experiments mlp cnn

Each run is a `--smoke`. The metrics of the loaded network on the test set must equal those of the
result, bit for bit. The options cover standardized inputs, averaged weights, BatchNorm, several
seeds and several optimizers.

Prints one line per run. The exit code is 1 unless all metrics are equal.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import jaxdl
from jaxdl.data import Dataset
from jaxdl.rng import root
from jaxdl.runs import Run, backend, launch
from tests.recipes.classifiers import trained_classifier
from tests.runs.scripts import EXPERIMENTS, script

#: Experiments and their options. Experiments that are not named here run with their defaults.
OPTIONS: dict[str, list[list[str]]] = {
    "mlp": [
        ["--standardize"],
        ["--ema", "0.9", "--norm", "batch", "--seeds", "2"],
        ["--optimizer", "schedule_free", "--seeds", "3"],
        ["--optimizer", "muon", "--norm", "weight", "--bfloat16"],
        ["--data", "moons"],
    ],
    "cnn": [
        ["--network", "lecture-3x3", "--augment", "rotate=10,shift=1,mixup=0.2"],
        ["--network", "resnet20"],
        ["--standardize", "--seeds", "2"],
    ],
    "gan": [["--ema", "0.9"]],
    "vae": [["--conditional", "--network", "conv", "--kl-warmup", "0.5"], []],
    "sentiment": [["--seeds", "2"]],
    "text_generation": [[], ["--stride", "8", "--embedding", "4"]],
}

NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.py"))

#: File beside a run with its test set.
TEST_SET = "test_set.npz"


def train(name: str, out: str, options: list[str]) -> None:
    """Runs the smoke test of an experiment, and writes the test set of each run beside it."""
    test = Run.test

    def recorded(run: Run, learner: Any, state: Any, data: Dataset) -> dict[str, Any]:
        metrics = test(run, learner, state, data)
        np.savez(run.out / TEST_SET, **{f: np.asarray(x) for f, x in data.arrays.items()})
        return metrics

    Run.test = recorded  # type: ignore[method-assign]
    module = script(name)
    launch(module.main, module.Config, ["--smoke", "--out", out, *options])


def differences(out: Path) -> list[str]:
    """Returns the metrics of the runs below a directory that a loaded network does not repeat."""
    found = []
    runs = [path.parent for path in sorted(out.rglob(TEST_SET))]
    assert runs, f"{out} has no run"
    # The rounding depends on the devices and threads.
    config = json.loads((runs[0] / "config.json").read_text())
    backend.set_cpu_threads(config["cpu_threads"])
    backend.make_cpu_devices(config["cpu_devices"])
    for run in runs:
        result = json.loads((run / "result.json").read_text())
        with np.load(run / TEST_SET) as arrays:
            scaling = jaxdl.load(run).preprocessing.scaling
            data = Dataset(dict(arrays), "test", scaling=scaling)
        members = result.get("members", [result])
        for i, member in enumerate(members):
            network = jaxdl.load(run, member=i)
            size = min(500, result["config"]["batch_size"])
            key = root(member["seed"])
            for name, value in network.evaluate(data, key=key, batch_size=size).items():
                stored = member["metrics"][f"test/{name}"]
                if stored != float(value):
                    found.append(f"{run.name}[{i}] test/{name}: {stored} in the result, {value}")
    return found


def trial(name: str, options: list[str]) -> list[str]:
    """Trains and loads one experiment, each in a new process; returns the differences."""
    with tempfile.TemporaryDirectory() as directory:
        if name in CLASSIFIED:
            options = ["--feature-classifier", str(trained_classifier()), *options]
        out = f"{directory}/run"
        command = [sys.executable, "-m", "tests.loaded"]
        words = [*command, "--train", name, "--out", out, "--", *options]
        trained = subprocess.run(words, capture_output=True, text=True)
        if trained.returncode:
            return [f"training: {trained.stderr[-500:]}"]
        words = [*command, "--check", "--out", out]
        checked = subprocess.run(words, capture_output=True, text=True)
        if checked.returncode:
            return [checked.stdout + checked.stderr[-500:]]
        return []


#: Experiments that score generated images.
CLASSIFIED = ("conditional_dcgan", "dcgan", "gan", "vae")


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--train", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    parser.add_argument("options", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train, args.out, args.options)
        return 0
    if args.check:
        found = differences(Path(args.out))
        print("\n".join(found))
        return int(bool(found))
    passed = []
    for name in args.experiments:
        for options in OPTIONS.get(name, [[]]):
            found = trial(name, options)
            passed.append(not found)
            print(f"{name} {' '.join(options)}: {'; '.join(found) or 'equal'}", flush=True)
    print(f"loaded: {sum(passed)}/{len(passed)} networks repeat their test metrics")
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
