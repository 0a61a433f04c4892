"""Transposed convolution against its definition, Linen, PyTorch and its adjoint."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.errors import InputError
from jaxdl.nn import ConvTranspose, conv2d, conv_transpose2d
from jaxdl.xla import convolutions

# (image, kernel, strides). Kernels are odd and even, larger and smaller than the stride and than
# the image, and have few and many values.
CASES = [
    ((4, 5, 6, 2), (3, 2, 2, 3), (1, 1)),
    ((16, 4, 5, 8), (5, 5, 8, 1), (2, 2)),
    ((6, 4, 4, 10), (4, 4, 10, 5), (2, 2)),
    ((11, 3, 4, 5), (4, 3, 5, 2), (2, 3)),
    ((1, 1, 2, 7), (5, 4, 7, 3), (1, 2)),
    ((4, 3, 3, 40), (1, 2, 40, 3), (3, 3)),
]
PADDINGS = ["SAME", "VALID"]


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def definition(x, kernel, strides, padding):
    """Adds the flipped kernel times each value of the image around its position, in float64."""
    x = np.asarray(x, np.float64)
    kernel = np.asarray(kernel, np.float64)[::-1, ::-1]
    batch, height, width, _ = x.shape
    f, g, _, d = kernel.shape
    down, right = strides
    overlap = [max(n - s, 0) for n, s in zip(kernel.shape, strides, strict=False)]
    y = np.zeros((batch, height * down + overlap[0], width * right + overlap[1], d))
    for i in range(height):
        for j in range(width):
            for k in range(f):
                for m in range(g):
                    y[:, i * down + k, j * right + m] += x[:, i, j] @ kernel[k, m]
    if padding == "VALID":
        return y
    top = overlap[0] // 2
    left = overlap[1] // 2
    return y[:, top : top + height * down, left : left + width * right]


def sine(kernel, x):
    return jnp.sin(conv_transpose2d(x, kernel, (2, 2))).sum()


def xla_sine(kernel, x):
    return jnp.sin(lax.conv_transpose(x, kernel, (2, 2), "SAME")).sum()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("image", "shape", "strides"), CASES)
def test_matches_the_definition_and_xlas_gradients(image, shape, strides, padding):
    x = normal(0, *image)
    kernel = normal(1, *shape)
    expected = definition(x, kernel, strides, padding)
    g = normal(2, *expected.shape)

    @jax.jit
    def both(x, kernel, g):
        y, back = jax.vjp(lambda *a: conv_transpose2d(*a, strides, padding), x, kernel)
        xla_y, xla_back = jax.vjp(lambda *a: lax.conv_transpose(*a, strides, padding), x, kernel)
        return (y, *back(g)), (xla_y, *xla_back(g))

    results, xla_results = both(x, kernel, g)
    np.testing.assert_allclose(results[0], expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(results, xla_results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


@pytest.mark.parametrize(
    ("window", "strides"), [((5, 4), (1, 1)), ((5, 4), (2, 2)), ((3, 6), (3, 2))]
)
@pytest.mark.parametrize("padding", PADDINGS)
def test_agrees_with_pytorch(padding, window, strides):
    torch = pytest.importorskip("torch")
    x = normal(3, 4, 5, 4, 3)
    kernel = normal(4, *window, 3, 2)
    y, back = jax.vjp(lambda *a: conv_transpose2d(*a, strides, padding), x, kernel)
    g = normal(5, *y.shape)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    pads = [0, 0]
    if padding == "SAME":
        pads = [(n - s) // 2 for n, s in zip(window, strides, strict=True)]
    flipped = tk.flip(0, 1).permute(2, 3, 0, 1)
    ty = torch.nn.functional.conv_transpose2d(
        tx.permute(0, 3, 1, 2), flipped, stride=strides, padding=pads
    )
    ty = ty.permute(0, 2, 3, 1)[:, : y.shape[1], : y.shape[2]]
    ty.backward(torch.tensor(np.array(g)))
    for actual, expected in zip((y, *back(g)), (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("image", "shape", "strides"), CASES[:4])
def test_is_the_adjoint_of_a_convolution(image, shape, strides, padding):
    y = normal(6, *image)
    kernel = normal(7, *shape)
    larger = jax.jit(conv_transpose2d, static_argnums=(2, 3))(y, kernel, strides, padding)
    x = normal(8, *larger.shape)
    smaller = jax.jit(conv2d, static_argnums=(2, 3))(
        x, kernel[::-1, ::-1].swapaxes(2, 3), strides, padding
    )
    assert smaller.shape == y.shape
    a, b = (
        np.vdot(np.asarray(p, np.float64), np.asarray(q, np.float64))
        for p, q in ((smaller, y), (x, larger))
    )
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
    assert abs(a) > 1


@pytest.mark.parametrize(("padding", "use_bias"), [("SAME", True), ("VALID", False)])
def test_layer_has_the_parameters_and_outputs_of_linens(key, padding, use_bias):
    x = normal(9, 16, 4, 4, 6)
    options = {"strides": (1, 2), "padding": padding, "use_bias": use_bias}
    layer = ConvTranspose(7, (4, 5), **options)
    linen = nn.ConvTranspose(7, (4, 5), **options)
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    shifted = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    np.testing.assert_allclose(
        jax.jit(layer.apply)(shifted, x), linen.apply(shifted, x), rtol=1e-5, atol=1e-5
    )


def test_given_initializers_are_used(key):
    init = nn.initializers.normal(0.02)
    x = normal(10, 2, 3, 3, 4, dtype=jnp.bfloat16)
    options = {"kernel_init": init, "bias_init": init, "param_dtype": jnp.bfloat16}
    variables, expected = (
        layer(3, (2, 2), **options).init(key, x) for layer in (ConvTranspose, nn.ConvTranspose)
    )
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("bfloat16")}


def test_bfloat16_is_as_accurate_as_in_linen(key):
    x = normal(11, 16, 4, 4, 16)
    variables = jax.jit(nn.ConvTranspose(8, (3, 3), (2, 2)).init)(key, x)
    exact = np.asarray(nn.ConvTranspose(8, (3, 3), (2, 2)).apply(variables, x))

    @jax.jit
    def loss(variables):
        y = ConvTranspose(8, (3, 3), (2, 2), dtype=jnp.bfloat16).apply(variables, x)
        return y.astype(jnp.float32).sum(), y

    grads, y = jax.grad(loss, has_aux=True)(variables)
    assert y.dtype == jnp.bfloat16
    linen = nn.ConvTranspose(8, (3, 3), (2, 2), dtype=jnp.bfloat16).apply(variables, x)
    error, error_linen = (np.abs(np.asarray(a, np.float32) - exact).max() for a in (y, linen))
    assert 0 < error <= 1.5 * error_linen
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("features", [1, 8])
def test_a_cpu_gets_the_form_that_is_fast_in_loops(features):
    x = normal(12, 16, 4, 4, 8)
    kernel = normal(13, 5, 5, 8, features)
    for traced in (
        jax.jit(conv_transpose2d).trace(x, kernel),
        jax.jit(jax.grad(sine, (0, 1))).trace(kernel, x),
    ):
        assert convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) != "slow"
        assert convolutions(traced.lower(lowering_platforms=("cuda",)).as_text()) != "none"


def test_vmap_over_kernels_is_a_loop():
    x = normal(14, 16, 4, 4, 4)
    kernels = normal(15, 3, 3, 3, 4, 5)
    batched = jax.jit(jax.vmap(jax.value_and_grad(sine), (0, None)))
    values, grads = batched(kernels, x)
    # No convolution has groups.
    assert convolutions(batched.lower(kernels, x).as_text()) == "fast"
    single = jax.jit(jax.value_and_grad(sine))
    for i, kernel in enumerate(kernels):
        value, grad = single(kernel, x)
        np.testing.assert_allclose(values[i], value, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(grads[i], grad, rtol=1e-4, atol=1e-4)


def test_inside_scan_equals_outside():
    xs = normal(16, 3, 16, 4, 4, 4)
    kernel = normal(17, 3, 3, 4, 5)

    def step(kernel, x):
        return kernel - 1e-3 * jax.grad(sine)(kernel, x), None

    inside, _ = jax.jit(lambda kernel: lax.scan(step, kernel, xs))(kernel)
    outside = kernel
    for x in xs:
        outside, _ = jax.jit(step)(outside, x)
    np.testing.assert_allclose(inside, outside, rtol=1e-6, atol=1e-6)


def test_second_derivatives_match_xlas():
    x = normal(18, 4, 3, 3, 4)
    kernel = normal(19, 3, 3, 4, 5)

    def penalty(sine):
        return jax.grad(lambda kernel: (jax.grad(sine, 1)(kernel, x) ** 2).sum())

    both = jax.jit(lambda kernel: (penalty(sine)(kernel), penalty(xla_sine)(kernel)))
    actual, expected = both(kernel)
    np.testing.assert_allclose(
        actual, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max())
    )


@pytest.fixture
def devices():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return Mesh(np.array(jax.devices()[:4]), ("data",))


# With 12 images each of the four devices has three, an odd number.
@pytest.mark.slow
@pytest.mark.parametrize("batch", [64, 12])
def test_sharded_batch_equals_a_single_device(devices, batch):
    x = normal(20, batch, 5, 5, 7)
    kernel = normal(21, 3, 3, 7, 5)
    step = jax.jit(jax.value_and_grad(sine))
    placed = [
        jax.device_put(a, NamedSharding(devices, PartitionSpec(*p)))
        for a, p in ((kernel, ()), (x, ("data",)))
    ]
    value, grad = step(*placed)
    np.testing.assert_allclose(value, step(kernel, x)[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(grad, jax.grad(xla_sine)(kernel, x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("window", [1, 3])
def test_inside_shard_map_gradients_are_summed(devices, window, check):
    x = normal(22, 16, 5, 5, 7)
    kernel = normal(23, window, window, 7, 5)

    def grads(kernel, x):
        g_kernel, g_x = jax.grad(sine, (0, 1))(kernel, x)
        if not check:
            g_kernel = lax.psum(g_kernel, "data")
        return g_kernel, g_x

    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(grads, mesh=devices, in_specs=specs, out_specs=specs, check_vma=check)
    expected_grads = jax.grad(xla_sine, (0, 1))(kernel, x)
    for actual, expected in zip(jax.jit(mapped)(kernel, x), expected_grads, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3)


X = jnp.zeros((2, 8, 8, 1))
KERNEL = jnp.zeros((3, 3, 1, 4))
BAD = [
    (
        lambda: conv_transpose2d(X[0, 0], KERNEL),
        "x: got (8, 1), allowed: images [B, H, W, C] or [H, W, C]",
    ),
    (
        lambda: conv_transpose2d(X, KERNEL, groups=2),
        "groups: got 2, allowed: a divisor of the 1 channels: 1",
    ),
    (
        lambda: conv_transpose2d(X, KERNEL, 2, output_padding=2),
        "output_padding: got 2, allowed: less than strides or dilation, 2; padding adds more zeros",
    ),
    (lambda: ConvTranspose(4, output_padding=-1), "output_padding: got -1, allowed: at least 0"),
    (lambda: conv_transpose2d(X, KERNEL, dilation=0), "dilation: got 0, allowed: at least 1"),
    (lambda: conv_transpose2d(X, KERNEL[:, :, 0]), "kernel: got (3, 3, 4), allowed: [F, G, 1, D]"),
    (
        lambda: conv_transpose2d(X.reshape(2, 4, 8, 2), KERNEL),
        "kernel: got (3, 3, 1, 4), allowed: [F, G, 2, D]",
    ),
    (
        lambda: conv_transpose2d(X, KERNEL, (1, 1), "FULL"),
        "padding: got 'FULL', allowed: SAME, VALID",
    ),
    (lambda: conv_transpose2d(X, KERNEL, (0, 1)), "strides: got 0, allowed: at least 1"),
    (
        lambda: ConvTranspose(4, padding="same").init(jax.random.key(0), X),
        "padding: got 'same', allowed: SAME, VALID",
    ),
]


# (image, kernel, strides, padding as in PyTorch, output padding, dilation, groups)
GENERAL = [
    ((3, 5, 4, 6), (3, 2, 2, 6), (2, 3), (1, 0), (1, 2), (1, 2), 3),
    ((2, 4, 5, 4), (3, 3, 1, 8), (2, 2), (1, 1), (1, 1), (1, 1), 4),
    ((2, 3, 4, 12), (2, 3, 6, 2), (1, 2), (2, 2), (0, 1), (2, 3), 2),
    ((1, 5, 3, 5), (3, 3, 5, 4), (3, 1), (0, 2), (2, 1), (2, 2), 1),
]


@pytest.mark.parametrize(
    ("image", "shape", "strides", "pads", "more", "dilation", "groups"), GENERAL
)
def test_groups_dilation_and_output_padding_agree_with_pytorch(
    image, shape, strides, pads, more, dilation, groups
):
    torch = pytest.importorskip("torch")
    x = normal(30, *image)
    kernel = normal(31, *shape)
    reach = [(f - 1) * gap for f, gap in zip(shape, dilation, strict=False)]
    around = [(r - p, r - p) for r, p in zip(reach, pads, strict=True)]
    up = partial(
        conv_transpose2d,
        strides=strides,
        padding=around,
        dilation=dilation,
        groups=groups,
        output_padding=more,
    )
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    weight = tk.flip(0, 1).unflatten(3, (groups, -1)).permute(3, 2, 4, 0, 1).flatten(0, 1)
    ty = torch.nn.functional.conv_transpose2d(
        tx.permute(0, 3, 1, 2),
        weight,
        stride=strides,
        padding=pads,
        output_padding=more,
        dilation=dilation,
        groups=groups,
    ).permute(0, 2, 3, 1)
    g = normal(32, *ty.shape)
    ty.backward(torch.tensor(np.array(g)))

    @jax.jit
    def results(x, kernel, g):
        y, back = jax.vjp(up, x, kernel)
        return (y, *back(g)), up(x[0], kernel)

    found, single = results(x, kernel, g)
    for actual, expected in zip(found, (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(single, found[0][0], rtol=1e-5, atol=1e-5)


def test_the_layer_has_groups_dilation_and_output_padding(key):
    x = normal(33, 2, 4, 5, 6)
    layer = ConvTranspose(4, 3, 2, 1, dilation=2, groups=2, output_padding=1)
    variables = jax.jit(layer.init)(key, x)
    kernel = variables["params"]["kernel"]
    assert kernel.shape == (3, 3, 3, 4)
    expected = conv_transpose2d(x, kernel, 2, 1, 2, 2, 1)
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-6)
    np.testing.assert_allclose(layer.apply(variables, x[1]), expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("call", "line"), BAD, ids=[line.split(",")[0] for _, line in BAD])
def test_errors_name_the_argument_in_one_line(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
