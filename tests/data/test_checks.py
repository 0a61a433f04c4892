"""What the checks let pass; what they refuse is in tests/bad_inputs."""

import numpy as np
import pytest

from jaxdl.data import Dataset, check_batch_size, check_classification, mapped_array, standardize
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

DRAW = np.random.RandomState(0)
IMAGES = DRAW.uniform(0, 1, (20, 6, 5, 3)).astype(np.float32)
LABEL = DRAW.randint(0, 10, 20)


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
        DRAW.standard_normal((20, 3, 3, 8)),
        DRAW.standard_normal((20, 3, 2, 1)),
        DRAW.uniform(0, 1, (20, 1, 6, 3)),
    ],
    ids=lambda x: f"{x.dtype}{list(x.shape)}",
)
def test_what_can_be_trained_on_passes(images):
    check(images)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_any_integers_are_labels(dtype):
    check(label=LABEL.astype(dtype))


def test_classes_of_the_caller_come_first():
    check(label=np.arange(20) % 10)
    data = Dataset({"input": IMAGES, "label": np.arange(20) % 10}, "random", 10)
    with pytest.raises(InputError, match=r"^label\[7\]: got 7, allowed: an integer in \[0, 7\)$"):
        check_classification(data, classes=7)
    check_classification(Dataset(data.arrays, "without classes"))


@pytest.mark.parametrize("row", [0, 6, 7, 19])
def test_the_row_is_right_in_every_block(monkeypatch, row):
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 7 * IMAGES[0].nbytes)
    bad = IMAGES.copy()
    bad[row, 3, 2, 1] = np.inf
    with pytest.raises(InputError, match=rf"^input\[{row}\]: got inf, allowed: finite numbers$"):
        check(bad)


def test_a_set_on_disk_is_read_in_blocks(monkeypatch):
    class Counting(MappedArray):
        largest = 0

        def __getitem__(self, index):
            found = super().__getitem__(index)
            Counting.largest = max(Counting.largest, found.nbytes)
            return found

    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 4 * IMAGES[0].nbytes)
    pixels = Counting((IMAGES * 255).astype(np.uint8))
    with pytest.raises(InputError, match="allowed: pixels in"):
        check(pixels)
    assert Counting.largest == 4 * IMAGES[0].nbytes
    check(pixels.then(0, 255))


def test_batch_sizes_up_to_the_set_pass():
    data = Dataset({"input": IMAGES, "label": LABEL}, "random")
    for size in (1, 7, np.int32(20)):
        check_batch_size(data, size)
