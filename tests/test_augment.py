"""Augmentations: distributions of shifts and noise, and chains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import augment_batch, chain, gaussian_noise, random_shift, salt_and_pepper
from jaxdl.errors import InputError

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_all_shifts_are_equally_likely(pixels):
    image = RNG.normal(size=(3, 4, 2)).astype(np.float32)
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
    n = 2 * pixels + 1
    all_shifts = {padded[i : i + 3, j : j + 4].tobytes() for i in range(n) for j in range(n)}
    samples = 200 * n * n
    shifted = jax.jit(jax.vmap(random_shift(pixels), (0, None)))(
        jax.random.split(KEY, samples), jnp.asarray(image)
    )
    counts: dict[bytes, int] = {}
    for x in np.asarray(shifted):
        counts[x.tobytes()] = counts.get(x.tobytes(), 0) + 1
    assert set(counts) == all_shifts
    assert len(all_shifts) == n * n
    assert all(abs(count - 200) < 5 * 200**0.5 for count in counts.values())


def test_some_images_are_not_shifted():
    image = jnp.asarray(RNG.normal(size=(3, 4, 2)).astype(np.float32))
    shifted = jax.jit(jax.vmap(random_shift(1, 0.7), (0, None)))(jax.random.split(KEY, 2000), image)
    unchanged = (np.asarray(shifted) == np.asarray(image)).all((1, 2, 3)).mean()
    assert abs(unchanged - (0.7 + 0.3 / 9)) < 5 * (0.2 / 2000) ** 0.5


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


def test_a_chain_applies_its_parts_in_order_with_separate_keys():
    x = jnp.asarray(RNG.uniform(size=(5, 6, 1)), jnp.float32)
    shift = random_shift(2)
    noise = gaussian_noise(0.5)
    expected = noise(jax.random.fold_in(KEY, 1), shift(jax.random.fold_in(KEY, 0), x))
    np.testing.assert_array_equal(chain(shift, noise)(KEY, x), expected)
    np.testing.assert_array_equal(chain()(KEY, x), x)


def test_each_example_of_a_batch_has_its_key():
    x = jnp.zeros((4, 50))
    y = np.asarray(augment_batch(gaussian_noise(1.0), KEY, x))
    keys = jax.random.split(KEY, 4)
    for row, key in zip(y, keys, strict=True):
        np.testing.assert_array_equal(row, jax.random.normal(key, (50,)))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: random_shift(-1), "pixels: got -1, allowed: at least 0"),
        (
            lambda: random_shift(1, 1.0),
            "unshifted_probability: got 1.0, allowed: a number in [0, 1)",
        ),
        (lambda: gaussian_noise(-0.1), "sigma: got -0.1, allowed: a number in [0, inf)"),
        (lambda: gaussian_noise(float("nan")), "sigma: got nan, allowed: a number in [0, inf)"),
        (lambda: salt_and_pepper(1.0), "corrupted_fraction: got 1.0, allowed: a number in [0, 1)"),
        (
            lambda: salt_and_pepper(-0.1),
            "corrupted_fraction: got -0.1, allowed: a number in [0, 1)",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
