"""Tests of grids of numbers: their texts, frames, colors and titles."""

import numpy as np
import pytest

from jaxdl.filters import filter_image, products_at
from jaxdl.plots import numbers
from jaxdl.plots.page import RED
from tests.plots.pictures import axes, pixels, raises_input_error

RNG = np.random.default_rng(0)


def texts(ax):
    """Returns the texts of the cells in their order."""
    return [text.get_text() for text in ax.texts]


def test_every_cell_has_its_number_and_empty_ones_none():
    ax = axes()
    numbers.draw_numbers(ax, np.array([[1.0, -2.5], [np.nan, 1 / 9]]), 0.4)
    assert texts(ax) == ["1", "−2.5", "", "1/9"]
    assert ax.images[0].get_clim() == (-4.5, 4.5)


def test_the_frame_surrounds_the_window():
    ax = axes()
    numbers.draw_numbers(ax, np.ones((4, 5)), 0.4, window=(1, 2, 3, 2), cmap="Greys")
    frame = ax.patches[0]
    assert (frame.get_x(), frame.get_y()) == (1.5, 0.5)
    assert (frame.get_width(), frame.get_height()) == (2, 3)
    assert ax.images[0].get_clim()[0] == 0


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-0.001, "0"), (10.0, "10"), (0.125, "0.12"), (-4, "−4")]
)
def test_numbers_are_short(value, text):
    assert numbers.number(value) == text


def test_photographs_below_the_numbers_of_each_kernel(drawn, tmp_path):
    photographs = [RNG.random((12, 18, 3)), RNG.random((12, 18, 3))]
    kernels = {"box_blur": np.full((3, 3), 1 / 9), "sobel_x": RNG.normal(size=(3, 3))}
    results = {name: [each - 0.5 for each in photographs] for name in kernels}
    path = tmp_path / "filters.png"
    pixels(numbers.filtered_photographs(photographs, kernels, results, path, "A $ title"))
    grid = drawn[0]
    assert grid.shape == (3, 3)
    assert grid[0, 0].get_figure().get_suptitle() == r"A \$ title"
    assert [ax.get_title() for ax in grid[0, 1:]] == ["box blur", "sobel x"]
    assert texts(grid[0, 1]) == ["1/9"] * 9
    np.testing.assert_allclose(grid[2, 0].images[0].get_array(), photographs[1])


def test_results_of_edges_are_grey_at_zero_and_those_of_blurs_stay():
    image = RNG.normal(size=(4, 5, 1))
    shown = numbers.signed(image, 0.0)
    np.testing.assert_array_equal(np.sign(shown - 0.5), np.sign(image))
    np.testing.assert_array_equal(numbers.signed(image, 1.0), image)
    assert (numbers.signed(0 * image, 0.0) == 0.5).all()


def test_sums_show_the_products_and_the_result_up_to_the_position(drawn, tmp_path):
    image = RNG.integers(0, 3, (5, 6, 1)).astype(np.float32)
    kernel = RNG.integers(-1, 2, (3, 3)).astype(np.float32)
    result = np.asarray(filter_image(image, kernel, padding="VALID"))[..., 0]
    places = [(0, 1), (1, 2)]
    steps = [(i, j, products_at(image, kernel, i, j)) for i, j in places]
    pixels(
        numbers.sums_by_position(image[..., 0], kernel, steps, result, tmp_path / "s.png", "Sums")
    )
    for axes_of_row, (i, j) in zip(drawn[0], places, strict=True):
        window = image[i : i + 3, j : j + 3, 0]
        expected = [numbers.number(value) for value in (window * kernel).ravel()]
        assert texts(axes_of_row[2]) == expected
        assert numbers.number(result[i, j]) in axes_of_row[2].get_title(loc="left")
        assert axes_of_row[2].title.get_color() != RED
        shown = texts(axes_of_row[3])
        assert sum(text != "" for text in shown) == i * result.shape[1] + j + 1


def test_the_formula_of_sizes_is_in_the_title(drawn, tmp_path):
    rows = [(7, 3, 1, 1, 7), (8, 3, 2, 0, 3)]
    pixels(numbers.windows_along_a_line(rows, tmp_path / "sizes.png", "Sizes"))
    first, second = (ax.get_title(loc="left") for ax in drawn[0].flat)
    assert first.endswith("(7 − 3 + 2·1)/1 + 1 = 7")
    assert second.endswith("(8 − 3 + 2·0)/2 + 1 = 3.5, rounded down 3")
    bars = [patch for patch in drawn[0][0, 0].patches if patch.get_width() == 3]
    assert [bar.get_x() for bar in bars] == list(range(-1, 6))


def test_kernels_have_their_names_once_and_words_for_rows(drawn, tmp_path):
    row = {"box_blur": np.ones((3, 3)), "emboss": np.eye(3)}
    rows = {"by hand": row, "trained": row}
    pixels(numbers.kernels_side_by_side(rows, tmp_path / "kernels.png", "Kernels"))
    grid = drawn[0]
    assert [ax.get_title() for ax in grid[0]] == ["box blur", "emboss"]
    assert [ax.get_title() for ax in grid[1]] == ["", ""]
    assert [ax.get_ylabel() for ax in grid[:, 0]] == ["by hand", "trained"]


def test_bad_grids(tmp_path):
    path = tmp_path / "p.png"
    for shape in [(13, 2), (3,), (0, 2)]:
        with raises_input_error(f"values: got {shape}, allowed: [H, W], from 1x1 to 12x12"):
            numbers.draw_numbers(axes(), np.ones(shape), 0.4)
    with raises_input_error("photographs: got 0, allowed: at least one, and at least one kernel"):
        numbers.filtered_photographs([], {"a": np.ones((1, 1))}, {}, path, "")
    with raises_input_error("results: got 'a', allowed: 1 results of each kernel"):
        numbers.filtered_photographs([np.ones((2, 2, 1))], {"a": np.ones((1, 1))}, {}, path, "")
    with raises_input_error("steps: got [], allowed: at least one position"):
        numbers.sums_by_position(np.ones((2, 2)), np.ones((1, 1)), [], np.ones((2, 2)), path, "")
    with raises_input_error("rows: got [], allowed: at least one example"):
        numbers.windows_along_a_line([], path, "")
    with raises_input_error(
        "rows: got [('a',), ('b',)], allowed: rows of kernels with the same names, at least one"
    ):
        rows = {"1": {"a": np.ones((1, 1))}, "2": {"b": np.ones((1, 1))}}
        numbers.kernels_side_by_side(rows, path, "")
    assert not path.exists()
