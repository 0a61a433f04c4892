"""Tests of the page to play on: its texts, and games by key presses in a headless browser."""

import json
import re

import numpy as np
import pytest

from jaxdl import plots, rl
from jaxdl.recipes.flippers import greedy_game, write_flippers_page
from jaxdl.recipes.tic_tac_toe import open_positions, write_tic_tac_toe_page
from jaxdl.rl.environments.tic_tac_toe import index_of, is_over, minimax
from tests.browser import opened
from tests.plots.pictures import raises_input_error

GAME = rl.environment("flippers")

#: Marks of the tiles of the first board.
BOARD = "[...document.querySelector('.board').children].map((tile) => tile.children[0].textContent)"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture(scope="module")
def best():
    """Exact values of Flippers."""
    return rl.value_iteration(GAME, 0.9).q


def data_of(path):
    """Returns the data of a page."""
    return json.loads(re.search(r'type="application/json">(.*?)</script>', path.read_text())[1])


def test_no_text_ends_a_script_or_is_an_element(tmp_path):
    hostile = "</script><script>alert(1)</script>{{data}}"
    words = {"title": hostile, "rules": hostile, "source": hostile}
    path = plots.play_page(
        "flippers", {0: [1, None, 0, 0]}, tmp_path / "p.html", limits=(0, 1), **words
    )
    text = path.read_text()
    assert text.count("<script") == text.count("</script>") == 2
    assert "alert(1)</" not in text and "src=" not in text
    data = data_of(path)
    assert {data["title"], data["rules"], data["source"]} == {hostile}
    assert (data["size"], data["values"]) == (2, {"0": [1, None, 0, 0]})
    assert not re.search("https?:", text)


def test_bad_pages(tmp_path):
    words = {"title": "", "rules": "", "source": "", "limits": (0, 1)}
    path = tmp_path / "p.html"
    with raises_input_error("game: got 'chess', allowed: flippers, tic_tac_toe"):
        plots.play_page("chess", {0: [1.0]}, path, **words)
    with raises_input_error("values: got [1, 4], allowed: the same number of tiles for each board"):
        plots.play_page("flippers", {0: [1.0], 1: [1.0] * 4}, path, **words)
    allowed = "finite numbers, or None for an illegal move"
    with raises_input_error(f"values[3]: got nan, allowed: {allowed}"):
        plots.play_page("flippers", {0: [1.0] * 4, 3: [0.0, None, np.nan, 1.0]}, path, **words)
    assert not list(tmp_path.iterdir())


def test_a_game_of_flippers_by_keys_ends_as_the_table_says(best, tmp_path):
    start = 0b101110101
    turns = greedy_game(GAME, best, start)
    path = write_flippers_page(GAME, best, start, 9, tmp_path / "play.html")
    with opened(path) as page:
        assert page.value(BOARD) == ["●" if start >> i & 1 else "" for i in range(9)]
        page.press("v", *(str(move + 1) for _, move in turns[:-1]))
        count = len(turns) - 1
        assert page.value(STATUS) == f"Won in {count} moves. The table needs {count}."
        last = turns[-1][0]
        assert page.value(BOARD) == ["●" if last >> i & 1 else "" for i in range(9)]
        # The same board again, by arrows, Enter and the moves of the table.
        page.press("r", "ArrowRight", "ArrowRight", "ArrowDown", "Enter")
        flipped = start ^ (1 << 4)
        assert page.value(BOARD) == ["●" if flipped >> i & 1 else "" for i in range(9)]
        page.press("r", *"t" * count)
        assert page.value(STATUS).startswith(f"Won in {count} moves.")
        page.press("n")
        assert page.errors == []


def test_games_of_tic_tac_toe_by_keys_end_as_the_table_says(tmp_path):
    q = np.where(minimax()[0] > -2, minimax()[0], 0).astype(float)
    path = write_tic_tac_toe_page(q, 9, tmp_path / "play.html")
    assert set(data_of(path)["values"]) == set(map(str, open_positions()))
    with opened(path) as page:
        for seed in range(4):
            page.press("n")
            marks, keys = random_game(q, np.random.default_rng(seed))
            page.press(*keys)
            signs = [
                "✕" if marks[0] >> i & 1 else "◯" if marks[1] >> i & 1 else "" for i in range(9)
            ]
            assert page.value(BOARD) == signs
            assert page.value(STATUS) in ("The table wins.", "A draw.")
        # The table begins.
        page.press("r")
        assert page.value(BOARD).count("✕") == 1
        page.press("v")
        assert page.value("document.body.classList.contains('shown')")
        assert page.errors == []


def random_game(q, rng):
    """Returns the marks of both players after a random player and a table, and the keys."""
    marks = [0, 0]
    keys = []
    for turn in range(9):
        own = marks[turn % 2]
        other = marks[1 - turn % 2]
        if is_over(np.int64(own), np.int64(other)):
            break
        free = (own | other) >> np.arange(9) & 1 == 0
        if turn % 2:
            values = q[int(index_of(np.int64(own), np.int64(other)))]
            move = int(np.where(free, values, -9).argmax())
        else:
            move = int(rng.choice(np.flatnonzero(free)))
            keys.append(str(move + 1))
        marks[turn % 2] |= 1 << move
    return marks, keys


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_and_its_text_has_contrast(width, dark, best, tmp_path):
    path = write_flippers_page(GAME, best, 0, 9, tmp_path / "play.html")
    with opened(path, width, 800, dark) as page:
        assert page.value("document.documentElement.scrollWidth") <= width
        style = "getComputedStyle(document.body)"
        colors = page.value(f"[{style}.color, {style}.backgroundColor]")
        ink, paper = (luminance(color) for color in colors)
        assert (ink > paper) == dark
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7
        buttons = "[...document.querySelectorAll('button')]"
        labels = page.value(f"{buttons}.map((each) => each.textContent || each.ariaLabel)")
        assert all(labels)


def luminance(color):
    """Returns the relative luminance of a color such as rgb(1, 2, 3)."""
    c = np.array([int(each) for each in re.findall(r"\d+", color)[:3]]) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
