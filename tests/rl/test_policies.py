"""Policies: their probabilities by counting, ties, forbidden actions, schedules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.rl import policies

KEY = jax.random.key(2)
RNG = np.random.default_rng(1)
DRAWS = 4000


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("q", "legal"),
    [
        ([1.0, 3.0, 3.0, 2.0], [True, True, True, True]),
        ([1.0, 3.0, 3.0, 9.0], [True, True, True, False]),
        ([-np.inf, -np.inf, -np.inf, 0.0], [True, True, False, False]),
        ([-5.0, -7.0, -6.0, -5.0], [False, True, False, True]),
    ],
)
def test_frequencies_are_the_probabilities(q, legal, epsilon):
    q = jnp.array(q, jnp.float32)
    legal = jnp.array(legal)
    choose = jax.jit(jax.vmap(lambda key: policies.epsilon_greedy(q, legal, epsilon, key)))
    actions = np.asarray(choose(jax.random.split(KEY, DRAWS)))
    share = np.bincount(actions, minlength=4) / DRAWS
    p = np.asarray(policies.epsilon_greedy_probabilities(q, legal, epsilon))
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    assert (share[~np.asarray(legal)] == 0).all()
    assert (abs(share - p) <= 4 * np.sqrt(p * (1 - p) / DRAWS) + 1e-6).all()


def test_greedy_breaks_ties_at_random_or_takes_the_first():
    q = jnp.array([2.0, 5.0, 5.0, 5.0])
    legal = jnp.array([True, False, True, True])
    assert int(policies.greedy(q, legal)) == 2
    drawn = jax.vmap(lambda key: policies.greedy(q, legal, key))(jax.random.split(KEY, 200))
    assert set(np.asarray(drawn).tolist()) == {2, 3}


def test_the_schedule_is_linear_and_then_constant():
    counts = jnp.array([0, 1, 5, 10, 11, 1000])
    found = jax.vmap(lambda n: policies.linear_schedule((0.8, 0.2, 10), n))(counts)
    np.testing.assert_allclose(found, [0.8, 0.74, 0.5, 0.2, 0.2, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.5, 0.1, 10), "exploration: got 1.5, allowed: probabilities in [0, 1]"),
        ((1.0, -0.1, 10), "exploration: got -0.1, allowed: probabilities in [0, 1]"),
        ((1.0, np.nan, 10), "exploration: got nan, allowed: probabilities in [0, 1]"),
        ((1.0, 0.1, 0), "exploration steps: got 0, allowed: at least 1"),
        (0.1, "exploration: got 0.1, allowed: first and last probability"),
    ],
)
def test_bad_schedules(values, message):
    with pytest.raises(InputError) as error:
        policies.check_exploration(values)
    assert str(error.value).startswith(message)
