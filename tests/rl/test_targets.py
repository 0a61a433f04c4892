"""Targets against numbers of rlax's tests, and against loops over the moves of an episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.rl import targets

RNG = np.random.default_rng(3)


def array(*values):
    return jnp.array(values, jnp.float32)


# The numbers are inputs and temporal-difference errors of rlax's tests of the same functions:
# google-deepmind/rlax, rlax/_src/value_learning_test.py, Apache licence 2.0.
CASES = {
    "q_learning": (
        *(targets.q_learning_target, array(1, 1), array(0, 1)),
        (array(0, 1, 0), array(1, 2, 0)),
        ((), ()),
        *(array(1, 2), array(0, 1)),
    ),
    "sarsa": (
        *(targets.sarsa_target, array(1, 1), array(0, 1)),
        (array(0, 1, 0), array(3, 2, 0)),
        ((jnp.int32(1),), (jnp.int32(0),)),
        *(array(1, 1), array(0, 3)),
    ),
    "expected_sarsa": (
        *(targets.expected_sarsa_target, array(4, 1), array(1, 1)),
        (array(1.5, 1, 2), array(3, 2, 1)),
        ((array(0.2, 0.5, 0.3),), (array(0.3, 0.4, 0.3),)),
        *(array(1, 1), array(4.4, 2)),
    ),
    "double_q": (
        *(targets.double_q_target, array(1, 1), array(0, 1)),
        (array(99, 1, 98), array(91, 2, 66)),
        ((array(2, 10, 1),), (array(11, 20, 1),)),
        *(array(1, 2), array(0, 1)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_targets_are_those_of_rlax(name):
    target, rewards, discounts, q, more, values, errors = CASES[name]
    for i in range(2):
        found = target(rewards[i], discounts[i], q[i], *more[i]) - values[i]
        assert float(found) == pytest.approx(float(errors[i]), rel=1e-6, abs=1e-6)


def n_steps(rewards, terminated, truncated, discount):
    """Returns reward, discount and last move by a loop."""
    total = 0.0
    factor = 1.0
    for i, reward in enumerate(rewards):
        total += factor * reward
        factor *= discount
        if terminated[i]:
            return total, 0.0, i
        if truncated[i]:
            return total, factor, i
    return total, factor, len(rewards) - 1


def test_returns_of_n_steps_are_those_of_a_loop():
    count = 0
    compute = jax.jit(lambda *args: targets.n_step_return(*args, 0.9))
    for _ in range(60):
        rewards = RNG.normal(size=4)
        terminated = RNG.random(4) < 0.2
        truncated = (RNG.random(4) < 0.2) & ~terminated
        found = compute(jnp.asarray(rewards, jnp.float32), terminated, truncated)
        expected = n_steps(rewards, terminated, truncated, 0.9)
        np.testing.assert_allclose([float(x) for x in found], expected, rtol=1e-5, atol=1e-6)
        count += bool(truncated[: int(found[2]) + 1].any())
    assert count > 10


def test_a_time_limit_is_no_failure():
    """The value after a cut episode counts; that after a failure does not."""
    no = jnp.zeros(2, bool)
    yes = jnp.array([False, True])
    rewards = array(1, 1)
    assert float(targets.n_step_return(rewards, no, yes, 0.5)[1]) == 0.25
    assert float(targets.n_step_return(rewards, yes, no, 0.5)[1]) == 0.0


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_returns_to_go_are_sums(discount):
    rewards = RNG.normal(size=7)
    found = targets.returns_to_go(jnp.asarray(rewards, jnp.float32), discount, 2.0)
    for t in range(7):
        powers = discount ** np.arange(7 - t)
        expected = (powers * rewards[t:]).sum() + discount ** (7 - t) * 2.0
        assert float(found[t]) == pytest.approx(expected, rel=1e-5, abs=1e-5)
