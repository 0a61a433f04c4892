"""Tests of the preprocessing of a set: its exact values, and files that are refused."""

import json

import numpy as np
import pytest

from jaxdl.data import (
    Dataset,
    Preprocessing,
    forecast_sets,
    load,
    series,
    standardize,
)
from jaxdl.errors import InputError

RANDOM = np.random.default_rng(0)


def through_json(preprocessing):
    return Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json())))


@pytest.mark.parametrize("times", [0, 1, 2])
def test_it_gives_raw_inputs_the_bits_of_the_set(times):
    train, test = load("photos")
    scaled = train, test
    for _ in range(times):
        scaled = standardize(*scaled)
    preprocessing = through_json(scaled[0].preprocessing)
    assert len(scaled[1].scaling.get("input", ())) == times
    np.testing.assert_array_equal(preprocessing(test["input"]), scaled[1]["input"])
    np.testing.assert_array_equal(preprocessing(test["label"], "label"), test["label"])
    assert preprocessing.class_names == ("temple", "flower")
    few = scaled[1].take(np.arange(3))
    np.testing.assert_array_equal(few.preprocessing(test["input"][:3]), few["input"])


def test_a_forecast_is_in_the_unit_of_the_series():
    values = series(True, hours=480).astype(np.float64)
    sets, mean, std = forecast_sets(values, history=48, ahead=24)
    (shift, scale), *_ = through_json(sets["test"].preprocessing).scaling["target"]
    assert (shift.item(), scale.item()) == (mean, std)
    first = sets["train"].preprocessing(values[None, :48])
    np.testing.assert_allclose(first, sets["train"]["input"][:1], rtol=1e-6)
    target = sets["train"].preprocessing.restored(sets["train"]["target"][:1])
    np.testing.assert_allclose(target[0, 0], values[48 + 23, 0], rtol=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"scaling": {}, "class_names": [1], "text": None},
        {"scaling": {}, "class_names": "ab", "text": None},
        {"scaling": [], "class_names": None, "text": None},
        {"scaling": {"input": [[1]]}, "class_names": None, "text": None},
        {"scaling": {"input": [["a", 1]]}, "class_names": None, "text": None},
        {"scaling": {}, "class_names": None, "text": None, "range": [0]},
        {"scaling": {}, "class_names": None, "text": None, "range": 1},
        {"scaling": {}, "class_names": None, "text": None, "range": [[0], [1]]},
        {"scaling": {}, "class_names": None, "text": None, "range": {"0": 1}},
        {"scaling": {"input": [[[1, [2]], 1]]}, "class_names": None, "text": None},
        {"scaling": {"input": [[float("inf"), 1]]}, "class_names": None, "text": None},
        {"scaling": {}, "class_names": None, "text": {}},
        {"scaling": {}, "class_names": None, "text": [1]},
    ],
)
def test_other_contents_are_refused(content):
    with pytest.raises(InputError, match="^(preprocessing|class_names|text encoding): got"):
        Preprocessing.from_json(content)


def test_a_set_has_a_name_for_each_class():
    arrays = {"label": [0, 1]}
    assert Dataset(arrays, "a", 2, class_names=["cat", "dog"]).class_names == ("cat", "dog")
    for names in (["cat"], "ab", [1, 2]):
        with pytest.raises(InputError, match="^class_names: got"):
            Dataset(arrays, "a", 2, class_names=names)


@pytest.mark.parametrize("scaled", [False, True])
def test_raw_pixels_become_the_inputs_of_the_set(tmp_path, scaled):
    pixels = np.random.default_rng(2).integers(0, 256, (40, 6), np.uint8)
    label = np.arange(40) % 2
    np.savez(tmp_path / "mine.npz", x_train=pixels, y_train=label, x_test=pixels, y_test=label)
    train, test = load(tmp_path / "mine.npz")
    if scaled:
        train, test = standardize(train, test)
    np.testing.assert_array_equal(train.preprocessing(pixels), train["input"])


def test_only_inputs_between_0_and_1_are_pixels():
    pixels = RANDOM.integers(0, 256, (20, 3, 4, 2), np.uint8)
    (scaled,) = standardize(Dataset({"input": pixels}, "bytes"))
    preprocessing = through_json(scaled.preprocessing)
    np.testing.assert_allclose(preprocessing.range, (0, 255), atol=1e-4)
    np.testing.assert_array_equal(preprocessing(pixels), scaled["input"])
    ages = Dataset({"input": pixels[:, 0, 0].astype(np.float32)}, "ages")
    np.testing.assert_array_equal(ages.preprocessing(pixels[:, 0, 0]), ages["input"])
    np.testing.assert_array_equal(ages.preprocessing(pixels, "label"), pixels)


@pytest.mark.parametrize("times", [0, 1])
def test_pixels_of_16_bits_are_divided_by_65535(times):
    deep = RANDOM.integers(0, 2**16, (20, 3, 4, 1), np.uint16)
    data = Dataset({"input": deep / np.float32(65535)}, "deep")
    for _ in range(times):
        (data,) = standardize(data)
    preprocessing = through_json(data.preprocessing)
    np.testing.assert_array_equal(preprocessing(deep), data["input"])
    # Of 8 bits and their 16 bits, the fractions of white are equal.
    few = (deep >> 8).astype(np.uint8)
    same = few.astype(np.uint16) * np.uint16(257)
    np.testing.assert_array_equal(preprocessing(few), preprocessing(same))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_range_is_that_before_the_scaling(channels):
    x = RANDOM.normal(5, 3, (30, 4, channels)).astype(np.float32)
    (data,) = standardize(Dataset({"input": x}, "numbers"))
    np.testing.assert_allclose(data.preprocessing.range, (x.min(), x.max()), rtol=1e-5)
    assert Dataset({"input": x.astype(int)}, "ids").preprocessing.range is None
    assert Dataset({"other": x}, "none").preprocessing.range is None
