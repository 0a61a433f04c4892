"""Saves on n devices and restores on m, for n and m in 1, 2, 4, 8: the bits must be the same.

    python -m tests.faults.devices --trials 16 --seed 0

For each number of devices, one process saves, and another one restores all saved checkpoints. Large
leaves are sharded (`fsdp`). The restored arrays must have the requested shardings.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

import jaxdl
from jaxdl.training import Directory, Sharded, state_sha256
from tests.faults import command
from tests.faults.checkpoints import first_state, heavy
from tests.training.linear import KEY, points

SUMMARY = "pairs of device counts restored with the saved bits"
COUNTS = (1, 2, 4, 8)
NUMBERS = 32_768
STEPS = 2
KINDS = {f"{n} to {m}": (n, m) for n in COUNTS for m in COUNTS}


def save(n: int, directory: Path) -> None:
    """Trains on all devices, saves, and writes the hash of the last state beside the checkpoint."""
    assert jax.device_count() == n
    run = directory / f"saved-{n}"
    strategy = Sharded(fsdp=True)
    learner = heavy(NUMBERS)
    store = Directory(run)
    state = jaxdl.train(
        learner, points(), key=KEY, steps=STEPS, batch_size=8, strategy=strategy, store=store
    )
    assert len(state.params["ballast"].sharding.device_set) == n
    assert state.params["ballast"].addressable_shards[0].data.size == NUMBERS // n
    (directory / f"saved-{n}.sha256").write_text(state_sha256(state))


def restore(m: int, directory: Path) -> None:
    """Restores all saved checkpoints and writes their hashes."""
    assert jax.device_count() == m
    strategy = Sharded(fsdp=True)
    hashes = {}
    requested = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=strategy.sharding(x)),
        first_state(NUMBERS),
    )
    for n in COUNTS:
        state, *_ = Directory(directory / f"saved-{n}").restore(requested, STEPS)
        same = jax.tree.map(lambda x, to: x.sharding == to.sharding, state, requested)
        assert jax.tree.all(same)
        hashes[n] = state_sha256(state)
    (directory / f"restored-{m}.json").write_text(json.dumps(hashes))


ACTIONS = {"save": save, "restore": restore}


def run_child(action: str, devices: int, directory: Path) -> None:
    """Runs an action in a process with so many devices."""
    done = command.child("devices", action, devices, directory, devices=devices)
    assert done.returncode == 0, (
        f"{action} on {devices} devices ended with {done.returncode}: {done.stderr[-2000:]}"
    )


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Compares the hashes of a state before saving and after restoring."""
    n, m = KINDS[kind]
    shared = directory.parent
    for count in COUNTS:
        if not (shared / f"saved-{count}.sha256").exists():
            run_child("save", count, shared)
    if not (shared / f"restored-{m}.json").exists():
        run_child("restore", m, shared)
    saved = (shared / f"saved-{n}.sha256").read_text()
    restored = json.loads((shared / f"restored-{m}.json").read_text())
    assert restored[str(n)] == saved, "the restored state has other bits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        action, count, path = sys.argv[2:]
        ACTIONS[action](int(count), Path(path))
    else:
        sys.exit(command.main("devices", SUMMARY, trial, KINDS, 16))
