"""Checkpoints to be damaged, of states that are large enough to have files of data, and a learner that leaves such."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import Learner, State
from jaxdl.training import Directory, state_sha256
from tests.training import linear
from tests.training.linear import abstract, state_at


def sizeable(step: int) -> State:
    """`state_at` with 50 kB more; numbers that do not compress."""
    table = np.random.default_rng(step).normal(size=(50, 250))
    return state_at(step).replace(extra={"table": jnp.asarray(table, jnp.float32)})


def saved(place: Path) -> Path:
    """A run with good checkpoints of steps 1 and 2, in a directory of a trial."""
    good = place.parent / "good"
    if not good.exists():
        store = Directory(good)
        for step in (1, 2):
            store.save(sizeable(step), [(step, 1 / step)])
        store.close()
    return Path(shutil.copytree(good, place / "run"))


def check_restores(run: Path, step: int, asked: int | None = None) -> None:
    """Asserts that a run gives back this step, every bit of it."""
    state, _ = Directory(run).restore(abstract(sizeable(0)), asked)
    assert state_sha256(state) == state_sha256(sizeable(step)), (
        f"another state than that of step {step}"
    )


def heavy(numbers: int) -> Learner:
    """The learner of a line that carries many more parameters along."""

    def init(key, batch):
        params, extra = linear.init(key, batch)
        return {**params, "ballast": jax.random.normal(key, (numbers // 8, 8))}, extra

    return jaxdl.learner(init, jaxdl.Update(linear.loss, optax.sgd(0.05, momentum=0.9)))


def first_state(numbers: int) -> State:
    """The state that a heavy learner begins with."""
    return heavy(numbers).init(linear.KEY, linear.points().arrays)
