"""Hashes that do not change within a version of JAX, and figures that change by rounding only.

They cover sets, orders of data, random numbers, and one tiny training per experiment.

    python -m tests.golden                        # compare all hashes with the stored ones
    python -m tests.golden --experiments mlp cnn  # only these trainings; none without a name
    python -m tests.golden --write                # store the new hashes, one group after the other

`tests/golden.json` stores them by where they are the same:

- everywhere: sets, and orders that need no random numbers;
- under one version of JAX: random numbers, orders and streams; and the figures of trainings, which
  are metrics and norms of weights, compared with a tolerance;
- under one version on one kind of CPU, whose instructions the compiler uses: hashes of trainings.

The test suite compares them in `tests/test_golden.py`.

Trainings use one thread per device and the optimized code that users run. The exit code is 1 if a
hash or a figure has changed or is not stored yet.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxdl import state_sha256
from jaxdl.data import Dataset, load, split, windows
from jaxdl.data.order import contiguous_order, epoch_order, sequential_order
from jaxdl.environment import processor
from jaxdl.rng import root, stream
from tests.faults.twice import NAMES, smoke
from tests.runs.scripts import script

FILE = Path(__file__).with_suffix(".json")
VERSION = jax.__version__
KEY = root(7)

#: Entry of the hashes that depend neither on the version of JAX nor on the processor.
EVERYWHERE = "everywhere"

#: Entry of the figures of trainings.
FIGURES = f"{VERSION} figures"

#: Largest difference of a figure, relative to its size plus 0.1. With another number of threads or
#: devices, or without optimization, the figures of these trainings differ by less.
TOLERANCE = {"metrics": 0.1, "norm": 0.01}

#: Starts of the names of metrics that rounding can change by more. Those of generated samples count
#: neighbours and classes, and those of a report count the predictions of a tiny test set. Scores of
#: a discriminator are differences near 0. A tiny validation set may determine no temperature. Units
#: of a layer are counted. So are marks that explanations of few images point at.
UNSTABLE = (
    "metrics/cascade/",
    "metrics/conv_",
    "metrics/lime/",
    "metrics/points_at_mark/",
    "metrics/samples/",
    "metrics/temperature",
    "metrics/test/average_precision",
    "metrics/test/balanced_accuracy",
    "metrics/test/ece",
    "metrics/test/f1_",
    "metrics/test/precision_macro",
    "metrics/test/score_",
)

#: Entry of the hashes of trainings.
TRAINED_ON = f"{VERSION} on {platform.machine()} {processor().split()[-1]}"

#: Functions of `jax.random` that the library or its initializers call.
RANDOM: dict[str, Callable[[], Any]] = {
    "key": lambda: jax.random.key_data(KEY),
    "fold_in": lambda: jax.random.key_data(jax.random.fold_in(KEY, 3)),
    "split": lambda: jax.random.key_data(jax.random.split(KEY, 5)),
    "bits": lambda: jax.random.bits(KEY, (1000,), jnp.uint32),
    "uniform": lambda: jax.random.uniform(KEY, (1000,)),
    "normal": lambda: jax.random.normal(KEY, (1000,)),
    "truncated_normal": lambda: jax.random.truncated_normal(KEY, -2.0, 2.0, (1000,)),
    "gumbel": lambda: jax.random.gumbel(KEY, (1000,)),
    "bernoulli": lambda: jax.random.bernoulli(KEY, 0.3, (1000,)),
    "randint": lambda: jax.random.randint(KEY, (1000,), 0, 10),
    "permutation": lambda: jax.random.permutation(KEY, 1000),
    "categorical": lambda: jax.random.categorical(KEY, jnp.zeros((1000, 10))),
}

#: Functions whose rounding depends on the compiler options, because they compute logarithms or the
#: like. Their hashes are those of optimized code.
COMPUTED = {"random/normal", "random/truncated_normal", "random/gumbel"}

ORDERS: dict[str, Callable[[], Any]] = {
    "epoch_order": lambda: epoch_order(KEY, 3, 1000, 32),
    "epoch_order of two runs": lambda: epoch_order(root([7, 8]), 3, 1000, 32),
    "split": lambda: [
        part["x"] for part in split(Dataset({"x": np.arange(1000)}, "numbers"), KEY, 0.1)
    ],
}

#: The streams in use. "split" is derived from "data".
STREAMS = {name: (name,) for name in ("init", "data", "train", "eval", "sample")} | {
    "split": ("data", "split")
}


def stream_of(names: Iterable[str]) -> Any:
    """Returns the data of the key that these stream names derive, one after the other."""
    key = KEY
    for name in names:
        key = stream(key, name)
    return jax.random.key_data(key)


#: Functions of the hashes that are the same everywhere, by name. No rounding is involved.
PLAIN: dict[str, Callable[[], Any]] = {
    "order/contiguous_order": lambda: contiguous_order(3, 1000, 32),
    "order/sequential_order": lambda: sequential_order(1000, 32),
    "data/digits": lambda: [dict(part.arrays) for part in load("digits")],
    "data/windows": lambda: dict(windows(np.arange(100, dtype=np.int32), 7, 5).arrays),
}

#: Functions of the hashes that need no training, by name.
UNTRAINED: dict[str, Callable[[], Any]] = {
    **{f"random/{name}": make for name, make in RANDOM.items()},
    **{f"order/{name}": make for name, make in ORDERS.items()},
    **{f"stream/{name}": lambda names=names: stream_of(names) for name, names in STREAMS.items()},
}


def untrained(name: str) -> str:
    """Returns the hash of an entry that needs no training."""
    return state_sha256((PLAIN | UNTRAINED)[name]())


class Trained(NamedTuple):
    """The trainings of one experiment, with its runs by name.

    Attributes:
      hashes: the `state_sha256` of each run.
      figures: the metrics of each run, and the norm of each part of its weights.
    """

    hashes: dict[str, str]
    figures: dict[str, dict[str, float]]


def trained(experiment: str) -> Trained:
    """Returns the results of an experiment's `--smoke`, by run if it has several runs."""
    threads = str(script(experiment).Config.default_cpu_devices)
    hashes = {}
    figures = {}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "run"
        results = smoke(experiment, out, "--cpu-threads", threads)
        for run, result in results.items():
            name = f"training/{Path(experiment, run)}"
            hashes[name] = result["state_sha256"]
            metrics = {f"metrics/{metric}": x for metric, x in result["metrics"].items()}
            figures[name] = metrics | norms(out / run / "checkpoints")
    return Trained(hashes, figures)


def norms(checkpoints: Path) -> dict[str, float]:
    """Returns the Euclidean norm of each part of the weights in the newest checkpoint."""
    from orbax.checkpoint import v1 as ocp

    newest = max((int(path.name) for path in checkpoints.glob("[0-9]*")), default=None)
    if newest is None:
        return {}
    state = checkpoints.resolve() / str(newest) / "state"
    # The state may have been saved on more devices than this process has.
    on_one = SingleDeviceSharding(jax.devices()[0])
    params = ocp.load(
        state,
        jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=on_one),
            ocp.metadata(state).metadata,
        ),
    )["params"]
    return {
        f"norm/{name}": float(np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(part))))
        for name, part in params.items()
    }


def differences(stored: dict[str, float], computed: dict[str, float]) -> list[str]:
    """Returns the figures of a run that differ by more than rounding, with both values.

    Metrics that start with one of `UNSTABLE` are left out.

    Example:
      >>> differences({"metrics/test/loss": 2.0, "norm/a": 1.0}, {"metrics/test/loss": 2.1})
      ['norm/a: 1.0 is now missing']
    """
    found = []
    for name in sorted(stored.keys() | computed.keys()):
        if name.startswith(UNSTABLE):
            continue
        before = stored.get(name, "missing")
        now = computed.get(name, "missing")
        if isinstance(before, float) and isinstance(now, float):
            tolerance = TOLERANCE[name.partition("/")[0]] * (abs(before) + 0.1)
            if abs(before - now) <= tolerance or before != before and now != now:
                continue
        found.append(f"{name}: {before} is now {now}")
    return found


def stored_hashes() -> dict[str, dict[str, Any]]:
    """Returns all that is stored: for each entry of the file, the hash or figures of each name."""
    if not FILE.exists():
        return {}
    return json.loads(FILE.read_text())


def store(entry: str, new: Mapping[str, Any], experiment: str | None = None) -> None:
    """Replaces what an entry stores of one experiment, or of what needs no training."""
    hashes = stored_hashes()
    others = {
        name: each for name, each in hashes.get(entry, {}).items() if _owner(name) != experiment
    }
    hashes[entry] = dict(sorted((others | dict(new)).items()))
    partial = FILE.with_suffix(".partial")
    partial.write_text(json.dumps(hashes, indent=1) + "\n")
    partial.replace(FILE)


def _owner(name: str) -> str | None:
    """Returns the experiment of a name, or None if it needs no training."""
    kind, experiment, *_ = name.split("/")
    if kind != "training":
        return None
    return experiment


def stored_of(entry: str, experiment: str | None = None) -> dict[str, Any]:
    """Returns what an entry stores of one experiment, or of what needs no training."""
    stored = stored_hashes().get(entry, {})
    return {name: each for name, each in stored.items() if _owner(name) == experiment}


def compare(entry: str, new: dict[str, str], write: bool, experiment: str | None = None) -> bool:
    """Prints each hash, stores it if `write` is True, and returns True if none has changed."""
    old = stored_of(entry, experiment)
    for name in sorted(old.keys() | new.keys()):
        status = "CHANGED"
        if old.get(name) == new.get(name):
            status = "the same"
        elif name not in old:
            status = "NEW"
        print(f"{name:<36} {new.get(name, 'gone')[:16]:<16} {status}", flush=True)
    if write:
        store(entry, new, experiment)
    return old == new


def compare_training(experiment: str, write: bool) -> bool:
    """Trains; compares the hashes on the same kind of CPU, and the figures on every other one."""
    start = time.perf_counter()
    hashes, figures = trained(experiment)
    same = True
    if write or stored_of(TRAINED_ON, experiment):
        same = compare(TRAINED_ON, hashes, write, experiment)
    old = stored_of(FIGURES, experiment)
    for name in sorted(old.keys() | figures.keys()):
        for line in differences(old.get(name, {}), figures.get(name, {})):
            print(f"{name:<36} {line}", flush=True)
            same = False
    if write:
        store(FIGURES, figures, experiment)
    print(f"  {experiment} took {time.perf_counter() - start:.0f} s", flush=True)
    return same


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="Store the new hashes.")
    parser.add_argument(
        "--experiments",
        nargs="*",
        default=NAMES,
        choices=NAMES,
        metavar="NAME",
        help="Experiments to train; all by default.",
    )
    options = parser.parse_args()
    same = [
        compare(EVERYWHERE, {name: untrained(name) for name in PLAIN}, options.write),
        compare(VERSION, {name: untrained(name) for name in UNTRAINED}, options.write),
    ]
    for experiment in options.experiments:
        same.append(compare_training(experiment, options.write))
    summary = f"golden: {sum(same)}/{len(same)} groups the same, JAX {VERSION}"
    if options.write:
        summary += ", stored"
    print(summary)
    return int(not (all(same) or options.write))


if __name__ == "__main__":
    sys.exit(main())
