"""Hashes that do not change within a version of JAX.

They cover random numbers, orders of data, and one tiny training per experiment.

    python -m tests.golden                        # compare all hashes with the stored ones
    python -m tests.golden --experiments mlp cnn  # only these trainings; none without a name
    python -m tests.golden --write                # store the new hashes, one group after the other

`tests/golden.json` stores the hashes by version of JAX. Those of trainings are also stored by kind
of CPU, because the compiler and its routines use the instructions of the CPU. The test suite
compares them in `tests/test_golden.py`.

Trainings use one thread per device and the optimized code that users run. The exit code is 1 if a
hash has changed or is not stored yet.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import state_sha256
from jaxdl.data import Dataset, split
from jaxdl.data.order import contiguous_order, epoch_order, sequential_order
from jaxdl.environment import processor
from jaxdl.rng import root, stream
from tests.faults.twice import NAMES, smoke
from tests.runs.scripts import script

FILE = Path(__file__).with_suffix(".json")
VERSION = jax.__version__
KEY = root(7)

#: Entry of the trainings in the file.
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
    "contiguous_order": lambda: contiguous_order(3, 1000, 32),
    "sequential_order": lambda: sequential_order(1000, 32),
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


#: Functions of the hashes that need no training, by name.
UNTRAINED: dict[str, Callable[[], Any]] = {
    **{f"random/{name}": make for name, make in RANDOM.items()},
    **{f"order/{name}": make for name, make in ORDERS.items()},
    **{f"stream/{name}": lambda names=names: stream_of(names) for name, names in STREAMS.items()},
}


def untrained(name: str) -> str:
    """Returns the hash of an entry that needs no training."""
    return state_sha256(UNTRAINED[name]())


def trained(experiment: str) -> dict[str, str]:
    """Returns the `state_sha256` of an experiment's `--smoke`, by run if it has several runs."""
    threads = str(script(experiment).Config.default_cpu_devices)
    with tempfile.TemporaryDirectory() as directory:
        results = smoke(experiment, Path(directory) / "run", "--cpu-threads", threads)
    return {
        f"training/{Path(experiment, run)}": result["state_sha256"]
        for run, result in results.items()
    }


def stored_hashes() -> dict[str, dict[str, str]]:
    """Returns all stored hashes: for each entry of the file, the hash of each name."""
    if not FILE.exists():
        return {}
    return json.loads(FILE.read_text())


def store(new: dict[str, str], experiment: str | None = None) -> None:
    """Replaces the stored hashes of one experiment, or those that need no training."""
    hashes = stored_hashes()
    entry = entry_of(experiment)
    others = {
        name: each for name, each in hashes.get(entry, {}).items() if _owner(name) != experiment
    }
    hashes[entry] = dict(sorted((others | new).items()))
    partial = FILE.with_suffix(".partial")
    partial.write_text(json.dumps(hashes, indent=1) + "\n")
    partial.replace(FILE)


def entry_of(experiment: str | None) -> str:
    """Returns the entry of an experiment's hashes, or of those that need no training."""
    if experiment is None:
        return VERSION
    return TRAINED_ON


def _owner(name: str) -> str | None:
    """Returns the experiment of a name, or None if it needs no training."""
    kind, experiment, *_ = name.split("/")
    if kind != "training":
        return None
    return experiment


def compare(
    new: dict[str, str], seconds: float, write: bool, experiment: str | None = None
) -> bool:
    """Prints each hash, stores it if `write` is True, and returns True if none has changed."""
    stored = stored_hashes().get(entry_of(experiment), {})
    old = {name: each for name, each in stored.items() if _owner(name) == experiment}
    for name in sorted(old.keys() | new.keys()):
        status = "CHANGED"
        if old.get(name) == new.get(name):
            status = "the same"
        elif name not in old:
            status = "NEW"
        print(f"{name:<36} {new.get(name, 'gone')[:16]:<16} {status}", flush=True)
    if experiment:
        print(f"  {experiment} took {seconds:.0f} s", flush=True)
    if write:
        store(new, experiment)
    return old == new


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
    same = [compare({name: untrained(name) for name in UNTRAINED}, 0, options.write)]
    for experiment in options.experiments:
        start = time.perf_counter()
        hashes = trained(experiment)
        seconds = time.perf_counter() - start
        same.append(compare(hashes, seconds, options.write, experiment))
    summary = f"golden: {sum(same)}/{len(same)} groups the same, JAX {VERSION}"
    if options.write:
        summary += ", stored"
    print(summary)
    return int(not (all(same) or options.write))


if __name__ == "__main__":
    sys.exit(main())
