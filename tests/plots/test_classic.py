"""Tests of pictures of components, clusters, fits and bars."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from jaxdl.plots import classic
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


@pytest.fixture
def figures(monkeypatch):
    """The figures of pages, also those with parts."""
    kept = []
    page = classic.page

    @contextlib.contextmanager
    def keeping(*args, **kwargs):
        with page(*args, **kwargs) as figure:
            kept.append(figure)
            yield figure

    monkeypatch.setattr(classic, "page", keeping)
    return kept


def test_eigen_images_have_their_share_and_the_needed_numbers(figures, tmp_path):
    components = RNG.normal(size=(3, 12))
    share = np.array([0.6, 0.25, 0.1, 0.05])
    path = tmp_path / "e.png"
    pixels(classic.eigen_images(RNG.random(12), components, share, (3, 4), path, "Components"))
    left, right = figures[0].subfigs
    ax = right.axes[0]
    titles = [each.get_title() for each in left.axes]
    assert titles[:4] == ["mean", "1: 60.0 %", "2: 25.0 %", "3: 10.0 %"]
    assert [text.get_text() for text in ax.texts] == ["1 for 50 %", "3 for 90 %", "4 for 99 %"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [60, 85, 95, 100])


def steps(count=3, length=9):
    """Returns steps of k-means that are random."""
    points = RNG.normal(size=(20, 2))
    centers = RNG.normal(size=(length, count, 2))
    label = RNG.integers(0, count, (length, 20))
    return classic.Steps(points, centers, label, np.linspace(9, 1, length))


def test_steps_of_kmeans_have_their_numbers_and_paths(drawn, tmp_path):
    given = steps()
    pixels(classic.kmeans_steps(given, tmp_path / "k.png", "k-means", ("right", "up")))
    grid = drawn[0]
    shown = [ax.get_title(loc="left") for ax in grid.flat]
    assert len(shown) == 6
    assert shown[0] == "step 0 of 8: sum of squared distances 9.0"
    assert shown[-1] == "step 8 of 8: sum of squared distances 1.0"
    assert [ax.get_xlabel() for ax in grid[-1]] == ["right"] * 3
    np.testing.assert_allclose(grid[1, 2].lines[0].get_xydata(), given.centers[:, 0])


def test_the_gif_has_a_frame_for_each_step(tmp_path):
    path = classic.kmeans_gif(steps(length=4), tmp_path / "k.gif", seconds=1.0)
    with Image.open(path) as picture:
        assert picture.n_frames == 4


def test_bars_have_names_and_values(drawn, tmp_path):
    values = {"nearest $": 90.0, "network": 97.25}
    pixels(classic.bars_by_name(values, tmp_path / "b.png", "Accuracy", "in %"))
    ax = drawn[0]
    assert [bar.get_width() for bar in ax.patches] == [90.0, 97.25]
    assert ax.get_title(loc="left") == "Accuracy"
    assert [label.get_text() for label in ax.get_yticklabels()] == [r"nearest \$", "network"]


def test_bad_arguments(tmp_path):
    path = tmp_path / "p.png"
    with raises_input_error("shape: got (2, 2), allowed: height and width of 6 pixels"):
        classic.eigen_images(np.ones(6), np.ones((1, 6)), np.ones(1), (2, 2), path, "")
    with raises_input_error("share: got 0, allowed: at least 1, one for each component"):
        classic.eigen_images(np.ones(4), np.ones((1, 4)), np.ones(0), (2, 2), path, "")
    three = steps()._replace(points=np.ones((20, 3)))
    with raises_input_error("points: got (20, 3), allowed: [N, 2], points in the plane"):
        classic.kmeans_steps(three, path, "")
    with raises_input_error("centers: got 11, allowed: at most 10 centers"):
        classic.kmeans_gif(steps(11), path)
    with raises_input_error("values: got {}, allowed: at least one number"):
        classic.bars_by_name({}, path, "", "")
    assert not path.exists()
