"""Conv1DStack against Linen's layers written out, and each sequence alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models.conv1d import Conv1DStack
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 12, 3)), jnp.float32)


def run(model, variables, x, **more):
    return jax.jit(lambda v, x: model.apply(v, x, train=False, **more)[0])(variables, x)


def test_is_its_layers_one_after_the_other():
    model = Conv1DStack((5, 6), kernel_size=3, pool=2)
    variables = random_variables(model, X)
    h = X
    for name, width in (("conv_0", 5), ("conv_1", 6)):
        h = jax.nn.relu(nn.Conv(width, (3,)).apply({"params": variables["params"][name]}, h))
        h = nn.max_pool(h, (2,), (2,))
    np.testing.assert_allclose(run(model, variables, X), h, rtol=1e-5, atol=1e-6)


def test_is_pytorchs_with_its_gradient():
    torch = pytest.importorskip("torch")
    model = Conv1DStack((5,), kernel_size=5, pool=5)
    variables = random_variables(model, X)
    params = variables["params"]["conv_0"]
    layer = torch.nn.Conv1d(3, 5, 5, padding="same")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.array(params["kernel"])).permute(2, 1, 0))
        layer.bias.copy_(torch.tensor(np.array(params["bias"])))
    h = torch.relu(layer(torch.tensor(np.array(X)).permute(0, 2, 1)))
    h = torch.nn.functional.max_pool1d(h, 5, ceil_mode=True)
    h.square().sum().backward()
    grads = jax.jit(jax.grad(lambda v: (model.apply(v, X, train=False)[0] ** 2).sum()))(variables)[
        "params"
    ]["conv_0"]
    np.testing.assert_allclose(
        run(model, variables, X), h.detach().permute(0, 2, 1).numpy(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        grads["kernel"], layer.weight.grad.permute(2, 1, 0).numpy(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(grads["bias"], layer.bias.grad.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kernel_size", "pool"), [(3, 2), (4, 3), (5, 1)])
def test_a_padded_sequence_is_the_sequence_alone(kernel_size, pool):
    model = Conv1DStack((5, 4, 3), kernel_size, pool)
    variables = random_variables(model, X)
    lengths = [12, 7, 4, 1]
    ys = run(model, variables, X, lengths=jnp.array(lengths))
    for x, y, length in zip(X, ys, lengths, strict=True):
        alone = run(model, variables, x[None, :length])[0]
        np.testing.assert_allclose(y[: len(alone)], alone, rtol=1e-5, atol=1e-6)
        assert not np.any(y[len(alone) :])


def test_padding_moves_no_gradient():
    model = Conv1DStack((5, 4), 3)
    variables = random_variables(model, X)
    lengths = jnp.array([12, 7, 4, 1])

    @jax.jit
    def gradient(x):
        return jax.grad(lambda v: (model.apply(v, x, False, lengths)[0] ** 2).sum())(variables)

    filled = jnp.where(jnp.arange(12)[None, :, None] < lengths[:, None, None], X, jnp.nan)
    jax.tree.map(np.testing.assert_array_equal, gradient(X), gradient(filled))


def test_dropout_drops_its_rate_in_training_only(key):
    model = Conv1DStack((40,), 1, 1, dropout=0.4)
    x = jnp.ones((20, 8, 2))
    variables = jax.tree.map(jnp.abs, random_variables(model, x))
    ys = jax.jit(lambda v: model.apply(v, x, train=True, rngs={"dropout": key})[0])(variables)
    dropped = np.asarray(ys) == 0
    assert abs(dropped.mean() - 0.4) <= 4 * (0.4 * 0.6 / dropped.size) ** 0.5
    assert np.all(run(model, variables, x) > 0)


def test_bfloat16_computes_near():
    exact, rounded = (Conv1DStack((8, 8), 3, dtype=dtype) for dtype in (None, jnp.bfloat16))
    variables = random_variables(exact, X)
    a, b = (run(model, variables, X) for model in (exact, rounded))
    assert b.dtype == jnp.bfloat16
    assert 0 < float(jnp.abs(a - b.astype(jnp.float32)).max()) < 0.05 * float(jnp.abs(a).max())


def called(x, *args):
    return jax.eval_shape(lambda: Conv1DStack((3,)).init(jax.random.key(0), x, False, *args))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: Conv1DStack(()), "features: got (), allowed: a sequence of widths, at least one"),
        (lambda: Conv1DStack((8, 0)), "features: got 0, allowed: at least 1"),
        (lambda: Conv1DStack((8,), 0), "kernel_size: got 0, allowed: at least 1"),
        (lambda: Conv1DStack((8,), pool=0), "pool: got 0, allowed: at least 1"),
        (lambda: Conv1DStack((8,), dropout=1.0), "dropout: got 1.0, allowed: a number in [0, 1)"),
        (lambda: called(X[0]), "x: got 'float32[12, 3]', allowed: floats [B, T, D]"),
        (
            lambda: called(X, jnp.array([1, 13, 2, 3])),
            "length[1]: got 13, allowed: an integer in [1, 12]",
        ),
        (
            lambda: called(X, None, (X,)),
            "carry: got <class 'tuple'>, allowed: None or (), since convolutions have no carry",
        ),
    ],
)
def test_says_in_one_line_what_is_allowed(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line
