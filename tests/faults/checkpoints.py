"""Checkpoints for the fault tests: states that are large enough for separate data files."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import Learner, State
from jaxdl.training import Checkpoint, Directory, state_sha256
from tests.training import linear
from tests.training.linear import abstract, state_at


def sizeable(step: int) -> State:
    """Returns `state_at(step)` with 50 kB of additional values that do not compress."""
    table = np.random.default_rng(step).normal(size=(50, 250))
    return state_at(step).replace(extra={"table": jnp.asarray(table, jnp.float32)})


def saved(directory: Path) -> Path:
    """Creates a run with valid checkpoints of steps 1 and 2 in the directory of a trial."""
    good = directory.parent / "good"
    if not good.exists():
        store = Directory(good)
        for step in (1, 2):
            store.save(Checkpoint(sizeable(step), [(step, 1 / step)]))
        store.close()
    return Path(shutil.copytree(good, directory / "run"))


def check_restores(run: Path, step: int, requested: int | None = None) -> None:
    """Asserts that restoring from a run gives the state of this step, bit by bit."""
    state, *_ = Directory(run).restore(abstract(sizeable(0)), requested)
    assert state_sha256(state) == state_sha256(sizeable(step)), (
        f"the restored state is not that of step {step}"
    )


def heavy(numbers: int) -> Learner:
    """Builds the linear learner with additional, unused parameters."""

    def init(key, batch):
        params, extra = linear.init(key, batch)
        return {**params, "ballast": jax.random.normal(key, (numbers // 8, 8))}, extra

    return jaxdl.learner(init, jaxdl.Update(linear.loss, optax.sgd(0.05, momentum=0.9)))


def first_state(numbers: int) -> State:
    """Returns the initial state of the `heavy` learner."""
    return heavy(numbers).init(linear.KEY, linear.points().arrays)
