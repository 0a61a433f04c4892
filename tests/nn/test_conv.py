"""Convolution against a textbook loop, Linen and PyTorch, also in loops and on several devices."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.nn import Conv, Conv1D, ConvTranspose, conv2d, out_size
from jaxdl.xla import convolutions

# (image, kernel, strides). They have few and many values under the kernel, kernels larger than the
# image (SAME) and smaller than the strides, and one block of images, several, and a rest.
CASES = [
    ((4, 7, 6, 2), (3, 2, 2, 3), (1, 1)),
    ((16, 9, 10, 1), (5, 5, 1, 4), (1, 1)),
    ((24, 7, 7, 5), (3, 3, 5, 4), (1, 1)),
    ((11, 8, 9, 5), (3, 4, 5, 2), (2, 3)),
    ((10, 9, 8, 40), (1, 1, 40, 3), (2, 2)),
    ((37, 6, 7, 6), (2, 4, 6, 7), (3, 1)),
]
PADDINGS = ["SAME", "VALID"]


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def xla_conv(x, kernel, strides=(1, 1), padding="SAME"):
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def textbook(x, kernel, strides, padding):
    """Computes one sum per output number, in float64."""
    x = np.asarray(x, np.float64)
    kernel = np.asarray(kernel, np.float64)
    pads = [(0, 0), *lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding), (0, 0)]
    x = np.pad(x, pads)
    size = [
        (n - f) // s + 1 for n, f, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    ]
    y = np.zeros((x.shape[0], *size, kernel.shape[3]))
    for i in range(size[0]):
        for j in range(size[1]):
            top = i * strides[0]
            left = j * strides[1]
            under = x[:, top : top + kernel.shape[0], left : left + kernel.shape[1]]
            for d in range(kernel.shape[3]):
                y[:, i, j, d] = (under * kernel[..., d]).sum((1, 2, 3))
    return y


def sine(kernel, x):
    return jnp.sin(conv2d(x, kernel)).sum()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("image", "shape", "strides"), CASES)
def test_matches_the_textbook_loop_and_out_size(image, shape, strides, padding):
    x = normal(0, *image)
    kernel = normal(1, *shape)
    y = jax.jit(conv2d, static_argnums=(2, 3))(x, kernel, strides, padding)
    np.testing.assert_allclose(y, textbook(x, kernel, strides, padding), rtol=1e-5, atol=1e-5)
    assert y.shape[1:3] == tuple(map(out_size, image[1:3], shape[:2], strides, (padding, padding)))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("image", "shape", "strides"), CASES)
def test_gradients_match_xlas(image, shape, strides, padding):
    x = normal(2, *image)
    kernel = normal(3, *shape)
    g = normal(4, *jax.eval_shape(lambda: xla_conv(x, kernel, strides, padding)).shape)

    @jax.jit
    def gradients(x, kernel, g):
        actual = jax.vjp(lambda *a: conv2d(*a, strides, padding), x, kernel)[1](g)
        return actual, jax.vjp(lambda *a: xla_conv(*a, strides, padding), x, kernel)[1](g)

    for actual, expected in zip(*gradients(x, kernel, g), strict=True):
        np.testing.assert_allclose(
            actual, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max())
        )


@pytest.mark.parametrize(
    ("padding", "strides"), [("SAME", (1, 1)), ("VALID", (1, 1)), ("VALID", (2, 2))]
)
def test_agrees_with_pytorch(padding, strides):
    torch = pytest.importorskip("torch")
    x = normal(5, 12, 9, 8, 3)
    kernel = normal(6, 3, 5, 3, 4)
    y, back = jax.vjp(lambda x, kernel: conv2d(x, kernel, strides, padding), x, kernel)
    g = normal(7, *y.shape)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    options = {"stride": strides, "padding": padding.lower()}
    ty = torch.nn.functional.conv2d(
        tx.permute(0, 3, 1, 2), tk.permute(3, 2, 0, 1), **options
    ).permute(0, 2, 3, 1)
    ty.backward(torch.tensor(np.array(g)))
    for actual, expected in zip((y, *back(g)), (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("padding", "use_bias"), [("SAME", True), ("VALID", False)])
def test_layer_has_the_parameters_and_outputs_of_linens(key, padding, use_bias):
    x = normal(8, 16, 8, 8, 6)
    options = {"strides": (1, 2), "padding": padding, "use_bias": use_bias}
    layer = Conv(7, (3, 3), **options)
    linen = nn.Conv(7, (3, 3), **options)
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    shifted = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    np.testing.assert_allclose(
        jax.jit(layer.apply)(shifted, x), linen.apply(shifted, x), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("layer", "size"),
    [(Conv, (3, 2)), (ConvTranspose, (3, 2)), (Conv1D, 3)],
    ids=["conv", "conv_transpose", "conv1d"],
)
def test_weight_normalization_separates_norm_and_direction(key, layer, size):
    x = normal(10, 2, *(7, 8)[: np.size(size)], 3)
    model = layer(4, size, weight_norm=True)
    params = jax.jit(model.init)(key, x)["params"]
    kernel = np.asarray(params["kernel"], np.float64)
    norms = np.sqrt((kernel**2).reshape(-1, 4).sum(0))
    np.testing.assert_allclose(params["scale"], norms, rtol=1e-6)
    plain = {"kernel": params["kernel"], "bias": params["bias"] + 0.1}
    y = layer(4, size).apply({"params": plain}, x)
    params = {**plain, "scale": params["scale"]}
    np.testing.assert_allclose(model.apply({"params": params}, x), y, rtol=1e-4, atol=1e-5)
    params = {**params, "kernel": 3 * plain["kernel"], "scale": 2 * params["scale"]}
    expected = 0.1 + 2 * (y - 0.1)
    np.testing.assert_allclose(model.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_as_accurate_as_in_linen(key):
    x = normal(9, 16, 8, 8, 16)
    variables = jax.jit(nn.Conv(8, (3, 3)).init)(key, x)
    exact = np.asarray(nn.Conv(8, (3, 3)).apply(variables, x))

    @jax.jit
    def loss(variables):
        y = Conv(8, (3, 3), dtype=jnp.bfloat16).apply(variables, x)
        return y.astype(jnp.float32).sum(), y

    grads, y = jax.grad(loss, has_aux=True)(variables)
    assert y.dtype == jnp.bfloat16
    linen = nn.Conv(8, (3, 3), dtype=jnp.bfloat16).apply(variables, x)
    error, error_linen = (np.abs(np.asarray(a, np.float32) - exact).max() for a in (y, linen))
    assert 0 < error <= 1.5 * error_linen
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("channels", [1, 8])
def test_a_cpu_gets_the_form_that_is_fast_in_loops(channels):
    x = normal(10, 16, 8, 8, channels)
    kernel = normal(11, 5, 5, channels, 3)
    for traced in (
        jax.jit(conv2d).trace(x, kernel),
        jax.jit(jax.grad(sine, (0, 1))).trace(kernel, x),
    ):
        assert convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) != "slow"
        assert convolutions(traced.lower(lowering_platforms=("cuda",)).as_text()) != "none"


def test_vmap_over_kernels_is_a_loop():
    x = normal(12, 16, 6, 6, 4)
    kernels = normal(13, 3, 3, 3, 4, 5)
    batched = jax.jit(jax.vmap(jax.value_and_grad(sine), (0, None)))
    values, grads = batched(kernels, x)
    # No convolution has groups.
    assert convolutions(batched.lower(kernels, x).as_text()) == "fast"
    single = jax.jit(jax.value_and_grad(sine))
    for i, kernel in enumerate(kernels):
        value, grad = single(kernel, x)
        np.testing.assert_allclose(values[i], value, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(grads[i], grad, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_over_images_or_kernels_or_both(axes):
    shapes = ((5, 6, 6, 4), (3, 3, 4, 5))
    x, kernel = (
        normal(24 + i, *([3] if axis == 0 else []), *shape)
        for i, (axis, shape) in enumerate(zip(axes, shapes, strict=True))
    )
    grad = jax.grad(lambda x, kernel: sine(kernel, x), (0, 1))
    grads = jax.jit(jax.vmap(grad, axes))(x, kernel)
    for i in range(3):
        inputs = [a[i] if axis == 0 else a for a, axis in zip((x, kernel), axes, strict=True)]
        for actual, expected in zip(grads, grad(*inputs), strict=True):
            np.testing.assert_allclose(actual[i], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_gradient_is_zero_without_images(strides):
    kernel = normal(26, 3, 3, 8, 5)
    value, grad = jax.value_and_grad(
        lambda kernel: conv2d(jnp.zeros((0, 8, 8, 8)), kernel, strides).sum()
    )(kernel)
    assert float(value) == 0 and not np.any(grad)


def test_inside_scan_equals_outside():
    xs = normal(14, 3, 16, 6, 6, 4)
    kernel = normal(15, 3, 3, 4, 5)

    def step(kernel, x):
        return kernel - 1e-3 * jax.grad(sine)(kernel, x), None

    inside, _ = jax.jit(lambda kernel: lax.scan(step, kernel, xs))(kernel)
    outside = kernel
    for x in xs:
        outside, _ = jax.jit(step)(outside, x)
    np.testing.assert_allclose(inside, outside, rtol=1e-6, atol=1e-6)


def test_second_derivatives_match_xlas():
    x = normal(22, 18, 5, 6, 4)
    kernel = normal(23, 3, 3, 4, 5)

    def penalty(conv):
        def loss(kernel, x):
            return jnp.sin(conv(x, kernel)).sum()

        return jax.grad(lambda *a: sum((g**2).sum() for g in jax.grad(loss, (0, 1))(*a)), (0, 1))

    both = jax.jit(lambda *a: (penalty(conv2d)(*a), penalty(xla_conv)(*a)))
    for actual, expected in zip(*both(kernel, x), strict=True):
        np.testing.assert_allclose(
            actual, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max())
        )


@pytest.fixture
def devices():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return Mesh(np.array(jax.devices()[:4]), ("data",))


def float64_gradient(kernel, x):
    """Computes the gradient of `sine` with respect to its kernel with NumPy."""
    height, width = x.shape[1:3]
    kernel = np.asarray(kernel, np.float64)
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    under = [[x[:, i : i + height, j : j + width] for j in range(3)] for i in range(3)]
    g = np.cos(sum(under[i][j] @ kernel[i, j] for i in range(3) for j in range(3)))
    return np.array([[np.einsum("bhwc,bhwd->cd", u, g) for u in row] for row in under])


# With images of 11x11 the sums of one and of four devices differ in rounding. At some other sizes
# they agree by chance.
@pytest.mark.parametrize("batch", [64, 12])
def test_sharded_batch_equals_a_single_device(devices, batch):
    x = normal(16, batch, 11, 11, 7)
    kernel = normal(17, 3, 3, 7, 5)
    step = jax.jit(jax.value_and_grad(sine))
    placed = [
        jax.device_put(a, NamedSharding(devices, PartitionSpec(*p)))
        for a, p in ((kernel, ()), (x, ("data",)))
    ]
    value, grad = step(*placed)
    np.testing.assert_allclose(value, step(kernel, x)[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(grad, float64_gradient(kernel, x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map_gradients_are_summed(devices, check):
    x = normal(18, 64, 11, 11, 7)
    kernel = normal(19, 3, 3, 7, 5)

    def grad(kernel, x):
        local = jax.grad(sine)(kernel, x)
        if check:
            return local
        return lax.psum(local, "data")

    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(
        grad, mesh=devices, in_specs=specs, out_specs=PartitionSpec(), check_vma=check
    )
    np.testing.assert_allclose(
        jax.jit(mapped)(kernel, x), float64_gradient(kernel, x), rtol=1e-4, atol=1e-3
    )


def test_inside_pmap_each_device_has_its_local_gradient(devices):
    x = normal(20, 4, 16, 11, 11, 7)
    kernel = normal(21, 3, 3, 7, 5)
    grads = jax.pmap(jax.grad(sine), in_axes=(None, 0))(kernel, x)
    for grad, images in zip(grads, x, strict=True):
        np.testing.assert_allclose(grad, float64_gradient(kernel, images), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("pads", [((1, 1), (1, 1)), ((0, 3), (2, 1)), ((5, 0), (0, 4))])
@pytest.mark.parametrize("strides", [1, 2, (1, 3)])
def test_padding_in_numbers_has_the_value_and_gradients_of_xla(pads, strides):
    x = normal(0, 2, 7, 6, 3)
    kernel = normal(1, 3, 2, 3, 4)
    pair = strides if isinstance(strides, tuple) else (strides, strides)
    g = normal(2, *xla_conv(x, kernel, pair, pads).shape)

    @jax.jit
    def both(x, kernel, g):
        pairs = []
        for convolve in (lambda *a: conv2d(*a, strides, pads), lambda *a: xla_conv(*a, pair, pads)):
            y, back = jax.vjp(convolve, x, kernel)
            pairs.append((y, back(g)))
        return pairs

    mine, theirs = both(x, kernel, g)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), mine, theirs)


def test_numbers_lists_and_arrays_are_the_sizes_of_a_layer():
    pair = Conv(4, (3, 3), (2, 2), ((1, 1), (1, 1)))
    for layer in (
        Conv(4, 3, 2, 1),
        Conv(4, [3, 3], np.array([2, 2]), [1, 1]),
        Conv(np.int64(4), np.int64(3), np.int32(2), np.array([[1, 1], [1, 1]])),
    ):
        assert (layer.kernel_size, layer.strides) == (pair.kernel_size, pair.strides)
        x = normal(0, 2, 7, 6, 3)
        variables = pair.init(jax.random.key(0), x)
        np.testing.assert_array_equal(layer.apply(variables, x), pair.apply(variables, x))
