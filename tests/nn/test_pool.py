"""Pooling against Linen, PyTorch and loops, for windows with and without overlap.

Paddings, gaps and windows beyond the end included.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import adaptive_avg_pool, avg_pool, lp_pool, max_pool, out_size

PAIRS = [(max_pool, nn.max_pool), (avg_pool, nn.avg_pool)]
WINDOWS = [
    (2, None),
    ((2, 3), None),
    (3, 2),
    ((2, 2), (1, 3)),
    (1, None),
    (7, None),
    ((3, 4), (2, 1)),
]


def pair(size):
    if isinstance(size, int):
        return size, size
    return size


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def value_and_pullback(f, x, seed):
    """Returns a random gradient of the output, the output of `f`, and the gradient of `x`."""
    g = normal(seed, *jax.eval_shape(f, x).shape)

    @jax.jit
    def both(x, g):
        y, back = jax.vjp(f, x)
        return y, back(g)[0]

    return g, *both(x, g)


@pytest.mark.parametrize(("window", "strides"), WINDOWS)
@pytest.mark.parametrize(("pool", "linen_pool"), PAIRS)
def test_value_and_gradient_match_linen(pool, linen_pool, window, strides):
    x = normal(0, 3, 7, 8, 4)
    size = pair(window)
    stride = pair(strides or window)
    _, y, back = value_and_pullback(lambda x: pool(x, window, strides), x, 1)
    with jax.numpy_dtype_promotion("standard"):
        _, expected, expected_back = value_and_pullback(
            lambda x: linen_pool(x, size, strides=stride), x, 1
        )
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    assert y.shape[1:3] == tuple(
        out_size(n, f, s, "VALID") for n, f, s in zip((7, 8), size, stride, strict=True)
    )
    np.testing.assert_allclose(back, expected_back, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("window", "strides"), [(2, None), (3, None), (3, 2), ((2, 2), (1, 3))])
def test_the_first_of_equal_values_gets_the_gradient_as_in_pytorch(window, strides):
    torch = pytest.importorskip("torch")
    x = jnp.asarray(np.random.default_rng(2).integers(0, 3, (5, 8, 9, 3)), jnp.float32)
    g, y, back = value_and_pullback(lambda x: max_pool(x, window, strides), x, 3)
    tx = torch.tensor(np.array(x), requires_grad=True)
    ty = torch.nn.functional.max_pool2d(tx.permute(0, 3, 1, 2), window, strides).permute(0, 2, 3, 1)
    ty.backward(torch.tensor(np.array(g)))
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_allclose(back, tx.grad.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strides", [None, 1])
@pytest.mark.parametrize("window", [2, 3])
def test_nan_counts_as_the_largest_value(window, strides):
    x = normal(4, 2, 6, 6, 2).at[0, 1, 1, 0].set(jnp.nan).at[1, 3, 4, 1].set(jnp.nan)
    expected = nn.max_pool(x, (window, window), pair(strides or window))
    assert np.isnan(expected).any()
    pool = jax.jit(lambda x: max_pool(x, window, strides))
    np.testing.assert_array_equal(pool(x), expected)
    np.testing.assert_array_equal(value_and_pullback(pool, x, 5)[1], expected)


@pytest.mark.parametrize(("window", "strides"), [(2, None), (3, None), (3, 2)])
@pytest.mark.parametrize("function", [max_pool, avg_pool])
def test_forward_and_reverse_derivatives_match_finite_differences(function, window, strides):
    x = normal(6, 2, 7, 7, 3)
    direction = normal(7, 2, 7, 7, 3)
    h = 1e-3
    pool = jax.jit(lambda x: function(x, window, strides))
    y, slope = jax.jit(lambda x, direction: jax.jvp(pool, (x,), (direction,)))(x, direction)
    np.testing.assert_allclose(slope, (pool(x + h * direction) - y) / h, atol=5e-3)
    g, _, back = value_and_pullback(pool, x, 8)
    np.testing.assert_allclose(jnp.vdot(back, direction), jnp.vdot(g, slope), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strides", [None, 1])
@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_bfloat16_stays_bfloat16_and_xlas_window_operations_are_not_used(pool, strides):
    x = normal(9, 2, 4, 4, 3).astype(jnp.bfloat16)
    y = pool(x, 2, strides)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, pool(x.astype(jnp.float32), 2, strides).astype(jnp.bfloat16))
    grad = jax.jit(jax.grad(lambda x: pool(x, 2, strides).astype(jnp.float32).sum()))
    text = grad.lower(x).as_text()
    assert "reduce_window" not in text
    assert "select_and_scatter" not in text


@pytest.mark.parametrize(("window", "strides"), [(2, None), (3, None), (3, 2)])
def test_vmap_equals_a_python_loop(window, strides):
    xs = normal(10, 3, 2, 7, 7, 2)
    grad = jax.jit(jax.grad(lambda x: jnp.sin(max_pool(x, window, strides)).sum()))
    np.testing.assert_allclose(
        jax.jit(jax.vmap(grad))(xs), jnp.stack([grad(x) for x in xs]), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_integers_are_averaged_as_floats(strides):
    x = np.random.default_rng(3).integers(200, 256, (2, 7, 8, 3)).astype(np.uint8)
    expected = avg_pool(jnp.asarray(x, jnp.float32), 3, strides)
    y = avg_pool(jnp.asarray(x), 3, strides)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, expected)
    largest = max_pool(jnp.asarray(x), 3, strides)
    assert largest.dtype == jnp.uint8
    np.testing.assert_array_equal(largest, max_pool(jnp.asarray(x, jnp.float32), 3, strides))


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_numbers_lists_and_arrays_are_sizes(pool):
    x = normal(4, 2, 7, 8, 3)
    expected = pool(x, (2, 2), (1, 1))
    for window, strides in [(2, 1), (np.int64(2), np.int32(1)), ([2, 2], np.array([1, 1]))]:
        np.testing.assert_array_equal(pool(x, window, strides), expected)


#: Windows, strides, paddings, distances and the rounding of positions that PyTorch accepts.
PADDED = [
    ((3, 3), (2, 2), (1, 1), (1, 1), False),
    ((3, 2), (3, 2), (1, 0), (1, 1), False),
    ((2, 3), (2, 2), (0, 1), (2, 3), False),
    ((2, 2), (2, 2), (0, 0), (1, 1), True),
    ((3, 3), (2, 2), (1, 1), (1, 1), True),
    ((2, 2), (3, 3), (1, 1), (1, 2), True),
]


def torch_gradient(f, x, g):
    """Returns the output of PyTorch's function of channels-first images, and its gradient."""
    torch = pytest.importorskip("torch")
    tx = torch.tensor(np.array(x), requires_grad=True)
    order = (0, x.ndim - 1, *range(1, x.ndim - 1))
    back = (0, *range(2, x.ndim), 1)
    y = f(tx.permute(order)).permute(back)
    y.backward(torch.tensor(np.array(g)))
    return y.detach().numpy(), tx.grad.numpy()


@pytest.mark.parametrize(("window", "strides", "pads", "dilation", "ceil"), PADDED)
def test_padded_maxima_match_pytorch(window, strides, pads, dilation, ceil):
    torch = pytest.importorskip("torch")
    x = jnp.asarray(np.random.default_rng(12).integers(-3, 0, (2, 9, 10, 3)), jnp.float32)
    more = {"dilation": dilation, "ceil": ceil}
    g, y, back = value_and_pullback(lambda x: max_pool(x, window, strides, pads, **more), x, 13)

    def theirs(x):
        f = torch.nn.functional.max_pool2d
        return f(x, window, strides, pads, dilation, ceil_mode=ceil)

    expected, gradient = torch_gradient(theirs, x, g)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(back, gradient, rtol=1e-6, atol=1e-6)
    integers = max_pool(x.astype(jnp.int8), window, strides, pads, **more)
    np.testing.assert_array_equal(integers, y.astype(jnp.int8))


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize(("window", "strides", "pads", "dilation", "ceil"), PADDED)
def test_padded_means_match_pytorch(window, strides, pads, dilation, ceil, count_padding):
    torch = pytest.importorskip("torch")
    if dilation != (1, 1):
        pytest.skip("PyTorch's means have no dilation")
    x = normal(14, 2, 9, 10, 3)
    g, y, back = value_and_pullback(
        lambda x: avg_pool(x, window, strides, pads, ceil=ceil, count_padding=count_padding), x, 15
    )

    def theirs(x):
        return torch.nn.functional.avg_pool2d(x, window, strides, pads, ceil, count_padding)

    expected, gradient = torch_gradient(theirs, x, g)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back, gradient, rtol=1e-5, atol=1e-6)


def reduce_windows(f, x, window, strides, pads, dilation):
    """Applies `f` to the values of the image in each window, one window at a time."""
    out = [
        (n + sum(p) - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[1:3], window, strides, pads, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], *out, x.shape[3]))
    for i, j in np.ndindex(*out):
        places = [
            np.arange(k) * d + at * s - p[0]
            for at, k, s, p, d in zip((i, j), window, strides, pads, dilation, strict=True)
        ]
        rows, columns = (
            place[(place >= 0) & (place < n)] for place, n in zip(places, x.shape[1:3], strict=True)
        )
        y[:, i, j] = f(np.asarray(x, np.float64)[:, rows][:, :, columns])
    return y


UNEVEN = [
    ((3, 2), (1, 2), ((2, 0), (1, 1)), (1, 1)),
    ((2, 3), (2, 1), ((0, 1), (2, 2)), (3, 2)),
    ((2, 2), (2, 2), ((1, 0), (0, 1)), (1, 1)),
]


@pytest.mark.parametrize(("window", "strides", "pads", "dilation"), UNEVEN)
@pytest.mark.parametrize(
    ("pool", "f"),
    [
        (max_pool, lambda v: v.max((1, 2))),
        (avg_pool, lambda v: v.mean((1, 2))),
        (lp_pool, lambda v: np.sqrt((v**2).sum((1, 2)))),
    ],
)
def test_uneven_padding_and_dilation_match_a_loop(pool, f, window, strides, pads, dilation):
    x = normal(16, 2, 8, 7, 3)
    expected = reduce_windows(f, x, window, strides, pads, dilation)
    y = jax.jit(lambda x: pool(x, window, strides, pads, dilation=dilation))(x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("window", "strides"), [(3, 2), ((2, 3), None), (2, 1)])
@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
def test_same_padding_matches_linen(pool, window, strides):
    x = normal(17, 2, 7, 8, 3)
    more = {"count_include_pad": False} if pool == "avg_pool" else {}
    size = pair(window)
    expected = getattr(nn, pool)(x, size, pair(strides or window), "SAME", **more)
    y = {"max_pool": max_pool, "avg_pool": avg_pool}[pool](x, window, strides, "SAME")
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3, 2.5])
def test_norms_match_pytorch(p):
    torch = pytest.importorskip("torch")
    # PyTorch's norm of an odd power has signs.
    x = jnp.abs(normal(18, 2, 9, 10, 3))
    g, y, back = value_and_pullback(lambda x: lp_pool(x, 3, 2, p=p), x, 19)
    expected, gradient = torch_gradient(lambda x: torch.nn.functional.lp_pool2d(x, p, 3, 2), x, g)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(back, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [1, 2, 2.5])
def test_the_norm_of_zeros_has_no_gradient(p):
    x = jnp.zeros((1, 4, 4, 1)).at[0, 0, 0, 0].set(-2.0)
    y, back = jax.vjp(lambda x: lp_pool(x, 2, p=p), x)
    assert y.ravel().tolist() == [2.0, 0.0, 0.0, 0.0]
    (gradient,) = back(jnp.ones_like(y))
    assert gradient[0, 0, 0, 0] == -1.0 and (gradient.ravel()[1:] == 0).all()
    assert np.isnan(lp_pool(x.at[0, 3, 3, 0].set(jnp.nan), 2, p=p)[0, 1, 1, 0])


@pytest.mark.parametrize("sizes", [1, 3, (2, 5), 7, (9, 4), (12, 11)])
def test_adaptive_means_match_pytorch(sizes):
    torch = pytest.importorskip("torch")
    x = normal(20, 2, 9, 8, 3)
    g, y, back = value_and_pullback(lambda x: adaptive_avg_pool(x, sizes), x, 21)
    expected, gradient = torch_gradient(
        lambda x: torch.nn.functional.adaptive_avg_pool2d(x, sizes), x, g
    )
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back, gradient, rtol=1e-5, atol=1e-6)
    integers = (100 * x).astype(jnp.int32)
    np.testing.assert_array_equal(
        adaptive_avg_pool(integers, sizes), adaptive_avg_pool(integers.astype(jnp.float32), sizes)
    )


POOLS = {
    "max": max_pool,
    "average": avg_pool,
    "norm": lp_pool,
    "adaptive": lambda x, window, *_, **more: adaptive_avg_pool(x, window),
}


@pytest.mark.parametrize("name", POOLS)
def test_the_batch_axis_may_be_missing(name):
    pool = POOLS[name]
    x = normal(22, 2, 7, 8, 3)
    y = pool(x, (3, 2), 2, 1)
    np.testing.assert_allclose(jnp.stack([pool(each, (3, 2), 2, 1) for each in x]), y, rtol=1e-6)
    steps = x[:, 0]
    y = pool(steps, (3,), 2, 1)
    np.testing.assert_allclose(jnp.stack([pool(each, (3,), 2, 1) for each in steps]), y, rtol=1e-6)


@pytest.mark.parametrize("name", POOLS)
def test_sequences_are_images_of_height_1(name):
    pool = POOLS[name]
    x = normal(23, 2, 9, 3)
    for more in ({}, {"ceil": True}):
        y = pool(x, (4,), 2, ((1, 2),), **more)
        assert y.ndim == 3
        image = pool(x[:, None], (1, 4), (1, 2), ((0, 0), (1, 2)), **more)
        np.testing.assert_allclose(y, image[:, 0], rtol=1e-6)


@pytest.mark.parametrize("more", [{}, {"dilation": 2, "ceil": True}])
@pytest.mark.parametrize("name", ["max", "average", "norm"])
def test_derivatives_of_padded_windows_match_finite_differences(name, more):
    with jax.enable_x64(True):
        x, direction = jnp.asarray(np.random.default_rng(24).normal(size=(2, 2, 7, 6, 2)))
        h = 1e-6

        def f(x):
            return POOLS[name](x, 3, 2, 1, **more)

        _, slope = jax.jvp(f, (x,), (direction,))
        expected = (f(x + h * direction) - f(x - h * direction)) / (2 * h)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)
        y, back = jax.vjp(f, x)
        g = jnp.asarray(np.random.default_rng(25).normal(size=y.shape))
        np.testing.assert_allclose(jnp.vdot(back(g)[0], direction), jnp.vdot(g, slope), rtol=1e-10)


@pytest.mark.parametrize("strides", [None, 1])
@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_without_padding_the_program_has_none(pool, strides):
    x = normal(26, 2, 8, 8, 3)
    plain = str(jax.make_jaxpr(lambda x: pool(x, 2, strides))(x))
    assert str(jax.make_jaxpr(lambda x: pool(x, 2, strides, 0, ceil=True))(x)) == plain
    assert " pad[" not in plain
