"""Small networks with random weights and data, for the tests of landscapes."""

import jax.numpy as jnp
import numpy as np

from jaxdl import tasks
from jaxdl.core import State
from jaxdl.data import Dataset
from jaxdl.models import CNN, MLP, Stage
from tests.models.random_variables import random_variables

SHAPE = (8, 8, 2)

MODELS = {
    "mlp": MLP((7, 6), 3),
    "cnn": CNN((Stage(4), Stage(5, pool=None)), (6,), 3),
    "norms": CNN((Stage(4), Stage(5, pool=None)), (6,), 3, norm="batch", dropout=0.5),
}


def dataset(size=21, shape=SHAPE, seed=0):
    """Returns random images with three classes."""
    rng = np.random.default_rng(seed)
    arrays = {
        "input": rng.random((size, *shape), np.float32),
        "label": rng.integers(0, 3, size),
    }
    return Dataset(arrays, "random", classes=3)


def network(name, seed=1):
    """Returns the task of a model and a state with random weights."""
    model = MODELS[name]
    task = tasks.classify(model)
    variables = random_variables(model, np.zeros((1, *SHAPE), np.float32), seed)
    extra = {key: value for key, value in variables.items() if key != "params"}
    return task, State(jnp.zeros((), jnp.int32), variables["params"], (), extra)


def scaled(params, first, second, factor):
    """Returns the same function of a ReLU network: one layer times a factor, the next divided."""
    one = {name: factor * x for name, x in params[first].items()}
    two = {**params[second], "kernel": params[second]["kernel"] / factor}
    return {**params, first: one, second: two}
