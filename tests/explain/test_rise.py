"""Tests of RISE: the expectation of linear scores in closed form, loops, and the masks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.explain.rise import mask, rise
from jaxdl.rng import fold, root, stream
from tests.explain.networks import images

SHAPE = (7, 10, 2)
IMAGES = images(2, SHAPE)
KEY = root(3)
CELLS = 3


def linear(x):
    """Returns linear scores with a bias."""
    weights = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    return jnp.einsum("bhwc,khwc->bk", x, weights) + jnp.array([[0.5, -2.0]])


def interpolations(pixels):
    """Returns the matrix from the coins to the pixels along one axis, for each shift, by a loop."""
    cell = -(-pixels // CELLS)
    for shift in range(cell):
        matrix = np.zeros((pixels, CELLS + 2))
        for i in range(pixels):
            low, part = divmod(i + shift, cell)
            matrix[i, low] += 1 - part / cell
            matrix[i, low + 1] += part / cell
        yield matrix


def second_moment(probability):
    """Returns E[m(p) m(q)] `[P, P]`, over all shifts and all coins."""
    moments = []
    for rows, columns in itertools.product(interpolations(7), interpolations(10)):
        full = np.kron(rows, columns)
        moments.append(
            probability**2 * np.ones((70, 70)) + probability * (1 - probability) * full @ full.T
        )
    return np.mean(moments, 0)


@pytest.mark.parametrize(("probability", "baseline"), [(0.5, 0.0), (0.3, 0.8)])
def test_the_mean_over_masks_is_the_expectation_in_closed_form(probability, baseline):
    """S(p) = f(baseline) + sum_q w(q) (x(q) - baseline) E[m(p) m(q)] / probability."""
    options = {"masks": 400, "cells": CELLS, "probability": probability, "baseline": baseline}
    maps = [rise(linear, IMAGES, 1, key=root(seed), **options) for seed in range(12)]
    maps = np.stack(maps)[..., 0].reshape(12, 2, 70)
    weights = np.random.default_rng(0).normal(size=(2, *SHAPE))[1]
    effect = (weights * (IMAGES - baseline)).sum(-1).reshape(2, 70)
    constant = baseline * weights.sum() - 2.0
    expected = constant + effect @ second_moment(probability) / probability
    error = maps.std(0, ddof=1) / np.sqrt(12)
    distance = (maps.mean(0) - expected) / error
    assert np.abs(distance).max() < 7
    assert np.sqrt((distance**2).mean()) < 2
    # The law can fail: the map differs between pixels by more than the error.
    assert (expected.std(1) > 4 * error.mean(1)).all()


def test_masks_are_interpolated_coins():
    keys = jax.vmap(lambda n: fold(KEY, n))(np.arange(300))
    masks = np.asarray(jax.vmap(lambda key: mask(key, (7, 10), CELLS, 0.4))(keys), np.float64)
    full = [
        np.kron(rows, columns)
        for rows, columns in itertools.product(interpolations(7), interpolations(10))
    ]
    used = set()
    for each in masks.reshape(300, 70):
        solutions = [np.linalg.lstsq(matrix, each)[0] for matrix in full]
        errors = [np.abs(m @ g - each).max() for m, g in zip(full, solutions, strict=True)]
        assert min(errors) < 1e-6
        used.add(int(np.argmin(errors)))
    assert len(used) == len(full)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    np.testing.assert_allclose(masks.mean(), 0.4, atol=0.03)


@pytest.mark.parametrize("batch_size", [1, 6, 64])
def test_maps_are_those_of_a_loop(batch_size):
    def f(x):
        return jnp.tanh(linear(x))

    options = {"masks": 10, "cells": CELLS, "batch_size": batch_size}
    found = rise(f, IMAGES, [1, 0], key=KEY, **options)
    for n, target in enumerate([1, 0]):
        own = fold(stream(KEY, "rise"), n)
        total = np.zeros((2, 7, 10))
        for i in range(10):
            kept = np.asarray(mask(fold(own, i), (7, 10), CELLS, 0.5))
            score = np.asarray(f(kept[None, ..., None] * IMAGES[n : n + 1]))[0, target]
            total += np.stack([score * kept, kept])
        np.testing.assert_allclose(found[n, ..., 0], total[0] / total[1], rtol=1e-4, atol=1e-5)


def test_a_constant_score_has_a_constant_map():
    maps = rise(lambda x: 0 * x.sum((1, 2)) + 7, IMAGES, 0, key=KEY, masks=30)
    np.testing.assert_allclose(maps, 7, rtol=1e-5)


def test_one_key_has_one_result_for_each_image():
    options = {"masks": 20, "cells": CELLS}
    first = rise(linear, IMAGES, 0, key=KEY, **options)
    np.testing.assert_array_equal(first, rise(linear, IMAGES, 0, key=KEY, **options))
    np.testing.assert_array_equal(first[:1], rise(linear, IMAGES[:1], 0, key=KEY, **options))
    assert (first != rise(linear, IMAGES, 0, key=root(4), **options)).any((1, 2, 3)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 0}, "^masks: got 0, allowed: at least 1"),
        ({"cells": 0}, "^cells: got 0"),
        ({"cells": 8}, "^cells: got 8, allowed: at most 7, the smallest side"),
        ({"probability": 0}, "^probability: got 0"),
        ({"probability": 1}, "^probability: got 1"),
        ({"baseline": [1, 2, 3]}, "^baseline: got"),
        ({"batch_size": 0}, "^batch_size: got 0"),
        ({"target": [0]}, "^target: got"),
        ({"key": 1}, "^key: got 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        rise(linear, IMAGES, **{"key": KEY, "masks": 4, "cells": 2, **options})


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="^scores: got 'NaN or infinity'"):
        rise(lambda x: jnp.log(x[:, 0, 0] - 0.3), IMAGES, 0, key=KEY, masks=50)
