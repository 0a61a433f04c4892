"""Tests of sets from `.npz` files, with each of the names that arrays may have."""

import zipfile

import numpy as np
import pytest

from jaxdl.data import load
from jaxdl.data.files import most_bytes
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)
PIXELS = RANDOM.randint(0, 256, (30, 6, 5)).astype(np.uint8)
LABEL = np.arange(30) % 3
TEST_PIXELS = RANDOM.randint(0, 256, (7, 6, 5)).astype(np.uint8)
TEST_LABEL = np.arange(7) % 4


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return save


@pytest.mark.parametrize(
    "x",
    ["{}_input", "{}_image", "{}_x", "input_{}", "image_{}", "x_{}", "X_{}", "{}_images"],
)
@pytest.mark.parametrize("y", ["{}_label", "{}_y", "label_{}", "y_{}", "{}_labels", "Y_{}"])
def test_training_and_test_arrays_with_each_name(saved, x, y):
    names = x.format("train"), y.format("train"), x.format("test"), y.format("test")
    arrays = dict(zip(names, (PIXELS, LABEL, TEST_PIXELS, TEST_LABEL), strict=True))
    train, test = load(saved(**arrays))
    for data, pixels, label in [(train, PIXELS, LABEL), (test, TEST_PIXELS, TEST_LABEL)]:
        np.testing.assert_array_equal(
            data["input"], (pixels / np.float32(255)).astype(np.float32)[..., None]
        )
        np.testing.assert_array_equal(data["label"], label)
        # The test set has a class that is missing in the training set.
        assert (data.classes, data.name) == (4, "mine")


@pytest.mark.parametrize(("x", "y"), [("input", "label"), ("image", "y"), ("x", "label")])
def test_without_test_arrays_one_example_in_five_is_split_off(saved, x, y):
    path = saved(**{x: PIXELS, y: LABEL})
    train, test = load(path)
    again = load(str(path))
    assert (len(train), len(test)) == (24, 6)
    assert np.bincount(test["label"]).tolist() == [2, 2, 2]
    rows = {row.tobytes() for data in (train, test) for row in data["input"]}
    assert rows == {row.tobytes() for row in (PIXELS / np.float32(255)).astype(np.float32)}
    assert [data.sha256 for data in again] == [train.sha256, test.sha256]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint16, bool])
def test_other_dtypes_become_float32_without_scaling(saved, dtype):
    points = RANDOM.randint(0, 2, (30, 4)).astype(dtype)
    train, test = load(saved(x=points, y=LABEL.astype(np.uint8)))
    assert (train["input"].dtype, train["label"].dtype) == (np.float32, np.int32)
    assert train["input"].sum() + test["input"].sum() == points.sum()


def test_names_without_a_part_are_the_training_set(saved):
    train, test = load(saved(x=PIXELS, y=LABEL, x_test=TEST_PIXELS, y_test=TEST_LABEL))
    assert (len(train), len(test)) == (30, 7)


def test_a_file_name_is_never_looked_up_in_tfds(saved, monkeypatch):
    path = saved(x=PIXELS, y=LABEL)
    monkeypatch.chdir(path.parent)
    assert load("mine.npz")[0].name == "mine"


def test_an_array_far_larger_than_its_file_is_refused(saved):
    """The error has both numbers; the same array without compression is loaded."""
    arrays = {"x": np.zeros((4, 2**23), np.uint8), "y": np.arange(4) % 2}
    path = saved(**arrays)
    with zipfile.ZipFile(path) as archive:
        stored = archive.getinfo("x.npy")
    with pytest.raises(InputError) as raised:
        load(path)
    assert str(raised.value) == (
        f"x of {path}: got '{stored.file_size} bytes from {stored.compress_size}', "
        f"allowed: at most {most_bytes(stored.compress_size)}; "
        "store it with numpy.savez, which does not compress"
    )
    np.savez(path, **arrays)
    train, test = load(path)
    assert len(train) + len(test) == 4


@pytest.mark.parametrize("field", ["names", "class_names", "Names"])
@pytest.mark.parametrize("with_test", [False, True])
def test_the_names_of_the_classes(field, with_test, saved):
    """There may be names of classes without examples."""
    arrays = {"x": PIXELS, "y": LABEL, field: np.array(["cat", "dog", "cow", "ox"])}
    if with_test:
        arrays |= {"x_test": TEST_PIXELS, "y_test": TEST_LABEL}
    for data in load(saved(**arrays)):
        assert (data.classes, data.class_names) == (4, ("cat", "dog", "cow", "ox"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "dog"], r"^label\[2\]: got 2, allowed: an integer in \[0, 2\)"),
        (["cat"], "^names of .*: got 'str96.1.', allowed: a text for each class, at least two"),
        ([["cat", "dog", "cow"]], "allowed: a text for each class, at least two"),
        ([1, 2, 3], "^names of .*: got 'int64.3.', allowed: a text for each class"),
        (np.array(["a", 1, None], object), "^names of .*: got 'Python objects', allowed: numbers"),
        (
            [b"cat", b"dog", b"cow"],
            "^names of .*: got 'bytes24.3.', allowed: a text for each class",
        ),
    ],
    ids=["few", "one", "rows", "integers", "objects", "bytes"],
)
def test_other_names_are_refused(names, message, saved):
    with pytest.raises(InputError, match=message):
        load(saved(x=PIXELS, y=LABEL, names=np.array(names)))


def test_names_twice_are_refused(saved):
    names = np.array(["cat", "dog", "cow"])
    with pytest.raises(InputError, match="class_names.*allowed: only inputs and labels"):
        load(saved(x=PIXELS, y=LABEL, names=names, class_names=names))
