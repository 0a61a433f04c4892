"""Activations by name; PReLU against PyTorch; dropout against its distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import Dropout, PReLU, activation
from jaxdl.nn.elementwise import is_monotonic

KEY = jax.random.key(7)


def test_numbers_follow_in_parentheses():
    x = jnp.array([-2.0, 0.5, 3.0])
    for name in ("leaky_relu(0.2)", " leaky_relu( 2e-1 )"):
        np.testing.assert_allclose(activation(name)(x), [-0.4, 0.5, 3.0], rtol=1e-6)
    np.testing.assert_allclose(activation("hard_sigmoid(0.25, 0.75)")(x), [0.25, 0.875, 1])
    for name in ("leaky_relu", "elu", "celu", "silu", "hard_sigmoid", "selu"):
        numbers = {"hard_sigmoid": (1 / 6, 0.5), "selu": (1.6732632423543772, 1.0507009873554805)}
        number = {"leaky_relu": (0.01,)}.get(name, numbers.get(name, (1.0,)))
        given = activation(f"{name}({','.join(map(repr, number))})")
        np.testing.assert_allclose(given(x), activation(name)(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("leaky_rel(0.2)", "(did you mean 'leaky_relu'?)"),
        ("rleu", "(did you mean 'relu'?)"),
        ("relu(1)", "activation: got 'relu(1)', allowed: relu, which has no numbers"),
        (
            "hard_sigmoid(0.2)",
            "activation: got 'hard_sigmoid(0.2)', allowed: hard_sigmoid(0.166667,0.5) with these "
            "or other finite numbers",
        ),
        ("elu()", "allowed: elu(1) with these or other finite numbers"),
        ("elu(a)", "allowed: elu(1) with these or other finite numbers"),
        ("elu(nan)", "allowed: elu(1) with these or other finite numbers"),
        ("elu(1.0", "(did you mean 'elu'?)"),
        (None, "activation: got None, allowed: "),
    ],
)
def test_other_names_and_numbers_are_refused(name, line):
    for function in (activation, is_monotonic):
        with pytest.raises(InputError) as error:
            function(name)
        assert line in str(error.value)


def test_monotonic_depends_on_the_numbers():
    yes = {"relu", "relu6", "linear", "leaky_relu(0)", "hard_sigmoid", "thresholded_relu(0.5)"}
    no = {"leaky_relu(-0.1)", "hard_sigmoid(-1,0)", "thresholded_relu(-1)", "tanh", "step", "mish"}
    assert {name for name in yes | no if is_monotonic(name)} == yes


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_is_pytorchs(shared):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(8)
    x = rng.normal(size=(4, 5, 6, 3)).astype(np.float32)
    slope = rng.normal(size=1 if shared else 3).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)
    layer = PReLU(shared)
    assert layer.init(KEY, x)["params"]["slope"].tolist() == [0.25] * len(slope)
    y, back = jax.vjp(lambda x, slope: layer.apply({"params": {"slope": slope}}, x), x, slope)
    tx, ts = (torch.tensor(a, requires_grad=True) for a in (x, slope))
    ty = torch.nn.functional.prelu(tx.permute(0, 3, 1, 2), ts).permute(0, 2, 3, 1)
    ty.backward(torch.tensor(g))
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-6)
    for ours, theirs in zip(back(jnp.asarray(g)), (tx.grad, ts.grad), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_prelu_has_a_dtype_and_refuses_integers():
    y, variables = PReLU(dtype=jnp.bfloat16).init_with_output(KEY, jnp.ones((2, 3)))
    assert y.dtype == jnp.bfloat16 and variables["params"]["slope"].dtype == jnp.float32
    with pytest.raises(InputError) as error:
        PReLU().init(KEY, jnp.ones((2, 3), jnp.int32))
    assert str(error.value) == "x: got 'int32[2, 3]', allowed: floats [..., C]"


def apply_dropout(rate, shape, seed=0, dtype=jnp.float32):
    """Returns a random input and its output in training."""
    x = jnp.asarray(np.random.default_rng(seed).uniform(1, 2, shape), dtype)
    apply = jax.jit(lambda key: Dropout(rate).apply({}, x, True, rngs={"dropout": key}))
    return np.asarray(x), np.asarray(apply(KEY))


@pytest.mark.parametrize("shape", [(400, 31), (20, 7, 7, 8), (9_001,)])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_drops_at_the_given_rate_and_scales_the_rest(rate, shape):
    x, y = apply_dropout(rate, shape)
    nonzero = y != 0
    np.testing.assert_allclose(y[nonzero], x[nonzero] / (1 - rate), rtol=1e-3)
    assert abs(nonzero.mean() - (1 - rate)) <= 4.5 * (rate * (1 - rate) / nonzero.size) ** 0.5


def test_the_two_halves_of_the_bits_are_independent():
    _, y = apply_dropout(0.5, (20_000, 2))
    left, right = (y != 0).T
    assert abs((left == right).mean() - 0.5) < 4.5 * 0.5 / 20_000**0.5


def test_a_rate_may_be_an_array():
    x = jnp.ones((64, 9))

    def apply(rate):
        return Dropout(rate).apply({}, x, True, rngs={"dropout": KEY})

    np.testing.assert_array_equal(jax.jit(apply)(jnp.float32(0.3)), apply(0.3))
    np.testing.assert_array_equal(jax.jit(apply)(jnp.float32(0)), x)


def test_no_number_is_dropped_outside_training_or_at_rate_0():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.9).apply({}, x, False), x)
    # This needs no key.
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, True), x)


def test_gradient_is_the_mask():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(50, 5)), jnp.float32)

    def f(x):
        return Dropout(0.4).apply({}, x, True, rngs={"dropout": KEY})

    np.testing.assert_allclose(jax.grad(lambda x: f(x).sum())(x) * x, f(x), rtol=1e-6)


def test_bfloat16_stays_bfloat16():
    assert apply_dropout(0.5, (8, 8), dtype=jnp.bfloat16)[1].dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [1, -0.1, float("nan")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(InputError, match=r"^rate: got .*, allowed: a number in \[0, 1\)$"):
        Dropout(rate)


@pytest.mark.parametrize("shared", [(1,), (0,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_shared_axes_have_the_same_mask(shared):
    x = jnp.asarray(np.random.default_rng(2).uniform(1, 2, (30, 6, 41)), jnp.float32)
    y = np.asarray(Dropout(0.4, shared=shared).apply({}, x, True, rngs={"dropout": KEY}))
    nonzero = y != 0
    mask = nonzero[tuple(slice(1) if axis in shared else slice(None) for axis in range(3))]
    np.testing.assert_array_equal(nonzero, np.broadcast_to(mask, nonzero.shape))
    assert abs(mask.mean() - 0.6) <= max(0.6 * (mask.size == 1), 4.5 * (0.24 / mask.size) ** 0.5)
    np.testing.assert_allclose(y[nonzero], np.asarray(x)[nonzero] / 0.6, rtol=1e-3)


def test_other_axes_are_independent():
    x = jnp.ones((4000, 5, 2))
    y = Dropout(0.5, shared=(1,)).apply({}, x, True, rngs={"dropout": KEY})
    mask = np.asarray(y)[:, 0] != 0
    for a, b in ((mask[:, 0], mask[:, 1]), (mask[1:, 0], mask[:-1, 0])):
        assert abs((a == b).mean() - 0.5) < 4.5 * 0.5 / len(a) ** 0.5


def test_negative_axes_count_from_the_end(key):
    x = jnp.ones((2, 5, 3))
    masks = [
        Dropout(0.5, shared).apply({}, x, True, rngs={"dropout": key})
        for shared in ((1,), (-2,), 1, [-2], np.array([1]), np.int64(-2))
    ]
    assert (masks[0] == masks[0][:, :1]).all()
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
