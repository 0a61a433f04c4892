"""Loops over several devices of one CPU, again and again: none may wait for ever.

    python -m tests.faults.loops

Each trial is a process of its own with four devices on the cores that there are, 500 steps with validation and
checkpoints under one strategy, and a limit of two minutes. Exit code 1 unless all of them came to their end.
"""

import sys
from pathlib import Path

import numpy as np

from tests.faults import command

KINDS = ("sharded", "fsdp", "pmap", "several runs")
DEVICES = 4
STEPS = 500
LIMIT = 120
WHAT = f"processes with {DEVICES} devices came to their end in {LIMIT} s"


def child(kind: str, place: str) -> None:
    """One run."""
    import jax
    import optax

    import jaxdl
    from jaxdl.training import Directory

    assert jax.device_count() == DEVICES
    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], jaxdl.root(0), 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((256,)))
    state = jaxdl.train(
        jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(1e-3))),
        data,
        key=jaxdl.root(range(8) if kind == "several runs" else 0),
        steps=STEPS,
        batch_size=32,
        log_every=7,
        save_every=100,
        validation=validation,
        strategy=jaxdl.strategy("auto" if kind == "several runs" else kind),
        store=Directory(place),
    )
    assert state.steps_done == STEPS


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    """Starts a process and waits for its end."""
    done = command.child("loops", kind, place / "run", devices=DEVICES, timeout=LIMIT)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-500:]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(command.main("loops", WHAT, trial, KINDS, 20))
