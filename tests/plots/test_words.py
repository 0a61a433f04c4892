"""Tests of pictures of word vectors: names of words, cosines, and tests by epochs."""

import contextlib

import numpy as np
import pytest

from jaxdl.plots import words
from tests.plots.pictures import pixels, raises_input_error

NAMES = ("man", "king", "woman", "queen", "sky")
POINTS = np.random.RandomState(0).normal(size=(5, 2))


@pytest.fixture
def figures(monkeypatch):
    """The figures of pages."""
    kept = []
    page = words.page

    @contextlib.contextmanager
    def keeping(*args, **kwargs):
        with page(*args, **kwargs) as figure:
            kept.append(figure)
            yield figure

    monkeypatch.setattr(words, "page", keeping)
    return kept


def test_a_plane_names_its_groups_and_the_ends_of_its_arrows(figures, tmp_path):
    path = tmp_path / "plane.png"
    arrows = [("man", "king")]
    groups = {"women": ["woman", "queen"]}
    pixels(words.word_plane(POINTS, NAMES, path, title="Plane", groups=groups, arrows=arrows))
    (ax,) = figures[0].axes
    texts = {text.get_text(): text.xy for text in ax.texts if text.get_text()}
    assert set(texts) == set(NAMES) - {"sky"}
    for word, place in texts.items():
        np.testing.assert_array_equal(place, POINTS[NAMES.index(word)])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["women"]
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), POINTS[[2, 3]])
    (arrow,) = [text for text in ax.texts if text.arrow_patch]
    np.testing.assert_array_equal([arrow.xyann, arrow.xy], POINTS[:2])


def test_nearest_words_have_their_cosines(figures, tmp_path):
    near = {"king": [("queen", 0.7), ("man", -0.2)], "sky": [("man", 0.1)]}
    pixels(words.nearest_words(near, tmp_path / "nearest.png", title="Nearest"))
    first, second = figures[0].axes
    assert [text.get_text() for text in first.texts] == ["queen  0.70", "man  -0.20"]
    assert [text.get_text() for text in second.texts] == ["man  0.10"]
    assert [bar.get_width() for bar in first.patches] == [0.7, 0.0]


def test_curves_have_a_line_for_each_seed_and_the_mean(figures, tmp_path):
    values = np.array([[0.2, 0.4], [0.5, 0.7]])
    path = tmp_path / "tests.png"
    pixels(words.word_test_curves(np.array([1.0, 2.0]), {"rho": values}, path, title="Tests"))
    (ax,) = figures[0].axes
    lines = [line.get_ydata() for line in ax.lines]
    np.testing.assert_allclose(lines, [values[:, 0], values[:, 1], values.mean(1)])
    assert "rho: 0.600" in (ax.get_title(), ax.get_title(loc="left"))


@pytest.mark.parametrize(
    ("points", "arrows", "message"),
    [
        (POINTS[:4], [], "points: got '[4, 2] for 5 words', allowed: finite numbers, two for each"),
        (POINTS * np.nan, [], "points: got '[5, 2] for 5 words', allowed: finite numbers, two for"),
        (POINTS, [("man", "sea")], "word: got 'sea', allowed: a word with a point"),
    ],
)
def test_bad_input(points, arrows, message, tmp_path):
    with pytest.raises(words.InputError) as caught:
        words.word_plane(points, NAMES, tmp_path / "plane.png", title="", arrows=arrows)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_no_words(tmp_path):
    with raises_input_error("neighbours: got {}, allowed: at least one word"):
        words.nearest_words({}, tmp_path / "nearest.png", title="")
