"""Tests of the exact solvers: figures of Flippers, brute force, and closed forms."""

import dataclasses
import math

import numpy as np
import pytest

from jaxdl import rl
from jaxdl.errors import InputError
from jaxdl.rl.environment import FiniteEnvironment, Outcomes
from tests.rl.refused import refused

GAME = rl.Flippers()
FLIPS = rl.Flippers(flips=0.1)
OPEN = rl.distances(GAME) > 0
UNIFORM = np.full((512, 9), 1 / 9)


@pytest.mark.parametrize(
    ("discount", "total"),
    [(0.85, 388.510174), (0.9, 425.124990), (0.95, 464.250500), (0.99, 497.434643)],
)
def test_values_of_the_game_are_powers_of_the_discount(discount, total):
    found = rl.value_iteration(GAME, discount)
    distance = rl.distances(GAME)
    np.testing.assert_allclose(found.values[OPEN], discount ** (distance[OPEN] - 1), rtol=1e-12)
    assert abs(found.values.sum() - total) < 1e-6
    assert found.sweeps == 6 + 1
    assert (found.values[~OPEN] == 0).all()
    assert (found.q[~OPEN] == 0).all()
    assert rl.optimal_boards(found.q) == 506
    moves = rl.expected_moves(GAME, rl.greedy(found.q, tolerance=1e-9))
    np.testing.assert_allclose(moves, distance, atol=1e-9)


def test_distances_of_the_game():
    distance = rl.distances(GAME)
    assert np.bincount(distance).tolist() == [6, 54, 162, 187, 87, 15, 1]
    assert (distance[0], distance[511]) == (3, 6)
    assert abs(distance[OPEN].mean() - 2.7036) < 5e-5
    assert abs(distance.mean() - 2.6719) < 5e-5
    best = rl.greedy(rl.value_iteration(GAME, 0.9).q, tolerance=1e-9) > 0
    assert (best[OPEN].sum(1) == 1).sum() == 54
    assert abs(best[OPEN].sum(1).mean() - 4.553) < 5e-4
    assert rl.distances(FLIPS).tolist() == np.minimum(distance, rl.distances(FLIPS)).tolist()


def test_a_cost_of_each_move_gives_minus_the_distance():
    found = rl.value_iteration(rl.Flippers(reward="move"), 1.0)
    np.testing.assert_array_equal(found.values, -rl.distances(GAME))
    assert found.values.sum() == -1368
    assert rl.optimal_boards(found.q) == 506


def test_without_discount_the_best_values_do_not_hurry():
    found = rl.value_iteration(GAME, 1.0)
    assert (found.values[OPEN] == 1).all()
    assert rl.optimal_boards(found.q) < 506


@pytest.mark.parametrize(
    ("discount", "total", "empty", "full", "least", "most"),
    [
        (
            *(0.85, 378.542511, 0.702190, 0.442710),
            [0.9836, 0.8260, 0.6968, 0.5988, 0.5141, 0.4427],
            [0.9836, 0.8260, 0.7022, 0.6053, 0.5193, 0.4427],
        ),
        (
            *(0.90, 417.663681, 0.794377, 0.588586),
            [0.9890, 0.8828, 0.7904, 0.7163, 0.6486, 0.5886],
            [0.9890, 0.8828, 0.7944, 0.7213, 0.6529, 0.5886],
        ),
        (
            *(0.99, 496.522469, 0.978120, 0.950424),
            [0.9989, 0.9881, 0.9777, 0.9685, 0.9593, 0.9504],
            [0.9989, 0.9881, 0.9781, 0.9691, 0.9599, 0.9504],
        ),
    ],
)
def test_values_with_random_flips(discount, total, empty, full, least, most):
    found = rl.value_iteration(FLIPS, discount)
    assert abs(found.values.sum() - total) < 1e-6
    np.testing.assert_allclose(found.values[[0, 511]], [empty, full], atol=1e-6)
    rings = [found.values[rl.distances(GAME) == ring] for ring in range(1, 7)]
    np.testing.assert_allclose([ring.min() for ring in rings], least, atol=5e-5)
    np.testing.assert_allclose([ring.max() for ring in rings], most, atol=5e-5)
    policy = rl.greedy(found.q, tolerance=1e-9)
    assert rl.optimal_boards(found.q, tolerance=1e-9) == 506
    assert abs((policy[OPEN] > 0).sum(1).mean() - 2.348) < 5e-4
    moves = rl.expected_moves(FLIPS, policy)
    assert abs(moves[OPEN].mean() - 2.8878) < 5e-5
    np.testing.assert_allclose(moves[[0, 511]], [3.2029, 6.0624], atol=5e-5)
    values = rl.policy_evaluation(FLIPS, policy, discount)
    np.testing.assert_allclose(values, found.values, atol=1e-11)


def test_random_play_needs_95_8_moves():
    moves = rl.expected_moves(GAME, UNIFORM)[OPEN]
    np.testing.assert_allclose([moves.mean(), moves.min(), moves.max()], [95.8, 82.7, 103.5], 1e-3)


def test_dense_tables_give_the_same_values():
    probabilities, rewards, terminal = rl.transitions(FLIPS)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-12)
    assert terminal.sum() == 6
    values = np.zeros(512)
    for _ in range(40):
        values = (rewards + 0.9 * probabilities @ values).max(1)
    np.testing.assert_allclose(values, rl.value_iteration(FLIPS, 0.9).values, atol=1e-11)


@dataclasses.dataclass(frozen=True)
class Gambler(FiniteEnvironment):
    """Two states with one bet: it wins with probability p and ends, or stays."""

    p: float = 0.25
    loops: bool = False
    outcome = True

    action_names = ("bet", "wait")
    states = 2

    def state_of(self, index):
        return (index,)

    def index(self, state):
        return state[0]

    def over(self, state):
        return state[0] == 1

    def outcomes(self):
        if not self.outcome:
            return None
        p = np.array([[[self.p, 1 - self.p], [1, 0]], [[1, 0], [1, 0]]], float)
        following = np.array([[[1, 0], [0, 0]], [[1, 1], [1, 1]]])
        rewards = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]]], float)
        return Outcomes(p, following, rewards, following == 1)


def test_a_geometric_number_of_moves():
    bets = np.array([0, 0])
    assert rl.expected_moves(Gambler(), bets).tolist() == [4.0, 0.0]
    half = rl.expected_moves(Gambler(), np.full((2, 2), 0.5))
    assert half.tolist() == [8.0, 0.0]
    value = rl.policy_evaluation(Gambler(), bets, 0.5)[0]
    assert value == pytest.approx(0.25 / (1 - 0.75 * 0.5))
    assert rl.value_iteration(Gambler(), 0.5).values[0] == pytest.approx(value)
    assert rl.policy_evaluation(Gambler(), bets, 1.0)[0] == pytest.approx(1)


def test_a_policy_whose_episodes_do_not_end():
    waits = np.array([1, 0])
    assert rl.expected_moves(Gambler(), waits).tolist() == [math.inf, 0.0]
    assert rl.policy_evaluation(Gambler(), waits, 0.5).tolist() == [0.0, 0.0]
    with refused("discount", "less than 1, as episodes of the policy do not end"):
        rl.policy_evaluation(Gambler(), waits, 1.0)


def test_greedy_actions_are_legal_and_ties_share():
    q = np.array([[3.0, 2.0, 2.0], [1.0, 1.0, 1.0]])
    legal = np.array([[False, True, True], [True, False, False]])
    assert rl.greedy(q, legal).tolist() == [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    assert rl.greedy(q, tolerance=1.0).tolist() == [[1 / 3] * 3] * 2


def test_optimal_boards_counts_ties_as_all_of_their_moves():
    q = rl.value_iteration(GAME, 0.9).q
    board = int(np.flatnonzero(rl.distances(GAME) == 1)[0])
    q[board] = q[board].max()
    assert rl.optimal_boards(q) == 505
    assert rl.optimal_boards(q, tolerance=1e-9) == 505


@pytest.mark.parametrize("discount", [-0.1, 1.1, math.nan, "0.9", None, True])
def test_a_discount_out_of_range_is_refused(discount):
    with refused("discount", "a number in [0, 1]"):
        rl.value_iteration(GAME, discount)


def test_a_tolerance_below_0_is_refused():
    with pytest.raises(InputError, match="tolerance: got -1, allowed: a number in"):
        rl.value_iteration(FLIPS, 0.9, -1)


def test_wrong_policies_and_tables_are_refused():
    with refused("policy", "actions [512] or probabilities [512, 9]"):
        rl.expected_moves(GAME, np.zeros((9, 512)))
    with refused("policy", "actions [512] or probabilities [512, 9]"):
        rl.expected_moves(GAME, np.full(512, 9))
    with refused("policy", "each row with the sum 1"):
        rl.expected_moves(GAME, np.zeros((512, 9)))
    with refused("q", "numbers [512, 9]"):
        rl.optimal_boards(np.zeros((512, 3)))
    with refused("q", "finite numbers [states, actions]"):
        rl.optimal_boards(np.full((512, 9), np.nan))
    with refused("states", "at most 2048"):
        rl.transitions(rl.TicTacToe())
    with refused("environment", "a FiniteEnvironment"):
        rl.value_iteration(rl.CartPole(), 0.9)
