"""Tests of Flippers against a loop over tiles in Python."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import rl
from jaxdl.rl import dynamics
from tests.rl.refused import refused

GAMES = [
    (game, size)
    for size in (2, 3)
    for game in ("lines", "box", "plus")
    if size == 3 or game != "plus"
]


def won(tiles, game):
    """Returns True for tiles `[N, N]` that are exactly one goal."""
    size = len(tiles)
    if game == "lines":
        return tiles.sum() == size and (size in tiles.sum(0) or size in tiles.sum(1))
    rows = range(size)
    for row, column in itertools.product(rows, rows):
        goal = np.zeros((size + 1, size + 1), int)
        if game == "box":
            goal[row : row + 2, column : column + 2] = 1
        else:
            for i, j in [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]:
                goal[row + i, column + j] += 1
        if not goal[-1].any() and not goal[:, -1].any() and (goal[:-1, :-1] == tiles).all():
            return True
    return False


def flipped(tiles, action, game):
    """Returns tiles after a flip."""
    size = len(tiles)
    row, column = divmod(action, size)
    tiles = tiles.copy()
    for i, j in itertools.product(range(size), range(size)):
        distance = abs(i - row) + abs(j - column)
        if distance == 0 or (game == "plus" and distance == 1):
            tiles[i, j] = 1 - tiles[i, j]
    return tiles


def board(index, size):
    return np.array([index >> tile & 1 for tile in range(size**2)]).reshape(size, size)


@pytest.mark.parametrize(("game", "size"), GAMES)
def test_every_move_on_every_board_equals_a_loop(game, size):
    environment = rl.Flippers(game, size)
    step = jax.jit(jax.vmap(lambda s, a: environment.step(s, a, jax.random.key(0))))
    pairs = list(itertools.product(range(environment.states), range(environment.actions)))
    indices, actions = np.array(pairs, np.int32).T
    states = jax.vmap(environment.state_of)(indices)
    after, reward, terminated, truncated = jax.device_get(step(states, actions))
    following = dynamics(environment).outcomes.following.reshape(-1)
    np.testing.assert_array_equal(following, after.board)
    assert not truncated.any()
    for row, (index, action) in enumerate(pairs):
        tiles = board(index, size)
        if won(tiles, game):
            expected = index, 0.0, True
        else:
            tiles = flipped(tiles, action, game)
            ends = won(tiles, game)
            expected = tiles.ravel() @ (1 << np.arange(size**2)), float(ends), ends
        assert (after.board[row], reward[row], terminated[row]) == expected
    observed = np.asarray(jax.vmap(environment.observe)(states))
    np.testing.assert_array_equal(observed[-1], np.ones(size**2))
    np.testing.assert_array_equal(
        observed[:: environment.actions] @ (1 << np.arange(size**2)), range(environment.states)
    )


def test_won_boards():
    lines = [0b111, 0b111000, 0b111000000, 0b001001001, 0b010010010, 0b100100100]
    assert rl.Flippers().won_boards == tuple(sorted(lines))
    assert rl.Flippers("box").won_boards == (27, 54, 216, 432)
    assert rl.Flippers("plus").won_boards == (0b010111010,)
    assert len(rl.Flippers(size=4).won_boards) == 8


@pytest.mark.parametrize("game", ["lines", "plus"])
def test_random_flips_have_their_probabilities(game):
    environment = rl.Flippers(game, flips=0.4)
    board = 85
    action = 3
    count = 20_000
    keys = jax.random.split(jax.random.key(1), count)
    state = environment.state_of(board)
    after = jax.jit(jax.vmap(lambda key: environment.step(state, action, key)[0].board))(keys)
    outcomes = dynamics(environment).outcomes
    expected = np.zeros(512)
    np.add.at(expected, outcomes.following[board, action], outcomes.probabilities[board, action])
    assert (expected > 0).sum() == 10
    found = np.bincount(after, minlength=512) / count
    # Five standard deviations.
    assert (abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / count)).all()
    np.testing.assert_allclose(outcomes.probabilities.sum(-1), 1, rtol=1e-12)


def test_a_certain_flip_always_turns_a_tile():
    environment = rl.Flippers(flips=1.0)
    keys = jax.random.split(jax.random.key(2), 500)
    state = environment.state_of(0)
    after = jax.vmap(lambda key: environment.step(state, 0, key)[0].board)(keys)
    assert set(np.asarray(after).tolist()) == {0, *(1 | 1 << tile for tile in range(1, 9))}
    assert dynamics(environment).outcomes.following.shape == (512, 9, 9)


def test_first_boards():
    keys = jax.random.split(jax.random.key(3), 20_000)
    for start, count in (("open", 506), ("any", 512)):
        environment = rl.Flippers(start=start)
        boards = np.asarray(jax.vmap(environment.reset)(keys).board)
        found = np.bincount(boards, minlength=512)
        assert (found > 0).sum() == count
        assert found.max() < 3 * 20_000 / 512
        won_boards = found[list(environment.won_boards)]
        assert (won_boards > 0).all() == (start == "any")


def test_the_limit_truncates_an_episode_that_is_not_won():
    environment = rl.Flippers(limit=2, reward="move")
    state = environment.state_of(0)
    key = jax.random.key(0)
    ends = []
    for action in (0, 1):
        state, reward, terminated, truncated = environment.step(state, action, key)
        ends.append((float(reward), bool(terminated), bool(truncated)))
    assert ends == [(-1.0, False, False), (-1.0, False, True)]
    state = environment.state_of(0b011)._replace(moves=jnp.int32(1))
    _, reward, terminated, truncated = environment.step(state, 2, key)
    assert (float(reward), bool(terminated), bool(truncated)) == (-1.0, True, False)


def test_the_stored_successor_is_the_board_before_the_reset():
    environment = rl.Flippers()
    state = environment.state_of(0b011)
    for seed in range(5):
        moved, following = rl.step_and_reset(
            environment, state, 2, jax.random.key(seed), environment.index
        )
        assert (int(moved.observation), int(moved.next_observation)) == (3, 7)
        assert int(following.moves) == 0
        assert int(following.board) not in environment.won_boards


@pytest.mark.parametrize(
    ("options", "field", "allowed"),
    [
        ({"game": "line"}, "game", "box, lines, plus (did you mean 'lines'?)"),
        ({"size": 5}, "size", "at most 4"),
        ({"size": 2, "game": "plus"}, "size", "at least 3"),
        ({"size": 3.0}, "size", "an integer, at least 2"),
        ({"flips": 1.1}, "flips", "a number in [0, 1]"),
        ({"flips": -0.1}, "flips", "a number in [0, 1]"),
        ({"flips": "0.1"}, "flips", "a number in [0, 1]"),
        ({"flips": float("nan")}, "flips", "a number in [0, 1]"),
        ({"reward": "wins"}, "reward", "move, win (did you mean 'win'?)"),
        ({"start": "all"}, "start", "any, open"),
        ({"limit": 0}, "limit", "at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, field, allowed):
    with refused(field, allowed):
        rl.environment("flippers", **options)
