"""Tests of films: the places of all frames, in rows and in animations."""

import numpy as np
import pytest

from jaxdl.plots.clips import (
    draw_film,
    film,
    film_gif,
    gif_frames,
    pictures_gif,
    prediction_titles,
)
from jaxdl.plots.page import stamped
from tests.plots.pictures import axes, pixels, raises_input_error

CLIPS = np.random.default_rng(0).random((3, 5, 6, 9, 1))
TITLES = ["left", "right: LSTM predicts left", "up $x"]


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_in_rows_below_their_titles(channels, tmp_path):
    ax = axes()
    clips = np.repeat(CLIPS, channels, -1)
    draw_film(ax, clips, TITLES)
    assert len(ax.images) == 15
    places = [image.get_extent() for image in ax.images]
    for i, image in enumerate(ax.images):
        expected = clips[i // 5, i % 5]
        if channels == 1:
            expected = expected[..., 0]
        np.testing.assert_array_equal(image.get_array(), expected)
        left, right, bottom, top = places[i]
        assert (right - left) / (bottom - top) == pytest.approx(1.5), "wrong proportions"
        assert all(left >= other[1] or right <= other[0] or top >= other[2] for other in places[:i])
    titles = [text for text in ax.texts if text.get_text() in TITLES]
    assert [text.get_text() for text in titles] == TITLES
    bottom_above = -9
    for row, text in enumerate(titles):
        _, _, bottom, top = places[5 * row]
        assert bottom_above < text.get_position()[1] <= top
        bottom_above = bottom
    pixels(film(clips, TITLES, tmp_path / "film.png"))


def test_long_and_single_films(tmp_path):
    clips = np.random.default_rng(0).random((2, 60, 8, 8, 1))
    pixels(film(clips, ["a", "b"], tmp_path / "long.png"))
    title = "the only frame of a film with a rather long title"
    pixels(film(CLIPS[:1, :1], [title], tmp_path / "short.png"))


def test_a_film_has_a_heading_and_a_word_for_its_columns(tmp_path, monkeypatch):
    ax = axes()
    draw_film(ax, CLIPS, TITLES, "frame")
    numbers = [text.get_text() for text in ax.texts if text.get_text() not in TITLES]
    assert numbers == ["frame 1", "2", "3", "4", "5"]
    pixels(film(CLIPS, TITLES, tmp_path / "film.png", "accuracy 90 $", "frame"))
    monkeypatch.setattr("jaxdl.plots.clips._page_of_texts", _texts_only(shown := []))
    gif_frames(CLIPS[:1], ["true: left; CNN: up ✗"], "accuracy 90 %")
    assert [list(texts.values())[-1] for texts in shown] == [
        f"accuracy 90 %; frame {i} of 5" for i in range(1, 6)
    ]
    assert [list(texts.values())[:2] for texts in shown] == [["true: left", "CNN: up ✗"]] * 5


def _texts_only(shown):
    """Returns a function that keeps the texts of a page and draws nothing."""

    def page_of_texts(height, width, texts):
        shown.append(dict(texts))
        return np.full((height, width, 3), 255, np.uint8)

    return page_of_texts


def test_a_gif_is_stamped():
    with stamped("smoke test"):
        marked = gif_frames(CLIPS, TITLES)
    assert (marked != gif_frames(CLIPS, TITLES)).any()


def test_gif_has_all_frames_and_repeats(tmp_path):
    from PIL import Image

    path = film_gif(CLIPS, TITLES, tmp_path / "new" / "film.gif")
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.info["loop"]) == (5, 0)
        durations = []
        pages = []
        for t in range(5):
            gif.seek(t)
            durations.append(gif.info["duration"])
            pages.append(np.asarray(gif.convert("RGB")).astype(int))
    assert durations == [250] * 4 + [750]
    for page, expected in zip(pages, gif_frames(CLIPS, TITLES), strict=True):
        assert abs(page - expected).max() <= 4, "more than the error of a palette of 256 colours"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("channels", [1, 3])
def test_gif_frames_show_every_pixel_as_a_square(channels):
    clips = np.repeat(CLIPS, channels, -1)
    pages = gif_frames(clips, TITLES)
    assert pages.dtype == np.uint8
    factor = 20
    for t, page in enumerate(pages):
        for clip in clips:
            square = np.ones((factor, factor, 1))
            large = np.kron((255 * clip[t]).round(), square).astype(np.uint8)
            height, width, _ = large.shape
            places = np.argwhere((page[: -height + 1, : -width + 1] == large[0, 0]).all(-1))
            assert any((page[y : y + height, x : x + width] == large).all() for y, x in places)
    for edge in (pages[:, 0], pages[:, -1], pages[:, :, 0], pages[:, :, -1]):
        assert (edge == 255).all()


def test_bad_clips(tmp_path):
    path = tmp_path / "x.png"
    allowed = "the shape [N, T, H, W, C], N and T at least 1, C 1 or 3"
    for draw in (film, film_gif):
        for shape in ((2, 4, 8, 8), (0, 4, 8, 8, 1), (2, 4, 8, 8, 2)):
            with raises_input_error(f"clips: got {shape}, allowed: {allowed}"):
                draw(np.zeros(shape), [""] * shape[0], path)
        with raises_input_error("titles: got 1, allowed: as many as clips, 2"):
            draw(np.zeros((2, 4, 8, 8, 1)), ["one"], path)
    assert not path.exists()


def test_pictures_gif_has_all_pictures_in_order(tmp_path):
    from PIL import Image

    colors = np.random.default_rng(0).integers(0, 256, (4, 3), np.uint8)
    paths = []
    for i, color in enumerate(colors):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(np.broadcast_to(color, (6, 9, 3)).copy()).save(paths[-1])
    durations = [250, 250, 250, 1750]
    with Image.open(pictures_gif(paths, tmp_path / "new" / "all.gif", seconds=1.0)) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (4, (9, 6), 0)
        for i, color in enumerate(colors):
            gif.seek(i)
            assert gif.info["duration"] == durations[i]
            assert abs(np.asarray(gif.convert("RGB")).astype(int) - color).max() <= 4
    with Image.open(pictures_gif(paths[:1], tmp_path / "one.gif")) as gif:
        assert gif.size == (9, 6)
    Image.new("RGB", (902, 4)).save(tmp_path / "wide.png")
    with Image.open(pictures_gif([tmp_path / "wide.png"], tmp_path / "wide.gif")) as gif:
        assert gif.size == (451, 2)


def test_bad_pictures(tmp_path):
    from PIL import Image

    for i in (1, 2):
        Image.new("RGB", (i, 2)).save(tmp_path / f"{i}.png")
    with raises_input_error("pictures: got [(1, 2), (2, 2)], allowed: pictures of one size"):
        pictures_gif([tmp_path / "1.png", tmp_path / "2.png"], tmp_path / "all.gif")
    with raises_input_error("pictures: got [], allowed: at least one"):
        pictures_gif([], tmp_path / "all.gif")
    assert not (tmp_path / "all.gif").exists()


def test_titles_have_the_label_and_all_predictions():
    predictions = {"CNN": np.array([1, 0]), "GRU": np.array([0, 1])}
    assert prediction_titles(["left", "up"], np.array([0, 1]), predictions) == [
        "true: left; CNN: up ✗; GRU: left ✓",
        "true: up; CNN: left ✗; GRU: up ✓",
    ]
