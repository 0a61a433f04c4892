"""Masks, lengths, and what is read off a whole sequence, against loops over rows."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import TimeDistributed, lengths_of, pool_steps, steps

draw = np.random.default_rng(0)
YS = draw.normal(size=(6, 7, 3)).astype(np.float32)
LENGTHS = draw.integers(1, 8, 6).astype(np.int32)


def test_lengths_and_masks_are_each_other():
    mask = steps(jnp.asarray(LENGTHS), 7)
    assert [row.tolist() for row in np.asarray(mask)] == [
        [t < n for t in range(7)] for n in LENGTHS
    ]
    for given in (mask, mask.astype(jnp.float32), mask.astype(jnp.int32)):
        assert lengths_of(given).tolist() == LENGTHS.tolist()
        assert jax.jit(lengths_of)(given).tolist() == LENGTHS.tolist()


@pytest.mark.parametrize("how", ["last", "mean", "max"])
@pytest.mark.parametrize("ragged", [False, True])
def test_pooling_is_of_the_steps_that_count(how, ragged):
    one = {"last": lambda y: y[-1], "mean": lambda y: y.mean(0), "max": lambda y: y.max(0)}[how]
    expected = [one(y[: n if ragged else 7]) for y, n in zip(YS, LENGTHS, strict=True)]
    lengths = jnp.asarray(LENGTHS) if ragged else None
    pooled = jax.jit(lambda y, n: pool_steps(y, how, n))(jnp.asarray(YS), lengths)
    np.testing.assert_allclose(pooled, np.stack(expected), rtol=1e-6, atol=1e-6)


def test_padding_gets_no_gradient_from_pooling():
    for how in ("last", "mean", "max"):
        g = jax.grad(lambda y: jnp.sin(pool_steps(y, how, jnp.asarray(LENGTHS))).sum())(
            jnp.asarray(YS)
        )
        behind = ~np.asarray(steps(jnp.asarray(LENGTHS), 7))
        assert (
            np.isfinite(np.asarray(g)).all()
            and not np.asarray(g)[behind].any()
            and np.asarray(g)[~behind].any()
        )


def test_a_model_on_each_step_is_the_model_step_by_step():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(4)(x.reshape(x.shape[0], -1))

    x = jnp.asarray(draw.normal(size=(2, 5, 3, 3, 1)), jnp.float32)
    model = TimeDistributed(Net())
    ys, variables = model.init_with_output(jax.random.key(0), x, False)
    for t in range(5):
        alone = Net().apply({"params": variables["params"]["model"]}, x[:, t], False)
        np.testing.assert_allclose(ys[:, t], alone, rtol=1e-6, atol=1e-6)


def message(f, *args):
    with pytest.raises(InputError) as caught:
        f(*args)
    return str(caught.value)


def test_wrong_inputs_are_named():
    hole = "mask[1]: got [1, 0, 1], allowed: ones, then zeros: a step that is left out inside a sequence has no place"
    assert message(lengths_of, jnp.array([[1, 1, 1], [1, 0, 1]])).startswith(hole)
    assert message(lengths_of, jnp.array([[0, 0, 0]])).startswith(
        "mask[0]: got [0, 0, 0], allowed: ones, then zeros"
    )
    assert message(lengths_of, jnp.ones(3)) == "mask: got (3,), allowed: [B, T]"
    assert message(steps, jnp.array([1, 4]), 3) == "length[1]: got 4, allowed: an integer in [1, 3]"
    assert (
        message(steps, jnp.array([1.0]), 3)
        == "length: got 'float32[1]', allowed: integers [B], one per sequence"
    )
    wrong = "pool: got 'men', allowed: last, max, mean (did you mean 'mean'?)"
    assert message(pool_steps, jnp.asarray(YS), "men") == wrong
    with pytest.raises(InputError, match="allowed: \\[B, T, ...\\]"):
        TimeDistributed(nn.Dense(1)).init(jax.random.key(0), jnp.ones(3), False)


def test_while_tracing_a_mask_with_a_hole_has_no_length():
    assert jax.jit(lengths_of)(jnp.array([[1, 0, 1], [1, 1, 0]])).tolist() == [0, 2]
