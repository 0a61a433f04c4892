"""The script of the front picture."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.plots.pictures import pixels

PATH = Path(__file__).parents[1] / "docs" / "images" / "overview.py"


@pytest.fixture(scope="module")
def script():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("front_picture", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_right_image_of_each_class_and_the_worst_mistakes_are_shown(script):
    label = np.array([1, 0, 0, 1, 1, 0, 1])
    probability = np.array([0.2, 0.1, 0.9, 0.8, 0.4, 0.75, 0.3])
    p = np.stack([1 - probability, probability], 1)
    # The rows 1 and 3 are the first right ones; 0, 2, 4, 5 and 6 are wrong.
    assert script.chosen(label, p).tolist() == [1, 3, 2, 0, 5]


@pytest.mark.slow
@pytest.mark.release
def test_the_picture_is_written_for_other_images(script, tmp_path):
    path = tmp_path / "front.png"
    assert script.main(["--data", "digits", "--steps", "10", "--out", str(path)]) == path
    height, width, _ = pixels(path).shape
    assert (width, height) == (1800, 855)


def test_the_picture_of_the_readme_has_its_size_and_few_bytes(script):
    path = PATH.with_suffix(".png")
    assert path.stat().st_size < 400_000
    assert pixels(path).shape[1::-1] == (1800, 855)
