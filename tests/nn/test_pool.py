"""Pooling against Linen and PyTorch, for windows with and without overlap."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import avg_pool, max_pool, out_size

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
