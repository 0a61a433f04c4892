"""Tests of tables of games: exact numbers, played games, wanders and kept tables."""

import dataclasses
import json

import numpy as np
import pytest

import jaxdl
from jaxdl import rl
from jaxdl.errors import InputError
from jaxdl.recipes.flippers import drawn_game, find_wander, flippers_numbers, greedy_game
from jaxdl.recipes.games import GameOptions, TableOptions, read_tables, tables_of
from jaxdl.recipes.tic_tac_toe import drawn_match, lost_games, open_positions, tic_tac_toe_numbers
from jaxdl.rl.environments.tic_tac_toe import minimax
from jaxdl.runs import launch
from tests.runs.scripts import script

GAME = rl.environment("flippers")
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def best():
    """Exact values of Flippers."""
    return rl.value_iteration(GAME, 0.9).q


def test_numbers_of_exact_and_of_wrong_values(best):
    numbers = flippers_numbers(GAME, 0.9, best + 1e-4)
    assert numbers["optimal_boards"] == 506
    assert numbers["greatest_error"] == pytest.approx(1e-4)
    assert numbers["mean_moves"] == pytest.approx(2.7036, abs=1e-4)
    # A player of the first tile only wins from its neighbours, and else needs the limit.
    first = np.eye(9)[np.zeros(512, int)]
    won = {board ^ 1 for board in GAME.won_boards} - set(GAME.won_boards)
    moves = (len(won) + (506 - len(won)) * 99) / 506
    assert flippers_numbers(GAME, 0.9, first)["mean_moves"] == pytest.approx(moves)
    flips = dataclasses.replace(GAME, flips=0.1)
    q = rl.value_iteration(flips, 0.9).q
    policy = rl.greedy(q, tolerance=1e-9)
    exact = rl.expected_moves(flips, policy)
    assert exact[exact > 0].mean() == pytest.approx(2.8878, abs=1e-4)


def test_a_greedy_game_takes_the_distance(best):
    distances = rl.distances(GAME)
    for board in RNG.integers(0, 512, 30).tolist():
        turns = greedy_game(GAME, best, board)
        assert len(turns) - 1 == distances[board]
        assert turns[-1][0] in GAME.won_boards and turns[-1][1] == -1
        for (before, move), (after, _) in zip(turns, turns[1:], strict=False):
            assert after == before ^ 1 << move


def test_the_longest_wander_is_found(best):
    early = best.copy()
    # Board 0b011 wins by tile 2; here it flips tile 3 and back by way of two others.
    for board, move in ((0b011, 3), (0b1011, 4), (0b11011, 3), (0b10011, 4)):
        early[board] = -1
        early[board, move] = 1
    assert find_wander(GAME, early, best) is None
    early[0b10011] = -1
    early[0b10011, 2] = 1
    board = find_wander(GAME, early, best)
    wander, direct = (greedy_game(GAME, q, board) for q in (early, best))
    assert len(wander) > len(direct) == rl.distances(GAME)[board] + 1
    assert drawn_game(GAME, early, board)[-1].caption == f"won in {len(wander) - 1} moves"
    assert np.isnan(drawn_game(GAME, early, board)[-1].values).all()


def test_numbers_of_tic_tac_toe():
    exact = minimax()[0].astype(float)
    numbers = tic_tac_toe_numbers(exact)
    assert (numbers["losses"], numbers["greatest_error"]) == (0, 0)
    assert (numbers["optimal_positions"], len(open_positions())) == (4520, 4520)
    assert numbers["return_perfect"] == 0 and 0.8 < numbers["return_random"] < 1
    worse = exact + RNG.normal(size=exact.shape)
    assert lost_games(worse) > 0
    assert tic_tac_toe_numbers(worse)["return_perfect"] < 0


def test_a_drawn_match_ends_with_its_result():
    exact = minimax()[0].astype(float)
    match = drawn_match(exact, lambda free: int(np.flatnonzero(free)[-1]))
    assert match[-1].caption == "X wins" and match[-1].chosen is None
    assert [np.isnan(board.values).all() for board in match[:2]] == [False, True]
    assert drawn_match(exact)[-1].caption == "a draw"


def test_a_resumed_run_keeps_the_tables_of_the_whole_one(tmp_path):
    module = script("tic_tac_toe")
    words = ["--steps", "4", "--save-every", "1", "--games", "8", "--batch-size", "2"]
    states = []
    for name, stop in (("whole", False), ("parts", True)):
        out = ["--out", str(tmp_path / name), "--seeds", "2"]
        if stop:
            launch(module.main, module.Config, [*words, *out, "--stop-after", "2"])
        launch(module.main, module.Config, [*words, *out])
        states.append(json.loads((tmp_path / name / "result.json").read_text())["state_sha256"])
    assert states[0] == states[1]
    (a, tables), (b, others) = (read_tables(tmp_path / name) for name in ("whole", "parts"))
    np.testing.assert_array_equal(a.games, [2, 4, 6, 8])
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(tables, others)
    assert a.values.shape == (2, 4)
    network = jaxdl.load(tmp_path / "whole", member=1)
    assert network.act(0).shape == () and network.act(np.array([0, 1])).shape == (2,)


def test_tables_of_double_q_are_means():
    table = RNG.normal(size=(3, 2, 5, 4))
    state = jaxdl.State(np.zeros(3, np.int32), {"table": table}, (), {})
    np.testing.assert_allclose(tables_of(state), table.mean(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discount": 1.5}, "discount: got 1.5, allowed: a number in [0, 1]"),
        ({"rate": 0.0}, "rate: got 0.0, allowed: a number in (0, 1]"),
        ({"explore_last": 2.0}, "explore_last: got 2.0, allowed: a number in [0, 1]"),
        ({"games": 10}, "games: got 10, allowed: at least 50"),
        (
            {"games": 1210},
            "games: got 1210, allowed: a multiple of the 50 games of a step; or another "
            "--batch-size",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as caught:
        TableOptions(**options).validate(GameOptions())
    assert str(caught.value) == message


def test_games_have_no_other_data():
    for options in ({"data": "digits"}, {"validation": 0.1}):
        with pytest.raises(InputError):
            GameOptions(**options).validate()
