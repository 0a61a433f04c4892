"""Noise, brightness, contrast and blank squares: their distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import (
    augment_batch,
    brightness,
    contrast,
    cutout,
    gaussian_noise,
    salt_and_pepper,
)
from jaxdl.errors import InputError

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)


def test_gaussian_noise_has_the_moments_of_a_gaussian():
    x = jnp.asarray(RNG.uniform(size=20000), jnp.float32)
    noise = np.asarray(gaussian_noise(0.3)(KEY, x) - x, np.float64) / 0.3
    assert all(
        abs((noise**n).mean() - exact) < bound
        for n, exact, bound in [(1, 0, 0.03), (2, 1, 0.05), (4, 3, 0.4)]
    )
    assert abs(np.corrcoef(noise, x)[0, 1]) < 0.03
    np.testing.assert_array_equal(gaussian_noise(0.0)(KEY, x), x)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_salt_and_pepper_change_equal_shares_of_the_pixels(share):
    x = jnp.asarray(RNG.uniform(0.1, 0.9, size=20000), jnp.float32)
    y = np.asarray(salt_and_pepper(share)(KEY, x))
    assert (y == 0).mean() == pytest.approx(share / 2, abs=0.015)
    assert (y == 1).mean() == pytest.approx(share / 2, abs=0.015)
    grey = (y != 0) & (y != 1)
    np.testing.assert_array_equal(y[grey], np.asarray(x)[grey])


def test_brightness_adds_one_number_to_an_example():
    x = jnp.asarray(RNG.uniform(size=(3000, 3, 4, 1)), jnp.float32)
    added = np.asarray(augment_batch(brightness(0.3), KEY, x) - x).reshape(3000, -1)
    np.testing.assert_allclose(added, added[:, :1].repeat(12, 1), atol=1e-6)
    assert added.min() >= -0.301 and added.max() <= 0.301
    assert added.mean() == pytest.approx(0, abs=0.02)
    assert added.std() == pytest.approx(0.3 / 3**0.5, rel=0.05)


def test_contrast_scales_the_distance_from_the_mean_of_a_channel():
    x = RNG.uniform(size=(2000, 4, 5, 2)).astype(np.float32)
    y = np.asarray(augment_batch(contrast(0.4), KEY, jnp.asarray(x)))
    mean = x.mean((1, 2), keepdims=True)
    factor = ((y - mean) * (x - mean)).sum((1, 2, 3)) / ((x - mean) ** 2).sum((1, 2, 3))
    factors = factor[:, None, None, None]
    np.testing.assert_allclose(y, mean + factors * (x - mean), atol=1e-5)
    assert factor.min() >= 0.599 and factor.max() <= 1.401
    assert factor.mean() == pytest.approx(1, abs=0.03)


def test_cutout_is_a_square_around_any_pixel():
    x = jnp.ones((3000, 5, 6, 1))
    y = np.asarray(augment_batch(cutout(3), KEY, x))[..., 0]
    squares = set()
    for row in range(5):
        for column in range(6):
            image = np.ones((5, 6), np.float32)
            image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
            squares.add(image.tobytes())
    counts: dict[bytes, int] = {}
    for image in y:
        counts[image.tobytes()] = counts.get(image.tobytes(), 0) + 1
    assert set(counts) == squares
    assert all(abs(count - 100) < 5 * 100**0.5 for count in counts.values())


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: gaussian_noise(-0.1), "sigma: got -0.1, allowed: a number in [0, inf)"),
        (lambda: gaussian_noise(float("nan")), "sigma: got nan, allowed: a number in [0, inf)"),
        (lambda: salt_and_pepper(1.0), "corrupted_fraction: got 1.0, allowed: a number in [0, 1)"),
        (
            lambda: salt_and_pepper(-0.1),
            "corrupted_fraction: got -0.1, allowed: a number in [0, 1)",
        ),
        (lambda: brightness(1.0), "amount: got 1.0, allowed: a number in [0, 1)"),
        (lambda: contrast(-0.1), "amount: got -0.1, allowed: a number in [0, 1)"),
        (lambda: cutout(0), "side: got 0, allowed: at least 1"),
        (
            lambda: cutout(8)(KEY, jnp.ones((8, 9, 1))),
            "side: got 8, allowed: less than the smaller side of the images, 8",
        ),
        (
            lambda: contrast(0.5)(KEY, jnp.ones((8, 9))),
            "contrast: got 'float32[8, 9]', allowed: images [H, W, C] of floats",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
