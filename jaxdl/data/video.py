"""Short clips of moving digits, with labels that no single frame determines."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.loading import digits
from jaxdl.errors import at_least, one_of

#: Rows and columns per frame at speed 1: left, right, up, down.
DIRECTIONS = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]])

#: Names of the labels, by question.
CLASS_NAMES = {"direction": ("left", "right", "up", "down"), "count": ("1", "2", "3", "4")}

#: Height and width of a digit, in pixels.
SIDE = 8

#: Number of digits that a `count` clip shows one after the other.
SEGMENTS = 4

#: Number of different digits that occur in `count` clips: 0 to 4.
COUNTED_DIGITS = 5


def moving_digits(
    question: Literal["direction", "count"],
    clips: int,
    frames: int = 8,
    size: int = 16,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Generates clips of scikit-learn's digits, with one of four labels each.

    `direction`: the label is the direction of one digit: left (0), right (1), up (2) or down (3). A
    digit that leaves the image enters it again on the opposite side:

        p_t = (p_0 + t v d_label) mod size,    p_0 uniform on all positions, v uniform in {1, 2}

    So p_t is uniform for every t, v and label.

    `count`: the label is the number of different digits in the clip, minus 1. The clip has four
    segments of `frames / 4` frames, with one digit each. A digit that occurs again is a different
    image. The digit of a segment is uniform in 0..4 for every label. Each digit starts at a random
    position, moves by -1, 0 or 1 rows and columns per frame, and reverses its direction at an edge.

    For both questions, a single frame is equally likely under each label.

    Args:
      question: `direction` or `count`.
      clips: N, the number of clips in the training set, at least 5; the test set has `N // 5`.
      frames: T, at least 2 for `direction` and 4 for `count`.
      size: H and W, at least 8.
      seed: seed of all random numbers.

    Returns:
      `(train, test)`, with `input [N, T, H, W, 1]` float32 in [0, 1], `label [N]` int32 in [0, 4)
      in equal shares, and `digit [N, T]` int32, the digit in each frame. Training clips show the
      training images of `digits`, and test clips its test images.

    Raises:
      InputError: an unknown question, too few clips or frames, a size that is too small, or a
        negative seed.

    Example:
      >>> train, test = moving_digits("direction", 100)
      >>> train["input"].shape, len(test)
      ((100, 8, 16, 16, 1), 20)

    Source: after the moving digits of Srivastava et al., "Unsupervised Learning of Video
    Representations using LSTMs", ICML 2015.
    """
    one_of("question", question, ("direction", "count"))
    at_least("clips", clips, 5)
    at_least("frames", frames, {"direction": 2, "count": SEGMENTS}[question])
    at_least("size", size, SIDE)
    at_least("seed", seed, 0)
    generate = {"direction": _direction_clips, "count": _count_clips}[question]
    train, test = digits()
    # With a separate generator, the clips of one set do not depend on the size of the other.
    return (
        generate(train, clips, frames, size, np.random.RandomState([seed, 0])),
        generate(test, clips // 5, frames, size, np.random.RandomState([seed, 1])),
    )


def single_frames(clips: Dataset) -> Dataset:
    """Returns all frames of all clips as images, each with the label of its clip.

    Args:
      clips: a set with `input [N, T, H, W, C]` and `label [N]`.

    Returns:
      A set with `input [N T, H, W, C]` and `label [N T]`. Frame t of clip i is row i T + t.

    Example:
      >>> single_frames(moving_digits("direction", 100)[1])["input"].shape
      (160, 16, 16, 1)
    """
    images = np.asarray(clips["input"])
    arrays = {
        "input": images.reshape(-1, *images.shape[2:]),
        "label": np.repeat(np.asarray(clips["label"]), images.shape[1]),
    }
    return dataclasses.replace(clips, arrays=arrays)


def _direction_clips(
    images: Dataset, count: int, frames: int, size: int, random: np.random.RandomState
) -> Dataset:
    """Generates `count` clips in which one digit moves in the direction of the label."""
    label = random.permutation(count) % 4
    chosen = random.randint(0, len(images), count)
    start = random.randint(0, size, (count, 2))
    velocity = DIRECTIONS[label] * random.randint(1, 3, (count, 1))
    position = _wrapped_positions(start, velocity, frames, size)
    chosen = np.repeat(chosen[:, None], frames, 1)
    return _render("direction", images, chosen, position, size, label)


def _count_clips(
    images: Dataset, count: int, frames: int, size: int, random: np.random.RandomState
) -> Dataset:
    """Generates `count` clips of four segments, which show `label + 1` different digits."""
    label = random.permutation(count) % 4
    digit = _segment_digits(label, random)
    chosen = _segment_images(images["label"], digit, random)
    start = random.randint(0, size - SIDE + 1, (count, SEGMENTS, 2))
    velocity = random.randint(-1, 2, (count, SEGMENTS, 2))
    segment = np.arange(frames) * SEGMENTS // frames
    position = _reflected_positions(start, velocity, frames, size - SIDE + 1)
    position = position[:, segment, np.arange(frames)]
    return _render("count", images, chosen[:, segment], position, size, label)


def _segment_digits(
    label: Int[np.ndarray, " N"], random: np.random.RandomState
) -> Int[np.ndarray, "N 4"]:
    """Returns the digit of each segment, `label + 1` different ones in each clip.

    They are the first `label + 1` of a permutation of 0..4. Each of them occurs at least once, and
    their order is random.
    """
    permuted = random.random_sample((len(label), COUNTED_DIGITS)).argsort(1)[:, :SEGMENTS]
    index = np.arange(SEGMENTS) + np.zeros_like(label)[:, None]
    repeated = random.randint(0, label[:, None] + 1, index.shape)
    index = np.where(index > label[:, None], repeated, index)
    order = random.random_sample(index.shape).argsort(1)
    return np.take_along_axis(permuted, np.take_along_axis(index, order, 1), 1)


def _segment_images(
    label: Int[np.ndarray, " images"],
    digit: Int[np.ndarray, "N 4"],
    random: np.random.RandomState,
) -> Int[np.ndarray, "N 4"]:
    """Returns the row of an image of each digit, with no image twice in a clip.

    The images differ because each segment has a different residue modulo 4 among the images of its
    digit.
    """
    rows_by_digit = np.argsort(label, kind="stable")
    counts = np.bincount(label, minlength=10)
    first = np.cumsum(counts) - counts
    residue = random.random_sample(digit.shape).argsort(1)
    quotient = random.randint(0, counts[digit] // SEGMENTS)
    return rows_by_digit[first[digit] + SEGMENTS * quotient + residue]


def _wrapped_positions(
    start: Int[np.ndarray, "*N 2"], velocity: Int[np.ndarray, "*N 2"], frames: int, size: int
) -> Int[np.ndarray, "*N T 2"]:
    """Returns positions modulo `size`; they are uniform at all times if they are at the start."""
    return (start[..., None, :] + velocity[..., None, :] * np.arange(frames)[:, None]) % size


def _reflected_positions(
    start: Int[np.ndarray, "*N 2"], velocity: Int[np.ndarray, "*N 2"], frames: int, size: int
) -> Int[np.ndarray, "*N T 2"]:
    """Returns positions in 0..size-1 with a reflection at each end.

    They are positions modulo `2 size`, of which the second half is mirrored onto the first.
    """
    wrapped = _wrapped_positions(start, velocity, frames, 2 * size)
    return np.minimum(wrapped, 2 * size - 1 - wrapped)


def _render(
    question: str,
    images: Dataset,
    chosen: Int[np.ndarray, "N T"],
    position: Int[np.ndarray, "N T 2"],
    size: int,
    label: Int[np.ndarray, " N"],
) -> Dataset:
    """Returns the set of clips with the upper left corner of each image at its position.

    Args:
      question: name of the question, for the name of the set.
      images: the images of digits.
      chosen: the row of the image in each frame.
      position: row and column of the upper left corner in each frame.
      size: height and width of the clips.
      label: the label of each clip.
    """
    clips = np.zeros((*chosen.shape, size, size), np.float32)
    row = (position[..., 0, None] + np.arange(SIDE)) % size
    column = (position[..., 1, None] + np.arange(SIDE)) % size
    n, t = np.ogrid[: chosen.shape[0], : chosen.shape[1]]
    pixels = images["input"][..., 0][chosen]
    clips[n[..., None, None], t[..., None, None], row[..., None], column[..., None, :]] = pixels
    arrays = {
        "input": clips[..., None],
        "label": label.astype(np.int32),
        "digit": images["label"][chosen].astype(np.int32),
    }
    return Dataset(arrays, f"moving-digits-{question}", 4, class_names=CLASS_NAMES[question])
