"""Moving digits: the films are what is written, and a single frame tells nothing about the answer."""

import itertools

import numpy as np
import pytest

from jaxdl.data import check_batch_size
from jaxdl.data.embedded import digits
from jaxdl.data.video import DIRECTIONS, _round_trip, _to_and_fro, moving_digits
from jaxdl.errors import InputError

QUESTIONS = ("direction", "count")


def same(images):
    """Images by their digit's pixels, wherever it stands."""
    return [np.sort(image[image > 0]).tobytes() for image in images]


@pytest.fixture(scope="module", params=QUESTIONS)
def films(request):
    return moving_digits(request.param, 2000)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("frames", "size"), [(4, 8), (8, 16), (11, 21)])
def test_shapes_ranges_and_names(question, frames, size):
    train, test = moving_digits(question, 51, frames, size)
    for data, count in ((train, 51), (test, 10)):
        assert data["input"].shape == (count, frames, size, size, 1)
        assert data["input"].dtype == np.float32
        assert (data["label"].dtype, data["digit"].dtype) == (np.int32, np.int32)
        assert data["digit"].shape == (count, frames)
        assert (data["input"].min(), data["input"].max()) == (0, 1)
        share = np.bincount(data["label"], minlength=4)
        assert share.max() - share.min() <= 1
        assert (data.name, data.classes) == (f"moving-digits-{question}", 4)
        check_batch_size(data, count)


def test_every_frame_shows_an_image_of_its_part_and_its_digit(films):
    for data, part in zip(films, digits(), strict=True):
        known = {}
        for pixels, label in zip(same(part["input"]), part["label"], strict=True):
            known.setdefault(pixels, set()).add(int(label))
        frames = data["input"][:200].reshape(-1, 16, 16, 1)
        for pixels, digit in zip(same(frames), data["digit"][:200].ravel(), strict=True):
            assert int(digit) in known[pixels]


def test_a_direction_is_a_roll_of_the_frame_before():
    data = moving_digits("direction", 300, frames=6)[0]
    way = {0: (0, -1), 1: (0, 1), 2: (-1, 0), 3: (1, 0)}
    speeds = set()
    for clip, label in zip(data["input"][..., 0], data["label"], strict=True):
        fits = []
        for wrong, speed in itertools.product(range(4), (1, 2)):
            by = tuple(speed * step for step in way[wrong])
            if all((np.roll(a, by, (0, 1)) == b).all() for a, b in itertools.pairwise(clip)):
                fits.append((wrong, speed))
        assert [fit[0] for fit in fits] == [label], (
            "the film answers the question, and nothing else fits"
        )
        speeds.add(fits[0][1])
    assert speeds == {1, 2}


@pytest.mark.parametrize("size", [8, 9, 16])
def test_every_place_is_equally_likely_at_every_time_whatever_the_direction(size):
    everywhere = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
    for step, speed in itertools.product(DIRECTIONS, (1, 2)):
        places = _round_trip(everywhere, np.broadcast_to(step * speed, everywhere.shape), 12, size)
        for t in range(12):
            assert len(np.unique(places[:, t], axis=0)) == size**2, "each once, as at the first"


@pytest.mark.parametrize("size", [1, 2, 9])
def test_digits_that_turn_round_go_a_step_at_a_time_and_are_everywhere_equally_often(size):
    everywhere = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
    some = []
    for velocity in itertools.product((-1, 0, 1), repeat=2):
        places = _to_and_fro(everywhere, np.broadcast_to(velocity, everywhere.shape), 30, size)
        assert places.min() >= 0
        assert places.max() < size
        assert (abs(np.diff(places, axis=1)) <= 1).all()
        some.append(places)
    for t in range(30):
        found = np.concatenate(some)[:, t] @ [size, 1]
        assert (np.bincount(found, minlength=size**2) == 9).all(), "with both signs of a velocity"


def test_the_count_is_how_many_different_digits_came_by():
    for data in moving_digits("count", 1000, frames=9):
        for digit, label, clip in zip(
            data["digit"].tolist(), data["label"], data["input"], strict=True
        ):
            assert len(set(digit)) == label + 1
            turns = [digit[t] for t in (0, 3, 5, 7)]
            assert digit == [turns[t * 4 // 9] for t in range(9)]
            assert len(set(same(clip))) == 4, "another handwriting each turn, the same within one"


def test_the_count_shows_whole_digits():
    part = digits()[0]
    data = moving_digits("count", 50)[0]
    known = {image.tobytes() for image in part["input"]}
    for frame in data["input"][:, ::3, ..., 0].reshape(-1, 16, 16):
        windows = np.lib.stride_tricks.sliding_window_view(frame, (8, 8)).reshape(-1, 8, 8)
        assert any(window.tobytes() in known for window in windows)


def test_one_frames_digit_place_and_brightness_are_the_same_under_every_label(films):
    data = films[0]
    for label in range(4):
        chosen = data["label"] == label
        for t in (0, 3, 7):
            share = np.bincount(data["digit"][chosen, t], minlength=10) / chosen.sum()
            kinds = 5 if data.name.endswith("count") else 10
            np.testing.assert_allclose(
                share, (np.arange(10) < kinds) / kinds, atol=0.08
            )  # 0.018 is standard
        mean = data["input"][chosen][..., 0].mean((0, 1))
        # The standard deviation of a pixel is about 0.25, over 500 films of frames that resemble each other.
        np.testing.assert_allclose(mean, data["input"][..., 0].mean((0, 1)), atol=0.05)


def test_no_linear_reader_of_single_frames_beats_chance(films):
    from sklearn.linear_model import RidgeClassifier

    train, test = films
    first, last = (
        RidgeClassifier(10.0).fit(train["input"][:, t].reshape(2000, -1), train["label"])
        for t in (0, 7)
    )
    for reader, t in ((first, 0), (last, 7)):
        right = (reader.predict(test["input"][:, t].reshape(400, -1)) == test["label"]).mean()
        assert abs(right - 0.25) < 0.1  # the standard deviation is 0.022


def test_a_function_of_the_seed_and_the_sets_apart():
    train, test = moving_digits("count", 40, seed=1)
    assert (
        train.sha256
        == moving_digits("count", 40, seed=1)[0].sha256
        != moving_digits("count", 40)[0].sha256
    )
    assert test.sha256 == moving_digits("count", 44, seed=1)[1].sha256, "8 films either way"
    assert not set(same(train["input"].reshape(-1, 16, 16))) & set(
        same(test["input"].reshape(-1, 16, 16))
    )


def test_the_films_of_seed_0_stay_what_they_are():
    found = {
        question: tuple(data.sha256[:16] for data in moving_digits(question, 20))
        for question in QUESTIONS
    }
    assert found == {
        "direction": ("6f966d432f34e8d0", "16f525e94b32f934"),
        "count": ("da7cc1c422b43310", "c53b61b4b8e2ebe0"),
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("speed", 10), "question: got 'speed', allowed: count, direction"),
        (("count", 4), "count: got 4, allowed: at least 5"),
        (("count", 10, 3), "frames: got 3, allowed: at least 4"),
        (("direction", 10, 1), "frames: got 1, allowed: at least 2"),
        (("direction", 10, 8, 7), "size: got 7, allowed: at least 8"),
        (("direction", 10, 8, 16, -1), "seed: got -1, allowed: at least 0"),
    ],
)
def test_bad_questions_and_sizes(arguments, line):
    with pytest.raises(InputError) as caught:
        moving_digits(*arguments)
    assert str(caught.value) == line
