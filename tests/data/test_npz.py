"""One's own arrays from a file, under any of their names."""

import numpy as np
import pytest

from jaxdl.data import load

DRAW = np.random.RandomState(0)
PIXELS = DRAW.randint(0, 256, (30, 6, 5)).astype(np.uint8)
LABEL = np.arange(30) % 3
TEST_PIXELS = DRAW.randint(0, 256, (7, 6, 5)).astype(np.uint8)
TEST_LABEL = np.arange(7) % 4


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return save


@pytest.mark.parametrize("x", ["{}_input", "{}_image", "{}_x", "input_{}", "image_{}", "x_{}"])
@pytest.mark.parametrize("y", ["{}_label", "{}_y", "label_{}", "y_{}"])
def test_pairs_of_parts_under_all_names(saved, x, y):
    names = x.format("train"), y.format("train"), x.format("test"), y.format("test")
    arrays = dict(zip(names, (PIXELS, LABEL, TEST_PIXELS, TEST_LABEL), strict=True))
    train, test = load(saved(**arrays))
    for data, pixels, label in [(train, PIXELS, LABEL), (test, TEST_PIXELS, TEST_LABEL)]:
        np.testing.assert_array_equal(
            data["input"], (pixels / np.float32(255)).astype(np.float32)[..., None]
        )
        np.testing.assert_array_equal(data["label"], label)
        # The test set has a class that the training set has not.
        assert (data.classes, data.name) == (4, "mine")


@pytest.mark.parametrize(("x", "y"), [("input", "label"), ("image", "y"), ("x", "label")])
def test_without_test_arrays_one_in_five_is_cut_off(saved, x, y):
    path = saved(**{x: PIXELS, y: LABEL})
    (train, test), again = load(path), load(str(path))
    assert (len(train), len(test)) == (24, 6)
    assert np.bincount(test["label"]).tolist() == [2, 2, 2]
    rows = {row.tobytes() for data in (train, test) for row in data["input"]}
    assert rows == {row.tobytes() for row in (PIXELS / np.float32(255)).astype(np.float32)}
    assert [data.sha256 for data in again] == [train.sha256, test.sha256]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint16, bool])
def test_other_numbers_become_float32_as_they_are(saved, dtype):
    points = DRAW.randint(0, 2, (30, 4)).astype(dtype)
    train, test = load(saved(x=points, y=LABEL.astype(np.uint8)))
    assert (train["input"].dtype, train["label"].dtype) == (np.float32, np.int32)
    assert train["input"].sum() + test["input"].sum() == points.sum()


def test_bare_names_are_the_training_set(saved):
    train, test = load(saved(x=PIXELS, y=LABEL, x_test=TEST_PIXELS, y_test=TEST_LABEL))
    assert (len(train), len(test)) == (30, 7)


def test_a_file_is_never_taken_for_a_set_of_tfds(saved, monkeypatch):
    path = saved(x=PIXELS, y=LABEL)
    monkeypatch.chdir(path.parent)
    assert load("mine.npz")[0].name == "mine"
