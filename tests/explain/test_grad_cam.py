"""Tests of Grad-CAM: class activation maps, a NumPy loop, names, and errors of one line."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.grad_cam import _with_positions
from jaxdl.models import CNN, MLP, Stage, resnet20
from jaxdl.nn import tap
from jaxdl.nn.tap import train_kwargs
from tests.explain.networks import MODEL, SHAPE, images, variables
from tests.models.random_variables import random_variables

IMAGES = images(4)
POOLED = CNN((Stage(5), Stage(6, pool=None)), outputs=3, head_size=1)


class Plain(nn.Module):
    """A network of Linen's layers, whose activations have no names."""

    outputs: int = 3

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = nn.max_pool(nn.relu(nn.Conv(5, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(self.outputs)(x.mean((1, 2)))


def test_with_global_average_pooling_it_is_the_class_activation_map():
    """The map of class c is the sum of maps h_u, weighted as in the dense layer."""
    weights = random_variables(POOLED, IMAGES)
    maps = np.asarray(tap(POOLED, weights, "activation_1", train=False)(IMAGES)[1]["activation_1"])
    kernel = np.asarray(weights["params"]["head"]["out"]["kernel"])
    positions = maps.shape[1] * maps.shape[2]
    for target in range(3):
        found = explain.grad_cam(POOLED, weights, IMAGES, target)
        np.testing.assert_allclose(
            found.raw * positions, maps @ kernel[:, target], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["activation_2", "conv_1"])
def test_it_is_a_plain_loop_over_units(name):
    weights = variables()
    f = tap(MODEL, weights, name, train=False)
    shape = (len(IMAGES), *explain.layers(MODEL, weights, SHAPE)[name])

    def score(bump):
        z, seen = f(IMAGES, {name: bump})
        return z[:, 2].sum(), seen[name]

    slope, h = jax.jit(jax.grad(score, has_aux=True))(jnp.zeros(shape))
    h = np.asarray(h)
    found = explain.grad_cam(MODEL, weights, IMAGES, 2, name=name, batch_size=3)
    expected = np.zeros(h.shape[:3])
    for unit in range(h.shape[-1]):
        for i in range(len(IMAGES)):
            expected[i] += np.asarray(slope)[i, ..., unit].mean() * h[i, ..., unit]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-3, atol=1e-5)
    assert found.maps.shape == (*IMAGES.shape[:3], 1)
    assert (found.maps >= 0).all()


@pytest.mark.parametrize(
    ("model", "shape", "name"),
    [
        (MODEL, SHAPE, "activation_2"),
        (POOLED, SHAPE, "activation_1"),
        (CNN((Stage(4), Stage(5)), outputs=3), SHAPE, "activation_1"),
        (resnet20(3, 2), (8, 8, 1), "activation_9"),
        (Plain(), SHAPE, "Conv_1"),
    ],
)
def test_the_last_activation_is_the_default(model, shape, name):
    x = jnp.zeros((1, *shape))
    options = train_kwargs(model, False)
    weights = jax.eval_shape(lambda: model.init(jax.random.key(0), x, **options))
    assert _with_positions(explain.layers(model, weights, shape), None) == name


def test_a_map_whose_values_are_negative_is_zero_and_has_a_sign_without_relu():
    """All units of the last layer speak against the class."""
    weights = random_variables(POOLED, IMAGES)
    kernel = weights["params"]["head"]["out"]["kernel"]
    weights["params"]["head"]["out"]["kernel"] = -jnp.abs(kernel)
    found = explain.grad_cam(POOLED, weights, IMAGES, 1)
    assert not found.maps.any() and (found.raw <= 0).all() and found.raw.any()
    signed = explain.grad_cam(POOLED, weights, IMAGES, 1, relu=False)
    assert (signed.maps <= 0).all() and signed.maps.any()
    np.testing.assert_array_equal(signed.raw, found.raw)


def test_the_enlargement_keeps_values_at_the_centers_and_repeats_the_border():
    model = CNN((Stage(4, window=3), Stage(5, pool=None)), outputs=3, head_size=1)
    x = images(2, (15, 12, 1))
    found = explain.grad_cam(model, random_variables(model, x), x, 0, relu=False)
    assert found.raw.shape == (2, 5, 4)
    np.testing.assert_allclose(found.maps[:, 1::3, 1::3, 0], found.raw, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.maps[:, 0, 1::3, 0], found.raw[:, 0], rtol=1e-5, atol=1e-6)
    between = (2 * found.raw[:, :-1] + found.raw[:, 1:]) / 3
    np.testing.assert_allclose(found.maps[:, 2:-3:3, 1::3, 0], between, rtol=1e-4, atol=1e-6)


def test_the_result_does_not_depend_on_the_batch():
    weights = random_variables(POOLED, IMAGES)
    whole = explain.grad_cam(POOLED, weights, IMAGES)
    parts = explain.grad_cam(POOLED, weights, IMAGES, batch_size=3)
    np.testing.assert_allclose(whole.maps, parts.maps, rtol=1e-4, atol=1e-6)


def test_one_logit_is_the_score_of_the_second_class():
    weights = jax.jit(Plain(1).init)(jax.random.key(1), IMAGES)
    two = Plain(2)
    kernel = weights["params"]["Dense_0"]["kernel"]
    both = {"kernel": jnp.concatenate([0 * kernel, kernel], 1), "bias": jnp.zeros(2)}
    other = {"params": {**weights["params"], "Dense_0": both}}
    found = explain.grad_cam(Plain(1), weights, IMAGES, 1, relu=False)
    expected = explain.grad_cam(two, other, IMAGES, 1, relu=False)
    np.testing.assert_allclose(found.maps, expected.maps, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="^scores: got 'a gradient of zero"):
        explain.grad_cam(Plain(1), weights, IMAGES, 0)


def test_prepare_comes_before_the_network():
    def prepare(x):
        return 2 * x[:, ::2, ::2] - 1

    model = CNN((Stage(4), Stage(5, pool=None)), outputs=3, head_size=1)
    weights = random_variables(model, IMAGES)
    found = explain.grad_cam(model, weights, IMAGES, 1, prepare=prepare)
    assert found.raw.shape == (4, 5, 4) and found.maps.shape == (4, 20, 17, 1)
    f = tap(model, weights, "activation_1", train=False)
    maps = np.asarray(f(prepare(IMAGES))[1]["activation_1"])
    kernel = np.asarray(weights["params"]["head"]["out"]["kernel"])
    np.testing.assert_allclose(20 * found.raw, maps @ kernel[:, 1], rtol=1e-4, atol=1e-5)


def test_bad_inputs_are_one_line():
    weights = variables()

    def refused(message, model=MODEL, weights=weights, x=IMAGES, target=0, **options):
        with pytest.raises(InputError, match=message) as raised:
            explain.grad_cam(model, weights, x, target, **options)
        assert "\n" not in str(raised.value)

    mlp = MLP((5,), 3)
    refused(
        "^model: got 'a network without positions', allowed: .*explain.gradient",
        mlp,
        random_variables(mlp, IMAGES),
    )
    refused("^name: got 'conv_9', allowed: .*did you mean 'conv_", name="conv_9")
    refused(r"^name: got 'head, with the shape \[3\]', allowed: one with positions", name="head")
    refused("^target: got 3", target=3)
    refused("^images: got pixels in", x=255 * IMAGES)
    refused(r"^images: got pixels in \[nan, nan\]", x=np.nan * IMAGES)
    refused("^relu: got 'yes'", relu="yes")
    refused("^batch_size: got 0", batch_size=0)
    dead = jax.tree.map(jnp.zeros_like, weights)
    refused("^scores: got 'a gradient of zero for every image', allowed: logits", weights=dead)
