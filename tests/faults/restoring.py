"""A checkpoint is asked for in another layout: refused, with the path of the leaf and what it is on both sides.

    python -m tests.faults.restoring --trials 20 --seed 0

Two leaves whose keys a checkpoint would join to one name are refused already when they are saved.
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
from jaxdl.training import Directory, state_sha256
from tests.faults import command
from tests.training.linear import abstract, state_at

WHAT = "other layouts refused, with the path and both values"

Rng = np.random.Generator
#: Two states, and the words with which the second is refused after the first was saved.
Case = tuple[State, State, list[str]]


def some_leaf(rng: Rng) -> tuple[State, str, str, jax.Array]:
    """A state, one of its dictionaries, and a leaf in it."""
    state = state_at(int(rng.integers(100)))
    field, entries = [("params", state.params), ("extra", state.extra["batch_stats"])][
        rng.integers(2)
    ]
    name = sorted(entries)[rng.integers(len(entries))]
    return state, field, name, entries[name]


def put(state: State, field: str, **entries: Any) -> State:
    """The state with some leaves of a dictionary put in, or with None left out."""
    old = state.params if field == "params" else state.extra["batch_stats"]
    new = {name: leaf for name, leaf in {**old, **entries}.items() if leaf is not None}
    return state.replace(**{field: new if field == "params" else {"batch_stats": new}})


def path(field: str, name: str) -> str:
    return f"params/{name}" if field == "params" else f"extra/batch_stats/{name}"


def told(leaf: jax.Array) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def shape(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    other = jnp.zeros((*leaf.shape[::-1], int(rng.integers(1, 5))), leaf.dtype)
    return (
        state,
        put(state, field, **{name: other}),
        [f"{path(field, name)} is {told(leaf)} there and {told(other)}"],
    )


def dtype(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    other = leaf.astype([jnp.int8, jnp.float16, jnp.int32][rng.integers(3)])
    return (
        state,
        put(state, field, **{name: other}),
        [f"{path(field, name)} is {told(leaf)} there and {told(other)}"],
    )


def missing(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    return (
        put(state, field, **{name: None}),
        state,
        [f"{path(field, name)} is nothing there and {told(leaf)} in this"],
    )


def extra(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    return (
        state,
        put(state, field, **{name: None}),
        [f"{path(field, name)} is {told(leaf)} there and nothing in this"],
    )


def renamed(rng: Rng) -> Case:
    state, field, name, leaf = some_leaf(rng)
    words = [path(field, ""), told(leaf), "nothing"]
    return state, put(state, field, **{name: None, "other": leaf}), words


def colliding(rng: Rng) -> Case:
    """Keys with dots; any depth, either order."""
    state = state_at(1)
    leaf = jnp.ones(int(rng.integers(1, 5)))
    names = [chr(97 + i) for i in range(rng.integers(2, 5))]
    tree: Any = leaf
    for name in reversed(names):
        tree = {name: tree}
    state = state.replace(params={**tree, ".".join(names): 2 * leaf})
    return (
        state,
        state,
        [f"params/{'/'.join(names)}", f"params/{'.'.join(names)}", "would be one leaf"],
    )


def network(width: int, optimizer: optax.GradientTransformation = optax.sgd(0.1)) -> State:
    """The first state of a small MLP."""
    task = jaxdl.tasks.classify(jaxdl.models.MLP((width,), 3))
    batch = {"input": jnp.zeros((2, 4)), "label": jnp.zeros(2, jnp.int32)}
    return jaxdl.learner(task.init, jaxdl.Update(task.loss, optimizer)).init(jaxdl.root(0), batch)


def width(rng: Rng) -> Case:
    a, b = rng.choice(np.arange(1, 9), 2, replace=False).tolist()
    return network(a), network(b), ["params/", f"float32[{a}] there and float32[{b}] in this run"]


def optimizer(rng: Rng) -> Case:
    a, b = rng.choice(3, 2, replace=False)
    makers = [
        lambda: optax.sgd(0.1),
        lambda: optax.sgd(0.1, momentum=0.9),
        lambda: optax.adam(1e-3),
    ]
    return (
        network(2, makers[a]()),
        network(2, makers[b]()),
        ["opt/0", "nothing", "[", "in this run"],
    )


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


def trial(kind: str, rng: Rng, place: Path) -> None:
    saved, wanted, words = KINDS[kind](rng)
    store = Directory(place)
    try:
        store.save(saved, [])
        store.restore(abstract(wanted), saved.steps_done)
    except CheckpointError as error:
        said = str(error)
    else:
        raise AssertionError("it was restored")
    assert all(word in said for word in (str(place), *words)) and "\n" not in said, (
        f"wanted {words}, said was: {said}"
    )
    if kind == "colliding key":
        assert not list(place.iterdir()), "something of it was saved"
    else:
        state, _ = store.restore(abstract(saved), saved.steps_done)
        assert state_sha256(state) == state_sha256(saved), "what is there was harmed"


if __name__ == "__main__":
    sys.exit(command.main("restoring", WHAT, trial, KINDS, 20))
