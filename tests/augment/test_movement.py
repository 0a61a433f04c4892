"""Shifts, crops and reflections: their distributions, and exact pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import random_crop, random_flip, random_shift
from jaxdl.errors import InputError

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("pixels", [0, 1, 2])
@pytest.mark.parametrize(("make", "mode"), [(random_shift, "constant"), (random_crop, "reflect")])
def test_all_shifts_are_equally_likely(make, mode, pixels):
    image = RNG.normal(size=(5, 6, 2)).astype(np.float32)
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode=mode)
    n = 2 * pixels + 1
    all_shifts = {padded[i : i + 5, j : j + 6].tobytes() for i in range(n) for j in range(n)}
    samples = 200 * n * n
    shifted = jax.jit(jax.vmap(make(pixels), (0, None)))(
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


@pytest.mark.parametrize(("axis", "number"), [("vertical", 0), ("horizontal", 1)])
def test_a_flip_reflects_and_twice_is_the_identity(axis, number):
    x = RNG.normal(size=(5, 4, 3)).astype(np.float32)
    flip = random_flip(1.0, axis)
    y = flip(KEY, jnp.asarray(x))
    np.testing.assert_array_equal(y, np.flip(x, number))
    np.testing.assert_array_equal(flip(KEY, y), x)
    np.testing.assert_array_equal(random_flip(0.0, axis)(KEY, jnp.asarray(x)), x)


def test_images_are_flipped_with_their_probability():
    x = jnp.asarray(RNG.normal(size=(2, 3, 1)), jnp.float32)
    keys = jax.random.split(KEY, 2000)
    y = np.asarray(jax.vmap(random_flip(0.3), (0, None))(keys, x))
    flipped = (y != np.asarray(x)).any((1, 2, 3))
    assert flipped.mean() == pytest.approx(0.3, abs=5 * (0.21 / 2000) ** 0.5)


SMALL = jnp.ones((8, 9, 1))
INSIDE = "less than the smaller side of the images, 8"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: random_shift(-1), "pixels: got -1, allowed: at least 0"),
        (
            lambda: random_shift(1, 1.0),
            "unshifted_probability: got 1.0, allowed: a number in [0, 1)",
        ),
        (lambda: random_shift(8)(KEY, SMALL), f"pixels: got 8, allowed: {INSIDE}"),
        (lambda: random_crop(8)(KEY, SMALL), f"pixels: got 8, allowed: {INSIDE}"),
        (lambda: random_crop(-1), "pixels: got -1, allowed: at least 0"),
        (lambda: random_flip(1.5), "probability: got 1.5, allowed: a number in [0, 1)"),
        (
            lambda: random_flip(0.5, "vertcal"),
            "axis: got 'vertcal', allowed: horizontal, vertical (did you mean 'vertical'?)",
        ),
        (
            lambda: random_flip()(KEY, jnp.ones((2, 2))),
            "flip: got 'float32[2, 2]', allowed: images [H, W, C] of floats",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
