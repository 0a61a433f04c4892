"""Tests of the common parts of layouts."""

from pathlib import Path

import numpy as np

from jaxdl.data.preprocessing import Preprocessing
from jaxdl.foreign.layouts import Layout, kernel, natural, photographs, read_variables


def test_a_kernel_of_bgr_images_is_flipped():
    weights = kernel("params/w", "w", 3, 2, 5, "keras")._replace(is_flipped=True)
    array = np.random.default_rng(0).normal(size=(5, 5, 3, 2)).astype(np.float32)
    layout = Layout("x", None, [weights], Preprocessing())
    found = read_variables(layout, {"w": array}, Path("x"))["params"]["w"]
    np.testing.assert_array_equal(found, array[:, :, ::-1])


def test_names_are_sorted_by_their_numbers():
    names = [f"model_{i}/conv2d_{j}" for i in (2, 10) for j in (1, 9, 11)]
    shuffled = [names[i] for i in (5, 2, 0, 4, 1, 3)]
    assert sorted(shuffled, key=natural) == names
    assert sorted(["a_" + "9" * 5000, "a_010", "a_9"], key=natural)[:2] == ["a_9", "a_010"]


def test_photographs_are_scaled_as_by_the_formula():
    mean = (0.1, 0.2, 0.3)
    deviation = (0.5, 0.6, 0.7)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    preprocessing = photographs(mean, deviation)
    found = preprocessing(preprocessing.crop(pixels))
    np.testing.assert_allclose(found, (pixels / 255 - mean) / deviation, atol=1e-6)
