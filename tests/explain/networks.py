"""Small networks of random layers, for the tests of explanations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl import explain
from jaxdl.models import CNN, Stage
from tests.models.random_variables import random_variables

MODEL = CNN((Stage(5), Stage(6, 5, 2, pool="average"), Stage(4, pool=None)), (7,), 3)
SHAPE = (20, 17, 2)


def images(count, shape=SHAPE, seed=0):
    """Returns random images in [0, 1]."""
    return np.random.default_rng(seed).random((count, *shape), np.float32)


def variables():
    """Returns random variables of `MODEL`, with biases."""
    return random_variables(MODEL, images(1))


def layer(name):
    """Returns a layer of `MODEL`."""
    return explain.layer(MODEL, variables(), name)


def bound(module, shape=SHAPE, seed=0):
    """Returns a module with random weights as a function of images."""
    x = jnp.zeros((1, *shape))
    weights = module.init(jax.random.key(seed), x)
    return lambda images: module.apply(weights, images)


class Stack(nn.Module):
    """Layers in order: "conv", "max" or "sum", size, stride, dilation and padding."""

    steps: tuple

    @nn.compact
    def __call__(self, x):
        for kind, size, stride, dilation, padding in self.steps:
            if kind == "conv":
                layer = nn.Conv(3, (size, size), stride, padding=padding, kernel_dilation=dilation)
                x = nn.relu(layer(x))
            elif kind == "max":
                x = nn.max_pool(x, (size, size), (stride, stride), padding)
            else:
                x = nn.pool(x, 0.0, lax.add, (size, size), (stride, stride), padding)
        return x
