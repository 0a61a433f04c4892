"""Pooling against Linen, whether windows overlap or not."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import avg_pool, max_pool, out_size

PAIRS = [(max_pool, nn.max_pool), (avg_pool, nn.avg_pool)]
WINDOWS = [(2, None), ((2, 3), None), (3, 2), ((2, 2), (1, 3)), (1, None)]


def pair(size):
    return (size, size) if isinstance(size, int) else size


@pytest.mark.parametrize(("window", "strides"), WINDOWS)
@pytest.mark.parametrize(("ours", "linens"), PAIRS)
def test_is_linens_with_its_gradient(ours, linens, window, strides):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 7, 8, 4)), jnp.float32)
    moves = pair(window if strides is None else strides)
    y, back = jax.vjp(lambda x: ours(x, window, strides), x)
    with jax.numpy_dtype_promotion("standard"):
        expected, expected_back = jax.vjp(lambda x: linens(x, pair(window), strides=moves), x)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    assert y.shape[1:3] == tuple(
        out_size(n, f, s, "VALID") for n, f, s in zip((7, 8), pair(window), moves, strict=True)
    )
    g = jnp.asarray(np.random.default_rng(1).normal(size=y.shape), jnp.float32)
    np.testing.assert_allclose(back(g)[0], expected_back(g)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ours", [max_pool, avg_pool])
def test_keeps_bfloat16_and_needs_no_window_loop(ours):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(2, 4, 4, 3)), jnp.bfloat16)
    assert ours(x, 2).dtype == jnp.bfloat16
    text = jax.jit(jax.grad(lambda x: ours(x, 2).astype(jnp.float32).sum())).lower(x).as_text()
    assert "reduce_window" not in text
    assert "select_and_scatter" not in text


def test_equal_largest_values_share_the_gradient():
    x = jnp.array([[1.0, 5.0], [5.0, 2.0]]).reshape(1, 2, 2, 1)
    grad = jax.grad(lambda x: max_pool(x, 2).sum())(x)
    assert grad.reshape(2, 2).tolist() == [[0.0, 0.5], [0.5, 0.0]]
