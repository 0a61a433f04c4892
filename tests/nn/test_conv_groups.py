"""Convolution with groups and dilation against PyTorch, Linen, XLA and differences."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.nn import Conv, conv2d
from jaxdl.xla import convolutions

# (image, kernel, strides, padding, dilation, groups): depthwise with a multiplier and without,
# few and many channels per group, dilation alone, and one that shares a divisor with the strides.
GENERAL = [
    ((3, 7, 6, 4), (3, 2, 1, 4), (1, 1), ((1, 1), (0, 1)), (1, 1), 4),
    ((9, 8, 6, 3), (3, 3, 1, 6), (2, 2), ((1, 1), (1, 1)), (1, 1), 3),
    ((2, 6, 7, 6), (2, 3, 2, 9), (1, 2), ((0, 2), (2, 0)), (2, 1), 3),
    ((4, 7, 7, 12), (3, 3, 6, 14), (2, 1), ((1, 1), (2, 2)), (1, 2), 2),
    ((3, 9, 8, 5), (3, 2, 5, 4), (2, 3), ((2, 2), (1, 4)), (2, 3), 1),
    ((2, 8, 9, 2), (2, 2, 2, 40), (4, 3), ((3, 1), (0, 0)), (2, 2), 1),
]
NAMES = ("image", "shape", "strides", "pads", "dilation", "groups")


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def general(strides, pads, dilation, groups):
    return partial(conv2d, strides=strides, padding=pads, dilation=dilation, groups=groups)


@pytest.mark.parametrize(NAMES, GENERAL)
def test_groups_and_dilation_agree_with_pytorch(image, shape, strides, pads, dilation, groups):
    torch = pytest.importorskip("torch")
    x = normal(30, *image)
    kernel = normal(31, *shape)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    padded = torch.nn.functional.pad(tx.permute(0, 3, 1, 2), (*pads[1], *pads[0]))
    options = {"stride": strides, "dilation": dilation, "groups": groups}
    ty = torch.nn.functional.conv2d(padded, tk.permute(3, 2, 0, 1), **options)
    ty = ty.permute(0, 2, 3, 1)
    g = normal(32, *ty.shape)
    ty.backward(torch.tensor(np.array(g)))
    convolve = general(strides, pads, dilation, groups)

    @jax.jit
    def results(x, kernel, g):
        y, back = jax.vjp(convolve, x, kernel)
        return (y, *back(g)), convolve(x[0], kernel)

    found, single = results(x, kernel, g)
    for actual, expected in zip(found, (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(single, found[0][0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("dilation", "groups"), [(2, 1), (1, 6), ((1, 3), 2)])
def test_layer_has_the_groups_and_the_dilation_of_linens(key, padding, dilation, groups):
    x = normal(33, 3, 8, 9, 6)
    layer = Conv(12, 3, 2, padding, dilation, groups=groups)
    more = {"kernel_dilation": dilation, "feature_group_count": groups}
    linen = nn.Conv(12, (3, 3), 2, padding, **more)
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    for inputs in (x, x[0]):
        np.testing.assert_allclose(
            layer.apply(variables, inputs), linen.apply(variables, inputs), rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize(NAMES, GENERAL[1:4])
def test_second_derivatives_with_groups_match_xlas(image, shape, strides, pads, dilation, groups):
    x = normal(34, *image)
    kernel = normal(35, *shape)
    options = {"rhs_dilation": dilation, "feature_group_count": groups}
    order = ("NHWC", "HWIO", "NHWC")

    def penalty(convolve):
        def loss(x, kernel):
            return jnp.sin(convolve(x, kernel)).sum()

        return jax.grad(lambda *a: sum((g**2).sum() for g in jax.grad(loss, (0, 1))(*a)), (0, 1))

    def theirs(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, strides, pads, dimension_numbers=order, **options
        )

    mine = general(strides, pads, dilation, groups)
    both = jax.jit(lambda *a: (penalty(mine)(*a), penalty(theirs)(*a)))
    for actual, expected in zip(*both(x, kernel), strict=True):
        scale = 1e-5 * float(jnp.abs(expected).max())
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=scale)


@pytest.mark.parametrize(NAMES, [GENERAL[1], GENERAL[3]])
def test_gradients_are_differences_in_float64(image, shape, strides, pads, dilation, groups):
    with jax.enable_x64(True):
        x = normal(36, *image, dtype=jnp.float64)
        kernel = normal(37, *shape, dtype=jnp.float64)
        directions = (normal(38, *image, dtype=jnp.float64), normal(39, *shape, dtype=jnp.float64))
        convolve = general(strides, pads, dilation, groups)
        loss = jax.jit(lambda x, kernel: jnp.sin(convolve(x, kernel)).sum())
        grads = jax.jit(jax.grad(loss, (0, 1)))(x, kernel)
        assert {grad.dtype for grad in grads} == {jnp.dtype("float64")}
        step = 1e-6
        ahead, behind = (
            loss(*(a + sign * step * d for a, d in zip((x, kernel), directions, strict=True)))
            for sign in (1, -1)
        )
        slope = sum(jnp.vdot(g, d) for g, d in zip(grads, directions, strict=True))
        np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-6)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize(("channels", "groups"), [(6, 6), (12, 2)])
def test_vmap_with_groups(axes, channels, groups):
    shapes = ((9, 5, 6, channels), (3, 3, channels // groups, 12))
    x, kernel = (
        normal(40 + i, *([2] if axis == 0 else []), *shape)
        for i, (axis, shape) in enumerate(zip(axes, shapes, strict=True))
    )

    def loss(x, kernel):
        return jnp.sin(conv2d(x, kernel, 2, groups=groups)).sum()

    batched = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), axes))
    assert convolutions(batched.lower(x, kernel).as_text()) != "slow"
    values, grads = batched(x, kernel)
    single = jax.jit(jax.value_and_grad(loss, (0, 1)))
    for i in range(2):
        inputs = [a[i] if axis == 0 else a for a, axis in zip((x, kernel), axes, strict=True)]
        value, expected_grads = single(*inputs)
        np.testing.assert_allclose(values[i], value, rtol=1e-4, atol=1e-4)
        for actual, expected in zip(grads, expected_grads, strict=True):
            np.testing.assert_allclose(actual[i], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [4, 16])
def test_bfloat16_with_groups_is_rounded_once(channels):
    x = normal(42, 5, 6, 6, channels, dtype=jnp.bfloat16)
    kernel = normal(43, 3, 3, channels // 4, 8, dtype=jnp.bfloat16)
    y = jax.jit(lambda *a: conv2d(*a, groups=4))(x, kernel)
    exact = conv2d(x.astype(jnp.float32), kernel.astype(jnp.float32), groups=4)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        y.astype(jnp.float32), exact.astype(jnp.bfloat16).astype(jnp.float32), rtol=1e-2, atol=1e-5
    )


def test_a_sharded_batch_of_depthwise_convolutions():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    devices = Mesh(np.array(jax.devices()[:4]), ("data",))
    x = normal(44, 8, 6, 6, 4)
    kernel = normal(45, 3, 3, 1, 4)
    step = jax.jit(jax.value_and_grad(lambda k, x: jnp.sin(conv2d(x, k, groups=4)).sum(), (0, 1)))
    placed = [
        jax.device_put(a, NamedSharding(devices, PartitionSpec(*p)))
        for a, p in ((kernel, ()), (x, ("data",)))
    ]
    with jax.set_mesh(devices):
        found = step(*placed)
    for actual, expected in zip(
        jax.tree.leaves(found), jax.tree.leaves(step(kernel, x)), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [2, 12])
def test_an_empty_batch_has_gradients_of_zero(groups):
    x = jnp.zeros((0, 5, 5, 12))
    kernel = jnp.ones((3, 3, 12 // groups, 12))
    g_x, g_kernel = jax.grad(lambda *a: conv2d(*a, groups=groups).sum(), (0, 1))(x, kernel)
    assert g_x.shape == x.shape
    assert not g_kernel.any()
