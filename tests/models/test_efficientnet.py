"""EfficientNet: sizes, fields, and training; `tests/foreign` compares it with PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.description import build, describe
from jaxdl.errors import InputError
from jaxdl.models import EfficientNet, InvertedResidual, efficientnet_lite0
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 9, 8, 3)), jnp.float32)
SMALL = EfficientNet((InvertedResidual(4, 2), InvertedResidual(6, 1, 5, 2, 1)), 4, 8, 3)


def test_the_size_of_lite0_is_the_published_one():
    model = efficientnet_lite0()
    x = jnp.zeros((1, 224, 224, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 4_652_008
    body = efficientnet_lite0(outputs=None)
    maps = jax.eval_shape(lambda v: body.apply(v, x, train=False), shapes)
    assert maps.shape == (1, 7, 7, 1280)


def test_training_uses_the_statistics_of_the_batch_and_updates_the_running_ones():
    variables = random_variables(SMALL, X)

    def run(variables):
        return SMALL.apply(
            variables,
            X,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )

    y, updated = jax.jit(run)(variables)
    assert y.shape == (4, 3)
    kernel = variables["params"]["conv_stem"]["kernel"]
    stem = jax.lax.conv_general_dilated(
        X, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    mean = updated["batch_stats"]["norm_stem"]["mean"]
    np.testing.assert_allclose(mean, 0.01 * stem.mean((0, 1, 2)), rtol=1e-4, atol=1e-7)


def test_a_description_builds_the_same_network():
    assert build(describe(SMALL)) == SMALL


@pytest.mark.parametrize(
    "fields",
    [{"stages": 3}, {"stages": (3,)}, {"stem": 0}, {"top": 0}, {"outputs": 0}]
    + [{"dropout": 1.0}, {"norm": "bach"}],
)
def test_impossible_fields_are_refused(fields):
    with pytest.raises(InputError):
        EfficientNet(**{"stages": (), **fields})
    with pytest.raises(InputError):
        InvertedResidual(0)


def test_other_inputs_are_refused():
    for x in (X[0], X.astype(jnp.int32)):
        with pytest.raises(InputError, match="float images"):
            SMALL.init(jax.random.key(0), x, train=False)
