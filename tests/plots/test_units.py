"""Tests of pictures of units and of the maps of every layer."""

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.page import BLUE, RED
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [3, 11])
def test_each_unit_has_its_made_image_and_its_crops(channels, count, drawn, tmp_path):
    made = RNG.random((count, 5, 7, channels))
    crops = [RNG.random((4, 6, 6, channels)) for _ in range(count)]
    values = np.sort(RNG.random((count, 4)))[:, ::-1]
    made_values = np.where(np.arange(count) == 1, -1.0, 2.0)
    units = list(range(10, 10 + count))
    path = plots.unit_images(
        units,
        made,
        made_values,
        crops,
        values,
        tmp_path / "u.png",
        "title",
        dead=[True] + [False] * (count - 1),
    )
    pixels(path)
    (ax,) = drawn
    assert len(ax.images) == 5 * count
    places = [image.get_extent() for image in ax.images]
    for i, (left, right, bottom, top) in enumerate(places):
        for other in places[:i]:
            assert left >= other[1] or right <= other[0] or top >= other[2] or bottom <= other[3]
    words = [text.get_text() for text in ax.texts]
    assert {f"unit {unit}" for unit in units} <= set(words)
    assert words.count("dead") == 1
    colors = [text.get_color() for text in ax.texts if text.get_weight() == "bold"]
    assert colors == [BLUE if i != 1 else RED for i in range(count)]
    shown = ax.images[5].get_array()
    expected = made[1]
    if channels == 3:
        assert (shown[..., 3] == 1).all()
        shown = shown[..., :3]
    np.testing.assert_allclose(shown.reshape(expected.shape), expected)


def test_pixels_outside_of_an_image_are_transparent(drawn, tmp_path):
    for channels in (1, 3):
        made = RNG.random((1, 4, 4, channels))
        made[0, :2] = np.nan
        plots.unit_images([0], made, np.ones(1), [made], np.ones((1, 1)), tmp_path / "u.png")
        shown = drawn[-1].images[0].get_array()
        if channels == 1:
            assert np.ma.getmaskarray(shown)[:2].all() and not np.ma.getmaskarray(shown)[2:].any()
        else:
            assert (shown[:2, :, 3] == 0).all() and (shown[2:, :, 3] == 1).all()


def test_bad_units_are_refused(tmp_path):
    path = tmp_path / "u.png"
    made = np.zeros((2, 4, 4, 1))
    with raises_input_error("units: got 1, allowed: as many as made images, 2"):
        plots.unit_images([0], made, np.ones(2), [made] * 2, np.ones((2, 2)), path)
    with raises_input_error("crops: got 1, allowed: as many as made images, 2"):
        plots.unit_images([0, 1], made, np.ones(2), [made], np.ones((2, 2)), path)
    allowed = "the shape [N, H, W, C], N at least 1, C 1 or 3"
    with raises_input_error(f"made: got (2, 4, 4, 2), allowed: {allowed}"):
        plots.unit_images([0, 1], np.zeros((2, 4, 4, 2)), np.ones(2), [made], np.ones((2, 2)), path)


def test_every_layer_has_a_row_with_its_strongest_maps(drawn, tmp_path):
    maps = {
        "conv_0": RNG.normal(size=(6, 6, 14)),
        "activation_0": RNG.random((3, 5, 2)),
        "head/out": RNG.normal(size=10),
    }
    path = plots.layer_maps(RNG.random((8, 8, 3)), maps, tmp_path / "maps.png", count=5)
    pixels(path)
    (ax,) = drawn
    assert len(ax.images) == 1 + 5 + 2
    strongest = np.argsort(-np.abs(maps["conv_0"]).max((0, 1)))[:5]
    for image, unit in zip(ax.images[1:6], strongest, strict=True):
        np.testing.assert_array_equal(image.get_array(), maps["conv_0"][..., unit])
        low, high = image.get_clim()
        assert low == -high
    assert ax.images[6].get_clim()[0] == 0
    words = {text.get_text() for text in ax.texts}
    assert {"conv_0", "6 × 6 × 14", "activation_0", "3 × 5 × 2"} <= words
    assert any(word.startswith("16 maps in 2 layers") for word in words)


def test_bad_maps_are_refused(tmp_path):
    with raises_input_error("image: got (8, 8), allowed: the shape [H, W, C], C 1 or 3"):
        plots.layer_maps(np.zeros((8, 8)), {}, tmp_path / "x.png")
    with raises_input_error("maps: got ['out'], allowed: at least one layer with maps [I, J, U]"):
        plots.layer_maps(np.zeros((8, 8, 1)), {"out": np.zeros(3)}, tmp_path / "x.png")
