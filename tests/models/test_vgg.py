"""VGG networks: their layers, the adaptive pooling of their head, and their sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.description import build, describe
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage, vgg, vgg16, vgg19
from tests.models.random_variables import random_variables

RNG = np.random.default_rng(0)


def adaptive_average(x, size):
    """Returns the mean over each window of `[B, H, W, C]`, by a loop over the windows."""
    height, width = x.shape[1:3]
    y = np.zeros((len(x), size, size, x.shape[-1]))
    for i in range(size):
        rows = slice(i * height // size, -(-(i + 1) * height // size))
        for j in range(size):
            columns = slice(j * width // size, -(-(j + 1) * width // size))
            y[:, i, j] = x[:, rows, columns].mean((1, 2))
    return y


@pytest.mark.parametrize("shape", [(7, 7), (5, 11), (14, 21), (3, 2), (9, 8)])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_head_reads_means_over_windows(shape, size):
    x = RNG.normal(size=(2, *shape, 3)).astype(np.float32)
    stages = (Stage(3, 1, pool=None),)
    model = CNN(stages, (), 1, activation="linear", head_size=size)
    variables = random_variables(model, jnp.asarray(x))
    params = jax.tree.map(np.asarray, variables["params"])
    maps = x @ params["conv_0"]["kernel"][0, 0] + params["conv_0"]["bias"]
    flat = adaptive_average(maps, size).reshape(2, -1)
    out = params["head"]["out"]
    expected = flat @ out["kernel"] + out["bias"]
    y = jax.jit(lambda v: model.apply(v, x, train=False))(variables)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "convolutions", "count"),
    [
        (vgg16, 13, 138_357_544),
        (vgg19, 16, 143_667_240),
    ],
)
def test_sizes_are_those_of_the_paper(make, convolutions, count):
    model = make()
    x = jnp.zeros((1, 224, 224, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))["params"]
    assert len([name for name in shapes if name.startswith("conv_")]) == convolutions
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count
    body = make(outputs=None)
    maps = jax.eval_shape(lambda p: body.apply({"params": p}, x, train=False), dict(shapes))
    assert maps.shape == (1, 7, 7, 512)


def test_one_head_fits_images_of_every_size():
    model = vgg(((3,), (4,)), (5,), 2, head_size=3)
    variables = random_variables(model, jnp.zeros((1, 12, 12, 3)))
    for size in ((12, 12), (30, 9), (4, 5)):
        y = model.apply(variables, jnp.ones((1, *size, 3)), train=False)
        assert y.shape == (1, 2)


def test_a_description_builds_the_same_network():
    model = vgg(((3,), (4, 4)), (5,), 2, dropout=0.25, head_size=2)
    assert build(describe(model)) == model
    old = describe(CNN((Stage(3),)))
    del old["head_size"]
    assert build(old) == CNN((Stage(3),))


@pytest.mark.parametrize(
    "arguments",
    [{"blocks": ((),)}, {"blocks": (3,)}, {"blocks": ((0,),)}]
    + [{"blocks": ((3,),), "head_size": 0}, {"blocks": ((3,),), "outputs": 0}],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(InputError):
        vgg(**arguments)
