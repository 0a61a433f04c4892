"""Adversarial losses and penalties against NumPy, closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.losses import adversarial_losses, gradient_penalty, squared_gradient_norm

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=40).astype(np.float32) * 3
EXPECTED = {
    "nonsaturating": (np.logaddexp(0, -SCORES), np.logaddexp(0, SCORES), np.logaddexp(0, -SCORES)),
    "hinge": (np.maximum(1 - SCORES, 0), np.maximum(1 + SCORES, 0), -SCORES),
    "wasserstein": (-SCORES, SCORES, -SCORES),
    "least_squares": ((SCORES - 1) ** 2, SCORES**2, (SCORES - 1) ** 2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_losses_of_scores_match_numpy(name):
    values = [loss(jnp.asarray(SCORES)) for loss in adversarial_losses(name)]
    for value, expected in zip(values, EXPECTED[name], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError) as caught:
        adversarial_losses("l2")
    names = "hinge, least_squares, nonsaturating, wasserstein"
    assert str(caught.value) == f"loss: got 'l2', allowed: {names}"


def score(x):
    """Computes a score per example, with one gradient for each."""
    return jnp.sin(x).sum((1, 2)) * x[:, 0, 0]


def test_squared_norm_matches_finite_differences():
    x = RNG.normal(size=(3, 2, 4)).astype(np.float32)
    norms = np.asarray(squared_gradient_norm(score, jnp.asarray(x)))
    eps = 1e-2
    for i in range(3):
        slopes = []
        for index in np.ndindex(2, 4):
            step = np.zeros_like(x)
            step[i][index] = eps
            slopes.append(float((score(x + step) - score(x - step))[i]) / (2 * eps))
        assert norms[i] == pytest.approx(np.square(slopes).sum(), rel=1e-2)


def test_the_penalty_is_computed_between_both_examples():
    real = RNG.normal(size=(5, 2, 4)).astype(np.float32)
    fake = RNG.normal(size=(5, 2, 4)).astype(np.float32)
    u = np.asarray(jax.random.uniform(KEY, (5, 1, 1)))
    norm = np.sqrt(squared_gradient_norm(score, jnp.asarray(u * real + (1 - u) * fake)))
    np.testing.assert_allclose(
        gradient_penalty(score, real, fake, KEY), (norm - 1) ** 2, rtol=1e-4, atol=1e-6
    )


def test_the_penalty_of_a_constant_score_has_a_finite_gradient():
    x = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)

    def penalty(weight):
        return gradient_penalty(lambda x: weight * x.sum(-1), x, 2 * x, KEY).sum()

    value, slope = jax.value_and_grad(penalty)(0.0)
    assert float(value) == pytest.approx(4, rel=1e-4)
    assert np.isfinite(slope)
