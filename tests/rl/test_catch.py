"""Tests of Catch against a loop in NumPy with the rules of bsuite."""

import jax
import numpy as np

from jaxdl import rl
from tests.rl.refused import refused

CATCH = rl.Catch()


def picture(row, ball, paddle):
    board = np.zeros((10, 5, 1), np.float32)
    board[row, ball] = 1
    board[9, paddle] = 1
    return board


def test_random_episodes_equal_a_loop():
    random = np.random.default_rng(0)
    step = jax.jit(CATCH.step)
    key = jax.random.key(0)
    for ball in range(5):
        state = CATCH.state_of(CATCH.index(CATCH.reset(key)._replace(ball=np.int32(ball))))
        paddle = 2
        for row in range(1, 10):
            action = int(random.integers(3))
            state, reward, terminated, truncated = step(state, action, key)
            paddle = min(max(paddle + action - 1, 0), 4)
            ends = row == 9
            expected = 0 if not ends else (1 if paddle == ball else -1)
            np.testing.assert_array_equal(CATCH.observe(state), picture(row, ball, paddle))
            found = float(reward), bool(terminated), bool(truncated)
            assert found == (expected, ends, False)


def test_the_ball_starts_in_every_column():
    states = jax.vmap(CATCH.reset)(jax.random.split(jax.random.key(0), 500))
    assert np.bincount(states.ball, minlength=5).min() > 60
    assert not states.row.any()
    assert (states.paddle == 2).all()


def test_indices_are_those_of_their_states():
    indices = np.arange(CATCH.states)
    np.testing.assert_array_equal(
        jax.vmap(lambda i: CATCH.index(CATCH.state_of(i)))(indices), indices
    )


def test_the_best_agent_catches_every_ball():
    values = rl.value_iteration(CATCH, 1.0).values
    for ball in range(5):
        assert values[CATCH.index(CATCH.reset(jax.random.key(0))._replace(ball=ball))] == 1
    assert rl.distances(CATCH)[0] == 9


def test_options_out_of_range_are_refused():
    with refused("rows", "at least 2"):
        rl.Catch(rows=1)
    with refused("columns", "an integer, at least 1"):
        rl.Catch(columns=2.5)
    with refused("rows", "less than 2^31"):
        rl.Catch(rows=2**20, columns=2**10)
