"""Tests of scores: logits of modules of every kind, targets, batches, and errors of one line."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.scores import check_target, in_batches, select
from jaxdl.models import MLP
from tests.explain.networks import images
from tests.models.random_variables import random_variables

IMAGES = images(5, (6, 5, 2))
RANDOM = np.random.default_rng(3)


class Other(nn.Module):
    """A module of a user, with another name of the flag and dropout."""

    @nn.compact
    def __call__(self, x, deterministic):
        x = nn.Dropout(0.5)(x.reshape(x.shape[0], -1), deterministic=deterministic)
        return nn.Dense(3)(x)


def test_logits_are_those_of_the_model():
    model = MLP((7,), 3, norm="batch", dropout=0.5)
    weights = random_variables(model, IMAGES)
    f = explain.logits(model, weights)
    np.testing.assert_array_equal(f(IMAGES), model.apply(weights, IMAGES, train=False))
    halved = explain.logits(model, weights, lambda x: x / 2)
    np.testing.assert_array_equal(halved(IMAGES), f(IMAGES / 2))
    assert len(jax.tree.leaves(f)) == len(jax.tree.leaves(weights))
    other = Other()
    weights = other.init(jax.random.key(0), IMAGES, deterministic=True)
    expected = other.apply(weights, IMAGES, deterministic=True)
    np.testing.assert_array_equal(explain.logits(other, weights)(IMAGES), expected)


def test_a_single_logit_has_the_scores_of_two_classes():
    model = MLP((), 1)
    weights = random_variables(model, IMAGES)
    scores = explain.logits(model, weights)(IMAGES)
    z = np.asarray(model.apply(weights, IMAGES, train=False))
    np.testing.assert_array_equal(scores, np.concatenate([0 * z, z], 1))


def test_select_and_targets_are_those_of_a_loop():
    scores = RANDOM.normal(size=(5, 4)).astype(np.float32)
    target = np.array([3, 0, 1, 1, 2], np.int32)
    expected = [scores[i, target[i]] for i in range(5)]
    np.testing.assert_array_equal(select(jnp.asarray(scores), jnp.asarray(target)), expected)
    weights = RANDOM.normal(size=(60, 4)).astype(np.float32)

    def f(x):
        return x.reshape(x.shape[0], -1) @ weights

    for batch_size in (1, 2, 8):
        found = check_target(f, IMAGES, None, batch_size)
        np.testing.assert_array_equal(found, (IMAGES.reshape(5, -1) @ weights).argmax(1))
    assert check_target(f, IMAGES, 2).tolist() == [2] * 5
    assert check_target(f, IMAGES, np.uint8(2)).dtype == np.int32
    assert check_target(f, IMAGES, target).tolist() == target.tolist()
    with pytest.raises(InputError, match="^target: got 1.0, allowed: a class in"):
        check_target(f, IMAGES, 1.0)
    with pytest.raises(InputError, match=r"^target: got 4, allowed: a class in \[0, 4\)"):
        check_target(f, IMAGES, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batches_have_one_size_and_the_results_their_order(batch_size):
    sizes = set()

    def program(f, x, y, constant):
        sizes.add(len(x))
        return f(x) + constant, y

    x = np.arange(5.0)
    first, second = in_batches(program, np.negative, (x, x[::-1]), batch_size, 10.0)
    np.testing.assert_array_equal(first, 10 - x)
    np.testing.assert_array_equal(second, x[::-1])
    assert sizes == {min(batch_size, 5)}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([[0], [1, 2]], "target: got 'lists of different lengths', allowed: a class in"),
        (np.eye(5, 4), r"target: got 'float64\[5, 4\]', allowed: a class in "),
        (np.eye(5, 4, dtype=int), r"target: got 'an array \[5, 4\]', allowed: one class, or 5"),
        (True, "target: got True"),
    ],
)
def test_other_arrays_than_classes_are_one_line(target, message):
    with pytest.raises(InputError, match=f"^{message}") as raised:
        check_target(lambda x: x.reshape(len(x), -1)[:, :4], IMAGES, target)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("f", [None, 3, np.zeros((4, 4)), MLP((4,), outputs=3)])
def test_a_model_or_an_array_is_no_function_of_images(f):
    with pytest.raises(InputError, match=r"^f: got .*write|^f: got .*explain.logits"):
        check_target(f, IMAGES, None)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: np.asarray(x).mean((1, 2)), "f: got 'a function of NumPy', allowed: a function"),
        (lambda x: x.mean((1, 2, 3)), r"scores: got 'float32\[1\]', allowed: outputs \[B, K\]"),
        (lambda x: x.mean((1, 2)) > 0, r"scores: got 'bool\[1, 2\]', allowed: outputs"),
        (lambda x: (x.mean((1, 2)), 1), "scores: got .*such as explain.logits"),
    ],
)
def test_other_outputs_than_scores_are_one_line(f, message):
    with pytest.raises(InputError, match=f"^{message}"):
        check_target(f, IMAGES, None)
