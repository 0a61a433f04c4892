"""Tests of layers as functions: names, shapes, values and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.layers import check_finite, check_units, layer_shape
from jaxdl.nn import tap
from tests.explain.networks import MODEL, SHAPE, images, layer, variables


def test_layers_are_in_the_order_of_the_network():
    names = list(explain.layers(MODEL, variables(), SHAPE))
    assert [name for name in names if "Dropout" not in name] == [
        *("conv_0", "activation_0", "pool_0"),
        *("conv_1", "activation_1", "pool_1"),
        *("conv_2", "activation_2"),
        *("head/dense_0", "head/activation_0", "head/out", "head"),
    ]


def test_feature_maps_are_those_of_tap():
    x = images(2)
    expected = tap(MODEL, variables(), train=False)(jnp.asarray(x))[1]
    maps = explain.feature_maps(MODEL, variables(), x)
    shapes = explain.layers(MODEL, variables(), SHAPE)
    assert list(maps) == list(shapes)
    for name, each in maps.items():
        assert each.shape[1:] == shapes[name]
        np.testing.assert_allclose(each, expected[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer("pool_0")(x), maps["pool_0"], rtol=1e-5, atol=1e-6)


def test_several_layers_are_one_function():
    x = images(2)
    f = explain.activations(MODEL, variables(), ("pool_1", "conv_0"))
    found = jax.jit(f)(x)
    assert set(found) == {"conv_0", "pool_1"}
    for name, each in found.items():
        np.testing.assert_array_equal(each, jax.jit(layer(name))(x))


def test_later_layers_are_not_computed():
    f = explain.activations(MODEL, variables(), ("conv_0",))
    compiled = jax.jit(f).lower(images(1)).compile()
    convolution = 2 * np.prod(SHAPE) * 9 * 5
    assert compiled.cost_analysis()["flops"] < 1.1 * convolution


@pytest.mark.parametrize("names", [(), "conv_0"])
def test_names_of_several_layers_are_a_sequence(names):
    with pytest.raises(InputError, match="^names: got .*such as"):
        explain.activations(MODEL, variables(), names)


def test_prepare_comes_before_the_network():
    x = images(2)
    f = explain.layer(MODEL, variables(), "conv_1", lambda x: (x - 0.25) / 2)
    np.testing.assert_allclose(f(x), layer("conv_1")((x - 0.25) / 2), rtol=1e-5, atol=1e-6)
    assert len(jax.tree.leaves(f)) == len(jax.tree.leaves(variables()))


def test_unknown_names_and_units_are_refused():
    with pytest.raises(InputError, match="name: got 'conv_9'.*did you mean 'conv_"):
        layer("conv_9")(images(1))
    f = layer("conv_2")
    assert layer_shape(f, SHAPE)[-1] == 4
    assert check_units(np.array([3, 0]), f, SHAPE) == [3, 0]
    with pytest.raises(InputError, match="^unit: got 4, allowed: at most 3; the layer has 4 units"):
        check_units(4, f, SHAPE)
    with pytest.raises(InputError, match="^unit: got -1"):
        check_units([0, -1], f, SHAPE)
    with pytest.raises(InputError, match="^units: got"):
        check_units([], f, SHAPE)


def test_functions_that_are_no_layer_are_refused():
    with pytest.raises(InputError, match="^layer: got .*outputs"):
        layer_shape(lambda x: x.sum(), SHAPE)
    with pytest.raises(InputError, match="^layer: got .*outputs"):
        layer_shape(lambda x: {"a": x}, SHAPE)
    broken = jax.tree.map(lambda x: x * np.nan, variables())
    with pytest.raises(InputError, match="^layer: got NaN or infinity for a grey image"):
        check_finite(explain.layer(MODEL, broken, "conv_0"), SHAPE)
