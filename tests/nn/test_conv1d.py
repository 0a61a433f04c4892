"""Convolution over time against a textbook loop, Linen and PyTorch, also on several devices."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.errors import InputError
from jaxdl.nn.conv1d import Conv1D, conv1d
from jaxdl.xla import convolutions

# (sequences, kernel, dilation, strides). Some kernels reach beyond both ends, some strides are
# longer than the kernel, and one case has one channel.
CASES = [
    ((3, 9, 4), (3, 4, 5), 1, 1),
    ((2, 13, 1), (2, 1, 3), 3, 1),
    ((4, 11, 3), (4, 3, 2), 2, 2),
    ((2, 5, 3), (4, 3, 2), 1, 3),
    ((5, 7, 6), (1, 6, 2), 1, 2),
]
PADDINGS = ["SAME", "VALID", "CAUSAL"]


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def pads_of(size, window, strides, padding):
    """Returns the numbers of zeros before and after the sequence."""
    if padding == "CAUSAL":
        return window - 1, 0
    return tuple(map(int, lax.padtype_to_pads((size,), (window,), (strides,), padding)[0]))


def xla_conv(x, kernel, dilation=1, strides=1, padding="SAME"):
    pads = [pads_of(x.shape[1], (kernel.shape[0] - 1) * dilation + 1, strides, padding)]
    order = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(
        x, kernel, (strides,), pads, rhs_dilation=(dilation,), dimension_numbers=order
    )


def textbook(x, kernel, dilation, strides, padding):
    """Computes one sum per output number, in float64; steps outside count as 0."""
    x = np.asarray(x, np.float64)
    kernel = np.asarray(kernel, np.float64)
    size = x.shape[1]
    window = (len(kernel) - 1) * dilation + 1
    before, after = pads_of(size, window, strides, padding)
    y = np.zeros((len(x), (size + before + after - window) // strides + 1, kernel.shape[2]))
    for t in range(y.shape[1]):
        for k in range(len(kernel)):
            step = t * strides + k * dilation - before
            if 0 <= step < size:
                y[:, t] += x[:, step] @ kernel[k]
    return y


def sine(kernel, x, conv=conv1d):
    return jnp.sin(conv(x, kernel, 2, 1, "CAUSAL")).sum()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("sequences", "shape", "dilation", "strides"), CASES)
def test_matches_the_textbook_loop_and_xlas_gradients(sequences, shape, dilation, strides, padding):
    x = normal(0, *sequences)
    kernel = normal(1, *shape)
    expected = textbook(x, kernel, dilation, strides, padding)
    g = normal(2, *expected.shape)

    @jax.jit
    def both(x, kernel, g):
        y, back = jax.vjp(lambda *a: conv1d(*a, dilation, strides, padding), x, kernel)
        _, xla_back = jax.vjp(lambda *a: xla_conv(*a, dilation, strides, padding), x, kernel)
        return y, back(g), xla_back(g)

    y, grads, xla_grads = both(x, kernel, g)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    for grad, xla_grad in zip(grads, xla_grads, strict=True):
        np.testing.assert_allclose(grad, xla_grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "dilation", "strides"), [("same", 2, 1), ("valid", 2, 2), ("causal", 2, 1)]
)
def test_agrees_with_pytorch(padding, dilation, strides):
    torch = pytest.importorskip("torch")
    x = normal(3, 4, 15, 3)
    kernel = normal(4, 4, 3, 5)
    y, back = jax.vjp(lambda *a: conv1d(*a, dilation, strides, padding.upper()), x, kernel)
    g = normal(5, *y.shape)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    inputs = tx.permute(0, 2, 1)
    if padding == "causal":
        inputs = torch.nn.functional.pad(inputs, (3 * dilation, 0))
        padding = 0
    options = {"dilation": dilation, "stride": strides, "padding": padding}
    ty = torch.nn.functional.conv1d(inputs, tk.permute(2, 1, 0), **options).permute(0, 2, 1)
    ty.backward(torch.tensor(np.array(g)))
    for actual, expected in zip((y, *back(g)), (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_causal_outputs_do_not_depend_on_later_steps():
    x = normal(6, 2, 12, 3)
    kernel = normal(7, 3, 3, 4)
    y = conv1d(x, kernel, 2, padding="CAUSAL")
    for t in range(12):
        other = conv1d(x.at[:, t].add(1.0), kernel, 2, padding="CAUSAL")
        changed = np.flatnonzero((np.asarray(other) != np.asarray(y)).any((0, 2)))
        assert changed.tolist() == [s for s in (t, t + 2, t + 4) if s < 12]


@pytest.mark.parametrize(
    ("padding", "use_bias"), [("SAME", True), ("VALID", False), ("CAUSAL", True)]
)
def test_layer_has_the_parameters_and_outputs_of_linens(key, padding, use_bias):
    x = normal(8, 3, 14, 6)
    layer = Conv1D(7, 3, 2, 2, padding, use_bias=use_bias)
    linen = nn.Conv(7, (3,), 2, padding, kernel_dilation=2, use_bias=use_bias)
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    shifted = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    np.testing.assert_allclose(
        jax.jit(layer.apply)(shifted, x), linen.apply(shifted, x), rtol=1e-5, atol=1e-5
    )


def test_weight_norm_and_its_gradients_match_pytorch():
    torch = pytest.importorskip("torch")
    x = normal(10, 2, 8, 3)
    params = {"kernel": normal(11, 3, 3, 4), "scale": normal(12, 4), "bias": normal(13, 4)}
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 4, 3, padding="same"))
    length = layer.parametrizations.weight.original0
    direction = layer.parametrizations.weight.original1
    with torch.no_grad():
        length.copy_(torch.tensor(np.array(params["scale"]))[:, None, None])
        direction.copy_(torch.tensor(np.array(params["kernel"])).permute(2, 1, 0))
        layer.bias.copy_(torch.tensor(np.array(params["bias"])))
    y = layer(torch.tensor(np.array(x)).permute(0, 2, 1))
    y.square().sum().backward()

    def loss(params):
        return (Conv1D(4, 3, weight_norm=True).apply({"params": params}, x) ** 2).sum()

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    np.testing.assert_allclose(value, y.square().sum().item(), rtol=1e-5)
    np.testing.assert_allclose(
        grads["kernel"], direction.grad.permute(2, 1, 0).numpy(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(grads["scale"], length.grad.numpy()[:, 0, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads["bias"], layer.bias.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_bfloat16_is_as_accurate_as_in_linen(key):
    x = normal(14, 8, 40, 16)
    variables = jax.jit(nn.Conv(8, (5,)).init)(key, x)
    exact = np.asarray(nn.Conv(8, (5,)).apply(variables, x))

    @jax.jit
    def loss(variables):
        y = Conv1D(8, 5, dtype=jnp.bfloat16).apply(variables, x)
        return y.astype(jnp.float32).sum(), y

    grads, y = jax.grad(loss, has_aux=True)(variables)
    assert y.dtype == jnp.bfloat16
    linen = nn.Conv(8, (5,), dtype=jnp.bfloat16).apply(variables, x)
    error, error_linen = (np.abs(np.asarray(a, np.float32) - exact).max() for a in (y, linen))
    assert 0 < error <= 1.5 * error_linen
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype("float32")}


def test_a_cpu_gets_the_form_that_is_fast_in_loops():
    x = normal(15, 4, 20, 8)
    kernel = normal(16, 5, 8, 3)
    for traced in (
        jax.jit(sine).trace(kernel, x),
        jax.jit(jax.grad(sine, (0, 1))).trace(kernel, x),
    ):
        assert convolutions(traced.lower(lowering_platforms=("cpu",)).as_text()) == "fast"
        assert convolutions(traced.lower(lowering_platforms=("cuda",)).as_text()) != "none"


@pytest.mark.slow
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_over_kernels_or_sequences_or_both(axes):
    shapes = ((3, 4, 5), (4, 10, 4))
    kernel, x = (
        normal(17 + i, *([3] if axis == 0 else []), *shape)
        for i, (axis, shape) in enumerate(zip(axes, shapes, strict=True))
    )
    grad = jax.grad(sine, (0, 1))
    grads = jax.jit(jax.vmap(grad, axes))(kernel, x)
    for i in range(3):
        inputs = [a[i] if axis == 0 else a for a, axis in zip((kernel, x), axes, strict=True)]
        for actual, expected in zip(grads, grad(*inputs), strict=True):
            np.testing.assert_allclose(actual[i], expected, rtol=1e-4, atol=1e-5)


def test_second_derivatives_match_xlas():
    kernel = normal(20, 3, 4, 5)
    x = normal(21, 3, 9, 4)

    def penalty(conv):
        grad = jax.grad(partial(sine, conv=conv), (0, 1))
        return jax.grad(lambda *a: sum((g**2).sum() for g in grad(*a)), (0, 1))

    both = jax.jit(lambda *a: (penalty(conv1d)(*a), penalty(xla_conv)(*a)))
    for actual, expected in zip(*both(kernel, x), strict=True):
        np.testing.assert_allclose(
            actual, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max())
        )


def test_gradient_is_zero_without_sequences():
    value, grad = jax.value_and_grad(sine)(normal(22, 3, 4, 5), jnp.zeros((0, 9, 4)))
    assert float(value) == 0 and not np.any(grad)


@pytest.fixture
def devices():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return Mesh(np.array(jax.devices()[:4]), ("data",))


def test_sharded_batch_equals_a_single_device(devices):
    kernel = normal(23, 3, 4, 5)
    x = normal(24, 16, 11, 4)
    step = jax.jit(jax.value_and_grad(sine))
    placed = [
        jax.device_put(a, NamedSharding(devices, PartitionSpec(*p)))
        for a, p in ((kernel, ()), (x, ("data",)))
    ]
    for actual, expected in zip(step(*placed), step(kernel, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map_gradients_are_summed(devices, check):
    kernel = normal(25, 3, 4, 5)
    x = normal(26, 16, 11, 4)

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
        jax.jit(mapped)(kernel, x), jax.grad(sine)(kernel, x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("groups", [3, 6])
@pytest.mark.parametrize(("dilation", "strides", "pads"), [(1, 2, (2, 2)), (3, 1, (6, 0))])
def test_groups_agree_with_pytorch(groups, dilation, strides, pads):
    torch = pytest.importorskip("torch")
    x = normal(30, 3, 14, 6)
    kernel = normal(31, 3, 6 // groups, 12)
    tx, tk = (torch.tensor(np.array(a), requires_grad=True) for a in (x, kernel))
    ty = torch.nn.functional.conv1d(
        torch.nn.functional.pad(tx.permute(0, 2, 1), pads),
        tk.permute(2, 1, 0),
        stride=strides,
        dilation=dilation,
        groups=groups,
    ).permute(0, 2, 1)
    g = normal(32, *ty.shape)
    ty.backward(torch.tensor(np.array(g)))
    convolve = partial(conv1d, dilation=dilation, strides=strides, padding=[pads], groups=groups)

    @jax.jit
    def results(x, kernel, g):
        y, back = jax.vjp(convolve, x, kernel)
        return (y, *back(g)), convolve(x[0], kernel)

    found, single = results(x, kernel, g)
    for actual, expected in zip(found, (ty.detach(), tx.grad, tk.grad), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(single, found[0][0], rtol=1e-5, atol=1e-5)


def test_the_layer_has_the_groups_of_linens(key):
    x = normal(33, 2, 9, 6)
    layer = Conv1D(12, 3, padding="CAUSAL", groups=6)
    linen = nn.Conv(12, (3,), padding="CAUSAL", feature_group_count=6)
    variables = jax.jit(linen.init)(key, x)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(layer.init)(key, x), variables)
    for inputs in (x, x[0]):
        np.testing.assert_allclose(
            layer.apply(variables, inputs), linen.apply(variables, inputs), rtol=1e-5, atol=1e-5
        )


X = jnp.zeros((2, 8, 3))
KERNEL = jnp.zeros((3, 3, 4))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: conv1d(X[0, 0], KERNEL), "x: got (3,), allowed: sequences [B, T, C] or [T, C]"),
        (
            lambda: conv1d(X, KERNEL[:, :1], groups=3),
            "groups: got 3, allowed: a divisor of the 4 features: 1, 2, 4",
        ),
        (
            lambda: Conv1D(4, 3, groups=8),
            "groups: got 8, allowed: a divisor of the 4 features: 1, 2, 4",
        ),
        (lambda: conv1d(X, KERNEL[:, :2]), "kernel: got (3, 2, 4), allowed: [K, 3, D]"),
        (lambda: conv1d(X, KERNEL[0]), "kernel: got (3, 4), allowed: [K, 3, D]"),
        (lambda: conv1d(X, KERNEL, 0), "dilation: got 0, allowed: at least 1"),
        (lambda: conv1d(X, KERNEL, 1, 0), "strides: got 0, allowed: at least 1"),
        (
            lambda: conv1d(X, KERNEL, 1, 1, "causal"),
            "padding: got 'causal', allowed: CAUSAL, SAME, VALID",
        ),
        (
            lambda: conv1d(X, KERNEL, 4, 1, "VALID"),
            "kernel: got (3,), allowed: at most the padded size, 8; with its dilation it is 9",
        ),
    ],
)
def test_errors_name_the_argument_in_one_line(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
