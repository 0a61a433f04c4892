"""Restores a checkpoint with another layout: it is refused, with the leaf and both layouts.

    python -m tests.faults.restoring --trials 20 --seed 0

Orbax joins the keys of a leaf's path to one name. Two leaves with the same joined name must be
refused when the checkpoint is saved.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import State
from jaxdl.errors import CheckpointError
from jaxdl.training import Checkpoint, Directory, state_sha256
from tests.faults import command
from tests.training.linear import abstract, state_at

SUMMARY = "checkpoints with another layout refused, with the path and both values"

Rng = np.random.Generator

#: The saved state, the requested state, and parts of the error message.
Case = tuple[State, State, list[str]]


def some_leaf(rng: Rng) -> tuple[State, str, str, jax.Array]:
    """Returns a state, the name of one of its fields, and the name and value of a leaf in it."""
    state = state_at(int(rng.integers(100)))
    choices = [("params", state.params), ("extra", state.extra["batch_stats"])]
    field, entries = choices[rng.integers(2)]
    name = sorted(entries)[rng.integers(len(entries))]
    return state, field, name, entries[name]


def put(state: State, field: str, **entries: Any) -> State:
    """Replaces or adds leaves of a field; a leaf that is None is removed."""
    if field == "params":
        return state.replace(params=_updated(state.params, entries))
    batch_stats = _updated(state.extra["batch_stats"], entries)
    return state.replace(extra={"batch_stats": batch_stats})


def _updated(old: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    return {name: leaf for name, leaf in {**old, **entries}.items() if leaf is not None}


def leaf_path(field: str, name: str) -> str:
    """Returns the path of a leaf as the error message shows it."""
    return {"params": f"params/{name}", "extra": f"extra/batch_stats/{name}"}[field]


def layout(leaf: jax.Array) -> str:
    """Returns the dtype and the shape as the error message shows them."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def message(path: str, stored: str, requested: str) -> str:
    """Returns the part of the error message about one leaf."""
    return f"{path} is {stored} in the checkpoint and {requested} in this run"


def shape(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    other = jnp.zeros((*leaf.shape[::-1], int(rng.integers(1, 5))), leaf.dtype)
    words = [message(leaf_path(field, name), layout(leaf), layout(other))]
    return state, put(state, field, **{name: other}), words


def dtype(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    other = leaf.astype([jnp.int8, jnp.float16, jnp.int32][rng.integers(3)])
    words = [message(leaf_path(field, name), layout(leaf), layout(other))]
    return state, put(state, field, **{name: other}), words


def missing(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    words = [message(leaf_path(field, name), "missing", layout(leaf))]
    return put(state, field, **{name: None}), state, words


def extra(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    words = [message(leaf_path(field, name), layout(leaf), "missing")]
    return state, put(state, field, **{name: None}), words


def renamed(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    words = [leaf_path(field, ""), layout(leaf), "missing"]
    return state, put(state, field, **{name: None, "other": leaf}), words


def colliding(rng: Rng) -> Case:
    """Builds a leaf with nested keys and one whose single key joins them by dots."""
    state = state_at(1)
    leaf = jnp.ones(int(rng.integers(1, 5)))
    names = [chr(97 + i) for i in range(rng.integers(2, 5))]
    tree: Any = leaf
    for name in reversed(names):
        tree = {name: tree}
    state = state.replace(params={**tree, ".".join(names): 2 * leaf})
    words = [f"params/{'/'.join(names)}", f"params/{'.'.join(names)}", "would be one leaf"]
    return state, state, words


def network(width: int, optimizer: optax.GradientTransformation = optax.sgd(0.1)) -> State:
    """Returns the initial state of a small MLP."""
    task = jaxdl.tasks.classify(jaxdl.models.MLP((width,), 3))
    batch = {"input": jnp.zeros((2, 4)), "label": jnp.zeros(2, jnp.int32)}
    return jaxdl.learner(task.init, *task.updates(optimizer)).init(jaxdl.root(0), batch)


def width(rng: Rng) -> Case:
    a, b = rng.choice(np.arange(1, 9), 2, replace=False).tolist()
    words = ["params/", message("", f"float32[{a}]", f"float32[{b}]")]
    return network(a), network(b), words


def optimizer(rng: Rng) -> Case:
    a, b = rng.choice(3, 2, replace=False)
    makers = [
        lambda: optax.sgd(0.1),
        lambda: optax.sgd(0.1, momentum=0.9),
        lambda: optax.adam(1e-3),
    ]
    words = ["opt/0", "missing", "[", "in this run"]
    return network(2, makers[a]()), network(2, makers[b]()), words


KINDS = {
    "shape": shape,
    "dtype": dtype,
    "missing": missing,
    "extra": extra,
    "renamed": renamed,
    "colliding key": colliding,
    "model width": width,
    "optimizer": optimizer,
}


def trial(kind: str, rng: Rng, directory: Path) -> None:
    """Saves a state, requests another layout, and checks that the checkpoint is intact."""
    saved, requested, words = KINDS[kind](rng)
    store = Directory(directory)
    try:
        store.save(Checkpoint(saved, []))
        store.restore(abstract(requested), saved.steps_done)
    except CheckpointError as error:
        text = str(error)
    else:
        raise AssertionError("the checkpoint was restored")
    for word in (str(directory), *words):
        assert word in text, f"{word!r} is not in the error: {text}"
    assert "\n" not in text, f"the error is not one line: {text}"
    if kind == "colliding key":
        assert not list(directory.iterdir()), "a part of the checkpoint was saved"
    else:
        state, *_ = store.restore(abstract(saved), saved.steps_done)
        assert state_sha256(state) == state_sha256(saved), "the checkpoint was changed"


if __name__ == "__main__":
    sys.exit(command.main("restoring", SUMMARY, trial, KINDS, 20))
