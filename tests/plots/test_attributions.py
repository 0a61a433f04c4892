"""Tests of the pictures of explanations."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_has_its_map_of_each_method(channels, drawn, tmp_path):
    images = RNG.random((3, 6, 9, channels))
    maps = {
        "gradient": RNG.normal(size=(3, 6, 9, channels)),
        "grad_cam": RNG.random((3, 6, 9, 1)),
        "none": np.zeros((3, 6, 9, 1)),
    }
    captions = {"image": ["a", "b", "c"], "gradient": ["0.1", "0.2", "0.3"]}
    path = plots.attribution_maps(
        images,
        maps,
        tmp_path / "maps.png",
        title="title $1",
        labels=["7\n99 %", "8", "9"],
        captions=captions,
        box=(0, 2, 6, 9),
    )
    pixels(path)
    (ax,) = drawn
    assert len(ax.images) == 3 * 4 + 1
    for i in range(3):
        shown = ax.images[3 + i]
        expected = maps["gradient"][i].sum(-1)
        np.testing.assert_allclose(shown.get_array(), expected)
        low, high = shown.get_clim()
        assert low == -high and 0 < high <= np.abs(expected).max()
        assert ax.images[9 + i].get_clim() == (-1, 1)
    words = {text.get_text() for text in ax.texts}
    assert {"gradient", "grad_cam", "0.1", "c", "8", "7\n99 %", r"title \$1"} <= words
    places = [image.get_extent() for image in ax.images]
    for i, (left, right, bottom, top) in enumerate(places):
        for other in places[:i]:
            assert left >= other[1] or right <= other[0] or top >= other[2] or bottom <= other[3]


def test_bad_maps_are_refused(tmp_path):
    images = np.zeros((2, 4, 4, 1))
    path = tmp_path / "maps.png"
    with raises_input_error("maps: got {}, allowed: the maps of at least one method"):
        plots.attribution_maps(images, {}, path)
    with raises_input_error("maps['x']: got [2, 4, 4], allowed: the shape [2, 4, 4] and channels"):
        plots.attribution_maps(images, {"x": np.zeros((2, 4, 4))}, path)
    with raises_input_error("labels: got 1, allowed: as many as images, 2"):
        plots.attribution_maps(images, {"x": images}, path, labels=["a"])
    with raises_input_error("captions['x']: got 3, allowed: as many as images, 2"):
        plots.attribution_maps(images, {"x": images}, path, captions={"x": ["a"] * 3})
    allowed = "the shape [N, H, W, C], N at least 1, C 1 or 3"
    with raises_input_error(f"images: got (2, 4, 4, 2), allowed: {allowed}"):
        plots.attribution_maps(np.zeros((2, 4, 4, 2)), {"x": images}, path)
    assert not path.exists()


def test_bars_are_the_shares(drawn, tmp_path):
    shares = {"marked": {"gradient": 0.4, "lime": 0.7}, "twin": {"gradient": 0.1, "lime": 0.2}}
    spread = {"marked": {"gradient": 0.02, "lime": 0.01}}
    path = plots.share_bars(
        shares, 0.06, tmp_path / "bars.png", title="t", deviations=spread, factor=3.0
    )
    pixels(path)
    (ax,) = drawn
    heights = [patch.get_height() for patch in ax.patches]
    np.testing.assert_allclose(heights, [0.4, 0.7, 0.1, 0.2])
    levels = [line.get_ydata()[0] for line in ax.lines if len(set(line.get_ydata())) == 1]
    assert {0.06, 0.18} <= {round(float(level), 9) for level in levels}
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["gradient", "LIME"]
    assert [text.get_text() for text in ax.texts] == ["0.40", "0.70", "0.10", "0.20"]


def test_bad_shares_are_refused(tmp_path):
    with raises_input_error("shares: got {}, allowed: the shares of at least one network"):
        plots.share_bars({}, 0.1, tmp_path / "x.png")
    with raises_input_error("shares['b']: got ['y'], allowed: those of the first, ['x']"):
        plots.share_bars({"a": {"x": 0.1}, "b": {"y": 0.1}}, 0.1, tmp_path / "x.png")
