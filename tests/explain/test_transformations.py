"""Tests of warps: SciPy's interpolation, exact cases, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxdl.explain import random_warp, warp

IMAGE = np.random.default_rng(0).random((7, 10, 3), np.float32)


def scipy_warp(image, angle, scale, shift, fill):
    """Returns the warp of SciPy, whose coordinates are those of the input."""
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    center = (np.array(image.shape[:2]) - 1) / 2
    offset = center - matrix @ (center + shift)
    channels = [
        ndimage.affine_transform(
            image[..., c], matrix, offset, order=1, mode="grid-constant", cval=fill
        )
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, -1)


@pytest.mark.parametrize("seed", range(5))
def test_a_warp_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-3, 3)
    scale = rng.uniform(0.5, 2)
    shift = rng.uniform(-4, 4, 2)
    actual = jax.jit(warp)(IMAGE, angle, scale, shift.astype(np.float32), 0.25)
    expected = scipy_warp(IMAGE.astype(np.float64), angle, scale, shift, 0.25)
    np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_whole_pixels_and_right_angles_are_exact():
    np.testing.assert_array_equal(warp(IMAGE, 0.0, 1.0, jnp.zeros(2)), IMAGE)
    shifted = warp(IMAGE, 0.0, 1.0, jnp.array([2.0, -3.0]), 0.0)
    np.testing.assert_array_equal(shifted[2:, :-3], IMAGE[:-2, 3:])
    assert not shifted[:2].any() and not shifted[:, -3:].any()
    square = IMAGE[:, :7]
    turned = warp(square, np.pi / 2, 1.0, jnp.zeros(2))
    np.testing.assert_allclose(turned, np.rot90(square), atol=1e-5)


def test_the_gradient_is_that_of_the_linear_map():
    shift = jnp.array([0.3, -0.6])
    direction = np.random.default_rng(1).normal(size=IMAGE.shape).astype(np.float32)
    f = lambda image: warp(image, 0.2, 1.1, shift, 0.0)  # noqa: E731
    y, back = jax.vjp(f, jnp.asarray(IMAGE))
    np.testing.assert_allclose((back(direction)[0] * IMAGE).sum(), (y * direction).sum(), rtol=1e-4)


def test_random_warps_stay_within_their_limits():
    image = jnp.zeros((15, 15, 1)).at[7, 7].set(1.0)
    keys = jax.random.split(jax.random.key(0), 300)
    moved = jax.vmap(lambda key: random_warp(key, image, 2, 0.0, 0.0, fill=0.0))(keys)
    places = {tuple(np.argwhere(np.asarray(each)[..., 0])[0] - 7) for each in moved}
    assert places == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    disk = jnp.ones((15, 15, 1))
    sizes = jax.vmap(lambda key: random_warp(key, disk, 0, 0.5, 0.0, fill=0.0))(keys).sum((1, 2, 3))
    assert 15**2 * 0.5**2 * 0.8 < sizes.min() < 15**2 * 0.4
    same = jax.vmap(lambda key: random_warp(key, image, 0, 0.0, 0.0))(keys[:3])
    np.testing.assert_array_equal(same, jnp.stack([image] * 3))
