"""Tests of the units of a network: layers, scaling, numbers and pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import data, explain, root
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError
from jaxdl.explain import Ascent
from jaxdl.models import MLP
from jaxdl.recipes.seeing import (
    body,
    check_layers,
    convolutions,
    draw_network,
    draw_units,
    preparation,
    see_units,
)
from tests.explain.networks import MODEL, SHAPE, images, variables
from tests.plots.pictures import pixels

QUICK = Ascent(steps=3, shift=1)


def test_the_body_of_a_cnn_has_the_same_maps():
    x = images(2)
    for name in ("conv_1", "activation_2"):
        whole = explain.layer(MODEL, variables(), name)(x)
        part = explain.layer(body(MODEL, name), variables(), name)
        np.testing.assert_allclose(part(x), whole, rtol=1e-5, atol=1e-6)
        assert part(images(1, (28, 25, 2))).shape[0] == 1
    assert body(MODEL, "head/out") is MODEL
    assert body(MLP((3,)), "dense_0") == MLP((3,))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_preparation_is_that_of_the_network(dtype):
    """A loaded network scales raw images on the host; the preparation has a gradient."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (20, 4, 4, 3))
    pixels_of = {np.float32: raw.astype(np.float32) / 255, np.uint8: raw.astype(np.uint8)}[dtype]
    unit = raw.astype(np.float32) / 255
    train = data.Dataset({"input": unit, "label": np.zeros(20, np.int32)}, "noise", classes=2)
    (scaled,) = data.standardize(train)
    preprocessing = Preprocessing(scaled.scaling, range=(0.0, 1.0))
    prepare = preparation(preprocessing)
    np.testing.assert_allclose(prepare(jnp.asarray(unit)), preprocessing(pixels_of), atol=1e-5)
    assert preparation(Preprocessing(range=(0.0, 1.0))) is None
    wide = preparation(Preprocessing(range=(0.0, 255.0)))
    np.testing.assert_allclose(wide(jnp.asarray(unit)), raw, rtol=1e-5)


def test_convolutions_are_the_layers_before_activations():
    assert convolutions(MODEL, variables(), SHAPE) == ["conv_0", "conv_1", "conv_2"]
    model = MODEL.clone(norm="batch")
    weights = model.init(jax.random.key(0), jnp.zeros((1, *SHAPE)), train=False)
    assert convolutions(model, weights, SHAPE) == ["norm_0", "norm_1", "norm_2"]


def test_a_network_without_positions_has_no_convolutions():
    model = MLP((4,), 3)
    values = model.init(jax.random.key(0), jnp.zeros((1, *SHAPE)), train=False)
    assert convolutions(model, values, SHAPE) == []


def test_units_have_their_crops_numbers_and_a_picture(tmp_path):
    shape = (*SHAPE[:2], 1)
    weights = MODEL.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)
    x = images(12, shape)
    seen = see_units(MODEL, weights, "conv_1", x, root(0), units=[4, 1], ascent=QUICK)
    crops = explain.best_crops(explain.layer(MODEL, weights, "conv_1"), x)
    np.testing.assert_allclose(seen.crops.value, crops.value, rtol=1e-5, atol=1e-6)
    assert seen.made_crops.shape == (2, *crops.size, 1)
    best = crops.value[[4, 1], 0]
    np.testing.assert_array_equal(seen.is_live, best > 0)
    np.testing.assert_array_equal(seen.exceeds, seen.made.activation >= best - 1e-5 * abs(best))
    pixels(draw_units(seen, tmp_path / "units.png"))
    draw_network(MODEL, weights, x, lambda name: tmp_path / f"{name}.png")
    assert {path.name for path in tmp_path.iterdir()} == {"units.png", "maps.png", "filters.png"}


def test_the_size_of_made_images_is_free_for_the_body():
    weights = variables()
    x = images(3)
    seen = see_units(MODEL, weights, "conv_1", x, root(0), units=[0], size=24, ascent=QUICK)
    assert seen.made.images.shape == (1, 24, 24, 2)
    with pytest.raises(InputError, match="^shape: got .6, 6, 2., allowed: at least .12, 12, 2."):
        see_units(MODEL, weights, "conv_1", x, root(0), units=[0], size=6, ascent=QUICK)


def test_layers_and_units_are_checked_before_a_training():
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), variables())
    check_layers(MODEL, abstract, SHAPE, ["conv_0", "head/out"], [2])
    with pytest.raises(InputError, match="^layers: got 'conv_9'.*did you mean 'conv_"):
        check_layers(MODEL, abstract, SHAPE, ["conv_9"])
    with pytest.raises(InputError, match="^units: got 4, allowed: at most 3; conv_2 has 4 units"):
        check_layers(MODEL, abstract, SHAPE, ["conv_1", "conv_2"], [4])


def test_bad_layers_and_networks_are_refused(tmp_path):
    with pytest.raises(InputError, match="^layer: got 'conv_7'.*did you mean 'conv_"):
        see_units(MODEL, variables(), "conv_7", images(2), root(0))
    with pytest.raises(InputError, match="^unit: got 17"):
        see_units(MODEL, variables(), "conv_0", images(2), root(0), units=[17])
    mlp = MLP((3,), 2)
    weights = mlp.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)), train=False)
    with pytest.raises(InputError, match="^network: got 'MLP', allowed: a network of images"):
        draw_network(mlp, weights, images(2, (4, 4, 1)), lambda name: tmp_path / name)
