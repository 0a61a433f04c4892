"""Perceptrons beside softmax regression: features, orders, and lines of equal probability."""

import jax
import numpy as np
import pytest

from jaxdl.classic import find_cycle
from jaxdl.models import MLP
from jaxdl.recipes.perceptron import (
    softmax_line,
    squares,
    train_perceptrons,
    two_classes,
    xor,
    xor_cycle,
)


@pytest.mark.parametrize("name", ["line", "curve", "xor"])
def test_features_of_the_plane_are_the_inputs(name):
    fruits = two_classes(name)
    for part, each in fruits.sets.items():
        np.testing.assert_allclose(fruits.features(fruits.plane[part]), each["input"], atol=2e-5)
    inputs = np.asarray(fruits.sets["train"]["input"])
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(0), 1, atol=1e-5)


def test_squares_are_all_products():
    x = np.random.default_rng(0).normal(size=(4, 3))
    products = [x[:, i] * x[:, j] for i in range(3) for j in range(i, 3)]
    np.testing.assert_allclose(squares(x), np.column_stack([x, *products]))


def test_seeds_have_their_own_order_and_their_steps_belong_to_it():
    fruits = two_classes("curve")
    trained = train_perceptrons(fruits.sets, [0, 1, 2], 500, 5000)
    assert len({each.order.tobytes() for each in trained}) == 3
    inputs = np.asarray(fruits.sets["train"]["input"])
    signs = 2 * np.asarray(fruits.sets["train"]["label"]) - 1
    for each in trained:
        assert each.found.converged
        lines, rows = each.steps()
        for k, row in enumerate(rows):
            step = lines[k + 1] - lines[k]
            np.testing.assert_allclose(step, signs[row] * np.append(inputs[row], 1), atol=2e-5)
            assert signs[row] * (lines[k] @ np.append(inputs[row], 1)) <= 1e-5
        found = np.asarray(each.found.predict(inputs))
        np.testing.assert_array_equal(found, signs)


def test_xor_cycles_and_has_no_row_in_both_parts():
    found, cycle = xor_cycle()
    assert find_cycle(found) == cycle
    train, test = ({row.tobytes() for row in each["input"]} for each in xor())
    assert not train & test


def test_the_line_has_equal_probabilities():
    model = MLP((), 2)
    rng = np.random.default_rng(1)
    shape = jax.eval_shape(lambda: model.init(jax.random.key(0), np.ones((1, 3)), train=False))
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype("f"), shape["params"])
    line = softmax_line(params)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    logits = np.asarray(model.apply({"params": params}, x, train=False))
    np.testing.assert_allclose(x @ line[:-1] + line[-1], logits[:, 1] - logits[:, 0], atol=1e-5)
