"""Short films of handwritten digits with questions that no single frame answers."""

from typing import Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.embedded import digits
from jaxdl.errors import at_least, one_of

#: Left, right, up, down: rows and columns per frame at speed 1.
DIRECTIONS = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]])
#: Pixels of a digit's side.
SIDE = 8
#: Where digits are counted: how many follow one another, and how many kinds there are, 0 to 4.
TURNS = 4
KINDS = 5


def moving_digits(
    question: Literal["direction", "count"],
    count: int,
    frames: int = 8,
    size: int = 16,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Films of scikit-learn's digits, each with a question of four answers.

    `direction`: which way does the digit go? One digit goes left (0), right (1), up (2) or down (3), and
    comes in again on the other side:

        p_t = (p_0 + t v d_label) mod size,    p_0 uniform on all places, v uniform in {1, 2}

    so that p_t is uniform for every t, v and label. `count`: how many different digits came by, less 1?
    Four turns of `frames / 4` frames each show one digit, as many different ones as the label says; the
    same digit comes again in another handwriting. A turn's digit is uniform in 0..4 whatever the
    label is; it begins anywhere within the picture, goes by -1, 0 or 1 rows and columns per frame, and
    turns round at the edge. In both films a single frame is as likely under one label as under another.

    Args:
      question: `direction` or `count`.
      count: N, how many films are in the training set, at least 5; the test set has `N // 5`.
      frames: T, at least 2 for a direction, 4 for a count.
      size: H and W, at least 8.
      seed: of all that is random.

    Returns:
      `(train, test)`, `input [N, T, H, W, 1]` float32 in [0, 1], `label [N]` int32 in [0, 4), each as
      often as the others, `digit [N, T]` int32, which digit a frame shows. Train and test films show the
      train and test images of `digits`.

    Raises:
      InputError: an unknown question, too few films or frames, too small a picture, a negative seed.

    Example:
      >>> train, test = moving_digits("direction", 100)
      >>> train["input"].shape, len(test)
      ((100, 8, 16, 16, 1), 20)

    Source: after the moving digits of Srivastava et al., "Unsupervised Learning of Video Representations
    using LSTMs", ICML 2015.
    """
    one_of("question", question, ("direction", "count"))
    at_least("count", count, 5)
    at_least("frames", frames, 2 if question == "direction" else TURNS)
    at_least("size", size, SIDE)
    at_least("seed", seed, 0)
    film = _direction if question == "direction" else _count
    train, test = digits()
    # A stream for each set, so that the films of one do not depend on how many the other has.
    return (
        film(train, count, frames, size, np.random.RandomState([seed, 0])),
        film(test, count // 5, frames, size, np.random.RandomState([seed, 1])),
    )


def _direction(
    images: Dataset, count: int, frames: int, size: int, draw: np.random.RandomState
) -> Dataset:
    label = draw.permutation(count) % 4
    chosen = draw.randint(0, len(images), count)
    start = draw.randint(0, size, (count, 2))
    velocity = DIRECTIONS[label] * draw.randint(1, 3, (count, 1))
    place = _round_trip(start, velocity, frames, size)
    return _film("direction", images, np.repeat(chosen[:, None], frames, 1), place, size, label)


def _count(
    images: Dataset, count: int, frames: int, size: int, draw: np.random.RandomState
) -> Dataset:
    label = draw.permutation(count) % 4
    chosen = _handwriting(images["label"], _turns(label, draw), draw)
    start = draw.randint(0, size - SIDE + 1, (count, TURNS, 2))
    velocity = draw.randint(-1, 2, (count, TURNS, 2))
    turn = np.arange(frames) * TURNS // frames
    place = _to_and_fro(start, velocity, frames, size - SIDE + 1)[:, turn, np.arange(frames)]
    return _film("count", images, chosen[:, turn], place, size, label)


def _turns(label: Int[np.ndarray, " N"], draw: np.random.RandomState) -> Int[np.ndarray, "N 4"]:
    """The digit of each turn: the first `label + 1` of a permutation of 0..4, each at least once, in any order."""
    kinds = draw.random_sample((len(label), KINDS)).argsort(1)[:, :TURNS]
    which = np.arange(TURNS) + np.zeros_like(label)[:, None]
    again = draw.randint(0, label[:, None] + 1, which.shape)
    which = np.where(which > label[:, None], again, which)
    order = draw.random_sample(which.shape).argsort(1)
    return np.take_along_axis(kinds, np.take_along_axis(which, order, 1), 1)


def _handwriting(
    label: Int[np.ndarray, " images"], turns: Int[np.ndarray, "N 4"], draw: np.random.RandomState
) -> Int[np.ndarray, "N 4"]:
    """An image for each turn, no image twice in a film: each turn takes a residue of 4 of its own."""
    of = np.argsort(label, kind="stable")
    many = np.bincount(label, minlength=10)
    residue = draw.random_sample(turns.shape).argsort(1)
    return of[
        (np.cumsum(many) - many)[turns] + TURNS * draw.randint(0, many[turns] // TURNS) + residue
    ]


def _round_trip(
    start: Int[np.ndarray, "*N 2"], velocity: Int[np.ndarray, "*N 2"], frames: int, size: int
) -> Int[np.ndarray, "*N T 2"]:
    """Places on a ring of `size`: uniform at every time if they were at the first."""
    return (start[..., None, :] + velocity[..., None, :] * np.arange(frames)[:, None]) % size


def _to_and_fro(
    start: Int[np.ndarray, "*N 2"], velocity: Int[np.ndarray, "*N 2"], frames: int, size: int
) -> Int[np.ndarray, "*N T 2"]:
    """Places in 0..size-1 with a turn at each end: a ring of `2 size` folded in the middle."""
    ring = _round_trip(start, velocity, frames, 2 * size)
    return np.minimum(ring, 2 * size - 1 - ring)


def _film(
    question: str,
    images: Dataset,
    chosen: Int[np.ndarray, "N T"],
    place: Int[np.ndarray, "N T 2"],
    size: int,
    label: Int[np.ndarray, " N"],
) -> Dataset:
    """Paints image `chosen[n, t]` with its upper left corner at `place[n, t]`."""
    film = np.zeros((*chosen.shape, size, size), np.float32)
    row, column = ((place[..., i, None] + np.arange(SIDE)) % size for i in (0, 1))
    n, t = np.ogrid[: chosen.shape[0], : chosen.shape[1]]
    film[n[..., None, None], t[..., None, None], row[..., None], column[..., None, :]] = images[
        "input"
    ][..., 0][chosen]
    arrays = {
        "input": film[..., None],
        "label": label.astype(np.int32),
        "digit": images["label"][chosen].astype(np.int32),
    }
    return Dataset(arrays, f"moving-digits-{question}", 4)
