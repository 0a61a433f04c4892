"""Tests of heat maps over texts: every character is on the cell of its value."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from jaxdl.plots.texts import PALE, draw_text_heatmap, readable, text_heatmap, text_predictions
from tests.plots.pictures import axes, pixels, raises_input_error

TEXT = "if (a[i] == '$') {\n\treturn $x;  // ünï\n}\n"


def test_every_character_is_on_its_value():
    rng = np.random.default_rng(0)
    ax = axes()
    values = rng.uniform(-1, 1, len(TEXT))
    draw_text_heatmap(ax, TEXT, values, 10)
    cells = np.ma.filled(ax.images[0].get_array().astype(float), np.nan)
    assert cells.shape == (5, 10)
    for i, text in enumerate(ax.texts):
        x, y = text.get_position()
        assert (x, y) == (i % 10, i // 10)
        assert cells[y, x] == values[i]
        assert text.get_text() == {"\n": "↵", "\t": "⇥"}.get(TEXT[i], TEXT[i])
    assert len(ax.texts) == len(TEXT)
    assert np.isnan(cells.ravel()[len(TEXT) :]).all()


def test_a_scale_with_words_is_signed_for_any_values():
    ax = axes()
    draw_text_heatmap(ax, "abc", np.array([0.1, 0.5, 0.9]), signed=True)
    assert np.array(ax.images[0].get_clim()).tolist() == [-PALE, PALE]
    red = ax.images[0].to_rgba(np.array([0.9]))[0]
    assert red[0] > red[2] + 0.2


def test_zero_is_white_signs_have_two_colours_and_gates_one():
    def colors(values):
        ax = axes()
        draw_text_heatmap(ax, "abc", np.array(values))
        image = ax.images[0]
        return image.to_rgba(np.array(values))[:, :3], np.array(image.get_clim()) / PALE

    signed, limits = colors([-0.9, 0.0, 0.9])
    assert limits.tolist() == [-1, 1]
    assert signed[0, 2] > signed[0, 0] + 0.2
    assert signed[2, 0] > signed[2, 2] + 0.2
    assert signed[1].min() > 0.95
    gate, limits = colors([0.0, 0.5, 1.0])
    assert limits.tolist() == [0, 1]
    assert gate[0].min() > 0.95
    assert (np.diff(gate.sum(1)) < -0.3).all()
    assert colors([-4.0, 0.0, 1.0])[1].tolist() == [-4, 4]
    assert colors([np.nan, 0.5, np.inf])[1].tolist() == [0, 1]


@pytest.mark.parametrize("lowest", [-1, 0])
def test_letters_are_legible_on_every_cell(lowest):
    """Computes contrast as the Web Content Accessibility Guidelines define it."""
    values = np.linspace(lowest, 1, 64)
    ax = axes()
    draw_text_heatmap(ax, "x" * 64, values)
    cells = ax.images[0].to_rgba(values)[:, :3]
    letters = [to_rgb(text.get_color()) for text in ax.texts]
    light, dark = (
        np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92) @ [0.2126, 0.7152, 0.0722]
        for c in (cells, np.array(letters))
    )
    assert ((light + 0.05) / (dark + 0.05)).min() > 3


def test_missing_glyphs_become_boxes():
    assert readable("a\n\U0001f600\x00ß$") == ["a", "↵", "▯", "▯", "ß", "$"]
    assert readable(["th", "e\n"]) == ["th", "e↵"]


@pytest.mark.parametrize(
    ("text", "rows", "width"),
    [
        (TEXT * 6, ["cell 3", "input gate", "forget gate"], 64),
        ("x", ["one"], 64),
        (["the ", "qu", "ick"], ["a"], 2),
    ],
)
def test_pictures_of_long_and_short_texts(text, rows, width, tmp_path):
    values = np.random.default_rng(0).uniform(0.1, 1, (len(rows), len(text)))
    assert pixels(text_heatmap(text, values, rows, tmp_path / "text.png", width)).shape[0] > 60


def test_bad_texts(tmp_path):
    path = tmp_path / "x.png"
    with raises_input_error("values shape: got (1, 3), allowed: [R, T] = [1, 2], R at least 1"):
        text_heatmap("ab", np.zeros((1, 3)), ["a"], path)
    with raises_input_error("values shape: got (0, 2), allowed: [R, T] = [0, 2], R at least 1"):
        text_heatmap("ab", np.zeros((0, 2)), [], path)
    with raises_input_error("text: got '', allowed: at least one symbol, none of them empty"):
        text_heatmap("", np.zeros((1, 0)), ["a"], path)
    with raises_input_error("width: got 0, allowed: at least 1"):
        text_heatmap("ab", np.zeros((1, 2)), ["a"], path, 0)
    assert not path.exists()


def test_a_prediction_is_shown_after_each_word(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("jaxdl.plots.texts.text_heatmap", lambda *given: shown.append(given))
    words = ["not", "bad", "!"]
    text_predictions(words, np.array([0.5, 0.0, 0.25]), ("neg", "pos"), 1, tmp_path / "x.png", 2)
    ((symbols, values, titles, path, width, ends),) = shown
    assert symbols == ["not ", "bad ", "! "]
    np.testing.assert_allclose(values, [[0, -1, -0.5]])
    title = "true class pos, predicted neg (75 %); the colour is the prediction after each word"
    assert (titles, path, width, ends) == ([title], tmp_path / "x.png", 2, ("neg", "pos"))


def test_pictures_of_predictions(tmp_path):
    probability = np.random.default_rng(0).uniform(0, 1, 30)
    path = text_predictions(30 * ["word"], probability, ("neg", "pos"), 0, tmp_path / "text.png")
    assert pixels(path).shape[0] > 60
    with raises_input_error(
        "classes and label: got (('a', 'b', 'c'), 0), allowed: two names, and 0 or 1"
    ):
        text_predictions(["a"], np.ones(1), ("a", "b", "c"), 0, path)
