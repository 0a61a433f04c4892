"""A classification set from one's own `.npz` file; nothing in the file is ever run."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, Num, Shaped

from jaxdl.data.checks import check_classification
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import path_of, plain
from jaxdl.errors import InputError

#: The names under which a field is found in a file.
NAMES = {"input": ("input", "image", "x"), "label": ("label", "y")}

#: An array may take this much memory, or that many times what it takes in the file. 1 GiB.
FREE = 2**30
RATIO = 100

#: Labels are below; a network has an output for each.
MOST_CLASSES = 2**16

#: By the version of an array's format; another one is for fields with names beyond Latin letters.
_HEADERS: dict[tuple[int, ...], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_npz(path: str | Path) -> tuple[Dataset, Dataset]:
    """Reads `input` and `label` of a training and a test set.

    The training arrays are called `input` (or `image`, `x`) and `label` (or `y`), alone or with
    `train` before or behind (`train_input`, `x_train`); the test arrays have `test` there. Without
    test arrays one example in five of each class becomes the test set, always the same. Pixels in
    uint8 are divided by 255; grey images `[N, H, W]` get their channel.

    Args:
      path: a file that `numpy.savez` or `numpy.savez_compressed` wrote.

    Returns:
      `(train, test)`, `input [N, ...]` float32, `label [N]` int32 in [0, classes), with as many
      classes as the largest label says.

    Raises:
      InputError: no such file, not an `.npz` file, damaged, arrays missing, Python objects in it, sizes that
        cannot be, labels of 65536 or more, or anything that `check_classification` refuses.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     np.savez(f"{folder}/mine.npz", x=np.zeros((10, 2)), y=np.arange(10) % 2)
      ...     train, test = load_npz(f"{folder}/mine.npz")
      >>> len(train), len(test), train.classes
      (8, 2, 2)
    """
    path = path_of(path, "data")
    train, test = _parts(path)
    labels = [part["label"] for part in (train, test) if part is not None]
    data = [
        _checked(part, path.stem, _classes(labels)) for part in (train, test) if part is not None
    ]
    if test is None:
        return holdout(data[0])
    shapes = [list(part["input"].shape[1:]) for part in data]
    if shapes[0] != shapes[1]:
        raise InputError(
            "data", f"{path} with inputs {shapes[0]} to train and {shapes[1]} to test", "one shape"
        )
    return data[0], data[1]


Arrays = dict[str, Shaped[np.ndarray, "N ..."]]


def _parts(path: Path) -> tuple[Arrays, Arrays | None]:
    """The arrays of the training and of the test set."""
    if not path.is_file():
        raise InputError("data", str(path), "an .npz file that exists")
    try:
        with plain(path) as file, zipfile.ZipFile(file) as archive:
            train = _part(archive, path, "train")
            test = _part(archive, path, "test")
            names = sorted(_members(archive))
    except OSError as error:
        raise InputError("data", str(path), f"a file that can be read ({error.strerror})") from None
    except InputError:
        raise
    except Exception:
        # A damaged directory makes zipfile fail in too many ways to list them.
        raise InputError("data", str(path), "a file that numpy.savez wrote") from None
    if train is None:
        raise InputError("data", f"{path} with {names}", "arrays input (or x) and label (or y)")
    return train, test


def _members(archive: zipfile.ZipFile) -> dict[str, str]:
    """What the archive calls each array; a name is only looked up, nothing is ever written under it."""
    return {name.removesuffix(".npy"): name for name in archive.namelist()}


def _part(archive: zipfile.ZipFile, path: Path, part: str) -> Arrays | None:
    """Both fields of a part, or None if it has neither."""
    names = {field: _name(archive, path, field, part) for field in NAMES}
    if not any(names.values()):
        return None
    for field, name in names.items():
        if name is None:
            raise InputError(
                "data", f"{path} with {sorted(_members(archive))}", f"the array {part}_{field} too"
            )
    return {field: _array(archive, path, str(name)) for field, name in names.items()}


def _name(archive: zipfile.ZipFile, path: Path, field: str, part: str) -> str | None:
    """How the file calls a field of a part, if it has it."""
    forms = ["{part}_{name}", "{name}_{part}"] + ["{name}"] * (part == "train")
    known = [form.format(part=part, name=name) for name in NAMES[field] for form in forms]
    found = [name for name in known if name in _members(archive)]
    if len(found) > 1:
        raise InputError("data", f"{path} with {found}", f"one of them as the {part} {field}")
    return found[0] if found else None


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> Shaped[np.ndarray, "N ..."]:
    member = _members(archive)[name]
    where = f"{name} of {path}"
    try:
        _check_size(archive, member, where)
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:
        # Damage makes zipfile, what unpacks, the header's parser and NumPy fail in too many ways to list them.
        raise InputError(where, type(error).__name__, "an array that reads back whole") from None


def _check_size(archive: zipfile.ZipFile, member: str, where: str) -> None:
    """Raises unless the array can be what its header says, before there is memory for it."""
    about = archive.getinfo(member)
    if about.file_size > max(FREE, RATIO * about.compress_size):
        said = f"{about.file_size} bytes packed into {about.compress_size}"
        raise InputError(where, said, f"at most {FREE}, or {RATIO} times what it takes in the file")
    with archive.open(member) as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:
            raise InputError(where, "no array", "a file that numpy.savez wrote")
        shape, _, dtype = _HEADERS[tuple(file.read(2))](file)
        size = about.file_size - file.tell()
    if dtype.hasobject:
        raise InputError(where, "Python objects", "numbers; objects are never loaded")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise InputError(where, f"{size} bytes", f"as many as {dtype}{list(shape)} takes")


def _checked(arrays: dict[str, np.ndarray], name: str, classes: int | None) -> Dataset:
    data = Dataset({**arrays, "input": _rescaled(arrays["input"])}, name, classes)
    check_classification(data)
    if classes is not None and classes > MOST_CLASSES:
        raise InputError("label", classes - 1, f"an integer in [0, {MOST_CLASSES})")
    return Dataset({**data.arrays, "label": data["label"].astype(np.int32)}, name, classes)


def _rescaled(array: Num[np.ndarray, "N ..."]) -> Float[np.ndarray, "N ..."]:
    """As float32, pixels in [0, 1], with a channel."""
    if array.dtype == np.uint8:
        array = np.divide(array, np.float32(255), dtype=np.float32)
    if array.dtype.kind in "fiub":
        with np.errstate(
            over="ignore"
        ):  # what float32 does not hold is infinite, and refused as that
            array = array.astype(np.float32, copy=False)
    return array[..., None] if array.ndim == 3 else array


def _classes(labels: list[Shaped[np.ndarray, "N ..."]]) -> int | None:
    """One more than the largest label; None for labels that the checks refuse."""
    good = [label for label in labels if label.dtype.kind in "iu" and label.size]
    return max((int(label.max()) for label in good), default=-1) + 1 or None
