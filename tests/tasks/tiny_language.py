"""A tiny language model for the tests: batches, parameters, and values computed with NumPy."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.tasks import language
from tests.models.random_variables import random_variables
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

V = 4
B = 6
T = 7
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, V, (B, T + 1)).astype(np.int32)
BATCH = {"input": jnp.asarray(IDS[:, :-1]), "label": jnp.asarray(IDS[:, 1:])}
ROWS = jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)
STEPS = jnp.asarray(RNG.integers(0, 2, (B, T)), jnp.float32)
LENGTHS = jnp.asarray([7, 1, 3, 7, 1, 3], jnp.int32)
LAYERS = {"gru": 1, "lstm": 2}

each_cell = pytest.mark.parametrize("cell", LAYERS)


@functools.cache
def started(cell: str = "gru", carried: bool = False):
    """Returns the compiled task, its model, parameters of a large scale, and `extra`."""
    model = SequenceNet(OneHot(V), RNN(cell, 5, LAYERS[cell]), V)
    task = language(model, carried=carried)
    params = jax.tree.map(lambda x: 2 * x, random_variables(model, BATCH["input"])["params"])
    functions = task.functions | {
        "loss": jax.jit(scalar(task.loss), static_argnames="train"),
        "predict": jax.jit(task.predict),
    }
    compiled = dataclasses.replace(task, functions=functions)
    return compiled, model, params, jax.jit(task.init)(KEY, BATCH)[1]


@functools.cache
def compiled_resume(cell: str):
    """Returns the compiled `resume` of the model."""
    model = started(cell)[1]
    return jax.jit(
        lambda p, x, c=None: model.apply({"params": p}, x, train=False, carry=c, method="resume")
    )


@functools.cache
def nats(cell: str = "gru") -> np.ndarray:
    """Returns -log p of each label, float64 `[B, T]`."""
    logits = np.asarray(compiled_resume(cell)(started(cell)[2], BATCH["input"])[0], np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(log_p, np.asarray(BATCH["label"])[..., None], -1)[..., 0]
