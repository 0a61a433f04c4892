"""Sets of images in idx files, the format of MNIST and of the sets that have its form."""

import math
import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import UInt

from jaxdl.data.dataset import Dataset
from jaxdl.data.files import open_maybe_gzip, read_bounded
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

#: Names of the files. The test set of MNIST is called t10k.
NAMES = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")

#: Number of axes by the kind of a file.
AXES = {"images": 3, "labels": 1}


def has_idx_files(folder: Path) -> bool:
    """Returns True if a folder has a file with a name of the idx format.

    Example:
      >>> has_idx_files(Path("nowhere"))
      False
    """
    try:
        return any(NAMES.fullmatch(name) for name in os.listdir(folder))
    except OSError:
        return False


def load_idx(folder: Path) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of a folder with four idx files.

    They are called `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
    and `t10k-labels-idx1-ubyte`, each perhaps with `.gz`. `t10k` may be `test`.

    Args:
      folder: the folder.

    Returns:
      `(train, test)`, with `input [N, H, W, 1]` float32 in [0, 1] and `label [N]` int32. The number
      of classes is the largest label plus 1.

    Raises:
      InputError: a missing or damaged file, a size that its header does not state, or images and
        labels that do not match.

    Example:
      >>> load_idx(Path("nowhere"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere', allowed: a folder with train-images-idx3-ubyte

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    """
    parts = [_read_part(folder, prefixes) for prefixes in (("train",), ("t10k", "test"))]
    classes = max(int(label.max()) for _, label in parts) + 1
    name = folder.resolve().name
    train_shape, test_shape = (images.shape[1:] for images, _ in parts)
    if train_shape != test_shape:
        given = f"{folder} with images {list(train_shape)} for training and {list(test_shape)}"
        raise InputError("data", given, "the same shape for both parts")
    train, test = (
        Dataset(
            {
                "input": MappedArray(images[..., None]).rescale(0, 255),
                "label": label.astype(np.int32),
            },
            name,
            classes,
        )
        for images, label in parts
    )
    return train, test


def _read_part(
    folder: Path, prefixes: tuple[str, ...]
) -> tuple[UInt[np.ndarray, "N H W"], UInt[np.ndarray, " N"]]:
    """Returns the images and the labels of a part."""
    images, labels = (read_idx(_find(folder, prefixes, kind), AXES[kind]) for kind in AXES)
    if len(images) != len(labels) or not len(images):
        given = f"{folder} with {len(images)} {prefixes[0]} images and {len(labels)} labels"
        raise InputError("data", given, "a label for each image, at least one")
    return images, labels


def _find(folder: Path, prefixes: tuple[str, ...], kind: str) -> Path:
    """Returns the only file of a kind and part."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    found = []
    for name in names:
        match = NAMES.fullmatch(name)
        if match and match[1] in prefixes and match[2] == kind:
            found.append(name)
    wanted = f"{prefixes[0]}-{kind}-idx{AXES[kind]}-ubyte"
    if not found:
        raise InputError("data", str(folder), f"a folder with {wanted}")
    if len(found) > 1:
        raise InputError("data", f"{folder} with {found}", f"only one of these as {wanted}")
    return folder / found[0]


def read_idx(path: Path, axes: int) -> UInt[np.ndarray, "N ..."]:
    """Reads an array of unsigned bytes in idx format.

        bytes 0, 0, 8, number of axes; the size of each axis as 4 bytes, big-endian; the values

    Args:
      path: the file; its contents are decompressed if its name ends in `.gz`.
      axes: the expected number of axes.

    Returns:
      The array, uint8.

    Raises:
      InputError: a file that cannot be read, another header, or another size than the header has.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "labels"
      ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
      ...     read_idx(path, 1).tolist()
      [7, 9]
    """
    with open_maybe_gzip(path) as file:
        content = read_bounded(file)
    expected = bytes([0, 0, 8, axes])
    if content[:4] != expected:
        allowed = f"{expected.hex(' ')}, an idx file of bytes with {axes} axes"
        raise InputError(str(path), content[:4].hex(" "), allowed)
    first = 4 + 4 * axes
    shape = np.frombuffer(content[4:first].ljust(4 * axes, b"\0"), ">u4").tolist()
    size = len(content) - first
    if math.prod(shape) != size:
        raise InputError(str(path), f"{max(size, 0)} bytes", f"the size of uint8{shape}")
    return np.frombuffer(content, np.uint8, offset=first).reshape(shape)
