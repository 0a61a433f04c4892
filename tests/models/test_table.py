"""The table of a model: the numbers are those of the parameters, the shapes those of the run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import CNN, MLP, Stage, lecture_cnn_3x3, table

MODELS = {
    "mlp": (MLP((7, 5), 3, norm="layer"), (4, 4)),
    "softmax regression": (MLP((), 3), (4,)),
    "cnn": (CNN((Stage(6), Stage(4, 5, pool=None)), (9,), norm="batch"), (8, 8, 1)),
    "residual": (
        CNN((Stage(4, 3, 2, 1, pool=None, convs=2, residual=True),), norm="batch"),
        (8, 8, 1),
    ),
    "lecture": (lecture_cnn_3x3(), (28, 28, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_numbers_add_up_to_the_parameters(name):
    model, shape = MODELS[name]
    lines = table(model, np.zeros((2, *shape), np.float32)).splitlines()
    variables = jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((2, *shape)), train=False)
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    numbers = [int(line.split()[-1].replace(",", "")) for line in lines[1:]]
    assert numbers[-1] == sum(numbers[:-1]) == count
    assert len({len(line) for line in lines}) == 1


def test_layers_stand_in_the_order_of_their_calls_with_their_outputs():
    model, shape = MODELS["cnn"]
    lines = table(model, np.zeros((2, *shape), np.float32)).splitlines()[1:-1]
    layers = [line.split()[0] for line in lines]
    assert layers == [
        "conv_0",
        "norm_0",
        "conv_1",
        "norm_1",
        "head/dense_0",
        "head/norm_0",
        "head/out",
    ]
    assert "[2, 8, 8, 6]" in lines[0]
    assert "[2, 4, 4, 4]" in lines[2]
    assert "[2, 10]" in lines[-1]


def test_a_residual_stage_has_its_convolutions_then_its_projection():
    model, shape = MODELS["residual"]
    lines = table(model, np.zeros((2, *shape), np.float32)).splitlines()[1:-1]
    layers = [line.split()[0] for line in lines]
    names = ["conv_0a", "norm_0a", "conv_0b", "norm_0b", "skip_0", "norm_skip_0", "head/out"]
    assert layers == names
    assert all("[2, 4, 4, 4]" in line for line in lines[:-1])
