"""Tests of the best crops: a plain loop, and the law that a crop alone has the activation."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from tests.explain.networks import SHAPE, images, layer

IMAGES = images(23)


def loop(maps, count):
    """Returns values, images and positions by sorting all images, for maps `[N, P, U]`."""
    units = range(maps.shape[-1])
    best = maps.max(1)
    order = [sorted(range(len(maps)), key=lambda n, u=u: (-best[n, u], n))[:count] for u in units]
    value = [[best[n, u] for n in order[u]] for u in units]
    position = [[maps[n, :, u].argmax() for n in order[u]] for u in units]
    return value, order, position


@pytest.mark.parametrize("name", ["conv_0", "pool_1", "head/out"])
@pytest.mark.parametrize("batch_size", [1, 10, 64])
def test_the_best_crops_are_those_of_a_plain_loop(name, batch_size):
    f = layer(name)
    y = np.asarray(f(IMAGES))
    crops = explain.best_crops(f, IMAGES, 5, batch_size=batch_size)
    value, image, position = loop(y.reshape(len(y), -1, y.shape[-1]), 5)
    np.testing.assert_allclose(crops.value, value, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(crops.image, image)
    np.testing.assert_array_equal(crops.position, position)


def test_of_equal_activations_the_first_is_chosen():
    same = np.concatenate([IMAGES[:3]] * 4)
    crops = explain.best_crops(layer("conv_1"), same, 4, batch_size=5)
    assert (np.diff(crops.image, axis=1) == 3).all()
    assert (crops.value == crops.value[:, :1]).all()
    constant = explain.best_crops(lambda x: 0 * x, IMAGES, 3, batch_size=4)
    assert constant.image.tolist() == [[0, 1, 2]] * 2
    assert (constant.position == 0).all()


def test_a_set_with_few_images_has_as_many_crops():
    crops = explain.best_crops(layer("conv_0"), IMAGES[:2], 9)
    assert crops.value.shape == (5, 2)


@pytest.mark.parametrize("name", ["conv_0", "activation_1", "pool_1", "conv_2"])
def test_the_crop_alone_has_the_activation(name):
    """The rest of the image is noise or a color; many boxes are at the borders."""
    f = layer(name)
    crops = explain.best_crops(f, IMAGES, 3)
    rng = np.random.default_rng(5)
    units = crops.value.shape[0]
    for other in (rng.random(SHAPE).astype(np.float32), 0.0, 1.0):
        alone = np.stack(
            [
                explain.only_box(IMAGES[crops.image[u, k]], crops.box[u, k], other)
                for u in range(units)
                for k in range(3)
            ]
        )
        y = np.asarray(f(alone)).reshape(units, 3, -1, units)
        u, k = np.ogrid[:units, :3]
        np.testing.assert_allclose(y[u, k, crops.position, u], crops.value, rtol=1e-5, atol=1e-5)
    at_border = (crops.box[..., 0] == 0) | (crops.box[..., 2] == 0)
    assert name == "conv_0" or at_border.any()


def test_without_one_more_line_the_activation_changes():
    f = layer("conv_1")
    crops = explain.best_crops(f, IMAGES, 1)
    for side, step in ((0, 1), (1, -1), (2, 1), (3, -1)):
        changes = []
        for u in range(len(crops.value)):
            box = crops.box[u, 0].copy()
            box[side] += step
            image = explain.only_box(IMAGES[crops.image[u, 0]], box, 0.0)
            y = np.asarray(f(image[None])).reshape(-1, len(crops.value))
            changes.append(abs(y[crops.position[u, 0], u] - crops.value[u, 0]))
        assert max(changes) > 1e-3


def test_cut_aligns_crops_at_the_borders():
    """A unit at the first position has its field's missing part above and to the left."""
    coded = np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 6, 6, 1)
    for flip, place in ((1, 0), (-1, 1)):
        picture = coded[:, ::flip, ::flip]

        def f(x):
            padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
            y = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
            corner = jnp.zeros((6, 6, 1)).at[-place, -place].set(100.0)
            return y + jnp.broadcast_to(corner, y.shape)

        crops = explain.best_crops(f, picture, 1)
        canvas = explain.cut(picture, crops, 0, fill=-1.0)[0, ..., 0]
        padded = np.pad(picture[0, ..., 0], 1, constant_values=-1.0)
        size = 3
        start = (-size if place else 0) or None
        expected = padded[:size, :size]
        if place:
            expected = padded[start:, start:]
        np.testing.assert_array_equal(canvas, expected)


def test_bad_images_are_refused():
    f = layer("conv_0")
    with pytest.raises(InputError, match=r"^images: got pixels in .*write images / np.float32"):
        explain.best_crops(f, 255 * IMAGES)
    with pytest.raises(InputError, match="^images: got 'uint8', allowed: floats in .0, 1."):
        explain.best_crops(f, (255 * IMAGES).astype(np.uint8))
    with pytest.raises(InputError, match="write images?.None. for one"):
        explain.best_crops(f, IMAGES[0])
    with pytest.raises(InputError, match="^count: got 0"):
        explain.best_crops(f, IMAGES, 0)
    with pytest.raises(InputError, match="^activations: got nan"):
        explain.best_crops(lambda x: jnp.log(x - 0.4), IMAGES)
    with pytest.raises(InputError, match="^unit: got 5, allowed: at most 4"):
        explain.cut(IMAGES, explain.best_crops(f, IMAGES), 5)


@pytest.mark.parametrize("value", [255.0, -1.0, np.nan])
def test_pixels_of_every_batch_are_checked(value):
    """A pool on a CPU may lose NaN, so that the result would be wrong and finite."""
    images = np.zeros((100, 4, 4, 1), np.float32)
    images[90, 0, 0, 0] = value
    with pytest.raises(InputError, match="pixels in"):
        explain.best_crops(lambda x: x, images, batch_size=32)


def test_a_list_of_images_is_one_line():
    with pytest.raises(InputError, match="np.asarray"):
        explain.best_crops(lambda x: x, [[[[0.5]]]])


def test_crops_of_other_images_are_one_line():
    images = np.eye(4, dtype=np.float32).reshape(4, 2, 2, 1)
    crops = explain.best_crops(lambda x: x, images)
    with pytest.raises(InputError, match="at least 4"):
        explain.cut(images[:1], crops, 0)
    with pytest.raises(InputError, match="unit: got"):
        explain.cut(images, crops, [0])
