"""Tests of sets in idx files, written byte by byte; the real MNIST; and damaged files."""

import gzip
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jaxdl.data import check_classification, load
from jaxdl.data.idx import read_idx
from jaxdl.errors import InputError
from tests.data.test_images import real_mnist

RANDOM = np.random.RandomState(0)
IMAGES = {
    name: RANDOM.randint(0, 256, (n, 5, 4)).astype(np.uint8)
    for name, n in {"train": 12, "t10k": 7}.items()
}
LABELS = {name: np.arange(len(images)) % 3 for name, images in IMAGES.items()}


def encoded(array):
    """Returns an array in idx format."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + bytes(array.astype(np.uint8).ravel().tolist())


def write(folder, ending="", test="t10k", separator="-"):
    """Writes the four files of a set."""
    folder.mkdir(exist_ok=True)
    for part in IMAGES:
        name = {"t10k": test}.get(part, part)
        for kind, array in (("images", IMAGES[part]), ("labels", LABELS[part])):
            content = encoded(array)
            if ending == ".gz":
                content = gzip.compress(content)
            file = f"{name}-{kind}{separator}idx{array.ndim}-ubyte{ending}"
            (folder / file).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "options", [{}, {"ending": ".gz"}, {"test": "test", "separator": "."}], ids=str
)
def test_the_arrays_of_the_files(options, tmp_path):
    folder = write(tmp_path / "mine", **options)
    for data, part in zip(load(folder), IMAGES, strict=True):
        check_classification(data)
        expected = IMAGES[part].astype(np.float32)[..., None] / np.float32(255)
        np.testing.assert_array_equal(data["input"], expected)
        np.testing.assert_array_equal(data["label"], LABELS[part])
        assert (data["label"].dtype, data.classes, data.name) == (np.int32, 3, "mine")


def change(name, content):
    def change_file(folder):
        path = folder / name
        path.write_bytes(content(path.read_bytes()))

    return change_file


def bomb(folder):
    (folder / "train-images-idx3-ubyte").unlink()
    content = encoded(np.zeros((1, 1, 1)))[:4] + struct.pack(">3I", 2**16, 2**8, 2**8)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(content) + gzip.compress(bytes(2**24)) * 4
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("train-images-idx3-ubyte", lambda x: x[:-1]), r"the size of uint8\[12, 5, 4\]"),
        (change("train-images-idx3-ubyte", lambda x: x + b"1"), r"the size of uint8\[12, 5, 4\]"),
        (change("train-images-idx3-ubyte", lambda x: x[:9]), r"got '0 bytes', allowed: the size"),
        (change("train-images-idx3-ubyte", lambda x: b""), "got '', allowed: 00 00 08 03"),
        (
            change("train-images-idx3-ubyte", lambda x: bytes([0, 0, 13]) + x[3:]),
            "got '00 00 0d 03', allowed: 00 00 08 03, an idx file of bytes with 3 axes",
        ),
        (
            change("train-images-idx3-ubyte", lambda x: x[:4] + b"\xff" * 12 + x[16:]),
            r"the size of uint8\[4294967295, 4294967295, 4294967295\]",
        ),
        (
            change("t10k-labels-idx1-ubyte", lambda x: encoded(np.zeros(3))),
            "with 7 t10k images and 3 labels', allowed: a label for each image",
        ),
        (
            change("t10k-images-idx3-ubyte", lambda x: encoded(np.zeros((7, 4, 4)))),
            r"images \[5, 4\] for training and \[4, 4\]",
        ),
        (lambda folder: (folder / "t10k-labels-idx1-ubyte").unlink(), "a folder with t10k-labels"),
        (
            lambda folder: (folder / "test-labels-idx1-ubyte").touch(),
            "only one of these as t10k-labels-idx1-ubyte",
        ),
        (bomb, "a file that can be read .More than"),
    ],
    ids=[
        *("short", "long", "header", "empty", "type", "huge", "labels", "shapes", "missing"),
        *("both", "bomb"),
    ],
)
def test_damaged_files_are_refused_in_one_line(damage, message, tmp_path):
    folder = write(tmp_path / "mine")
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_an_incomplete_gzip_file_is_refused(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(encoded(np.zeros(1000)))[:-10])
    with pytest.raises(InputError, match="a complete gzip file"):
        read_idx(path, 1)


REAL = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir() or real_mnist() is None, reason="no MNIST in ../shared")
def test_the_real_mnist_has_the_examples_of_tfds_in_another_order(tmp_path):
    def examples(data):
        pairs = zip(np.asarray(data["input"]), data["label"], strict=True)
        return Counter((image.tobytes(), int(label)) for image, label in pairs)

    for data, expected in zip(load(REAL), load("mnist", real_mnist(), str(tmp_path)), strict=True):
        assert data["input"].shape == expected["input"].shape
        assert examples(data) == examples(expected)
