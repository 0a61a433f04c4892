"""Resumes from a store with something changed: another run is refused, with both values.

    python -m tests.faults.identity --trials 200 --seed 0

Each trial takes the checkpoints of one learner of the contract table and makes one change. If it is
another run now, it must be refused in one line with the stored and the present value, and nothing
may be written. Another machine or other versions must give a warning with both values.
The same run, built again from the same code, must resume without a word.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import jaxdl
from jaxdl.core import Learner, State
from jaxdl.data.dataset import Dataset
from jaxdl.errors import CheckpointError
from jaxdl.training import Directory, Patience, train
from tests.contract import ROWS
from tests.faults import command
from tests.faults.changes import contents

SUMMARY = "other runs, environments and versions noticed, with both values"

LEARNERS = ("mlp_dropout", "cnn_batchnorm", "gru_language_carried", "vae", "gan")

#: Steps of the saved run.
STEPS = 2

Rng = np.random.Generator
Run = dict[str, Any]


def built(name: str, learning_rate: float = 0.1, **changed: Any) -> Run:
    """Returns the arguments of a run of a learner; equal calls return equal functions.

    Args:
      name: a row of the contract table.
      learning_rate: that of SGD.
      **changed: `loss` and `init`, functions of the loss and the initialization of the task.
    """
    row = ROWS[name]()
    updates = row.updates(jaxdl.optimizers.optimizer("sgd", learning_rate))
    wrap = changed.get("loss", lambda loss: loss)
    updates = [update._replace(loss=wrap(update.loss)) for update in updates]
    init = changed.get("init", lambda f: f)(row.init)
    metric = "loss"
    if len(updates) > 1:
        metric = "generator_loss"
    return {
        "learner": jaxdl.learner(init, *updates),
        "data": row.data,
        "validation": row.data,
        "key": jaxdl.root(1),
        "batch_size": 4,
        "save_every": 1,
        "patience": Patience(metric, times=50),
        "strategy": jaxdl.strategy("single"),
    }


def trained(run: Run, path: Path, steps: int = STEPS) -> State:
    run = dict(run)
    return train(run.pop("learner"), run.pop("data"), steps=steps, store=Directory(path), **run)


@functools.cache
def saved(name: str, seed: int = 1, steps: int = STEPS) -> Path:
    """Returns the directory of a run's checkpoints, which lasts until this process ends."""
    path = Path(_folder().name) / f"{name}-{seed}-{steps}"
    trained(built(name) | {"key": jaxdl.root(seed)}, path, steps)
    return path


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


def with_loss(wrap: Callable) -> Callable[[str], Run]:
    return lambda name: built(name, loss=wrap)


def scaled(loss: Callable) -> Callable:
    """Returns a loss with twice the gradient."""

    def twice(*args: Any, **options: Any) -> Any:
        (total, count), aux = loss(*args, **options)
        return (2 * total, count), aux

    return twice


def shifted(value: float) -> Callable[[Callable], Callable]:
    """Returns a change of a loss by an array of the closure."""
    constant = np.full(700, 0.5, np.float32)
    constant[-1] = value

    def wrap(loss: Callable) -> Callable:
        def with_constant(*args: Any, **options: Any) -> Any:
            (total, count), aux = loss(*args, **options)
            return (total * jnp.asarray(constant).mean(), count), aux

        return with_constant

    return wrap


def later(init: Callable) -> Callable:
    """Returns an initialization with weights half as large."""

    def halved(key: Any, batch: Any) -> Any:
        params, extra = init(key, batch)
        return jax.tree.map(lambda x: x / 2, params), extra

    return halved


def with_evaluation(name: str) -> Run:
    """Returns a run whose evaluation gives twice the metrics."""
    run = built(name)
    net = run["learner"]

    def evaluate(*args: Any) -> Any:
        return {key: (2 * total, count) for key, (total, count) in net.evaluate(*args).items()}

    return run | {"learner": Learner(net.init, net.step, evaluate)}


def other_bit(data: Dataset) -> Dataset:
    """Returns a set with one other value, under the same name."""
    field = "input"
    array = np.array(data[field])
    array[-1] = array[0]
    return dataclasses.replace(data, arrays={**data.arrays, field: array})


def changed(**values: Any) -> Callable[[str], Run]:
    return lambda name: built(name) | values


def set_of(field: str) -> Callable[[str], Run]:
    """Returns a change of one of the sets."""

    def change(name: str) -> Run:
        run = built(name)
        return run | {field: other_bit(run[field])}

    return change


def with_order(name: str) -> Run:
    """Returns a run that reads its set in another order; a carry needs the set's own order."""
    run = built(name)
    if "carried" in name:
        return run | {"data": other_bit(run["data"])}
    return run | {"data": dataclasses.replace(run["data"], contiguous=True)}


def with_patience(run: Run) -> Run:
    """Returns a run that stops earlier."""
    return run | {"patience": run["patience"]._replace(times=3)}


#: Changes that make another run, by kind: a function from a learner's name to the run.
REFUSED: dict[str, Callable[[str], Run]] = {
    "key": changed(key=jaxdl.root(2)),
    "keys": changed(key=jaxdl.root([1, 2]), strategy=jaxdl.strategy("auto")),
    "data": set_of("data"),
    "order": with_order,
    "validation set": set_of("validation"),
    "no validation": changed(validation=None, patience=None),
    "batch size": changed(batch_size=8),
    "patience": lambda name: with_patience(built(name)),
    "interval": changed(save_every=3),
    "learning rate": lambda name: built(name, learning_rate=0.2),
    "loss": with_loss(scaled),
    "constant": with_loss(shifted(0.5)),
    "initialization": lambda name: built(name, init=later),
    "evaluation": with_evaluation,
    "strategy": changed(strategy=jaxdl.strategy("pmap")),
}


@contextlib.contextmanager
def flags() -> Iterator[None]:
    """Adds a flag of XLA, which has no effect in a process that has started."""
    present = os.environ.get("XLA_FLAGS", "")
    value = f"{present} --xla_cpu_enable_fast_math=true".strip()
    with mock.patch.dict(os.environ, XLA_FLAGS=value):
        yield


#: Settings that make another run.
SETTINGS = {
    "XLA_FLAGS": flags,
    "threefry": lambda: jax.threefry_partitionable(False),
    "precision": lambda: jax.default_matmul_precision("highest"),
}

#: Parts of the environment under which a run may resume, with a warning.
WARNED = {
    "processor": lambda: mock.patch("jaxdl.environment.processor", lambda: "another"),
    "version": lambda: mock.patch("jaxdl.environment.version", lambda name: "9.9"),
    "threads": lambda: mock.patch("jaxdl.environment.threads", lambda: 77),
}

#: Checkpoints that are not from this run: a copied one, and one without a fingerprint.
STORED = ("copied checkpoint", "no fingerprint")

KINDS = [*REFUSED, *SETTINGS, *WARNED, *STORED, "the same run"]


def check_refused(run: Run, directory: Path, stored: bool = True) -> None:
    """Checks that a run is refused in one line, and that the store is unchanged."""
    before = contents(directory)
    try:
        trained(run, directory, STEPS + 1)
    except CheckpointError as error:
        text = str(error)
    else:
        raise AssertionError("the run was resumed")
    assert "\n" not in text, f"the error is not one line: {text}"
    if stored:
        assert " in the checkpoint and " in text and " in this run" in text, text
        values = text.partition(" is ")[2].partition(" in this run")[0]
        before_value, _, now = values.partition(" in the checkpoint and ")
        assert before_value and now and before_value != now, f"not both values: {text}"
    assert contents(directory) == before, "the refused run changed the store"


def trial(kind: str, rng: Rng, directory: Path) -> None:
    """Copies the checkpoints of a learner, makes one change and resumes."""
    name = LEARNERS[rng.integers(len(LEARNERS))]
    store = directory / "store"
    shutil.copytree(saved(name), store)
    if kind in REFUSED:
        check_refused(REFUSED[kind](name), store)
    elif kind in SETTINGS:
        with SETTINGS[kind]():
            check_refused(built(name), store)
    elif kind == "copied checkpoint":
        shutil.copytree(saved(name, seed=5, steps=STEPS + 1) / str(STEPS + 1), store / "3")
        check_refused(built(name), store)
    elif kind == "no fingerprint":
        without_fingerprint(store)
        check_refused(built(name), store, stored=False)
    else:
        check_resumed(kind, name, store)


def without_fingerprint(store: Path) -> None:
    """Writes the manifests again, as an earlier version did."""
    for step in store.iterdir():
        file = step / "manifest.json"
        body = json.loads(file.read_text())
        body = {name: body[name] for name in ("files", "layout", "history")}
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        file.write_text(json.dumps({**body, "sha256": digest}))


def check_resumed(kind: str, name: str, store: Path) -> None:
    """Resumes the same run, which must not train; in another environment it must warn."""
    warned_of = WARNED.get(kind, contextlib.nullcontext)
    with warnings.catch_warnings(record=True) as caught, warned_of():
        warnings.simplefilter("always")
        state = trained(built(name), store)
    texts = [str(each.message) for each in caught]
    # With patience the best state is returned.
    assert 1 <= state.steps_done <= STEPS, f"step {state.steps_done}"
    assert texts.pop() == f"store: already finished at step {STEPS}; nothing trained", texts
    if kind not in WARNED:
        assert not texts, texts
        return
    assert len(texts) == 1 and " in the checkpoint and " in texts[0], texts


if __name__ == "__main__":
    sys.exit(command.main("identity", SUMMARY, trial, KINDS, 200))
