"""Data that the checks accept; tests/bad_inputs has the data that they refuse."""

import numpy as np
import pytest

from jaxdl.data import Dataset, check_classification, mapped_array, standardize
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.uniform(0, 1, (20, 6, 5, 3)).astype(np.float32)
LABEL = RANDOM.randint(0, 10, 20)


def check(input=IMAGES, label=LABEL, classes=10):
    check_classification(Dataset({"input": input, "label": label}, "random", classes))


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES.astype(np.float64),
        IMAGES.astype(np.float16),
        IMAGES[..., :1],
        IMAGES[..., :1].round(),
        IMAGES * 1.2 - 0.1,
        IMAGES * 1.4,
        IMAGES * 2 - 1,
        IMAGES * 20,
        standardize(Dataset({"input": (IMAGES * 255).round()}, "pixels"))[0]["input"],
        IMAGES.reshape(20, -1),
        (IMAGES * 255).round().reshape(20, -1),
        RANDOM.standard_normal((20, 3, 3, 8)),
        RANDOM.standard_normal((20, 3, 2, 1)),
        RANDOM.uniform(0, 1, (20, 1, 6, 3)),
    ],
    ids=lambda x: f"{x.dtype}{list(x.shape)}",
)
def test_valid_inputs_pass(images):
    check(images)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_labels_of_any_integer_dtype_pass(dtype):
    check(label=LABEL.astype(dtype))


def test_the_classes_argument_has_priority():
    check(label=np.arange(20) % 10)
    data = Dataset({"input": IMAGES, "label": np.arange(20) % 10}, "random", 10)
    with pytest.raises(InputError, match=r"^label\[7\]: got 7, allowed: an integer in \[0, 7\)$"):
        check_classification(data, classes=7)
    check_classification(Dataset(data.arrays, "without classes"))


@pytest.mark.parametrize("row", [0, 6, 7, 19])
def test_the_row_number_is_correct_in_every_block(monkeypatch, row):
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 7 * IMAGES[0].nbytes)
    bad = IMAGES.copy()
    bad[row, 3, 2, 1] = np.inf
    with pytest.raises(InputError, match=rf"^input\[{row}\]: got inf, allowed: finite numbers$"):
        check(bad)


def test_a_set_on_disk_is_read_in_blocks(monkeypatch):
    class Counting(MappedArray):
        largest = 0

        def __getitem__(self, index):
            rows = super().__getitem__(index)
            Counting.largest = max(Counting.largest, rows.nbytes)
            return rows

    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 4 * IMAGES[0].nbytes)
    pixels = Counting((IMAGES * 255).astype(np.uint8))
    with pytest.raises(InputError, match="allowed: pixels in"):
        check(pixels)
    assert Counting.largest == 4 * IMAGES[0].nbytes
    check(pixels.rescale(0, 255))
