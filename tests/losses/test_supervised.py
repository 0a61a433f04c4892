"""Losses against PyTorch, SciPy, Monte Carlo and finite differences, and at extreme inputs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.stats import norm

from jaxdl import losses
from jaxdl.errors import InputError
from jaxdl.metrics import total

BATCH = 6
CLASSES = 5
RNG = np.random.default_rng(0)
LOGITS, OTHER, TARGET = (RNG.normal(0, 3, (BATCH, CLASSES)).astype(np.float32) for _ in range(3))
LABEL = RNG.integers(0, CLASSES, BATCH).astype(np.int32)
SHARE = RNG.dirichlet(np.ones(CLASSES), BATCH).astype(np.float32)
UNIT = RNG.uniform(size=(BATCH, CLASSES)).astype(np.float32)

PAIRS = {
    "binary_cross_entropy": (losses.binary_cross_entropy, LOGITS, UNIT),
    "continuous_bernoulli": (losses.continuous_bernoulli, LOGITS, UNIT),
    "gaussian_nll": (functools.partial(losses.gaussian_nll, sigma=0.6), LOGITS, TARGET),
    "mse": (losses.mse, LOGITS, TARGET),
    "mae": (losses.mae, LOGITS, TARGET),
    "huber": (functools.partial(losses.huber, delta=1.7), LOGITS, TARGET),
    "gaussian_kl": (losses.gaussian_kl, LOGITS, OTHER),
    "categorical_kl": (losses.categorical_kl, LOGITS, OTHER),
    "cross_entropy": (losses.cross_entropy, LOGITS, SHARE),
    "smoothed cross_entropy": (
        functools.partial(losses.cross_entropy, label_smoothing=0.2),
        LOGITS,
        SHARE,
    ),
}


def peer(name, x, y):
    """Returns PyTorch's value of the same loss per example, from tensors `[B, D]`."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    none = {"reduction": "none"}
    log = functools.partial(functional.log_softmax, dim=-1)
    standard = torch.distributions.Normal(0.0, 1.0)
    return {
        "binary_cross_entropy": lambda: functional.binary_cross_entropy_with_logits(
            x, y, **none
        ).sum(-1),
        # In float64, because PyTorch computes probabilities and loses precision near 1.
        "continuous_bernoulli": lambda: (
            -torch.distributions.ContinuousBernoulli(logits=x.double()).log_prob(y.double()).sum(-1)
        ),
        "gaussian_nll": lambda: -torch.distributions.Normal(x, 0.6).log_prob(y).sum(-1),
        "mse": lambda: functional.mse_loss(x, y, **none).mean(-1),
        "mae": lambda: functional.l1_loss(x, y, **none).mean(-1),
        "huber": lambda: functional.huber_loss(x, y, delta=1.7, **none).mean(-1),
        "gaussian_kl": lambda: torch.distributions.kl_divergence(
            torch.distributions.Normal(x, (0.5 * y).exp()), standard
        ).sum(-1),
        "categorical_kl": lambda: functional.kl_div(log(y), log(x), log_target=True, **none).sum(
            -1
        ),
        "cross_entropy": lambda: functional.cross_entropy(x, y, **none),
        "smoothed cross_entropy": lambda: functional.cross_entropy(
            x, y, label_smoothing=0.2, **none
        ),
    }[name]()


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_torch_in_value_and_gradient(name):
    loss, x, y = PAIRS[name]
    torch = pytest.importorskip("torch")
    value = jax.vmap(loss)(x, y)
    grad = jax.vmap(jax.grad(loss))(x, y)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.tensor(y)
    expected = peer(name, tx, ty)
    expected.sum().backward()
    assert value.shape == (BATCH,)
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(grad, tx.grad.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_gradient_agrees_with_finite_differences(name):
    loss, x, y = PAIRS[name]
    check_grads(
        lambda x: loss(x, y[0]), (x[0],), order=1, modes=["fwd", "rev"], atol=2e-2, rtol=2e-2
    )


@pytest.mark.parametrize("name", ["gaussian_kl", "categorical_kl"])
def test_both_arguments_of_a_divergence_have_gradients(name):
    loss, x, y = PAIRS[name]
    check_grads(loss, (x[0], y[0]), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_an_integer_label_equals_a_one_hot_label(smoothing):
    loss = jax.vmap(functools.partial(losses.cross_entropy, label_smoothing=smoothing))
    one_hot = np.eye(CLASSES, dtype=np.float32)[LABEL]
    exact = LOGITS.astype(np.float64)
    log = exact - np.log(np.exp(exact).sum(-1, keepdims=True))
    target = (1 - smoothing) * one_hot + smoothing / CLASSES
    expected = -(target * log).sum(-1)
    np.testing.assert_allclose(loss(LOGITS, LABEL), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(LOGITS, one_hot), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(LOGITS, one_hot.astype(np.int32)), expected, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("label", [CLASSES, 127, -1, -CLASSES, -100])
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_integer_label_beyond_the_classes_is_nan(smoothing, label, dtype):
    assert np.isnan(
        losses.cross_entropy(jnp.asarray(LOGITS[0]), jnp.array(label, dtype), smoothing)
    )


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_masked_label_beyond_the_classes_does_no_harm(label):
    def loss(logits):
        each = jax.vmap(losses.cross_entropy)(logits, jnp.array([label, 3]))
        return total(each, jnp.array([0.0, 1.0]))[0]

    value, grad = jax.value_and_grad(loss)(jnp.asarray(LOGITS[:2]))
    expected = jax.value_and_grad(losses.cross_entropy)(jnp.asarray(LOGITS[1]), jnp.array(3))
    np.testing.assert_allclose(value, expected[0], rtol=1e-6)
    np.testing.assert_allclose(
        grad, np.stack([np.zeros(CLASSES), expected[1]]), rtol=1e-5, atol=1e-7
    )


def test_gaussian_kl_agrees_with_monte_carlo(key):
    mean = jnp.array([0.5, -1.0, 0.0])
    logvar = jnp.array([0.3, -0.8, 1.0])
    noise = jax.random.normal(key, (200_000, 3))
    z = mean[None] + jnp.exp(logvar / 2)[None] * noise
    log_q = -0.5 * (noise**2 + logvar[None]).sum(-1)
    log_p = -0.5 * (z**2).sum(-1)
    sample = np.asarray(log_q - log_p, np.float64)
    error = 5 * sample.std() / np.sqrt(sample.size)
    assert error < 0.02
    assert float(losses.gaussian_kl(mean, logvar)) == pytest.approx(sample.mean(), abs=error)


def test_gaussian_kl_is_precise_near_zero():
    """Near 0 KL = v^2 / 4, where exp(v) - 1 - v in float32 is 0 or a rounding error."""
    v = np.float32(1e-3)
    divergence = float(losses.gaussian_kl(jnp.zeros(1), jnp.array([v])))
    assert divergence == pytest.approx(v**2 / 4, rel=1e-3)


def test_continuous_bernoulli_is_a_density():
    nodes, weights = np.polynomial.legendre.leggauss(40)
    target = jnp.asarray((nodes + 1) / 2, jnp.float32)
    logits = np.array([0, 1e-6, 1e-3, 0.00999, 0.01001, 0.3, 2, 5, 30], np.float32)
    logits = np.concatenate([logits, -logits])
    over = jax.vmap(jax.vmap(losses.continuous_bernoulli, (None, 0)), (0, None))
    density = np.exp(-np.asarray(jax.jit(over)(logits, target), np.float64))
    np.testing.assert_allclose(density @ (weights / 2), np.ones(len(logits)), rtol=1e-5)


def test_continuous_bernoulli_gradient_near_zero_is_finite_and_precise():
    """The gradient is dL/dx = E[t] - t, with E[t] = 1/2 + x/12 - x^3/720 and slope 1/12 near 0."""
    x = np.array([0, 1e-30, 1e-3, 0.00999, 0.01001, -0.01001, -0.1], np.float32)
    target = UNIT[0, 0]
    both = jax.jit(jax.vmap(jax.value_and_grad(jax.grad(losses.continuous_bernoulli)), (0, None)))
    gradient, curvature = both(x, target)
    np.testing.assert_allclose(gradient, 1 / 2 + x / 12 - x**3 / 720 - target, atol=3e-5)
    np.testing.assert_allclose(curvature, np.full(len(x), 1 / 12), atol=5e-3)
    x = RNG.uniform(-0.0999, 0.0999, 50).astype(np.float32)  # the whole range of the series
    np.testing.assert_allclose(both(x, target)[0], 1 / 2 + x / 12 - x**3 / 720 - target, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 7.5])
def test_gaussian_nll_agrees_with_scipy(sigma):
    loss = jax.vmap(functools.partial(losses.gaussian_nll, sigma=sigma))
    expected = -norm.logpdf(TARGET.astype(np.float64), LOGITS.astype(np.float64), sigma).sum(-1)
    np.testing.assert_allclose(loss(LOGITS, TARGET), expected, rtol=1e-5)


def test_divergences_are_positive_and_zero_at_equality():
    assert (jax.vmap(losses.categorical_kl)(LOGITS, OTHER) > 0.01).all()
    np.testing.assert_allclose(
        jax.vmap(losses.categorical_kl)(LOGITS, LOGITS + 7), np.zeros(BATCH), atol=1e-5
    )
    assert (jax.vmap(losses.gaussian_kl)(LOGITS, OTHER) > 0.01).all()
    assert float(losses.gaussian_kl(jnp.zeros(3), jnp.zeros(3))) == 0


@pytest.mark.parametrize("size", [1e2, 1e6, 1e30])
def test_extreme_logits_stay_finite(size):
    x = jnp.array([size, -size, 0.0, size / 2])
    cases = [
        lambda x: losses.cross_entropy(x, jnp.array(1)),
        lambda x: losses.cross_entropy(x, jnp.array(1), 0.1),
        lambda x: losses.cross_entropy(x, jnp.array([0.25, 0.0, 0.0, 0.75])),
        lambda x: losses.binary_cross_entropy(x, jnp.array([0.0, 1.0, 0.5, 1.0])),
        lambda x: losses.continuous_bernoulli(x, jnp.array([0.0, 1.0, 0.5, 1.0])),
        lambda x: losses.categorical_kl(x, -x),
        lambda x: losses.mae(x, -x),
        lambda x: losses.huber(x, jnp.zeros(4)),
    ]
    values, grads = jax.jit(
        lambda x: list(zip(*(jax.value_and_grad(case)(x) for case in cases), strict=True))
    )(x)
    assert np.isfinite(np.array(values)).all()
    assert np.isfinite(np.array(grads)).all()
    assert float(values[0]) == pytest.approx(2 * size, rel=1e-6)
    assert float(values[3]) == pytest.approx(2 * size + np.log(2), rel=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_bfloat16_is_computed_in_float32(name):
    loss, x, y = PAIRS[name]
    x, y = (jnp.asarray(a[0], jnp.bfloat16) for a in (x, y))
    value = loss(x, y)
    assert value.dtype == jnp.float32
    assert value == loss(x.astype(jnp.float32), y.astype(jnp.float32))


def test_integer_targets_are_converted():
    x = jnp.asarray(LOGITS[0])
    bits = jnp.array([0, 1, 1, 0, 1])
    assert losses.binary_cross_entropy(x, bits) == losses.binary_cross_entropy(
        x, bits.astype(jnp.float32)
    )
    assert losses.mse(x, bits) == losses.mse(x, bits.astype(jnp.float32))


@pytest.mark.parametrize(
    "name", ["binary_cross_entropy", "continuous_bernoulli", "gaussian_nll", "mse", "mae", "huber"]
)
def test_unequal_shapes_are_refused_and_not_broadcast(name):
    with pytest.raises(InputError) as raised:
        PAIRS[name][0](jnp.arange(4.0), jnp.ones((4, 1)))
    assert str(raised.value) == "target: got (4, 1), allowed: shape (4,)"


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: losses.gaussian_kl(jnp.ones(4), jnp.ones((4, 1))),
            "logvar: got (4, 1), allowed: shape (4,)",
        ),
        (
            lambda: losses.categorical_kl(jnp.ones(4), jnp.ones(3)),
            "logits_q: got (3,), allowed: shape (4,)",
        ),
        (
            lambda: losses.categorical_kl(jnp.ones((2, 4)), jnp.ones((2, 4))),
            "logits_p: got (2, 4), allowed: shape (C,) of one example; use vmap for a batch",
        ),
        (
            lambda: losses.cross_entropy(jnp.ones((2, 4)), jnp.array([1, 2])),
            "logits: got (2, 4), allowed: shape (C,) of one example; use vmap for a batch",
        ),
        (
            lambda: losses.cross_entropy(jnp.ones(4), jnp.array([1])),
            "label: got 'int32[1]', allowed: an integer of shape (), or shape (4,)",
        ),
        (
            lambda: losses.cross_entropy(jnp.ones(4), jnp.array(1.0)),
            "label: got 'float32[]', allowed: an integer of shape (), or shape (4,)",
        ),
        (
            lambda: losses.cross_entropy(jnp.ones(4), jnp.array(1), 1.0),
            "label_smoothing: got 1.0, allowed: a number in [0, 1)",
        ),
        (
            lambda: losses.huber(jnp.ones(4), jnp.ones(4), 0.0),
            "delta: got 0.0, allowed: a finite number above 0; without a linear part, mse / 2",
        ),
        (
            lambda: losses.gaussian_nll(jnp.ones(4), jnp.ones(4), -0.5),
            "sigma: got -0.5, allowed: a finite number above 0",
        ),
        (
            lambda: losses.gaussian_nll(jnp.ones(4), jnp.ones(4), float("nan")),
            "sigma: got nan, allowed: a finite number above 0",
        ),
    ],
)
def test_bad_input_is_refused(call, line):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value) == line


def test_shapes_are_checked_inside_vmap_and_jit():
    with pytest.raises(InputError, match="target"):
        jax.jit(jax.vmap(losses.mse))(jnp.ones((2, 4)), jnp.ones((2, 4, 1)))


def test_huber_takes_a_traced_delta_and_refuses_an_infinite_one():
    x = jnp.asarray([0.5, -3.0, 2.0, 0.0])
    traced = jax.jit(lambda delta: losses.huber(x, jnp.zeros(4), delta))(1.7)
    errors = np.abs(np.asarray(x, np.float64))
    expected = np.where(errors <= 1.7, errors**2 / 2, 1.7 * (errors - 0.85)).mean()
    assert float(traced) == pytest.approx(expected, rel=1e-6)
    for delta in (np.inf, np.nan, -1.0):
        with pytest.raises(InputError, match="^delta: got .*, allowed: a finite number above 0"):
            losses.huber(x, jnp.zeros(4), delta)


@pytest.mark.parametrize("loss", [losses.mse, losses.gaussian_nll, losses.binary_cross_entropy])
def test_losses_of_doubles_are_doubles(loss):
    with jax.enable_x64(True):
        assert loss(jnp.full(3, 0.3, jnp.float64), jnp.ones(3)).dtype == jnp.float64


def test_numbers_are_examples_of_one_feature():
    assert float(losses.mse(1.0, 3)) == 4
    assert float(losses.mae(jnp.ones(()), 3)) == 2
    expected = -math.log(1 / (1 + math.exp(-0.3)))
    assert float(losses.binary_cross_entropy(0.3, 1)) == pytest.approx(expected)
    assert float(losses.cross_entropy([0.0, 0.0], 1)) == pytest.approx(math.log(2))
