"""Gradient penalties of a GAN against PyTorch and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.metrics import means
from jaxdl.tasks import gan
from tests.tasks.tiny_gan import BATCH, LINEAR, MASKED, D, G, latent, started
from tests.training.linear import KEY


def penalty_by_torch(params, x: np.ndarray, penalty: float, r1: float) -> tuple[float, dict]:
    """Returns the penalties of the discriminator `D` at `x`, and their gradients."""
    torch = pytest.importorskip("torch")
    p = jax.tree.map(
        lambda x: torch.tensor(np.array(x), requires_grad=True), params["discriminator"]
    )
    x = torch.tensor(x.reshape(6, 3), requires_grad=True)
    h = torch.tanh(x @ p["dense_0"]["kernel"] + p["dense_0"]["bias"])
    score = h @ p["out"]["kernel"] + p["out"]["bias"]
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    value = (penalty * (gradient.norm(dim=1) - 1) ** 2 + r1 / 2 * (gradient**2).sum(1)).mean()
    value.backward()
    return value.item(), jax.tree.map(
        lambda x: np.zeros(x.shape) if x.grad is None else x.grad.numpy(), p
    )


def penalty_and_gradient(loss, plain_loss, params, extra, batch):
    """Returns the difference of two losses and of their gradients."""
    with_penalty, without = (
        jax.value_and_grad(lambda p, f=f: f(p, extra, batch, KEY, train=True)[0])(params)
        for f in (loss, plain_loss)
    )
    return jax.tree.map(lambda a, b: np.asarray(a - b), with_penalty, without)


@pytest.mark.parametrize("weights", [{"penalty": 3.0}, {"r1": 2.0}], ids=["penalty", "r1"])
def test_penalties_and_their_gradients_match_pytorch(weights):
    task, params, extra, loss, _ = started(**weights)
    plain_loss = started()[3]
    value, grads = penalty_and_gradient(loss, plain_loss, params, extra, BATCH)
    u = np.asarray(jax.random.uniform(jax.random.fold_in(KEY, 2), (6, 1, 1)))
    x = np.asarray(BATCH["input"])
    if "penalty" in weights:
        x = u * x + (1 - u) * np.asarray(task.generate(params, extra, latent()))
    expected, expected_grads = penalty_by_torch(
        params, x, weights.get("penalty", 0), weights.get("r1", 0)
    )
    assert float(value) == pytest.approx(expected, rel=1e-4)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=2e-6),
        grads["discriminator"],
        expected_grads,
    )
    assert float(loss(params, extra, BATCH, KEY, train=False)[0]) == float(
        plain_loss(params, extra, BATCH, KEY, train=False)[0]
    )


def test_penalties_of_a_linear_discriminator_depend_on_its_slope_alone():
    _, params, extra, loss, _ = started(LINEAR, loss="wasserstein", penalty=3.0, r1=2.0)
    plain_loss = started(LINEAR, loss="wasserstein")[3]
    w = np.asarray(params["discriminator"]["out"]["kernel"], np.float64)
    size = np.linalg.norm(w)
    for batch in (BATCH, MASKED):
        value, grads = penalty_and_gradient(loss, plain_loss, params, extra, batch)
        assert float(value) == pytest.approx(3 * (size - 1) ** 2 + size**2, rel=1e-4)
        expected = 6 * (size - 1) * w / size + 2 * w
        np.testing.assert_allclose(
            grads["discriminator"]["out"]["kernel"], expected, rtol=1e-3, atol=1e-5
        )


def test_penalties_of_a_constant_discriminator_have_a_finite_gradient():
    _, params, extra, loss, _ = started(LINEAR, loss="wasserstein", penalty=3.0, r1=2.0)
    params = jax.tree.map(jnp.zeros_like, params)
    value, grads = jax.value_and_grad(lambda p: loss(p, extra, BATCH, KEY, train=True)[0])(params)
    assert float(value) == pytest.approx(3, rel=1e-4)
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(grads))


def test_gradients_reach_the_right_network():
    _, params, extra, *losses = started(penalty=3.0, r1=2.0)
    of_discriminator, of_generator = (
        jax.grad(lambda p, f=f: f(p, extra, BATCH, KEY, train=True)[0])(params) for f in losses
    )
    assert not any(bool(x.any()) for x in jax.tree.leaves(of_discriminator["generator"]))
    assert any(bool(x.any()) for x in jax.tree.leaves(of_discriminator["discriminator"]))
    assert all(bool(x.any()) for x in jax.tree.leaves(of_generator["generator"]))


def test_runs_of_a_sweep_can_differ_in_their_penalties():
    def make(penalty, r1, label_smoothing):
        task = gan(G, D, latent=2, penalty=penalty, r1=r1, label_smoothing=label_smoothing)
        return jaxdl.learner(task.init, *task.updates(optax.sgd(0.1), optax.sgd(0.1)))

    values = {"penalty": [0.5, 2.0], "r1": [0.1, 0.3], "label_smoothing": [0.1, 0.2]}
    net = jaxdl.sweep(make, **values)
    states = net.init(jnp.stack([KEY, KEY]), BATCH)
    for i in range(2):
        alone = make(*(value[i] for value in values.values()))
        _, metrics = jax.jit(net.step)(states.member(i), BATCH, KEY)
        _, expected = jax.jit(alone.step)(alone.init(KEY, BATCH), BATCH, KEY)
        for name, value in means(expected).items():
            assert means(metrics)[name] == pytest.approx(value, rel=1e-5)
