"""Tests of the two tables of word vectors: lookups, unknown ids, and refused values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import SkipGram

MODEL = SkipGram(5, 3)
VARIABLES = MODEL.init(jax.random.key(0), jnp.zeros(2, jnp.int32))


@pytest.mark.parametrize("biases", [False, True])
def test_tables_have_a_row_for_each_word(biases):
    model = SkipGram(7, 4, biases)
    params = model.init(jax.random.key(1), jnp.zeros(1, jnp.int32))["params"]
    shapes = {"input": (7, 4), "output": (7, 4)}
    if biases:
        shapes |= {"input_bias": (7,), "output_bias": (7,)}
    assert {name: each.shape for name, each in params.items()} == shapes
    assert 0 < float(abs(params["input"]).max()) <= 0.5 / 4
    # With biases both tables start with random numbers, or no gradient would move them.
    assert bool((params["output"] != 0).any()) == biases


@pytest.mark.parametrize("table", ["input", "output"])
def test_each_id_gives_its_row(table):
    values = np.random.RandomState(0).normal(size=(2, 5, 3)).astype(np.float32)
    variables = {"params": {"input": values[0], "output": values[1]}}
    ids = np.array([[4, 0, 2], [1, 1, 3]])
    found = MODEL.apply(variables, ids, table=table)
    assert found.shape == (2, 3, 3)
    for place in np.ndindex(ids.shape):
        np.testing.assert_array_equal(found[place], variables["params"][table][ids[place]])


def test_an_unknown_id_gives_nan():
    found = MODEL.apply(VARIABLES, jnp.array([-1, 0, 4, 5, 2**31 - 1]))
    assert np.isnan(found).all(1).tolist() == [True, False, False, True, True]
    assert np.isfinite(found[1:3]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MODEL.apply(VARIABLES, jnp.ones(2)), "ids dtype: got 'float32', allowed: int"),
        (
            lambda: MODEL.apply(VARIABLES, jnp.zeros(2, jnp.int32), table="both"),
            "table: got 'both', allowed: input, output",
        ),
        (lambda: SkipGram(2, 3), "vocabulary: got 2, allowed: at least 3"),
        (lambda: SkipGram(5, 0), "features: got 0, allowed: at least 1"),
    ],
)
def test_bad_values_are_errors_of_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
