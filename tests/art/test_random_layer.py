"""A layer of random filters: against a plain loop, and textures from it."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.art import Style, random_layer, style_losses, targets, texture
from jaxdl.errors import InputError
from jaxdl.rng import root


def test_a_filter_is_constant_in_blocks_and_cyclic():
    """Filters of scale s equal those of 7 s x 7 s pixels whose blocks are constant."""
    f = random_layer(root(0), channels=2, features=3, scales=(1, 2))
    image = np.random.default_rng(0).uniform(size=(15, 16, 2)).astype(np.float32)
    maps = np.asarray(f(jnp.asarray(image[None]))["random"][0])
    for part, (scale, kernel) in enumerate(f.args[0].items()):
        assert kernel.shape == (7, 7, 2, 3)
        large = np.asarray(kernel).repeat(scale, 0).repeat(scale, 1) / scale**2
        for i, j in ((0, 0), (7, 9), (14, 15)):
            rows = (i + np.arange(7 * scale) - 3 * scale) % 15
            columns = (j + np.arange(7 * scale) - 3 * scale) % 16
            crop = image[np.ix_(rows, columns)]
            expected = np.maximum((crop[..., None] * large).sum((0, 1, 2)), 0)
            found = maps[i, j, 3 * part : 3 * part + 3]
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_filters_have_norm_one_and_no_response_to_one_color():
    f = random_layer(root(1), features=4, scales=(1, 4))
    for kernel in f.args[0].values():
        np.testing.assert_allclose((np.asarray(kernel) ** 2).sum((0, 1, 2)), 1, rtol=1e-5)
        np.testing.assert_allclose(np.asarray(kernel).sum((0, 1)).sum(0), 0, atol=1e-5)


def test_filters_follow_from_the_key():
    first, again, other = (random_layer(root(seed), features=2).args[0][1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_texture_has_a_tenth_of_the_loss_of_shuffled_pixels_in_an_independent_layer():
    """Stripes have a direction, which the colors alone do not have."""
    lines = 0.5 + 0.4 * np.sin(np.arange(48)[:, None] * 0.9 + np.arange(48)[None] * 0.3)
    style = jnp.asarray(np.repeat(lines[..., None], 3, -1).astype(np.float32))
    options = Style((), ("random",), evaluations=60)
    f = random_layer(root(0), features=16, scales=(1, 2))
    made = texture(f, style, (48, 48), root(0), options)
    other = random_layer(root(1), features=16, scales=(1, 2))
    found = targets(other, None, style, options)
    pixels = np.asarray(style).reshape(-1, 3)
    mixed = np.random.default_rng(0).permutation(pixels).reshape(style.shape)
    loss, shuffled = (
        float(style_losses(other, jnp.asarray(image), found, options).style)
        for image in (made.image, mixed)
    )
    assert loss < 0.1 * shuffled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 0}, "features: got 0, allowed: at least 1"),
        ({"channels": 0}, "channels: got 0, allowed: at least 1"),
        ({"scales": ()}, r"scales: got \(\), allowed: at least one side of blocks"),
        ({"scales": (0,)}, "scales: got 0, allowed: at least 1"),
        ({"scales": (2, 2)}, "scales: got .*, allowed: different sides"),
        ({"scales": 2.5}, "scales: got 2.5, allowed: sides of blocks"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        random_layer(root(0), **arguments)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 13, 20, 3), r"image: got .*, allowed: at least \(14, 14, 3\)"),
        ((1, 20, 20, 1), r"image: got .*, allowed: 3 channels; .*channels=1\)"),
        ((20, 20, 3), r"images: got .*, allowed: images \[B, H, W, C\]"),
    ],
)
def test_other_images_are_refused(shape, message):
    f = random_layer(root(0), features=2, scales=(1, 2))
    with pytest.raises(InputError, match=message):
        f(jnp.zeros(shape))
