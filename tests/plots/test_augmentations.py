"""Pictures of augmentations: rows with captions, and dots of accuracies."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from jaxdl.plots import accuracy_dots, augmentation_rows
from tests.plots.pictures import pixels, raises_input_error

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("count", "channels"), [(2, 1), (7, 3)])
def test_a_row_has_its_images_clipped_its_name_and_its_captions(
    count, channels, tmp_path, monkeypatch
):
    shown = []
    monkeypatch.setattr(Axes, "imshow", lambda ax, image, **_: shown.append((ax, image)))
    rows = {f"noise={i}": RNG.normal(size=(4, 5, 6, channels)) for i in range(count)}
    captions = {"noise=1": ["", "a", "b $\nd", "c"]}
    augmentation_rows(rows, tmp_path / "r.png", "Title", captions)
    expected = np.clip(np.concatenate(list(rows.values())), 0, 1)
    images = np.stack([image.reshape(5, 6, channels) for _, image in shown])
    np.testing.assert_array_equal(images, expected)
    axes = [ax for ax, _ in shown]
    assert [ax.get_ylabel() for ax in axes[::4]] == list(rows)
    assert [ax.get_xlabel() for ax in axes[4:8]] == ["", "a", "b \\$\nd", "c"]
    # The original has a frame, and others have none.
    frames = [ax.spines["left"].get_visible() for ax in axes]
    assert frames == [True, False, False, False] * count


def test_a_picture_of_rows(tmp_path):
    rows = {f"rotate=15,shift={i},scale=1.1": RNG.uniform(size=(3, 8, 8, 1)) for i in range(8)}
    pixels(augmentation_rows(rows, tmp_path / "r.png", "Augmentations of digits"))


def test_rows_have_one_length(tmp_path):
    rows = {"a": np.zeros((2, 4, 4, 1)), "b": np.zeros((3, 4, 4, 1))}
    message = "rows: got {'a': 2, 'b': 3}, allowed: rows of one length, at least one image each"
    with raises_input_error(message):
        augmentation_rows(rows, tmp_path / "r.png", "Title")


def test_dots_are_seeds_and_bars_are_means(drawn, tmp_path):
    accuracies = {"none": np.array([0.9, 0.92, 0.91]), "shift=1": np.array([0.95])}
    pixels(accuracy_dots(accuracies, tmp_path / "d.png", "Title", "none"))
    (ax,) = drawn
    baseline, none, mean, shifted, _ = ax.lines
    np.testing.assert_allclose(baseline.get_xdata(), 91)
    np.testing.assert_allclose(none.get_xdata(), [90, 92, 91])
    np.testing.assert_allclose(mean.get_xdata(), [91, 91])
    np.testing.assert_allclose(shifted.get_xydata(), [[95, 1]])
    assert [text.get_text() for text in ax.texts] == ["91.00 ± 1.00", "95.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["none", "shift=1"]
    with raises_input_error("accuracies: got {}, allowed: at least one method"):
        accuracy_dots({}, tmp_path / "d.png", "Title")
