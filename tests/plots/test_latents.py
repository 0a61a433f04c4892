"""Tests of maps of codes: the colours of all points, and the numbers of all classes."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure

from jaxdl.errors import InputError
from jaxdl.plots import draw_latent_map, latent_map, latent_maps, posterior_samples
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(60, 2))
LABEL = RNG.permutation(np.repeat([0, 2, 5], 20))
PLANES = {"plain": CODES}, {"plain": CODES, "variational": -CODES}


def test_points_have_the_colour_of_their_class():
    ax = Figure().subplots()
    draw_latent_map(ax, CODES, LABEL, "codes")
    points = ax.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), CODES)
    np.testing.assert_allclose(points.get_facecolors()[:, :3], colormaps["tab10"](LABEL)[:, :3])
    named = {text.get_text(): text.get_position() for text in ax.texts}
    assert set(named) == {"0", "2", "5"}
    for name, place in named.items():
        np.testing.assert_allclose(place, np.median(CODES[int(name) == LABEL], 0))
    assert ax.get_title(loc="left") == "codes" or ax.get_title() == "codes"


def test_a_file_is_written(tmp_path):
    path = latent_map(CODES, LABEL + 9, tmp_path / "plane.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_names_mark_the_classes(tmp_path):
    """A class that does not occur has no mark, also if it is the last one."""
    ax = Figure().subplots()
    names = [f"class {k}" for k in range(LABEL.max() + 3)]
    draw_latent_map(ax, CODES, LABEL, "codes", names)
    assert [text.get_text() for text in ax.texts] == [names[k] for k in np.unique(LABEL)]
    pixels(latent_map(CODES, LABEL, tmp_path / "plane.png", names=names))
    with pytest.raises(InputError, match="^names: got 1, allowed: as many as classes"):
        latent_map(CODES, LABEL, tmp_path / "none.png", names=["a"])


def test_maps_are_side_by_side(tmp_path):
    one, two = (pixels(latent_maps(planes, LABEL, tmp_path / "planes.png")) for planes in PLANES)
    assert (one.shape[0], 2 * one.shape[1]) == two.shape[:2]
    with pytest.raises(InputError, match="planes: got {}, allowed: at least one"):
        latent_maps({}, LABEL, tmp_path / "none.png")


@pytest.mark.parametrize(
    ("codes", "label", "message"),
    [
        (CODES[:, :1], LABEL, "codes: got (60, 1), allowed: finite numbers [N, 2], N at least 1"),
        (CODES * np.nan, LABEL, "codes: got (60, 2), allowed: finite numbers [N, 2], N at least 1"),
        (CODES, LABEL[:3], "label: got (3,), allowed: integers in [0, 20), as many as codes, 60"),
        (CODES, LABEL + 20, "label: got (60,), allowed: integers in [0, 20), as many as codes, 60"),
    ],
)
def test_bad_input(codes, label, message, tmp_path):
    with pytest.raises(InputError) as caught:
        latent_map(codes, label, tmp_path / "plane.png")
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_posterior_samples_are_above_their_differences(tmp_path, monkeypatch):
    grids = []
    monkeypatch.setattr(
        "jaxdl.plots.latents.image_grid",
        lambda images, path, columns, title, rows: grids.append((images, columns, title, rows)),
    )
    images = RNG.random((2, 3, 3, 1))
    decoded = RNG.random((2, 4, 3, 3, 1))
    posterior_samples(images, decoded, tmp_path / "x.png")
    grid, columns, title, names = grids[0]
    rows = grid.reshape(4, 5, 3, 3, 1)
    assert columns == ["image", "sample 1", "sample 2", "sample 3", "sample 4"]
    assert names == ["image 1", "differences", "image 2", "differences"]
    for i in range(2):
        np.testing.assert_array_equal(rows[2 * i, 0], images[i])
        np.testing.assert_array_equal(rows[2 * i, 1:], decoded[i])
        assert (rows[2 * i + 1, 0] == 1).all(), "not as white as the page"
        difference = decoded[i] - decoded[i].mean(0)
        shown = rows[2 * i + 1, 1:] - 0.5
        np.testing.assert_allclose(shown / shown.max(), difference / difference.max(), atol=1e-9)
    assert rows.min() >= 0 and rows.max() <= 1
    deviation = (decoded - decoded.mean(1, keepdims=True)).std()
    assert f"standard deviation of a pixel {deviation:.3f}" in title


def test_a_posterior_without_spread_is_grey(tmp_path):
    images = RNG.random((2, 3, 3, 1))
    pixels(posterior_samples(images, images[:, None], tmp_path / "x.png"))
    with raises_input_error(
        "decoded: got (2, 3, 3, 1), allowed: [N, K, H, W, C] for images (2, 3, 3, 1)"
    ):
        posterior_samples(images, images, tmp_path / "y.png")
