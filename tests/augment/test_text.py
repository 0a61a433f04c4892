"""Augmentations from a text."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import (
    MADE_BY,
    affine,
    brightness,
    chain,
    gaussian_noise,
    parse,
    random_shift,
    sometimes,
)
from jaxdl.augment.text import NAMES
from jaxdl.description import AUGMENTS
from jaxdl.errors import InputError

KEY = jax.random.key(4)
X = jnp.asarray(np.random.default_rng(0).uniform(size=(9, 8, 1)), jnp.float32)
SHAPE = X.shape


def made_by(text: str, probability: float = 1.0) -> tuple:
    return getattr(parse(text, SHAPE, probability).augment, MADE_BY)


def test_shift_alone_has_the_bits_of_earlier_runs():
    assert made_by("shift=2") == ("random_shift", (2, 0.0))
    np.testing.assert_array_equal(parse("shift=2").augment(KEY, X), random_shift(2)(KEY, X))
    half = parse("shift=2", SHAPE, 0.5).augment
    np.testing.assert_array_equal(half(KEY, X), random_shift(2, 0.5)(KEY, X))
    assert made_by("shift=2,mixup=1", 0.5) == ("random_shift", (2, 0.5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rotate=15, shift=2", affine(15, 2)),
        ("shear=5,scale=1.5", affine(scale=1.5, shear=5)),
        (
            "noise=0.5,shift=2,brightness=0,rotate=15",
            chain(gaussian_noise(0.5), affine(15, 2), brightness(0.0)),
        ),
        ("shift=1,noise=1e-2", chain(random_shift(1), gaussian_noise(0.01))),
    ],
)
def test_a_text_is_its_functions_in_order(text, expected):
    np.testing.assert_array_equal(parse(text, SHAPE).augment(KEY, X), expected(KEY, X))
    some = parse(text, SHAPE, 0.5).augment
    np.testing.assert_array_equal(some(KEY, X), sometimes(expected, 0.5)(KEY, X))


def test_every_name_has_a_function_of_saved_tasks():
    whole = ("shift", "crop", "cutout", "scale")
    for name in NAMES:
        number = "1" if name in whole else "0.5"
        augment, mix = parse(f"{name}={number}", SHAPE)
        assert getattr(augment or mix, MADE_BY)[0] in AUGMENTS
    assert parse(None) == (None, None)


def test_points_have_noise_and_mixup():
    augment, mix = parse("noise=0.1,brightness=0.1,mixup=1", (2,))
    assert augment(KEY, jnp.ones(2)).shape == (2,) and mix is not None


KNOWN = ", ".join(sorted(NAMES))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rotat=15", f"'rotat', allowed: {KNOWN} (did you mean 'rotate'?)"),
        ("", f"'', allowed: {KNOWN}"),
        ("shift", "'shift', allowed: a name and a number, such as shift=1"),
        ("rotate=15,shift=x", "'shift=x', allowed: a name and a number, such as shift=1"),
        ("shift=1,shift=2", "'shift=1,shift=2', allowed: shift once"),
        ("shift=8", "'shift=8', allowed: less than the smaller side of the images, 8"),
        ("rotate=5,shift=8", "'shift=8', allowed: less than the smaller side of the images, 8"),
        ("crop=8", "'crop=8', allowed: less than the smaller side of the images, 8"),
        ("cutout=8", "'cutout=8', allowed: less than the smaller side of the images, 8"),
        ("elastic=8", "'elastic=8', allowed: less than the smaller side of the images, 8"),
        (
            "scale=0",
            "'scale=0', allowed: at least 1; 1.1 means factors of the size between 1/1.1 and 1.1",
        ),
        ("scale=8", "'scale=8', allowed: less than the smaller side of the images, 8"),
        ("shift=1.5", "'shift=1.5', allowed: an integer, at least 0"),
        ("shift=nan,rotate=1", "'shift=nan', allowed: a number in [0, inf)"),
        ("shear=90", "'shear=90', allowed: a number in [0, 90)"),
        ("flip=2", "'flip=2', allowed: a number in [0, 1)"),
        ("mixup=0", "'mixup=0', allowed: a finite number above 0"),
        ("mixup=1,cutmix=1", "'mixup=1,cutmix=1', allowed: one of mixup and cutmix"),
    ],
)
def test_bad_texts_are_refused_in_one_line(text, line):
    with pytest.raises(InputError) as caught:
        parse(text, SHAPE)
    assert str(caught.value) == f"augment: got {line}"


@pytest.mark.parametrize("text", ["shift=1", "flip=0.5", "cutmix=1", "noise=1,cutout=1"])
def test_images_are_needed(text):
    with pytest.raises(InputError) as caught:
        parse(text, (5,))
    pair = text.split(",")[-1]
    allowed = "none for inputs of shape [5], which are not images"
    assert str(caught.value) == f"augment: got {pair!r}, allowed: {allowed}"
