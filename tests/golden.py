"""Hashes that stay for a version of JAX: random numbers, orders of data, and one tiny training per experiment.

    python -m tests.golden                        # each name, its hash and whether it is the one that is kept
    python -m tests.golden --experiments mlp cnn  # of the trainings only these; none if no name follows
    python -m tests.golden --write                # keeps what comes out, one by one

`tests/golden.json` keeps them by version, trainings also by the kind of CPU, as compiler and routines use
what there is; `tests/test_golden.py` compares. Trainings run with one thread per device, in the optimized code that
users get. Ends with exit code 1 if a hash has changed or is not kept yet.
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
from jaxdl.experiment.directory import processor
from jaxdl.rng import root, stream
from tests.experiment.scripts import script
from tests.faults.twice import NAMES, smoke

FILE = Path(__file__).with_suffix(".json")
VERSION = jax.__version__
KEY = root(7)


#: The entry of trainings.
TRAINED_ON = f"{VERSION} on {platform.machine()} {processor().split()[-1]}"

#: The functions of `jax.random` that the library calls, itself or in initializers.
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

#: Those that take a logarithm or the like, whose last bit is the compiler's: quickly compiled code has another.
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

#: The streams in use; "split" lies below "data".
STREAMS = {name: (name,) for name in ("init", "data", "train", "eval", "sample")} | {
    "split": ("data", "split")
}


def stream_of(names: Iterable[str]) -> Any:
    """The data of the key at the end of these streams."""
    key = KEY
    for name in names:
        key = stream(key, name)
    return jax.random.key_data(key)


#: All that takes no training, by name.
UNTRAINED: dict[str, Callable[[], Any]] = {
    **{f"random/{name}": make for name, make in RANDOM.items()},
    **{f"order/{name}": make for name, make in ORDERS.items()},
    **{f"stream/{name}": lambda names=names: stream_of(names) for name, names in STREAMS.items()},
}


def untrained(name: str) -> str:
    """The hash of what takes no training."""
    return state_sha256(UNTRAINED[name]())


def trained(experiment: str) -> dict[str, str]:
    """The `state_sha256` of an experiment's `--smoke`, by name; several if it compares several runs."""
    fewest = str(script(experiment).Config.default_cpu_devices)
    with tempfile.TemporaryDirectory() as place:
        results = smoke(experiment, Path(place) / "run", "--cpu-threads", fewest)
    return {
        f"training/{Path(experiment, run)}": result["state_sha256"]
        for run, result in results.items()
    }


def kept() -> dict[str, dict[str, str]]:
    """By version of JAX, and for trainings by machine, the hash of every name."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def keep(new: dict[str, str], experiment: str | None = None) -> None:
    """Writes hashes of this version in the place of the old ones: one experiment's, or those that take no training."""
    whole = kept()
    entry = entry_of(experiment)
    old = {
        name: found for name, found in whole.get(entry, {}).items() if _owner(name) != experiment
    }
    whole[entry] = dict(sorted((old | new).items()))
    partial = FILE.with_suffix(".partial")
    partial.write_text(json.dumps(whole, indent=1) + "\n")
    partial.replace(FILE)


def entry_of(experiment: str | None) -> str:
    """Where an experiment's hashes are kept, or those that take no training."""
    return VERSION if experiment is None else TRAINED_ON


def _owner(name: str) -> str | None:
    kind, experiment, *_ = name.split("/")
    return experiment if kind == "training" else None


def show(new: dict[str, str], seconds: float, write: bool, experiment: str | None = None) -> bool:
    """Prints each hash, keeps it if asked to; whether all are those that were kept."""
    there = kept().get(entry_of(experiment), {})
    old = {name: found for name, found in there.items() if _owner(name) == experiment}
    for name in sorted(old.keys() | new.keys()):
        said = (
            "the same"
            if old.get(name) == new.get(name)
            else "NEW"
            if name not in old
            else "CHANGED"
        )
        print(f"{name:<36} {new.get(name, 'gone')[:16]:<16} {said}", flush=True)
    if experiment:
        print(f"  {experiment} took {seconds:.0f} s", flush=True)
    if write:
        keep(new, experiment)
    return old == new


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="keep what comes out")
    parser.add_argument(
        "--experiments",
        nargs="*",
        default=NAMES,
        choices=NAMES,
        metavar="NAME",
        help="default: all",
    )
    read = parser.parse_args()
    same = [show({name: untrained(name) for name in UNTRAINED}, 0, read.write)]
    for experiment in read.experiments:
        began = time.perf_counter()
        found = trained(experiment)
        same.append(show(found, time.perf_counter() - began, read.write, experiment))
    print(
        f"golden: {sum(same)}/{len(same)} groups the same, JAX {VERSION}{', kept' if read.write else ''}"
    )
    return int(not (all(same) or read.write))


if __name__ == "__main__":
    sys.exit(main())
