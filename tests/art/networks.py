"""A small network of random layers as a function of images, and the same one in PyTorch."""

import functools

import jax
import numpy as np

from jaxdl import explain
from jaxdl.models import CNN, Stage
from tests.models.random_variables import random_variables

MODEL = CNN((Stage(6), Stage(8, pool="average"), Stage(7, pool=None)), outputs=None)
NAMES = ("conv_1", "activation_2")


def image(shape, seed=0):
    """Returns a random image in [0, 1]."""
    return np.random.default_rng(seed).random(shape, np.float32)


@functools.cache
def variables():
    """Returns random variables with biases, for images of three channels."""
    return random_variables(MODEL, image((1, 24, 24, 3)))


@functools.cache
def maps():
    """Returns two layers as one function of images."""
    return explain.activations(MODEL, variables(), NAMES)


def twin(x):
    """Returns the layers `NAMES` in PyTorch, for images `[N, C, H, W]` of float64."""
    import torch
    from torch.nn import functional

    params = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf, np.float64)), variables())
    found = {}
    for i, pool in enumerate(("max", "average", None)):
        layer = params["params"][f"conv_{i}"]
        kernel = layer["kernel"].permute(3, 2, 0, 1)
        x = functional.conv2d(x, kernel, layer["bias"], padding="same")
        found[f"conv_{i}"] = x
        x = functional.relu(x)
        found[f"activation_{i}"] = x
        if pool == "max":
            x = functional.max_pool2d(x, 2)
        elif pool == "average":
            x = functional.avg_pool2d(x, 2)
    return {name: found[name] for name in NAMES}
