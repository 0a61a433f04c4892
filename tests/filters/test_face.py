"""Tests of the face detector against a comparison of single cells, and of its tolerance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.filters import (
    FACE,
    PARTS,
    STROKES,
    binary_kernel,
    drawing,
    face_detector,
    find_face,
    match_filter,
    parts_drawing,
    tolerance,
)
from jaxdl.filters.drawings import FRONT, PLACES, PROFILE, SCRAMBLED
from tests.plots.pictures import raises_input_error

RNG = np.random.default_rng(3)


def at(maps, channel, i, j):
    """Returns a cell of a map [H, W, C]; outside of the map it is 0."""
    inside = 0 <= i < maps.shape[0] and 0 <= j < maps.shape[1]
    return maps[i, j, channel] if inside else 0


def matches(maps, rows, symbols, gap):
    """Compares the cells of a filter with a map one by one, at every position."""
    found = np.zeros(maps.shape[:2])
    # As with the padding "SAME", a filter of 3 cells is centered, and one of 2 cells begins there.
    middle = (len(rows) - 1) // 2
    for i, j in np.ndindex(found.shape):
        agrees = True
        for f, row in enumerate(rows):
            for g, cell in enumerate(row):
                if cell == "?":
                    continue
                channel = symbols.index(cell) if symbols else 0
                wanted = 0 if cell == "." else 1
                agrees &= (
                    at(maps, channel, i + gap * (f - middle), j + gap * (g - middle)) == wanted
                )
        found[i, j] = agrees
    return found


def pooled(maps):
    """Returns the largest of 2x2 cells."""
    height, width, channels = maps.shape
    return maps.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def compared(image, pool=True):
    """Returns the maps of the three layers without a convolution."""
    gaps = (1, 1, 1) if pool else (1, 2, 4)
    next_maps = pooled if pool else lambda maps: maps
    strokes = [matches(image, rows, "", gaps[0]) for rows in STROKES.values()]
    maps = next_maps(np.stack(strokes, -1))
    parts = [matches(maps, rows, "".join(STROKES), gaps[1]) for rows in PARTS.values()]
    maps = next_maps(np.stack(parts, -1))
    return strokes, parts, matches(maps, FACE, "enm", gaps[2])


IMAGES = {
    "front": drawing(FRONT),
    "profile": drawing(PROFILE),
    "scrambled": drawing(SCRAMBLED),
    "moved": parts_drawing(24, (3, 5), {"mouth": (1, -1)}),
    "random": RNG.integers(0, 2, (24, 24, 1)).astype(np.float32),
    "nearly black": (RNG.random((24, 24, 1)) > 0.2).astype(np.float32),
    "empty": np.zeros((24, 24, 1), np.float32),
}


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("name", IMAGES)
def test_all_maps_equal_a_comparison_of_cells(name, pool):
    found = find_face(IMAGES[name], pool)
    strokes, parts, face = compared(IMAGES[name], pool)
    np.testing.assert_array_equal(list(found.strokes.values()), strokes)
    np.testing.assert_array_equal(list(found.parts.values()), parts)
    np.testing.assert_array_equal(found.face, face)
    assert found.is_face == bool(face.any())


def test_the_front_is_a_face_and_the_others_are_not():
    assert {name: find_face(image).is_face for name, image in IMAGES.items()} == {
        "front": True,
        "profile": False,
        "scrambled": False,
        "moved": True,
        "random": False,
        "nearly black": False,
        "empty": False,
    }


def test_parts_of_each_drawing():
    """The lower edge of an eye fits the filter of the mouth."""
    counts = {
        name: {part: int(each.sum()) for part, each in find_face(IMAGES[name]).parts.items()}
        for name in ("front", "profile", "scrambled")
    }
    assert counts == {
        "front": {"eye": 2, "nose": 1, "mouth": 3},
        "profile": {"eye": 1, "nose": 0, "mouth": 1},
        "scrambled": {"eye": 2, "nose": 1, "mouth": 3},
    }


@pytest.mark.parametrize("pool", [True, False])
def test_a_face_is_found_wherever_it_is(pool):
    """Also in several places at once; its distances are multiples of the strides."""
    model, variables = face_detector(pool)
    offsets = np.ndindex(9, 9)
    canvas = np.stack(
        [np.pad(IMAGES["front"], ((y, 8 - y), (x, 8 - x), (0, 0))) for y, x in offsets]
    )
    maps = model.apply(variables, canvas, train=False)
    np.testing.assert_array_equal(maps.sum((1, 2, 3)), 1)
    two = np.concatenate([IMAGES["front"], IMAGES["scrambled"], IMAGES["front"]], 1)
    assert find_face(two, pool).face.sum() == 2


@pytest.mark.parametrize("part", PLACES)
def test_a_missing_part_is_no_face(part):
    image = parts_drawing(32, (8, 8))
    assert find_face(image).is_face
    alone = parts_drawing(32, (8, 8), {part: (0, 0)})
    top, left = (8 + offset for offset in PLACES[part])
    alone[top : top + 4, left : left + 6] = 0
    assert not find_face(alone).is_face


def test_the_tolerance_is_the_share_of_moves_within_squares():
    reach = np.array([4, 3, 2, 1, 0, 1, 2, 3, 4])
    share = np.maximum(1 - reach / 4, 0)
    found = tolerance("mouth", 4)
    # Upwards the mouth meets the nose.
    np.testing.assert_allclose(found[4:], np.outer(share, share)[4:])
    without = tolerance("mouth", 4, pool=False)
    assert without[4, 4] == 1
    assert without.sum() == 1


def test_weights_are_whole_numbers_and_activations_zero_or_one():
    model, variables = face_detector()
    params = variables["params"]
    kernels = [params[f"conv_{i}"]["kernel"] for i in range(3)]
    assert [each.shape for each in kernels] == [(2, 2, 1, 5), (3, 3, 5, 3), (3, 3, 3, 1)]
    for i, kernel in enumerate(kernels):
        assert set(np.unique(kernel)) <= {-1, 0, 1}
        np.testing.assert_array_equal(params[f"conv_{i}"]["bias"], 1 - (kernel == 1).sum((0, 1, 2)))
    maps = model.apply(variables, np.stack(list(IMAGES.values())), train=False)
    assert set(np.unique(maps)) == {0, 1}
    image = np.zeros((1, 24, 24, 1), np.float32)
    fresh = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))["params"]
    assert {name: each["kernel"].shape for name, each in fresh.items()} == {
        f"conv_{i}": kernel.shape for i, kernel in enumerate(kernels)
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_a_match_is_agreement_of_all_cells_that_matter(channels):
    symbols = "abc"[:channels] if channels > 1 else ""
    cells = "?" + (symbols or "#.")
    for _ in range(20):
        rows = ["".join(RNG.choice(list(cells), 3)) for _ in range(2)]
        if set("".join(rows)) == {"?"}:
            continue
        image = RNG.integers(0, 2, (6, 7, channels)).astype(np.float32)
        found = match_filter(jnp.asarray(image), binary_kernel(rows, symbols))
        expected = np.zeros((5, 5))
        for i, j in np.ndindex(5, 5):
            expected[i, j] = all(
                image[i + f, j + g, max(symbols.find(cell), 0)] == (cell != ".")
                for f, row in enumerate(rows)
                for g, cell in enumerate(row)
                if cell != "?"
            )
        np.testing.assert_array_equal(found, expected)


def test_bad_drawings_and_filters():
    with raises_input_error("drawing: got ['##', '#'], allowed: lines of one length, at least 1"):
        drawing("##\n#")
    with raises_input_error("drawing: got '?', allowed: cells of '#', '.'"):
        drawing("#?\n##")
    with raises_input_error("filter: got '2', allowed: cells of '#', '.', '?'"):
        binary_kernel(["#2"])
    with raises_input_error("filter: got '#', allowed: cells of 'e', 'n', '?'"):
        binary_kernel(["e#"], "en")
    with raises_input_error("filter: got '#.', allowed: lines of one length, at least 1"):
        binary_kernel("#.")
    with raises_input_error("filter: got ['??'], allowed: at least one cell other than '?'"):
        binary_kernel(["??"])
    allowed = "an image [H, W, C] of zeros and ones, such as drawing(text)"
    with raises_input_error(f"image: got '(2, 2, 1) with [0.5]', allowed: {allowed}"):
        match_filter(np.full((2, 2, 1), 0.5), binary_kernel(["#"]))
    with raises_input_error("image: got (4, 4, 3), allowed: one drawing, [H, W, 1]"):
        find_face(np.zeros((4, 4, 3)))
    with raises_input_error("pool: got 2, allowed: True or False"):
        face_detector(2)
    parts = "left eye, right eye, nose, mouth"
    with raises_input_error(f"moved: got 'ear', allowed: one of {parts}"):
        parts_drawing(moved={"ear": (0, 0)})
    with raises_input_error(f"part: got 'ear', allowed: one of {parts}"):
        tolerance("ear", 1)
    with raises_input_error("reach: got -1, allowed: at least 0"):
        tolerance("nose", -1)
    with raises_input_error("moved: got 'mouth at (40, 12)', allowed: inside of 32x32 pixels"):
        parts_drawing(moved={"mouth": (20, 0)})


def test_a_reach_of_more_than_a_part_is_refused():
    with raises_input_error("reach: got 1000000, allowed: at most 8 pixels"):
        tolerance("mouth", 10**6)
    with raises_input_error("reach: got 1.5, allowed: an integer, at least 0"):
        tolerance("mouth", 1.5)
