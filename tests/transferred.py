"""Small trained networks, from which the tests of initial weights and frozen layers start."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

import jaxdl
from jaxdl import models, tasks
from jaxdl.core import Learner, State
from jaxdl.layer_names import named_leaves
from tests.contract import classifier, pictures

KEY = jax.random.key(5)
ADAM = jaxdl.optimizers.optimizer("adamw", 0.01, weight_decay=0.1)

#: Names of statistics, of arrays of norms, of kernels, and of all arrays of the first layer.
STATISTICS = {f"batch_stats/norm_{i}/{name}" for i in (0, 1) for name in ("mean", "var")}
NORMS = STATISTICS | {f"params/norm_{i}/{name}" for i in (0, 1) for name in ("scale", "bias")}
DENSE = {"params/dense_0/kernel", "params/dense_1/kernel"}
FIRST = {name for name in NORMS | DENSE if "_0" in name}


def arrays(state: State) -> dict:
    """Returns copies of all parameters and collections of a state, by name."""
    return named_leaves(jax.device_get(variables(state)))


def variables(state: State) -> dict:
    return {"params": state.params, **state.extra}


def equal(a: State, b: State) -> set[str]:
    """Returns the names of the arrays that are equal in every bit."""
    first = arrays(a)
    second = arrays(b)
    assert first.keys() == second.keys()
    return {name for name in first if first[name].tobytes() == second[name].tobytes()}


@functools.cache
def row():
    """Returns a classifier with BatchNorm after both hidden layers."""
    return classifier(models.MLP((6, 4), 3, norm="batch"), (5,))


def batch(size: int = 8) -> dict:
    return {name: jnp.asarray(x[:size]) for name, x in row().data.arrays.items()}


def net(outputs: int = 3, optimizer=ADAM, change: Callable = lambda update: update) -> Learner:
    task = tasks.classify(models.MLP((6, 4), outputs, norm="batch"))
    return jaxdl.learner(task.init, *map(change, task.updates(optimizer)))


@functools.cache
def trained() -> State:
    """Returns the state after some steps, whose statistics differ from the initial ones."""
    return jaxdl.train(net(), row().data, key=KEY, steps=5, batch_size=8)


def start(learner: Learner, seed: int = 0, size: int = 8) -> State:
    return learner.init(jaxdl.root(seed), batch(size))


def gan(outputs: int = 1, change: Callable = lambda updates: updates):
    """Returns the task and the learner of a GAN whose networks have layers of the same names."""
    generator = models.Reshaped(models.MLP((6,), 4, norm="batch"), (2, 2, 1))
    discriminator = models.MLP((6,), outputs, norm="batch")
    task = tasks.gan(generator, discriminator, latent=3, spectral_norm=True)
    updates = change(task.updates(optax.sgd(0.1), optax.sgd(0.1)))
    return task, jaxdl.learner(task.init, *updates)


def images(size: int = 8) -> dict:
    return {"input": jnp.asarray(pictures(4, 2, 2, 1).arrays["input"][:size])}
