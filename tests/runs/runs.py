"""A small experiment for the tests of runs and their directories."""

import dataclasses
from pathlib import Path

import jax
import optax

import jaxdl
from jaxdl.data import Dataset
from jaxdl.runs import DeviceOptions, Options, Run, RunOptions, run_experiment, with_options
from jaxdl.training import Patience


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of a short run with a small data set."""

    run: RunOptions = RunOptions(data="moons", batch_size=16, steps=8, log_every=2, save_every=4)
    devices: DeviceOptions = DeviceOptions(strategy="single")

    patience: int = 0


TASK = jaxdl.tasks.classify(jaxdl.models.MLP((4,), 2, dropout=0.2))
LEARNER = jaxdl.learner(TASK.init, jaxdl.Update(TASK.loss, optax.sgd(0.1, momentum=0.9)))

#: Final state of the last run of each seed.
LAST: dict[int, jaxdl.State] = {}


def experiment_sets(run: Run[Config]) -> tuple[Dataset, Dataset]:
    """Returns the training and the validation set of `experiment`."""
    train, _ = jaxdl.data.load(run.config.run.data)
    return jaxdl.data.split(train, jaxdl.root(0), run.config.run.validation)


def experiment(run: Run[Config]) -> dict:
    """Trains and tests a small network."""
    train, validation = experiment_sets(run)
    _, test = jaxdl.data.load(run.config.run.data)
    patience = None
    if run.config.patience:
        patience = Patience("loss", run.config.patience)
    state = run.fit(LEARNER, train, validation, patience, task=TASK)
    LAST[run.config.run.seed] = jax.device_get(state)
    metrics = run.test(LEARNER, state, test)
    return run.finish(state, metrics, train=train, validation=validation, test=test)


def options(out: Path, **changes) -> Config:
    """Returns the options of a run in a directory."""
    return with_options(Config(), out=str(out), **changes).validate()


def stop(out: Path, **changes) -> None:
    """Starts a run that `stop_after` ends."""
    assert run_experiment(options(out, **changes), experiment) == {}
