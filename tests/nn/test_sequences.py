"""Masks, lengths and pooling of sequences against loops over rows."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import TimeDistributed, length_mask, lengths_of, pool_steps

RNG = np.random.default_rng(0)
YS = RNG.normal(size=(6, 7, 3)).astype(np.float32)
LENGTHS = RNG.integers(1, 8, 6).astype(np.int32)


def test_masks_give_lengths_and_lengths_give_masks():
    mask = length_mask(jnp.asarray(LENGTHS), 7)
    expected = [[t < n for t in range(7)] for n in LENGTHS]
    assert [row.tolist() for row in np.asarray(mask)] == expected
    for given in (mask, mask.astype(jnp.float32), mask.astype(jnp.int32)):
        assert lengths_of(given).tolist() == LENGTHS.tolist()
        assert jax.jit(lengths_of)(given).tolist() == LENGTHS.tolist()


@pytest.mark.parametrize("how", ["last", "mean", "max"])
@pytest.mark.parametrize("ragged", [False, True])
def test_pooling_uses_the_valid_steps(how, ragged):
    pool = {"last": lambda y: y[-1], "mean": lambda y: y.mean(0), "max": lambda y: y.max(0)}[how]
    lengths = None
    rows = list(YS)
    if ragged:
        lengths = jnp.asarray(LENGTHS)
        rows = [y[:n] for y, n in zip(YS, LENGTHS, strict=True)]
    expected = [pool(y) for y in rows]
    pooled = jax.jit(lambda y, n: pool_steps(y, how, n))(jnp.asarray(YS), lengths)
    np.testing.assert_allclose(pooled, np.stack(expected), rtol=1e-6, atol=1e-6)


def test_padding_gets_no_gradient_from_pooling():
    for how in ("last", "mean", "max"):
        grad = jax.grad(lambda y: jnp.sin(pool_steps(y, how, jnp.asarray(LENGTHS))).sum())
        g = np.asarray(grad(jnp.asarray(YS)))
        padding = ~np.asarray(length_mask(jnp.asarray(LENGTHS), 7))
        assert np.isfinite(g).all()
        assert not g[padding].any()
        assert g[~padding].any()


def test_time_distributed_applies_the_model_to_each_step():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(4)(x.reshape(x.shape[0], -1))

    x = jnp.asarray(RNG.normal(size=(2, 5, 3, 3, 1)), jnp.float32)
    model = TimeDistributed(Net())
    ys, variables = model.init_with_output(jax.random.key(0), x, False)
    for t in range(5):
        single = Net().apply({"params": variables["params"]["model"]}, x[:, t], False)
        np.testing.assert_allclose(ys[:, t], single, rtol=1e-6, atol=1e-6)


def message(f, *args):
    """Returns the message of the error of an invalid call."""
    with pytest.raises(InputError) as caught:
        f(*args)
    return str(caught.value)


def test_errors_name_the_argument():
    hole = (
        "mask[1]: got [1, 0, 1], allowed: ones, then zeros; "
        "move the steps with mask 0 to the end of the sequence"
    )
    assert message(lengths_of, jnp.array([[1, 1, 1], [1, 0, 1]])) == hole
    assert message(lengths_of, jnp.array([[0, 0, 0]])).startswith(
        "mask[0]: got [0, 0, 0], allowed: ones, then zeros"
    )
    assert message(lengths_of, jnp.ones(3)) == "mask: got (3,), allowed: [B, T]"
    assert (
        message(length_mask, jnp.array([1, 4]), 3)
        == "length[1]: got 4, allowed: an integer in [1, 3]"
    )
    assert (
        message(length_mask, jnp.array([1.0]), 3)
        == "length: got 'float32[1]', allowed: integers [B], one per sequence"
    )
    wrong = "pool: got 'men', allowed: last, max, mean (did you mean 'mean'?)"
    assert message(pool_steps, jnp.asarray(YS), "men") == wrong
    with pytest.raises(InputError, match="allowed: \\[B, T, ...\\]"):
        TimeDistributed(nn.Dense(1)).init(jax.random.key(0), jnp.ones(3), False)


def test_a_traced_mask_with_a_hole_has_length_0():
    assert jax.jit(lengths_of)(jnp.array([[1, 0, 1], [1, 1, 0]])).tolist() == [0, 2]


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_nan_in_padding_changes_no_bit_of_a_pooled_gradient(how):
    lengths = jnp.asarray(LENGTHS)
    padding = ~np.asarray(length_mask(lengths, 7))[..., None]

    @jax.jit
    def value_and_gradient(ys):
        return jax.value_and_grad(lambda ys: (pool_steps(ys, how, lengths) ** 2).sum())(ys)

    zeros, nans = (value_and_gradient(jnp.where(padding, pad, YS)) for pad in (0.0, jnp.nan))
    jax.tree.map(np.testing.assert_array_equal, zeros, nans)


@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_a_traced_length_out_of_range_pools_to_nan(how):
    ys = jnp.asarray(np.random.default_rng(1).normal(size=(4, 3, 2)), jnp.float32)
    pooled = jax.jit(lambda n: pool_steps(ys, how, n))(jnp.array([0, 3, 4, -1]))
    assert np.isnan(pooled).all(1).tolist() == [True, False, True, True]
    np.testing.assert_allclose(pooled[1:2], pool_steps(ys[1:2], how, [3]), rtol=1e-6)
