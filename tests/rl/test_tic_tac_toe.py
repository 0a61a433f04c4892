"""Tests of tic-tac-toe against a recursive search in Python, and counts of all its games."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest

from jaxdl import rl
from jaxdl.rl import dynamics
from jaxdl.rl.environments.tic_tac_toe import minimax
from tests.rl.refused import refused

SELF = rl.TicTacToe(opponent="self")
LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


def wins(tiles, player):
    return any(all(tiles[tile] == player for tile in line) for line in LINES)


def index(tiles):
    return sum(tile * 3**place for place, tile in enumerate(tiles))


def swapped(tiles):
    return tuple((0, 2, 1)[tile] for tile in tiles)


@functools.cache
def value(tiles):
    """Returns the value for the player to move, whose marks are 1, by recursive search."""
    if wins(tiles, 2):
        return -1
    if 0 not in tiles:
        return 0
    return max(-value(swapped(marked(tiles, tile))) for tile in empty(tiles))


def marked(tiles, tile, player=1):
    return (*tiles[:tile], player, *tiles[tile + 1 :])


def empty(tiles):
    return [tile for tile in range(9) if tiles[tile] == 0]


@functools.cache
def positions():
    """Returns all boards of games that are not over, seen by the player to move."""
    found = set()
    queue = [(0,) * 9]
    while queue:
        tiles = queue.pop()
        if tiles in found or wins(tiles, 2) or 0 not in tiles:
            continue
        found.add(tiles)
        queue += [swapped(marked(tiles, tile)) for tile in empty(tiles)]
    return sorted(found)


def test_search_and_value_iteration_find_the_values_of_recursive_search():
    moves, values = minimax()
    solved = rl.value_iteration(SELF, 1.0)
    assert len(positions()) == 4520
    for tiles in positions():
        assert values[index(tiles)] == solved.values[index(tiles)] == value(tiles)
        for tile in range(9):
            after = swapped(marked(tiles, tile))
            expected = -value(after) if tiles[tile] == 0 else -2
            assert moves[index(tiles), tile] == expected


def test_games_that_are_played_by_the_environment_equal_a_loop():
    step = jax.jit(SELF.step)
    random = np.random.default_rng(0)
    key = jax.random.key(0)
    for _ in range(30):
        state = SELF.reset(key)
        tiles = (0,) * 9
        ended = False
        while not ended:
            np.testing.assert_array_equal(SELF.legal(state), np.array(tiles) == 0)
            observed = np.stack([np.array(tiles) == player for player in (1, 2)], -1)
            np.testing.assert_array_equal(SELF.observe(state), observed.reshape(3, 3, 2))
            assert int(SELF.index(state)) == index(tiles)
            tile = int(random.choice(empty(tiles)))
            state, reward, terminated, truncated = step(state, tile, key)
            tiles = marked(tiles, tile)
            won = wins(tiles, 1)
            ended = won or 0 not in tiles
            assert (float(reward), bool(terminated), bool(truncated)) == (won, ended, False)
            tiles = swapped(tiles)


@pytest.mark.parametrize("opponent", ["random", "perfect"])
def test_replies_of_the_opponent_have_their_probabilities(opponent):
    game = rl.TicTacToe(opponent=opponent)
    outcomes = dynamics(game).outcomes
    np.testing.assert_allclose(outcomes.probabilities.sum(-1), 1, rtol=1e-12)
    random = np.random.default_rng(1)
    boards = [positions()[row] for row in random.integers(len(positions()), size=150)]
    for tiles in boards:
        tile = int(random.choice(empty(tiles)))
        expected = {}
        moved = swapped(marked(tiles, tile))
        if wins(moved, 2) or 0 not in moved:
            expected[index(swapped(moved))] = (1.0, float(wins(moved, 2)), True)
        else:
            replies = empty(moved)
            if opponent == "perfect":
                values = {reply: -value(swapped(marked(moved, reply))) for reply in replies}
                replies = [reply for reply in replies if values[reply] == value(moved)]
            for reply in replies:
                after = swapped(marked(moved, reply))
                ends = wins(after, 2) or 0 not in after
                expected[index(after)] = (1 / len(replies), -float(wins(after, 2)), ends)
        rows = zip(*(x[index(tiles), tile].tolist() for x in outcomes), strict=True)
        found = {key: (p, r, t) for p, key, r, t in rows if p > 0}
        assert found.keys() == expected.keys()
        for key, numbers in expected.items():
            assert found[key] == pytest.approx(numbers)


@pytest.mark.parametrize("opponent", ["random", "perfect"])
def test_moves_of_the_environment_are_outcomes_with_their_frequency(opponent):
    game = rl.TicTacToe(opponent=opponent)
    outcomes = dynamics(game).outcomes
    board = index((1, 0, 0, 0, 2, 0, 0, 0, 0))
    state = game.state_of(board)
    count = 4000

    @jax.jit
    @jax.vmap
    def play(key):
        after, reward, terminated, _ = game.step(state, 8, key)
        return game.index(after), reward, terminated

    after, rewards, terminated = play(jax.random.split(jax.random.key(0), count))
    assert not rewards.any() and not terminated.any()
    expected = np.zeros(game.states)
    np.add.at(expected, outcomes.following[board, 8], outcomes.probabilities[board, 8])
    found = np.bincount(after, minlength=game.states) / count
    assert (abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()


@pytest.mark.parametrize("opponent", ["random", "perfect", "self"])
def test_illegal_moves_lose_and_games_that_are_over_stay(opponent):
    game = rl.TicTacToe(opponent=opponent)
    key = jax.random.key(0)
    state = game.state_of(index((1, 2, 0, 0, 0, 0, 0, 0, 0)))
    for tile in (0, 1):
        after, reward, terminated, _ = game.step(state, tile, key)
        assert (int(game.index(after)), float(reward), bool(terminated)) == (7, -1.0, True)
    over = game.state_of(index((2, 2, 2, 1, 1, 0, 0, 0, 0)))
    after, reward, terminated, _ = game.step(over, 5, key)
    assert (after, float(reward), bool(terminated)) == (over, 0.0, True)
    outcomes = dynamics(game).outcomes
    assert outcomes.rewards[7, 0, 0] == -1
    assert outcomes.terminated[7, 0].all()


def test_the_first_move():
    keys = jax.random.split(jax.random.key(0), 2000)
    marks = {}
    for first in ("agent", "opponent", "either"):
        states = jax.vmap(rl.TicTacToe(first=first).reset)(keys)
        assert not states.own.any()
        marks[first] = np.asarray(states.other)
    assert not marks["agent"].any()
    assert set(marks["opponent"].tolist()) == {1 << tile for tile in range(9)}
    assert abs((marks["either"] == 0).mean() - 0.5) < 0.06


def test_optimal_play_wins_191_of_192_against_random_play_and_draws_against_perfect_play():
    solved = rl.value_iteration(rl.TicTacToe(opponent="random"), 1.0)
    assert solved.values[0] == pytest.approx(191 / 192)
    assert rl.value_iteration(rl.TicTacToe(opponent="perfect"), 1.0).values[0] == 0


def test_optimal_play_loses_no_game_against_every_reply():
    moves, values = minimax()
    found = rl.against_every_reply((moves == values[:, None]) / 1.0)
    assert found.losses == 0
    assert found.positions > 500
    alone = rl.against_every_reply(moves.argmax(1))
    assert alone.losses == 0
    both = [rl.against_every_reply(moves.argmax(1), first) for first in ("agent", "opponent")]
    assert np.sum(both, 0).tolist() == list(alone)


def test_all_games_of_all_moves_are_counted():
    legal = dynamics(SELF).legal / 1.0
    # The known numbers of games that the first player wins, draws and loses.
    assert rl.against_every_reply(legal, "agent")[1:] == (131_184, 46_080, 77_904)
    assert rl.against_every_reply(legal, "opponent")[1:] == (77_904, 46_080, 131_184)
    assert rl.against_every_reply(np.zeros(3**9, int)).losses > 0


def test_indices_are_those_of_their_boards():
    boards = [index(tiles) for tiles in itertools.islice(positions(), 0, None, 7)]
    indices = np.array(boards, np.int32)
    np.testing.assert_array_equal(
        jax.vmap(lambda i: SELF.index(SELF.state_of(i)))(indices), indices
    )
    assert math.log(SELF.states, 3) == pytest.approx(9)


def test_wrong_options_and_policies_are_refused():
    with refused("opponent", "(did you mean 'random'?)"):
        rl.TicTacToe(opponent="radom")
    with refused("first", "agent, either, opponent"):
        rl.TicTacToe(first="me")
    with refused("policy", "moves [19683] or probabilities [19683, 9]"):
        rl.against_every_reply(np.zeros(9))
    with refused("policy", "moves from 0 to 8"):
        rl.against_every_reply(np.full(3**9, 9))
