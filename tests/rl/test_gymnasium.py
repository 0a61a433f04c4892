"""Tests against Gymnasium: equal steps, agents in its environments, and ours in its checker."""

import math
import sys
import warnings

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from jaxdl import rl
from jaxdl.errors import JaxdlError
from jaxdl.rl import gymnasium as adapter
from tests.rl.gymnasium_steps import NAMES, compare
from tests.rl.refused import refused

#: Warnings of Gymnasium's checker on limits that its CartPole does not have either.
INFINITE = "A Box observation space m.*imum value is -?infinity"


def upright(observation):
    """Returns the push that keeps a pole upright."""
    return int(observation[2] + 0.2 * observation[3] > 0)


@pytest.mark.parametrize("name", NAMES)
def test_steps_equal_those_of_gymnasium(name):
    exact = compare(name, 1000, np.float64)
    assert exact.share.max() < 1e-12
    assert exact.flags == exact.near == 0
    single = compare(name, 1000, np.float32)
    assert single.share.max() < 1e-6
    assert single.observed < 1e-6
    assert single.flags <= single.near


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_10000_steps_equal_those_of_gymnasium_from_everywhere(name):
    exact = compare(name, 10_000, np.float64, anywhere=True)
    assert exact.share.max() < 1e-12
    assert exact.flags <= exact.near
    assert exact.ends > 10
    single = compare(name, 10_000, np.float32)
    assert single.share.max() < 1e-6
    assert single.flags <= single.near


@pytest.mark.parametrize("name", NAMES)
def test_first_observations_and_limits_are_those_of_gymnasium(name):
    environment = rl.environment(name)
    theirs = gymnasium.make(NAMES[name])
    assert theirs.spec.max_episode_steps == environment.limit
    ours = rl.to_gymnasium(environment)
    assert ours.action_space == theirs.action_space
    np.testing.assert_allclose(ours.observation_space.low, theirs.observation_space.low)
    np.testing.assert_allclose(ours.observation_space.high, theirs.observation_space.high)
    keys = jax.random.split(jax.random.key(0), 300)
    found = jax.vmap(lambda key: environment.observe(environment.reset(key)))(keys)
    known = np.array([theirs.reset(seed=seed)[0] for seed in range(300)])
    tolerance = 0.15 * np.ptp(known, 0) + 1e-9
    for reduce in (np.min, np.mean, np.max):
        assert (abs(reduce(found, axis=0) - reduce(known, axis=0)) < tolerance).all()


@pytest.mark.parametrize("name", ["flippers", "catch", "tic_tac_toe", *NAMES])
def test_environments_pass_the_checker_of_gymnasium(name):
    env = rl.to_gymnasium(rl.environment(name), seed=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*{INFINITE}")
        check_env(env, skip_render_check=True)


def test_a_trained_agent_is_evaluated_in_gymnasium():
    returns = rl.evaluate_in_gymnasium(upright, "CartPole-v1", episodes=3, seed=5)
    assert returns.tolist() == [500.0, 500.0, 500.0]
    fallen = [rl.evaluate_in_gymnasium(lambda x: np.int64(1), "CartPole-v1", 4) for _ in range(2)]
    assert fallen[0].tolist() == fallen[1].tolist()
    assert fallen[0].max() < 20


def test_our_pole_in_gymnasium_gives_the_same_returns_as_theirs():
    ours = rl.to_gymnasium(rl.CartPole(limit=60))
    theirs = gymnasium.make("CartPole-v1", max_episode_steps=60)
    for env in (ours, theirs):
        assert rl.evaluate_in_gymnasium(upright, env, episodes=2).tolist() == [60.0, 60.0]


def test_episodes_depend_on_the_seed_only():
    env = rl.to_gymnasium(rl.Flippers(flips=0.5), seed=3)

    def play(seed):
        boards = [env.reset(seed=seed)[0]]
        for action in range(3):
            boards.append(env.step(action)[0])
        return np.array(boards).tolist()

    first = play(None)
    again = play(None)
    assert first != again
    assert play(3) == first
    assert play(None) == again
    other = rl.to_gymnasium(rl.Flippers(flips=0.5), seed=3).reset()[0].tolist()
    assert other == first[0]


def test_the_mask_has_the_legal_moves():
    env = rl.to_gymnasium(rl.TicTacToe(first="agent"))
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1] * 9
    observation, _, _, _, info = env.step(4)
    assert info["action_mask"].sum() == 7
    np.testing.assert_array_equal(info["action_mask"], observation.sum(-1).ravel() == 0)
    assert env.action_space.sample(mask=info["action_mask"]) != 4


def test_wrong_uses_are_refused():
    env = rl.to_gymnasium(rl.Flippers())
    with refused("step", "reset() first"):
        env.step(0)
    env.reset(seed=0)
    with refused("action", "an integer in [0, 9): row 1 column 1"):
        env.step(9)
    with refused("environment", "one of a single player"):
        rl.to_gymnasium(rl.TicTacToe(opponent="self"))
    with refused("environment", "an Environment, such as of rl.environment"):
        rl.to_gymnasium(env)
    with refused("gym_env", "a registered environment"):
        rl.evaluate_in_gymnasium(upright, "CartPool-v1")
    with refused("gym_env", "a gymnasium.Env, or the name of one"):
        rl.evaluate_in_gymnasium(upright, rl.CartPole())
    with refused("action", "an element of Discrete(2)"):
        rl.evaluate_in_gymnasium(lambda x: 2, "CartPole-v1")
    with refused("episodes", "at least 1"):
        rl.evaluate_in_gymnasium(upright, "CartPole-v1", episodes=0)


class Broken(gymnasium.Env):
    """An environment with a NaN."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, observation, reward):
        self.numbers = np.float32([observation]), reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return *self.numbers, False, False, {}


@pytest.mark.parametrize(
    ("field", "numbers"), [("observation", (math.nan, 0.0)), ("reward", (0.0, math.nan))]
)
def test_a_nan_of_an_environment_is_found(field, numbers):
    with refused(field, "finite numbers from the environment"):
        rl.evaluate_in_gymnasium(lambda x: 0, Broken(*numbers))


def test_without_gymnasium_one_line_names_the_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.setattr(adapter, "_class", adapter._class.__wrapped__)
    for use in (
        lambda: rl.evaluate_in_gymnasium(upright, "CartPole-v1"),
        lambda: rl.to_gymnasium(rl.CartPole()),
    ):
        with pytest.raises(JaxdlError) as raised:
            use()
        message = "gymnasium is not installed; run: pip install 'jaxdl[rl]'"
        assert str(raised.value) == message
