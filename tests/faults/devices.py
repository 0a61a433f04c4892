"""Saved on n devices and restored on m, for n and m in 1, 2, 4, 8: the same bits, in the places asked for.

    python -m tests.faults.devices --trials 16 --seed 0

One process per number of devices saves, and one restores what all the others saved; large leaves are cut up (`fsdp`).
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

WHAT = "pairs of device counts, saved on one and restored on the other with the same bits"
COUNTS = (1, 2, 4, 8)
NUMBERS = 32_768
STEPS = 2
KINDS = {f"{n} to {m}": (n, m) for n in COUNTS for m in COUNTS}


def save(n: int, place: Path) -> None:
    """Trains on all devices and leaves the hash of the last state beside its checkpoint."""
    assert jax.device_count() == n
    run = place / f"saved-{n}"
    strategy = Sharded(fsdp=True)
    learner = heavy(NUMBERS)
    store = Directory(run)
    state = jaxdl.train(
        learner, points(), key=KEY, steps=STEPS, batch_size=8, strategy=strategy, store=store
    )
    assert len(state.params["ballast"].sharding.device_set) == n
    assert state.params["ballast"].addressable_shards[0].data.size == NUMBERS // n
    (place / f"saved-{n}.sha256").write_text(state_sha256(state))


def restore(m: int, place: Path) -> None:
    """Leaves the hashes of what all others saved."""
    assert jax.device_count() == m
    strategy = Sharded(fsdp=True)
    found = {}
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=strategy.sharding(x)),
        first_state(NUMBERS),
    )
    for n in COUNTS:
        state, _ = Directory(place / f"saved-{n}").restore(wanted, STEPS)
        assert jax.tree.all(jax.tree.map(lambda x, to: x.sharding == to.sharding, state, wanted))
        found[n] = state_sha256(state)
    (place / f"restored-{m}.json").write_text(json.dumps(found))


DOES = {"save": save, "restore": restore}


def does(what: str, devices: int, place: Path) -> None:
    done = command.child("devices", what, devices, place, devices=devices)
    assert done.returncode == 0, (
        f"{what} on {devices} devices ended with {done.returncode}: {done.stderr[-2000:]}"
    )


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    (n, m), shared = KINDS[kind], place.parent
    for count in COUNTS:
        if not (shared / f"saved-{count}.sha256").exists():
            does("save", count, shared)
    if not (shared / f"restored-{m}.json").exists():
        does("restore", m, shared)
    saved = (shared / f"saved-{n}.sha256").read_text()
    restored = json.loads((shared / f"restored-{m}.json").read_text())
    assert restored[str(n)] == saved, "other bits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        what, count, place = sys.argv[2:]
        DOES[what](int(count), Path(place))
    else:
        sys.exit(command.main("devices", WHAT, trial, KINDS, 16))
