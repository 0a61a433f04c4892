"""Gram matrices: their definition, and what they do not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.art import gram, random_layer
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.rng import root
from tests.models.random_variables import random_variables

MAPS = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)


def test_it_is_the_mean_product_of_two_units():
    expected = np.zeros((4, 4))
    for i in range(5):
        for j in range(7):
            for u in range(4):
                for v in range(4):
                    expected[u, v] += MAPS[i, j, u] * float(MAPS[i, j, v]) / 35
    np.testing.assert_allclose(gram(jnp.asarray(MAPS)), expected, rtol=1e-5, atol=1e-6)


def test_it_is_symmetric_and_positive_semi_definite():
    matrix = np.asarray(gram(jnp.asarray(MAPS)))
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    # Fewer positions than units give a matrix without full rank.
    few = np.linalg.eigvalsh(np.asarray(gram(jnp.asarray(MAPS[:1, :2]))))
    np.testing.assert_allclose(few[:2], 0, atol=1e-6)


def test_an_order_of_positions_does_not_change_it():
    """Small integers are added without rounding, so that the matrices are equal."""
    whole = np.round(4 * MAPS)
    order = np.random.default_rng(1).permutation(35)
    moved = whole.reshape(35, 4)[order].reshape(7, 5, 4)
    np.testing.assert_array_equal(gram(jnp.asarray(whole)), gram(jnp.asarray(moved)))


def test_a_cyclic_shift_of_the_image_keeps_the_matrix_of_cyclic_filters():
    """Maps of a layer without strides and without edges are shifted as the image."""
    f = random_layer(root(0), features=4, scales=(1, 2))
    image = np.random.default_rng(2).uniform(size=(1, 17, 20, 3)).astype(np.float32)
    shifted = np.roll(image, (3, -5), (1, 2))
    maps = f(jnp.asarray(image))["random"][0]
    moved = f(jnp.asarray(shifted))["random"][0]
    np.testing.assert_allclose(moved, np.roll(maps, (3, -5), (0, 1)), atol=1e-6)
    np.testing.assert_allclose(gram(moved), gram(maps), rtol=1e-5)


def test_a_shift_by_the_total_stride_keeps_the_matrix_of_an_image_in_an_empty_frame():
    """Convolutions without biases map 0 to 0, so positions that reach the edges add nothing."""
    model = CNN((Stage(4, pool="average"), Stage(5, pool="average")), outputs=None)
    variables = random_variables(model, jnp.zeros((1, 8, 8, 3)))
    params = {
        name: {**layer, "bias": jnp.zeros_like(layer["bias"])}
        for name, layer in variables["params"].items()
    }

    @jax.jit
    def matrix(image):
        return gram(model.apply({"params": params}, image[None], train=False)[0])

    image = np.zeros((32, 32, 3), np.float32)
    image[12:20, 12:20] = np.random.default_rng(3).uniform(size=(8, 8, 3))
    expected = np.asarray(matrix(jnp.asarray(image)))
    scale = np.abs(expected).max()
    moved = np.asarray(matrix(jnp.asarray(np.roll(image, (4, -4), (0, 1)))))
    np.testing.assert_allclose(moved, expected, atol=1e-6 * scale)
    # Another shift changes which pixels are averaged.
    other = np.asarray(matrix(jnp.asarray(np.roll(image, (1, 0), (0, 1)))))
    assert np.abs(other - expected).max() > 1e-3 * scale


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4, 2), (0, 4, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="allowed: maps of one image"):
        gram(jnp.zeros(shape))
