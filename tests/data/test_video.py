"""Tests of moving digits: clips match their labels, which no single frame determines."""

import itertools

import numpy as np
import pytest

from jaxdl.data import check_batch_size
from jaxdl.data.loading import digits
from jaxdl.data.video import (
    DIRECTIONS,
    _reflected_positions,
    _wrapped_positions,
    moving_digits,
    single_frames,
)
from jaxdl.errors import InputError

QUESTIONS = ("direction", "count")


def pixels_of(images):
    """Returns the sorted non-zero pixels of each image, which do not depend on the position."""
    return [np.sort(image[image > 0]).tobytes() for image in images]


@pytest.fixture(scope="module", params=QUESTIONS)
def clips(request):
    """The training and test clips of one question."""
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


def test_every_frame_shows_an_image_of_its_digit_from_the_right_part(clips):
    for data, part in zip(clips, digits(), strict=True):
        labels = {}
        for pixels, label in zip(pixels_of(part["input"]), part["label"], strict=True):
            labels.setdefault(pixels, set()).add(int(label))
        frames = data["input"][:200].reshape(-1, 16, 16, 1)
        for pixels, digit in zip(pixels_of(frames), data["digit"][:200].ravel(), strict=True):
            assert int(digit) in labels[pixels]


def test_each_frame_is_the_previous_one_rolled_in_the_direction_of_the_label():
    data = moving_digits("direction", 300, frames=6)[0]
    steps = {0: (0, -1), 1: (0, 1), 2: (-1, 0), 3: (1, 0)}
    speeds = set()
    for clip, label in zip(data["input"][..., 0], data["label"], strict=True):
        matches = []
        for direction, speed in itertools.product(range(4), (1, 2)):
            shift = tuple(speed * step for step in steps[direction])
            if all((np.roll(a, shift, (0, 1)) == b).all() for a, b in itertools.pairwise(clip)):
                matches.append((direction, speed))
        assert [direction for direction, _ in matches] == [label], "only the label matches"
        speeds.add(matches[0][1])
    assert speeds == {1, 2}


@pytest.mark.parametrize("size", [8, 9, 16])
def test_wrapped_positions_are_uniform_at_all_times_for_every_direction(size):
    starts = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
    for step, speed in itertools.product(DIRECTIONS, (1, 2)):
        velocity = np.broadcast_to(step * speed, starts.shape)
        positions = _wrapped_positions(starts, velocity, 12, size)
        for t in range(12):
            assert len(np.unique(positions[:, t], axis=0)) == size**2, "each once, as at the start"


@pytest.mark.parametrize("size", [1, 2, 9])
def test_reflected_positions_move_by_at_most_one_and_are_uniform_at_all_times(size):
    starts = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2)
    parts = []
    for velocity in itertools.product((-1, 0, 1), repeat=2):
        velocities = np.broadcast_to(velocity, starts.shape)
        positions = _reflected_positions(starts, velocities, 30, size)
        assert positions.min() >= 0
        assert positions.max() < size
        assert (abs(np.diff(positions, axis=1)) <= 1).all()
        parts.append(positions)
    # The positions are uniform over both signs of a velocity together.
    for t in range(30):
        index = np.concatenate(parts)[:, t] @ [size, 1]
        assert (np.bincount(index, minlength=size**2) == 9).all()


def test_the_count_is_the_number_of_different_digits():
    for data in moving_digits("count", 1000, frames=9):
        for digit, label, clip in zip(
            data["digit"].tolist(), data["label"], data["input"], strict=True
        ):
            assert len(set(digit)) == label + 1
            segments = [digit[t] for t in (0, 3, 5, 7)]
            assert digit == [segments[t * 4 // 9] for t in range(9)]
            assert len(set(pixels_of(clip))) == 4, "a different image in each segment"


def test_count_clips_show_whole_digits():
    part = digits()[0]
    data = moving_digits("count", 50)[0]
    images = {image.tobytes() for image in part["input"]}
    for frame in data["input"][:, ::3, ..., 0].reshape(-1, 16, 16):
        windows = np.lib.stride_tricks.sliding_window_view(frame, (8, 8)).reshape(-1, 8, 8)
        assert any(window.tobytes() in images for window in windows)


def test_digit_and_mean_image_of_a_frame_have_the_same_distribution_for_every_label(clips):
    data = clips[0]
    digit_count = {"moving-digits-count": 5, "moving-digits-direction": 10}[data.name]
    for label in range(4):
        chosen = data["label"] == label
        for t in (0, 3, 7):
            share = np.bincount(data["digit"][chosen, t], minlength=10) / chosen.sum()
            expected = (np.arange(10) < digit_count) / digit_count
            # The standard deviation is 0.018.
            np.testing.assert_allclose(share, expected, atol=0.08)
        mean = data["input"][chosen][..., 0].mean((0, 1))
        # A pixel has a standard deviation of about 0.25. The mean is over 500 clips of correlated
        # frames.
        np.testing.assert_allclose(mean, data["input"][..., 0].mean((0, 1)), atol=0.05)


def test_a_linear_classifier_of_single_frames_is_not_better_than_chance(clips):
    from sklearn.linear_model import RidgeClassifier

    train, test = clips
    for t in (0, 7):
        classifier = RidgeClassifier(10.0)
        classifier.fit(train["input"][:, t].reshape(2000, -1), train["label"])
        predicted = classifier.predict(test["input"][:, t].reshape(400, -1))
        accuracy = (predicted == test["label"]).mean()
        # The standard deviation is 0.022.
        assert abs(accuracy - 0.25) < 0.1


def test_clips_depend_on_the_seed_and_the_two_sets_share_no_image():
    train, test = moving_digits("count", 40, seed=1)
    assert train.sha256 == moving_digits("count", 40, seed=1)[0].sha256
    assert train.sha256 != moving_digits("count", 40)[0].sha256
    assert test.sha256 == moving_digits("count", 44, seed=1)[1].sha256, "8 test clips in both"
    train_images = set(pixels_of(train["input"].reshape(-1, 16, 16)))
    test_images = set(pixels_of(test["input"].reshape(-1, 16, 16)))
    assert not train_images & test_images


def test_the_clips_of_seed_0_have_not_changed():
    checksums = {
        question: tuple(data.sha256[:16] for data in moving_digits(question, 20))
        for question in QUESTIONS
    }
    assert checksums == {
        "direction": ("6f966d432f34e8d0", "16f525e94b32f934"),
        "count": ("da7cc1c422b43310", "c53b61b4b8e2ebe0"),
    }


def test_every_frame_has_the_label_of_its_clip():
    clips = moving_digits("count", 20, frames=5)[0]
    frames = single_frames(clips)
    assert (len(frames), frames.name, frames.classes) == (100, clips.name, clips.classes)
    assert frames.class_names == clips.class_names == ("1", "2", "3", "4")
    for i, t in [(0, 0), (3, 4), (19, 2)]:
        np.testing.assert_array_equal(frames["input"][5 * i + t], clips["input"][i, t])
        assert frames["label"][5 * i + t] == clips["label"][i]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("speed", 10), "question: got 'speed', allowed: count, direction"),
        (("count", 4), "clips: got 4, allowed: at least 5"),
        (("count", 10, 3), "frames: got 3, allowed: at least 4"),
        (("direction", 10, 1), "frames: got 1, allowed: at least 2"),
        (("direction", 10, 8, 7), "size: got 7, allowed: at least 8"),
        (("direction", 10, 8, 16, -1), "seed: got -1, allowed: at least 0"),
    ],
)
def test_bad_questions_and_sizes_are_refused(arguments, line):
    with pytest.raises(InputError) as caught:
        moving_digits(*arguments)
    assert str(caught.value) == line
