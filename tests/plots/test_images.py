"""Tests of grids of images and filters: their places and ranges."""

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.images import unit_range
from tests.plots.pictures import axes, pixels, raises_input_error


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_puts_images_in_rows_without_overlap(channels, tmp_path):
    images = np.random.default_rng(0).random((7, 5, 10, channels))
    ax = axes()
    plots.draw_image_grid(ax, images, 3, [f"title {i}" for i in range(7)])
    places = [image.get_extent() for image in ax.images]
    for i, (left, right, bottom, top) in enumerate(places):
        assert (right - left) / (bottom - top) == pytest.approx(2.0), "wrong proportions"
        for other in places[:i]:
            assert left >= other[1] or right <= other[0] or top >= other[2]
    assert len({left for left, *_ in places}) == 3
    assert len({top for *_, top in places}) == 3
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    height, width, _ = pixels(plots.image_grid(images, tmp_path / "grid.png", 3)).shape
    assert width > height, "not three rows of three wide images"


def test_a_title_is_one_more_line_above_the_same_grid(tmp_path):
    images = np.random.default_rng(3).random((12, 8, 8, 1))
    plain = pixels(plots.image_grid(images, tmp_path / "plain.png", 6))
    titled = pixels(plots.image_grid(images, tmp_path / "titled.png", 6, title="twelve images"))
    other = pixels(plots.image_grid(images, tmp_path / "other.png", 6, title="12 images"))
    assert titled.shape[1] == plain.shape[1]
    assert titled.shape[0] == plain.shape[0] + round(0.3 * 150)
    assert (titled != other).any()


def test_a_long_title_has_more_lines_and_small_grids_are_wide_enough_for_it(tmp_path):
    images = np.random.default_rng(3).random((2, 8, 8, 1))
    short = pixels(plots.image_grid(images, tmp_path / "short.png", title="step 1"))
    step = pixels(plots.image_grid(images, tmp_path / "step.png", title="step 12,000"))
    long = pixels(plots.image_grid(images, tmp_path / "long.png", title="a long title " * 8))
    assert short.shape == step.shape and short.shape[1] == long.shape[1] == 4 * 150
    assert long.shape[0] > short.shape[0]


def test_texts_are_above_columns_and_beside_rows_without_overlap():
    images = np.random.default_rng(0).random((6, 8, 8, 1))
    ax = axes()
    columns = ["0 %", "50 %", "100 %"]
    rows = ["image", "reconstruction $"]
    plots.draw_image_grid(ax, images, columns, rows=rows)
    assert [each.get_text() for each in ax.texts] == [*columns, "image", "reconstruction \\$"]
    ax.figure.draw_without_rendering()
    boxes = [each.get_window_extent() for each in (*ax.texts, *ax.images)]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes[:5]) for b in boxes[i + 1 :])
    page = ax.figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1 for box in boxes)
    for i, column in enumerate(boxes[:3]):
        image = boxes[5 + i]
        assert abs(column.x0 + column.x1 - image.x0 - image.x1) < 3 and column.y0 >= image.y1
    for i, row in enumerate(boxes[3:5]):
        image = boxes[5 + 3 * i]
        assert row.x1 <= image.x0 and image.y0 < row.y0 and row.y1 < image.y1


def test_images_are_shown_in_their_range():
    rng = np.random.default_rng(0)
    small = rng.random((2, 3, 3, 1)) * 0.5
    np.testing.assert_array_equal(unit_range(small), small)
    np.testing.assert_allclose(unit_range(np.array([[0, 128, 255]], np.uint8)), [[0, 128 / 255, 1]])
    wide = rng.normal(size=(2, 3, 3, 1))
    shown = unit_range(wide)
    assert (shown.min(), shown.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(shown.ravel().argsort(), wide.ravel().argsort())
    assert np.isfinite(unit_range(np.array([np.nan, np.inf, 0.5]))).all()


def test_bad_images(tmp_path):
    path = tmp_path / "x.png"
    allowed = "the shape [N, H, W, C], N at least 1, C 1 or 3"
    for shape in ((8, 8), (2, 8, 8), (0, 8, 8, 1), (2, 8, 8, 2)):
        with raises_input_error(f"images: got {shape}, allowed: {allowed}"):
            plots.image_grid(np.zeros(shape), path)
    with raises_input_error("titles: got 1, allowed: as many as images, 2"):
        plots.image_grid(np.zeros((2, 8, 8, 1)), path, titles=["one"])
    with raises_input_error("columns: got 0, allowed: at least 1"):
        plots.image_grid(np.zeros((2, 8, 8, 1)), path, columns=0)
    with raises_input_error("columns: got 3, allowed: at most as many texts as images, 2"):
        plots.image_grid(np.zeros((2, 8, 8, 1)), path, columns=["a", "b", "c"])
    with raises_input_error("rows: got 2, allowed: a text for each row, 1"):
        plots.image_grid(np.zeros((2, 8, 8, 1)), path, columns=2, rows=["a", "b"])


def test_filters_are_symmetric_around_zero():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 1, 12))
    ax = axes()
    kernel[0] = 0.0
    plots.draw_filters(ax, kernel)
    shown = np.stack([image.get_array() for image in ax.images], -1)
    np.testing.assert_array_equal(shown[0], 0.5)
    np.testing.assert_array_equal(np.sign(shown - 0.5), np.sign(kernel[:, :, 0]))
    other = axes()
    plots.draw_filters(other, -kernel)
    np.testing.assert_allclose(
        np.stack([image.get_array() for image in other.images], -1), 1 - shown
    )


def test_the_largest_of_many_filters_are_shown():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 3, 100)) * rng.uniform(0.1, 1.0, 100)
    ax = axes()
    plots.draw_filters(ax, kernel)
    largest = np.argsort(-np.sqrt((kernel**2).sum((0, 1, 2))))[:64]
    assert len(ax.images) == 64
    for image, i in zip(ax.images, largest, strict=True):
        middle = abs(kernel[..., i]) < 0.5
        scale = (image.get_array() - 0.5)[middle] / kernel[..., i][middle]
        np.testing.assert_allclose(scale, scale[0], rtol=1e-6)


def test_dense_filters_have_the_shape_of_the_images(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "filters.png"
    pixels(plots.filters(rng.normal(size=(12, 5)), path, shape=(2, 6, 1)))
    pixels(plots.filters(rng.normal(size=(5, 5, 3, 8)), path))
    with raises_input_error("shape: got (8, 8, 1), allowed: (H, W, C) with H * W * C = 12"):
        plots.filters(rng.normal(size=(12, 5)), path, shape=(8, 8, 1))
    with raises_input_error("shape: got None, allowed: (H, W, C) with H * W * C = 12"):
        plots.filters(rng.normal(size=(12, 5)), path)
    with raises_input_error(
        "kernel: got (5, 5, 2, 8), allowed: the shape [h, w, C, filters] or [D, units], C 1 or 3"
    ):
        plots.filters(rng.normal(size=(5, 5, 2, 8)), path)


def test_reconstructions_are_below_their_images(tmp_path, monkeypatch):
    grids = []
    draw = plots.images.image_grid
    monkeypatch.setattr(
        plots.images,
        "image_grid",
        lambda images, *rest, title, rows: (
            grids.append((images, title, rows)) or draw(images, *rest, title=title, rows=rows)
        ),
    )
    rng = np.random.default_rng(0)
    images = rng.random((23, 4, 4, 1))
    outputs = rng.random((23, 4, 4, 1))
    pixels(plots.reconstructions(images, outputs, tmp_path / "pairs.png", columns=4, rows=3))
    grid, title, names = grids[0]
    assert names == ["image", "reconstruction"] * 3
    rows = grid.reshape(6, 4, 4, 4, 1)
    shown = [2 * i for i in range(12)]
    np.testing.assert_array_equal(rows[::2].reshape(12, 4, 4, 1), images[shown])
    np.testing.assert_array_equal(rows[1::2].reshape(12, 4, 4, 1), outputs[shown])
    error = sum(((a - b) ** 2).mean() for a, b in zip(images, outputs, strict=True)) / 23
    assert title.startswith("12 of 23 images") and title.endswith(f"{error:.4f}")


def test_bad_reconstructions(tmp_path):
    images = np.zeros((5, 4, 4, 1))
    with raises_input_error(
        "outputs: got (4, 4, 4, 1), allowed: the shape of images, (5, 4, 4, 1)"
    ):
        plots.reconstructions(images, images[1:], tmp_path / "x.png")
    with raises_input_error("images: got 5, allowed: at least 2 x 10"):
        plots.reconstructions(images, images, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())
