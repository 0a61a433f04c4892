"""Texts of augmentations for sizes of images, their options, and the picture of all of them."""

import jax
import numpy as np
import pytest

from jaxdl import data
from jaxdl.augment import augment_batch, parse
from jaxdl.augment.text import NAMES
from jaxdl.errors import InputError
from jaxdl.recipes.augmentations import (
    AugmentOptions,
    PixelAugmentOptions,
    all_texts,
    draw_augmentations,
    smoothing_of,
    usual_texts,
)
from tests.plots.pictures import pixels

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("side", [8, 28, 32])
def test_the_texts_fit_their_size_and_the_picture_has_every_name(side):
    shape = (side, side + 1, 1)
    for text in (*all_texts(side), *usual_texts(side)):
        parse(smoothing_of(text)[0], shape)
    names = {pair.partition("=")[0] for text in all_texts(side) for pair in text.split(",")}
    assert names == set(NAMES)


def test_every_augmentation_is_drawn_with_the_labels_of_mixtures(tmp_path, monkeypatch):
    train, _ = data.load("digits")
    given = {}

    def rows_of(rows, path, title, captions):
        given.update(rows=rows, captions=captions)
        return path

    monkeypatch.setattr("jaxdl.plots.augmentation_rows", rows_of)
    texts = ("shift=1", "mixup=1", "cutmix=1")
    draw_augmentations(train, jax.random.key(0), tmp_path / "a.png", texts, 3)
    images = np.asarray(train["input"])
    label = np.asarray(train["label"])
    for i, text in enumerate(texts):
        assert given["rows"][text].shape == (4, 8, 8, 1)
        np.testing.assert_array_equal(given["rows"][text][0], images[i])
    partners = np.flatnonzero(label != label[1])[:3]
    for mixed, partner, caption in zip(
        given["rows"]["mixup=1"][1:], partners, given["captions"]["mixup=1"][1:], strict=True
    ):
        own, other = caption.split("\n+ ")
        lam = float(own.split()[0])
        np.testing.assert_allclose(mixed, lam * images[1] + (1 - lam) * images[partner], atol=0.006)
        assert own.split()[2] == str(label[1]) and other.split()[2] == str(label[partner])


def test_the_picture_of_all_augmentations(tmp_path):
    train, _ = data.load("digits")
    pixels(draw_augmentations(train, jax.random.key(0), tmp_path / "a.png", ("flip=1", "mixup=1")))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "label_smoothing=x",
            "variants: got 'label_smoothing=x', allowed: a number, such as label_smoothing=0.1",
        ),
        ("label_smoothing=1", "label_smoothing: got 1.0, allowed: a number in [0, 1)"),
    ],
)
def test_bad_variants_are_refused(text, line):
    with pytest.raises(InputError) as raised:
        smoothing_of(text)
    assert str(raised.value) == line


def test_options_of_images_in_the_unit_interval_are_clipped_and_have_no_mixture():
    images = np.ones((20, 8, 8, 1), np.float32)
    key = jax.random.key(0)
    text = "rotate=40,noise=0.3"
    change, mix = PixelAugmentOptions(text).changes((8, 8, 1))
    expected = augment_batch(parse(text).augment, key, images)
    np.testing.assert_array_equal(augment_batch(change, key, images), expected.clip(0, 1))
    assert mix is None and PixelAugmentOptions().changes() == (None, None)
    assert AugmentOptions("mixup=1").changes((8, 8, 1)).mix is not None
    with pytest.raises(
        InputError, match=r"^augment: got 'flip=0.5,mixup=1', allowed: neither mixup nor"
    ):
        PixelAugmentOptions("flip=0.5,mixup=1").changes()
