"""Reshaped against NumPy's reshape of the body's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Reshaped, Stage
from tests.models.random_variables import random_variables

RNG = np.random.default_rng(0)
X, IMAGES = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((5, 3), (5, 4, 6, 2)))


@pytest.mark.parametrize(
    ("body", "x", "shape"),
    [
        (MLP((4,), 24), X, (2, 3, 4)),
        (MLP((), 24), X, (24,)),
        (MLP((), 1), X, ()),
        (CNN((Stage(3),), outputs=None), IMAGES, (3, 6)),
    ],
)
def test_is_its_bodys_numbers_in_their_order(body, x, shape):
    model = Reshaped(body, shape)
    variables = random_variables(model, x)
    outputs = body.apply({"params": variables["params"]["body"]}, x, train=False)
    y = model.apply(variables, x, train=False)
    np.testing.assert_array_equal(y, np.asarray(outputs).reshape(5, *shape))
    assert y.size == np.unique(y).size or outputs.ndim == 4, (
        "numbers that are all different show their order"
    )


def test_the_body_hears_whether_this_is_training():
    model = Reshaped(MLP((6,), 6, norm="batch"), (2, 3))
    variables = random_variables(model, X)
    for train in (True, False):
        moved = model.apply(variables, X, train=train, mutable=["batch_stats"])[1]["batch_stats"]
        before, after = (
            stats["body"]["norm_0"]["mean"] for stats in (variables["batch_stats"], moved)
        )
        assert (np.asarray(before) != np.asarray(after)).all() == train


def test_the_range_is_that_of_the_activation():
    plain = Reshaped(MLP((), 6), (2, 3))
    bounded = Reshaped(MLP((), 6), (2, 3), "sigmoid")
    variables = random_variables(plain, X)
    outputs = np.asarray(plain.apply(variables, X, train=False))
    np.testing.assert_allclose(
        bounded.apply(variables, X, train=False), 1 / (1 + np.exp(-outputs)), rtol=1e-6
    )


def init(model, x):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))


BAD = [
    (lambda: Reshaped(MLP(), (5, 0)), "shape: got 0, allowed: at least 1"),
    (lambda: Reshaped(MLP(), (5, 2.0)), "shape: got 2.0, allowed: an integer, at least 1"),
    (
        lambda: init(Reshaped(MLP((), 10), (3, 4)), X),
        "shape: got (3, 4), allowed: as many elements as the body has outputs, 10",
    ),
    # The total is divisible, but five examples must not become four.
    (
        lambda: init(Reshaped(MLP((), 4), (5, 1)), X),
        "shape: got (5, 1), allowed: as many elements as the body has outputs, 4",
    ),
]


@pytest.mark.parametrize(("call", "line"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_says_in_one_line_what_is_allowed(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line


def test_a_number_is_no_shape():
    with pytest.raises(InputError, match="^shape: got 7, allowed: "):
        Reshaped(MLP(), 7)


def test_an_activation_that_nobody_knows():
    with pytest.raises(InputError, match="^activation: got 'wiggly', allowed: celu, elu, "):
        Reshaped(MLP(), (5,), "wiggly")
