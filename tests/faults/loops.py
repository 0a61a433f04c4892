"""Trains on several devices of one CPU, again and again: no run may deadlock.

    python -m tests.faults.loops

Each trial is a process with four devices on the available cores. It does 500 steps under one
strategy, with validation and checkpoints, and must finish within two minutes. Exits with code 1
unless all processes finish.
"""

import sys
from pathlib import Path

import numpy as np

from tests.faults import command

SEVERAL = "several runs"
KINDS = ("sharded", "fsdp", "pmap", SEVERAL)
DEVICES = 4
STEPS = 500
LIMIT = 120
SUMMARY = f"processes with {DEVICES} devices finished within {LIMIT} s"


def child(kind: str, directory: str) -> None:
    """Trains one run, or eight runs in one program."""
    import jax
    import optax

    import jaxdl
    from jaxdl.training import Directory

    assert jax.device_count() == DEVICES
    if kind == SEVERAL:
        key = jaxdl.root(range(8))
        strategy = jaxdl.strategy("auto")
    else:
        key = jaxdl.root(0)
        strategy = jaxdl.strategy(kind)
    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], jaxdl.root(0), 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((256,)))
    state = jaxdl.train(
        jaxdl.learner(task.init, *task.updates(optax.adam(1e-3))),
        data,
        key=key,
        steps=STEPS,
        batch_size=32,
        log_every=7,
        save_every=100,
        validation=validation,
        strategy=strategy,
        store=Directory(directory),
    )
    assert state.steps_done == STEPS


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Starts a process and waits until it ends."""
    done = command.child("loops", kind, directory / "run", devices=DEVICES, timeout=LIMIT)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-500:]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("loops", SUMMARY, trial, KINDS, 20))
