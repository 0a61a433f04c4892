"""Tests of the protocol: laws that every environment follows, and refused environments."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import rl
from tests.rl.refused import refused

ALL = list(rl.ENVIRONMENTS)
FINITE = [name for name in ALL if isinstance(rl.environment(name), rl.FiniteEnvironment)]
KEY = jax.random.key(3)


@pytest.mark.parametrize("name", ALL)
def test_every_environment_keeps_to_the_protocol(name):
    environment = rl.environment(name)
    rl.check_environment(environment)
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
    alone = jax.jit(lambda s, a, k: rl.step_and_reset(environment, s, a, k))
    for row in range(4):
        state = jax.tree.map(lambda x: x[row], states)
        single = alone(state, actions[row], keys[row])
        for one, all_ in zip(jax.tree.leaves(single), jax.tree.leaves(moved), strict=True):
            np.testing.assert_allclose(one, all_[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cart_pole", "mountain_car", "acrobot"])
def test_physical_states_are_float64_where_jax_is(name):
    environment = rl.environment(name)
    for x64, dtype in ((False, np.float32), (True, np.float64)):
        with jax.enable_x64(x64):
            state = environment.reset(jax.random.key(0))
            after, reward, _, _ = jax.jit(environment.step)(state, 1, jax.random.key(0))
            for each in (state, after):
                assert {leaf.dtype for leaf in each[:-1]} == {np.dtype(dtype)}
                assert each.moves.dtype == np.int32
            assert reward.dtype == environment.observe(after).dtype == np.float32


@pytest.mark.parametrize("name", FINITE)
def test_an_episode_that_is_over_stays_so(name):
    environment = rl.environment(name)
    world = rl.dynamics(environment)
    over = np.flatnonzero(world.terminal)
    outcomes = world.outcomes
    assert outcomes.terminated[over].all()
    assert not outcomes.rewards[over].any()
    possible = outcomes.probabilities[over] > 0
    following = np.where(possible, outcomes.following[over], over[:, None, None])
    np.testing.assert_array_equal(following.min((1, 2)), over)
    np.testing.assert_array_equal(following.max((1, 2)), over)
    # An outcome is terminated where its state is over, or where a move was illegal.
    legal = world.legal[..., None] & (outcomes.probabilities > 0)
    ends = world.terminal[outcomes.following]
    assert (outcomes.terminated == ends)[legal].all()


@pytest.mark.parametrize("name", ["cart_pole", "mountain_car", "acrobot"])
def test_the_limit_truncates_and_another_episode_starts(name):
    environment = rl.environment(name, limit=3)
    step = jax.jit(lambda s, k: rl.step_and_reset(environment, s, jnp.int32(0), k))
    state = environment.reset(KEY)
    ends = []
    for seed in range(4):
        moved, state = step(state, jax.random.key(seed))
        ends.append((bool(moved.terminated), bool(moved.truncated), int(state.moves)))
        continues = np.array_equal(moved.next_observation, environment.observe(state))
        assert continues == (not moved.truncated)
    assert ends == [(False, False, 1), (False, False, 2), (False, True, 0), (False, False, 1)]


def test_a_fall_on_the_last_move_is_no_limit():
    pole = rl.CartPole(limit=1)
    state = pole.reset(KEY)._replace(angle=jnp.float32(0.3))
    _, _, terminated, truncated = pole.step(state, jnp.int32(0), KEY)
    assert (bool(terminated), bool(truncated)) == (True, False)


class Point(NamedTuple):
    """A number."""

    x: jax.Array


@dataclasses.dataclass(frozen=True)
class Line(rl.FiniteEnvironment):
    """A point that moves along a line, with members that a test replaces."""

    changed: str = ""
    value: object = None

    action_names = ("left", "right")
    states = 10

    def changed_to(self, name, value):
        return self.value if self.changed == name else value

    def reset(self, key):
        return Point(self.changed_to("x", jnp.float32(0)))

    def step(self, state, action, key):
        after = self.changed_to("state", Point(state.x + 1))
        reward = self.changed_to("reward", jnp.float32(1))
        flags = [self.changed_to(name, jnp.bool_(False)) for name in ("terminated", "truncated")]
        stepped = (after, reward, *flags)
        return self.changed_to("step", stepped)

    def observe(self, state):
        return self.changed_to("observe", state.x[None])

    def legal(self, state):
        return self.changed_to("legal", jnp.ones(2, bool))

    def index(self, state):
        return self.changed_to("index", state.x.astype(jnp.int32))


def test_an_environment_of_the_user_passes():
    rl.check_environment(Line())


@pytest.mark.parametrize(
    ("changed", "value", "field", "allowed"),
    [
        ("x", jnp.float32(np.nan), "state.x", "finite numbers"),
        ("state", Point(jnp.float32(np.inf)), "state.x", "finite numbers"),
        ("state", Point(jnp.int32(1)), "step", "a state like that of reset"),
        ("state", Point(jnp.zeros(2)), "step", "a state like that of reset"),
        ("step", (Point(jnp.float32(1)), 1.0), "step", "(state, reward, terminated, truncated)"),
        ("reward", jnp.float32(np.nan), "reward", "finite numbers"),
        ("reward", jnp.int32(1), "reward", "float32[]"),
        ("reward", jnp.zeros(3), "reward", "float32[]"),
        ("terminated", jnp.int32(0), "terminated", "bool[]"),
        ("truncated", jnp.float32(0), "truncated", "bool[]"),
        ("observe", jnp.zeros((2, 2)), "observe", "float32 [D] or [H, W, C]"),
        ("observe", jnp.zeros(2, int), "observe", "float32 [D] or [H, W, C]"),
        ("observe", jnp.float32([np.nan]), "observe", "finite numbers"),
        ("legal", jnp.ones(3, bool), "legal", "bool[2]"),
        ("index", jnp.int32(10), "index", "an integer in [0, 10)"),
        ("index", jnp.float32(1), "index", "int32[]"),
    ],
)
def test_an_environment_that_breaks_the_protocol_is_refused(changed, value, field, allowed):
    with refused(field, allowed):
        rl.check_environment(Line(changed, value))


def test_an_episode_that_is_both_terminated_and_truncated_is_refused():
    state = Point(jnp.float32(1))
    stepped = (state, jnp.float32(0), jnp.bool_(True), jnp.bool_(True))
    with refused("truncated", "False for a terminated episode"):
        rl.check_environment(Line("step", stepped))


def test_an_environment_with_random_moves_needs_outcomes():
    @dataclasses.dataclass(frozen=True)
    class Walk(Line):
        """A random walk without `outcomes`."""

        def state_of(self, index):
            return Point(index.astype(jnp.float32))

        def over(self, state):
            return state.x >= 9

        def step(self, state, action, key):
            after = Point(state.x + jax.random.bernoulli(key).astype(jnp.float32))
            return after, jnp.float32(0), self.over(after), jnp.bool_(False)

    with refused("environment", "one with outcomes()"):
        rl.dynamics(Walk())


@pytest.mark.parametrize("action", [2, -1, 0.5, "left", np.array([0, 1, 2]), None])
def test_an_action_out_of_range_is_refused(action):
    with refused("action", "an integer in [0, 2): left, right"):
        rl.check_action(rl.CartPole(), action)


def test_actions_in_range_and_traced_ones_pass():
    rl.check_action(rl.CartPole(), np.array([0, 1]))
    rl.check_action(rl.CartPole(), jnp.int32(1))
    jax.jit(lambda a: rl.check_action(rl.CartPole(), a))(5)


def test_unknown_names_are_refused_with_the_nearest_one():
    with refused("environment", "(did you mean 'cart_pole'?)"):
        rl.environment("CartPole")
    with refused("environment", "acrobot, cart_pole, catch, flippers, mountain_car, tic_tac_toe"):
        rl.environment("zzz")
    with refused("option of flippers", "(did you mean 'flips'?)"):
        rl.environment("flippers", flip=0.1)
    with refused("limit", "less than 2**31"):
        rl.environment("acrobot", limit=2**31)
    with refused("environment", "an Environment"):
        rl.check_environment("flippers")
