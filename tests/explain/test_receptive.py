"""Tests of receptive fields: the closed form, brute force by gradients, and norms."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.nn import activation, avg_pool, max_pool
from tests.explain.networks import MODEL, SHAPE, Stack, bound, layer, variables


def closed_form(steps, size):
    """Returns first and last line of the field of each position, clipped, for one axis.

    A window of size F, stride S and dilation D reads the lines i S - P + j D, j < F.
    """
    starts = np.arange(size)
    ends = np.arange(size) + 1
    for _, window, stride, dilation, padding in steps:
        extent = dilation * (window - 1) + 1
        if padding == "VALID":
            before = 0
            count = (size - extent) // stride + 1
        else:
            count = -(-size // stride)
            before = max((count - 1) * stride + extent - size, 0) // 2
        positions = np.arange(count) * stride - before
        taps = positions[:, None] + dilation * np.arange(window)
        inside = (taps >= 0) & (taps < size)
        clipped = np.clip(taps, 0, size - 1)
        starts = np.where(inside, starts[clipped], 10**6).min(1)
        ends = np.where(inside, ends[clipped], 0).max(1)
        size = count
    return starts, ends


def random_steps(rng, sizes):
    """Returns a random stack that leaves at least one position of both sizes."""
    while True:
        steps = []
        for _ in range(rng.integers(1, 5)):
            kind = str(rng.choice(["conv", "conv", "max", "sum"]))
            dilation = 1
            if kind == "conv":
                dilation = int(rng.integers(1, 3))
            padding = str(rng.choice(["SAME", "VALID"]))
            numbers = (int(rng.integers(1, 5)), int(rng.integers(1, 4)), dilation)
            steps.append((kind, *numbers, padding))
        x = jax.ShapeDtypeStruct((1, *sizes, 2), jnp.float32)
        module = Stack(tuple(steps))
        y = jax.eval_shape(lambda x, m=module: m.init_with_output(jax.random.key(0), x)[0], x)
        if min(y.shape) > 0:
            return tuple(steps)


@pytest.mark.parametrize("seed", range(6))
def test_fields_of_random_stacks_have_the_closed_form(seed):
    sizes = (23, 16)
    steps = random_steps(np.random.default_rng(seed), sizes)
    boxes = explain.receptive_fields(bound(Stack(steps), (*sizes, 2)), (*sizes, 2), batch_size=9)
    top, bottom = closed_form(steps, sizes[0])
    left, right = closed_form(steps, sizes[1])
    shape = boxes.top.shape
    for edge, expected in zip(boxes, (top, bottom), strict=False):
        np.testing.assert_array_equal(edge, np.broadcast_to(expected[:, None, None], shape))
    for edge, expected in zip(boxes[2:], (left, right), strict=True):
        np.testing.assert_array_equal(edge, np.broadcast_to(expected[None, :, None], shape))
    assert boxes.size == (max(bottom - top), max(right - left))


@pytest.mark.parametrize("name", ["conv_0", "pool_0", "conv_1", "pool_1", "conv_2"])
def test_no_pixel_outside_of_a_field_has_a_gradient(name):
    """Gradients for many images show at most the field, and together its edges."""
    f = layer(name)
    boxes = explain.receptive_fields(f, SHAPE)
    x = np.random.default_rng(1).normal(size=(30, *SHAPE)).astype(np.float32)
    _, height, width, units = f(x).shape
    i = height // 2
    j = width - 1
    u = units - 1
    gradient = np.asarray(jax.grad(lambda x: f(x)[:, i, j, u].sum())(x))
    rows, columns = np.nonzero(np.abs(gradient).max((0, 3)))
    expected = [edge[i, j, u] for edge in boxes]
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == expected


def test_a_head_and_norms_over_positions_depend_on_the_whole_image():
    boxes = explain.receptive_fields(layer("head/out"), SHAPE)
    assert boxes.top.shape == (3,)
    assert boxes.size == SHAPE[:2]
    for norm in (nn.GroupNorm(2), nn.InstanceNorm()):
        shape = (6, 5, 2)
        boxes = explain.receptive_fields(bound(norm, shape), shape)
        assert (boxes.bottom - boxes.top == 6).all() and (boxes.right - boxes.left == 5).all()
    boxes = explain.receptive_fields(bound(nn.LayerNorm(), (6, 5, 2)), (6, 5, 2))
    assert boxes.size == (1, 1)


def test_a_norm_in_evaluation_is_local():
    model = MODEL.clone(norm="batch")
    f = explain.layer(model, model.init(jax.random.key(0), jnp.zeros((1, *SHAPE)), False), "norm_1")
    assert (
        explain.receptive_fields(f, SHAPE).size
        == explain.receptive_fields(layer("conv_1"), SHAPE).size
    )


def test_nan_passes_the_activations_and_poolings_of_the_library():
    for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid"):
        boxes = explain.receptive_fields(activation(name), (4, 4, 1))
        assert boxes.size == (1, 1), name
    for pool in (max_pool, avg_pool):
        for window, strides in ((2, 2), (3, 3), (3, 2), (2, 1)):
            shape = (12, 12, 16)
            boxes = explain.receptive_fields(lambda x: pool(x, window, strides), shape)
            assert (boxes.bottom - boxes.top == window).all()
            assert (boxes.right - boxes.left == window).all()


def test_a_unit_without_pixels_has_an_empty_box():
    boxes = explain.receptive_fields(lambda x: 0.0 * jnp.ones((len(x), 3)), (4, 5, 1))
    assert boxes.size == (0, 0)
    assert all((edge == 0).all() for edge in boxes)


def test_bad_shapes_and_weights_are_refused():
    with pytest.raises(InputError, match="^shape: got .8, 8., allowed: that of one image"):
        explain.receptive_fields(layer("conv_0"), (8, 8))
    broken = jax.tree.map(lambda x: x * np.nan, variables())
    with pytest.raises(InputError, match="^layer: got NaN"):
        explain.receptive_fields(explain.layer(MODEL, broken, "conv_0"), SHAPE)
