"""Combinations of augmentations, and keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import (
    affine,
    augment_batch,
    brightness,
    chain,
    clipped,
    gaussian_noise,
    random_flip,
    random_shift,
    salt_and_pepper,
    sometimes,
    warp,
)
from jaxdl.errors import InputError

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)


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


def test_some_examples_are_changed_and_others_keep_their_bits():
    x = jnp.zeros((3000, 5))
    y = np.asarray(augment_batch(sometimes(gaussian_noise(1.0), 0.3), KEY, x))
    changed = (y != 0).any(1)
    assert changed.mean() == pytest.approx(0.3, abs=5 * (0.21 / 3000) ** 0.5)
    # The coin does not select the noise.
    assert y[changed].mean() == pytest.approx(0, abs=5 * (1 / y[changed].size) ** 0.5)
    assert y[changed].var() == pytest.approx(1, abs=0.15)
    with pytest.raises(InputError, match=r"^probability: got 1.0, allowed: a number in \[0, 1\)"):
        sometimes(gaussian_noise(1.0), 1.0)


def test_clipped_results_are_pixels_even_where_an_interpolation_rounds():
    x = jnp.asarray(RNG.uniform(size=(7, 6, 1)), jnp.float32)
    y = np.asarray(gaussian_noise(0.5)(KEY, x))
    np.testing.assert_array_equal(clipped(gaussian_noise(0.5))(KEY, x), y.clip(0, 1))
    np.testing.assert_array_equal(clipped(gaussian_noise(0.5), 0.2, 0.4)(KEY, x), y.clip(0.2, 0.4))
    white = jnp.ones((64, 9, 9, 1))
    turned = augment_batch(clipped(affine(rotate=40.0, scale=1.3)), KEY, white)
    assert float(turned.max()) == 1 and float(turned.min()) == 0
    with pytest.raises(InputError, match=r"^low: got 1.0, allowed: less than high, 1.0$"):
        clipped(gaussian_noise(0.5), 1.0)


IMAGE = jnp.ones((5, 4, 1))
BYTES = IMAGE.astype(jnp.uint8)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: gaussian_noise(0.1)(KEY, BYTES),
            "noise: got 'uint8[5, 4, 1]', allowed: arrays of",
        ),
        (lambda: brightness(0.1)(KEY, BYTES), "brightness: got 'uint8[5, 4, 1]', allowed: arrays"),
        (
            lambda: salt_and_pepper(0.1)(KEY, BYTES),
            "salt_and_pepper: got 'uint8[5, 4, 1]', allowed",
        ),
        (lambda: random_flip(0.5)(KEY, BYTES), "flip: got 'uint8[5, 4, 1]', allowed: images [H, W"),
        (lambda: random_flip(0.5)(KEY, IMAGE[0]), "flip: got 'float32[4, 1]', allowed: images [H"),
        (lambda: random_shift(1)(KEY, IMAGE[0]), "pixels: got '1 for an example of shape [4, 1]'"),
        (lambda: random_flip(0.5)(None, IMAGE), "key: got None, allowed: root(seed)"),
        (lambda: random_flip(0.5)(jax.random.split(KEY), IMAGE), "key: got '2 keys', allowed: one"),
        (lambda: random_flip("a"), "probability: got 'a', allowed: a number in [0, 1)"),
        (lambda: sometimes(3, 0.5), "augment: got 3, allowed: augment(key, example), such as"),
        (lambda: chain(None), "augment: got <class 'NoneType'>, allowed: augment(key, example)"),
        (lambda: augment_batch(random_flip(0.5), KEY, IMAGE[:0]), "inputs: got (0, 4, 1), allowed"),
        (
            lambda: warp(IMAGE, np.eye(2), np.ones(3)),
            "offset: got array([1., 1., 1.]), allowed: two",
        ),
        (lambda: warp(IMAGE, "a", np.ones(2)), "matrix: got 'a', allowed: one with an inverse"),
    ],
)
def test_bad_arguments(call, line):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value).startswith(line)
