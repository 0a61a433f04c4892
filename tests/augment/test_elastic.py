"""Elastic deformations against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxdl.augment import augment_batch, elastic
from jaxdl.augment.elastic import smoothing
from jaxdl.errors import InputError

KEY = jax.random.key(1)
RNG = np.random.default_rng(0)


def test_a_deformation_equals_scipy():
    x = RNG.uniform(size=(12, 9, 2)).astype(np.float32)
    noise = np.asarray(jax.random.uniform(KEY, (2, 12, 9), jnp.float32, -(3**0.5), 3**0.5))
    variance = scipy.ndimage.gaussian_filter(np.ones((12, 9)), 1.5, mode="constant", truncate=9)
    impulse = np.zeros((25, 25))
    impulse[12, 12] = 1
    kernel = scipy.ndimage.gaussian_filter(impulse, 1.5, mode="constant", truncate=9)
    variance = scipy.ndimage.convolve(np.ones((12, 9)), kernel**2, mode="constant")
    moved = [
        0.8 * scipy.ndimage.gaussian_filter(each, 1.5, mode="constant", truncate=9) / variance**0.5
        for each in noise.astype(np.float64)
    ]
    positions = np.mgrid[:12, :9] + np.stack(moved)
    expected = [
        scipy.ndimage.map_coordinates(x[..., c], positions, order=1, mode="grid-constant")
        for c in range(2)
    ]
    y = elastic(0.8, 1.5)(KEY, jnp.asarray(x))
    np.testing.assert_allclose(y, np.stack(expected, -1), atol=1e-5)


def test_the_displacement_has_its_size_everywhere():
    """A plane of row numbers shows the rows that its pixels come from."""
    rows = np.broadcast_to(np.arange(24.0)[:, None, None], (24, 24, 1)).astype(np.float32)
    batch = jnp.asarray(rows[None].repeat(2000, 0))
    moved = np.asarray(augment_batch(elastic(0.5, 3.0), KEY, batch))[..., 0] - rows[..., 0]
    inside = moved[:, 4:-4, 4:-4]
    np.testing.assert_allclose(inside.std(0), 0.5, atol=0.05)
    neighbours = np.corrcoef(moved[:, 10, 10], moved[:, 10, 11])[0, 1]
    assert neighbours == pytest.approx(np.exp(-1 / 36), abs=0.02)


def test_the_rows_of_the_smoothing_have_length_one():
    g = smoothing(7, 2.0)
    np.testing.assert_allclose((g**2).sum(1), 1)
    position = np.arange(7)
    np.testing.assert_allclose(g[2] / g[2, 2], np.exp(-((position - 2.0) ** 2) / 8))


def test_no_displacement_is_the_identity():
    x = RNG.uniform(size=(6, 6, 1)).astype(np.float32)
    np.testing.assert_array_equal(elastic(0.0)(KEY, jnp.asarray(x)), x)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: elastic(-1.0), "pixels: got -1.0, allowed: a number in [0, inf)"),
        (lambda: elastic(1.0, 0.0), "sigma: got 0.0, allowed: a finite number above 0"),
        (
            lambda: elastic(8.0)(KEY, jnp.ones((8, 8, 1))),
            "pixels: got 8.0, allowed: less than the smaller side of the images, 8",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
