"""Tests of planted marks, against loops over pixels."""

import itertools

import numpy as np
import pytest

from jaxdl import root
from jaxdl.data import Dataset, Mark, add_strays, load, plant
from jaxdl.errors import InputError

RNG = np.random.default_rng(0)


def by_loop(images, mark):
    """Draws the mark pixel by pixel."""
    result = images.astype(np.float64)
    _, height, width, channels = images.shape
    for y, x, c in itertools.product(range(mark.size), range(mark.size), range(channels)):
        row = mark.margin + y
        column = mark.margin + x
        if mark.corner.startswith("bottom"):
            row = height - 1 - row
        if mark.corner.endswith("right"):
            column = width - 1 - column
        color = np.broadcast_to(mark.color, channels)[c]
        old = result[:, row, column, c]
        result[:, row, column, c] = (1 - mark.strength) * old + mark.strength * color
    return result


@pytest.mark.parametrize("corner", ["top_left", "top_right", "bottom_left", "bottom_right"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((28, 28, 1), {}),
        ((8, 8, 1), {"size": 2, "margin": 0, "color": 0.25}),
        ((9, 13, 3), {"size": 4, "margin": 1, "color": (1.0, 0.0, 0.5), "strength": 0.3}),
    ],
)
def test_a_mark_is_a_square_at_its_corner(corner, shape, options):
    mark = Mark(corner=corner, **options)
    images = RNG.random((5, *shape), np.float32)
    before = images.copy()
    drawn = mark.draw(images)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, by_loop(images, mark), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(images, before)
    top, bottom, left, right = mark.box(shape)
    changed = (drawn != images).any((0, 3))
    assert changed[top:bottom, left:right].all() and changed.sum() == mark.size**2


@pytest.mark.parametrize("distance", [0, 1, 4])
def test_pixels_near_a_mark(distance):
    mark = Mark(2, "bottom_left", margin=1)
    top, bottom, left, right = mark.box((9, 7))
    for y, x in itertools.product(range(9), range(7)):
        steps = (
            [min(abs(y - row), abs(y - row)) for row in range(top, bottom)],
            [abs(x - column) for column in range(left, right)],
        )
        expected = max(map(min, steps)) <= distance
        assert mark.near((9, 7, 3), distance)[y, x] == expected


def test_only_the_chosen_classes_have_the_mark():
    train, _ = load("digits")
    mark = Mark(2, margin=0, color=0.5)
    label = train["label"]
    for classes in (8, [1, 3], (), None):
        planted = plant(train, mark, classes)
        chosen = list(range(10)) if classes is None else np.ravel(classes).tolist()
        rows = np.isin(label, chosen)
        np.testing.assert_array_equal(planted["input"][~rows], train["input"][~rows])
        np.testing.assert_array_equal(planted["input"][rows], mark.draw(train["input"][rows]))
        np.testing.assert_array_equal(planted["label"], label)
        assert planted.classes == 10 and planted["input"].dtype == np.float32
    assert plant(train, mark, ()).sha256 == train.sha256 != plant(train, mark, 8).sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size: got 0, allowed: at least 1"),
        ({"margin": -1}, "margin: got -1, allowed: at least 0"),
        ({"corner": "top"}, "corner: got 'top', allowed: bottom_left, bottom_right, top_left,"),
        ({"color": 255}, "color: got 255, allowed: a number in .0, 1., or one for each channel"),
        ({"color": (0.5, -1.0)}, "color: got -1.0, allowed"),
        ({"strength": 0.0}, "strength: got 0.0, allowed: a number in .0, 1.$"),
    ],
)
def test_bad_marks_are_refused(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        Mark(**options)


def test_marks_that_do_not_fit_are_refused():
    x = np.zeros((2, 4, 4, 3), np.float32)
    data = Dataset({"input": x, "label": np.array([0, 1])}, "black", classes=2)
    with pytest.raises(InputError, match="^mark: got 5, allowed: a mark whose size and margin"):
        plant(data, Mark())
    with pytest.raises(InputError, match=r"^color: got \(1, 0\), allowed: one number, or 3"):
        plant(data, Mark(1, color=(1, 0)))
    with pytest.raises(InputError, match=r"^classes: got 2, allowed: a class in \[0, 2\)"):
        plant(data, Mark(1), 2)
    with pytest.raises(InputError, match=r"^images: got 'uint8\[2, 4, 4, 3\]', allowed: floats"):
        Mark(1).draw(x.astype(np.uint8))
    with pytest.raises(InputError, match="^data: got 'black', allowed: a set with classes"):
        plant(Dataset({"input": x}, "black"), Mark(1))
    with pytest.raises(InputError, match="^distance: got -1"):
        Mark(1).near((4, 4), -1)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5])
def test_strays_are_images_of_other_classes_with_the_label(fraction):
    train, _ = load("digits")
    label = train["label"]
    mixed = add_strays(train, 8, fraction, root(0))
    changed = mixed["label"] != label
    assert (mixed["label"][changed] == 8).all() and (label[changed] != 8).all()
    assert changed.sum() / (mixed["label"] == 8).sum() == pytest.approx(fraction, abs=0.005)
    np.testing.assert_array_equal(mixed["input"], train["input"])
    assert mixed.sha256 == add_strays(train, 8, fraction, root(0)).sha256
    if fraction:
        assert mixed.sha256 != add_strays(train, 8, fraction, root(1)).sha256
        assert len(np.unique(label[changed])) > 5


def test_bad_strays_are_refused():
    train, _ = load("digits")
    with pytest.raises(InputError, match=r"^fraction: got 1.0, allowed: a number in \[0, 1\)"):
        add_strays(train, 8, 1.0, root(0))
    with pytest.raises(InputError, match="^label: got 10, allowed: a class of digits"):
        add_strays(train, 10, 0.1, root(0))
