"""Tests of the protocol: laws that every environment follows, and refused environments."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxdl import rl
from jaxdl.rl.environment import check_environment

ALL = list(rl.ENVIRONMENTS)
KEY = jax.random.key(3)


@pytest.mark.parametrize("name", ALL)
def test_every_environment_keeps_to_the_protocol(name):
    environment = rl.environment(name)
    check_environment(environment)
    assert environment == rl.environment(name)
    assert hash(environment) == hash(rl.environment(name))
    assert environment.actions == len(set(environment.action_names))
    assert dataclasses.replace(environment) == environment


@pytest.mark.parametrize("name", ALL)
def test_a_batch_of_moves_in_compiled_code_equals_single_moves(name):
    environment = rl.environment(name)

    @jax.jit
    def batch(keys, actions):
        states = jax.vmap(environment.reset)(keys)
        step = jax.vmap(lambda s, a, k: rl.step_and_reset(environment, s, a, k))
        return states, step(states, actions, keys)

    keys = jax.random.split(KEY, 4)
    actions = np.arange(4, dtype=np.int32) % environment.actions
    states, moved = batch(keys, actions)
    for row in range(4):
        state = jax.tree.map(lambda x: x[row], states)
        alone = rl.step_and_reset(environment, state, int(actions[row]), keys[row])
        for one, all_ in zip(jax.tree.leaves(alone), jax.tree.leaves(moved), strict=True):
            np.testing.assert_allclose(one, all_[row], rtol=1e-5, atol=1e-6)
