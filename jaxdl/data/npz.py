"""A classification set from an `.npz` file of the user; no code in the file is executed."""

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, Num, Shaped

from jaxdl.data.checks import check_classification
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import check_amplification, expand_path, open_regular_file
from jaxdl.errors import InputError

Arrays = dict[str, Shaped[np.ndarray, "N ..."]]

#: The names that a field may have in a file, in upper or lower case.
NAMES = {"input": ("input", "inputs", "image", "images", "x"), "label": ("label", "labels", "y")}

#: Names of the array with the names of the classes, in upper or lower case.
CLASS_NAMES = ("names", "class_names")

#: Largest number of classes; a network has an output for each.
MAX_CLASSES = 2**16

#: Header parsers by version of the `.npy` format. Version 3.0 is missing: it is for structured
#: arrays whose field names are not Latin-1.
_HEADERS: dict[tuple[int, ...], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_npz(path: str | Path) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of an `.npz` file.

    The training arrays have the names `input` (or `image`, `x`) and `label` (or `y`), or their
    plurals. The names may have `train` as a prefix or suffix (`train_images`, `X_train`). The names
    of the test arrays have `test` there. Without test arrays, one example in five of each class
    becomes the test set, the same examples every time.

    Pixels in uint8 are divided by 255, and grey images `[N, H, W]` get a channel axis. An array
    `names` of texts has the names of the classes, `np.array(["cat", "dog"])`.

    Args:
      path: a file written by `numpy.savez` or `numpy.savez_compressed`.

    Returns:
      `(train, test)`, with `input [N, ...]` float32 and `label [N]` int32 in [0, classes). The
      number of classes is that of the names, or the largest label plus 1.

    Raises:
      InputError: no such file, not an `.npz` file, a damaged file, missing or further arrays,
        Python objects, impossible sizes, labels of 65536 or more, or anything that
        `check_classification` refuses.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     np.savez(f"{folder}/mine.npz", x=np.zeros((10, 2)), y=np.arange(10) % 2)
      ...     train, test = load_npz(f"{folder}/mine.npz")
      >>> len(train), len(test), train.classes
      (8, 2, 2)
    """
    path = expand_path(path, "data")
    train_arrays, test_arrays, names = _read_parts(path)
    parts = [part for part in (train_arrays, test_arrays) if part is not None]
    classes = _count_classes([part["label"] for part in parts])
    if names is not None:
        classes = len(names)
    data = [_checked_dataset(part, path.stem, classes, names) for part in parts]
    if len(data) == 1:
        return holdout(data[0])
    train, test = data
    train_shape = list(train["input"].shape[1:])
    test_shape = list(test["input"].shape[1:])
    if train_shape != test_shape:
        raise InputError(
            "data",
            f"{path} with inputs {train_shape} for training and {test_shape} for testing",
            "the same shape for both",
        )
    return train, test


def _read_parts(path: Path) -> tuple[Arrays, Arrays | None, tuple[str, ...] | None]:
    """Returns the arrays of the training set, those of the test set and the names of the classes.

    The test set and the names are None if the file has none.
    """
    with _opened(path, "data") as archive:
        names = {part: _part_names(archive, path, part) for part in ("train", "test")}
        used = {name for part in names.values() for name in part.values()}
        named = [name for name in _members(archive) if name.lower() in CLASS_NAMES]
        unused = sorted(_members(archive).keys() - used - set(named[:1]))
        if used and unused:
            allowed = (
                "only inputs and labels for training and testing; "
                "the option --validation takes a part of the training set"
            )
            raise InputError("data", f"{path} with {unused}", allowed)
        train = _read_part(archive, path, names["train"])
        test = _read_part(archive, path, names["test"])
        class_names = _read_class_names(archive, path, named)
    if train is None:
        raise InputError("data", f"{path} with {unused}", "arrays input (or x) and label (or y)")
    return train, test, class_names


def read_input_array(path: Path) -> Shaped[np.ndarray, "N ..."]:
    """Returns the inputs of an `.npz` file for a trained network; labels are ignored.

    Args:
      path: a file with one array, or with an array `input`, `image` or `x`. Of several, those of
        the test set come first.

    Raises:
      InputError: a file that cannot be read, or without such an array.

    Example:
      >>> read_input_array(Path("nowhere.npz"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: inputs: got 'nowhere.npz', allowed: an .npz file that exists
    """
    with _opened(path, "inputs") as archive:
        names = sorted(_members(archive))
        forms = ("test_{}", "{}_test", "{}", "train_{}", "{}_train")
        wanted = [form.format(name) for form in forms for name in NAMES["input"]]
        found = [name for each in wanted for name in names if name.lower() == each]
        if len(names) == 1:
            found = names
        if not found:
            raise InputError("inputs", f"{path} with {names}", "an array `input`, `image` or `x`")
        return _read_array(archive, path, found[0])


@contextlib.contextmanager
def _opened(path: Path, field: str) -> Iterator[zipfile.ZipFile]:
    """Yields an `.npz` file; errors of reading become one line."""
    if not path.is_file():
        raise InputError(field, str(path), "an .npz file that exists")
    try:
        with open_regular_file(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        raise InputError(field, str(path), f"a file that can be read ({error.strerror})") from None
    except InputError:
        raise
    except Exception:
        # A damaged directory makes zipfile raise too many kinds of exceptions to list them.
        raise InputError(field, str(path), "a file written by numpy.savez") from None


def _read_class_names(
    archive: zipfile.ZipFile, path: Path, named: list[str]
) -> tuple[str, ...] | None:
    """Returns the names of the classes, or None if the file has none."""
    if not named:
        return None
    names = _read_array(archive, path, named[0])
    if names.dtype.kind != "U" or names.ndim != 1 or len(names) < 2:
        given = f"{names.dtype.name}{list(names.shape)}"
        allowed = "a text for each class, at least two, such as np.array(['cat', 'dog'])"
        raise InputError(f"{named[0]} of {path}", given, allowed)
    return tuple(names.tolist())


def _members(archive: zipfile.ZipFile) -> dict[str, str]:
    """Returns the archive member of each array name.

    The names are only looked up. No file is written under such a name.
    """
    return {name.removesuffix(".npy"): name for name in archive.namelist()}


def _part_names(archive: zipfile.ZipFile, path: Path, part: str) -> dict[str, str]:
    """Returns the names of the fields of a part in the file, none if the part is missing."""
    names = {field: _find_name(archive, path, field, part) for field in NAMES}
    found = {field: name for field, name in names.items() if name is not None}
    for field in NAMES:
        if found and field not in found:
            given = f"{path} with {sorted(_members(archive))}"
            raise InputError("data", given, f"also an array {part}_{field}")
    return found


def _find_name(archive: zipfile.ZipFile, path: Path, field: str, part: str) -> str | None:
    """Returns the name of a field of a part in the file, or None if the file does not have it."""
    forms = ["{part}_{name}", "{name}_{part}"]
    if part == "train":
        forms.append("{name}")
    candidates = [form.format(part=part, name=name) for name in NAMES[field] for form in forms]
    present = [name for name in sorted(_members(archive)) if name.lower() in candidates]
    if len(present) > 1:
        raise InputError(
            "data", f"{path} with {present}", f"only one of these as the {part} {field}"
        )
    return next(iter(present), None)


def _read_part(archive: zipfile.ZipFile, path: Path, names: dict[str, str]) -> Arrays | None:
    """Returns the fields of a part, or None if the file does not have it."""
    if not names:
        return None
    return {field: _read_array(archive, path, name) for field, name in names.items()}


def _read_array(archive: zipfile.ZipFile, path: Path, name: str) -> Shaped[np.ndarray, "N ..."]:
    """Returns an array of the file after a check of its declared size."""
    return read_member(archive, _members(archive)[name], f"{name} of {path}")


def read_member(archive: zipfile.ZipFile, member: str, source: str) -> Shaped[np.ndarray, "N ..."]:
    """Returns an array of an open `.npz` file after a check of its declared size.

    Args:
      archive: the file.
      member: name of the member.
      source: name of the array in error messages.

    Raises:
      InputError: as for `member_place`, or a damaged array.

    Example:
      >>> import io
      >>> with zipfile.ZipFile(io.BytesIO(), "w") as archive:
      ...     archive.writestr("x.npy", b"not an array")
      ...     read_member(archive, "x.npy", "x")
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got 'no array', allowed: a file written by numpy.savez
    """
    try:
        member_place(archive, member, source)
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:
        # Damage makes zipfile, the decompressor, the header parser and NumPy raise too many kinds
        # of exceptions to list them.
        raise InputError(source, type(error).__name__, "an undamaged array") from None


def member_place(
    archive: zipfile.ZipFile, member: str, source: str
) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Returns shape, order, dtype and place of an array of an open `.npz` file.

    Args:
      archive: the file.
      member: name of the member.
      source: name of the array in error messages.

    Returns:
      The shape, True for Fortran's order, the dtype, and the place of the first number in the
      member, in bytes.

    Raises:
      InputError: no array, Python objects, or a size that does not fit that of the member, before
        memory is allocated for it.

    Example:
      >>> import io
      >>> file = io.BytesIO()
      >>> np.savez(file, x=np.zeros((2, 3)))
      >>> with zipfile.ZipFile(file) as archive:
      ...     member_place(archive, "x.npy", "x")
      ((2, 3), False, dtype('float64'), 128)
    """
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile decompresses others without a limit, whatever size they declare.
        raise InputError(source, "an unusual compression", "a file written by numpy.savez")
    remedy = "store it with numpy.savez, which does not compress"
    check_amplification(source, info.file_size, info.compress_size, remedy)
    with archive.open(member) as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:
            raise InputError(source, "no array", "a file written by numpy.savez")
        shape, is_fortran, dtype = _HEADERS[tuple(file.read(2))](file)
        place = file.tell()
    size = info.file_size - place
    if dtype.hasobject:
        raise InputError(source, "Python objects", "numbers; objects are never loaded")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise InputError(source, f"{size} bytes", f"the size of {dtype}{list(shape)}")
    return shape, is_fortran, dtype, place


def _checked_dataset(
    arrays: Arrays, name: str, classes: int | None, class_names: tuple[str, ...] | None
) -> Dataset:
    """Returns the set with float32 inputs and int32 labels; raises if it cannot be trained on."""
    data = Dataset({**arrays, "input": rescaled(arrays["input"])}, name, classes)
    check_classification(data)
    if classes is not None and classes > MAX_CLASSES:
        raise InputError("label", classes - 1, f"an integer in [0, {MAX_CLASSES})")
    label = data["label"].astype(np.int32)
    return Dataset({**data.arrays, "label": label}, name, classes, class_names=class_names)


def rescaled(array: Num[np.ndarray, "N ..."]) -> Float[np.ndarray, "N ..."]:
    """Returns inputs as float32, pixels in [0, 1], and grey images with a channel axis.

    Example:
      >>> rescaled(np.full((1, 2, 2), 51, np.uint8)).shape
      (1, 2, 2, 1)
    """
    if array.dtype == np.uint8:
        array = np.divide(array, np.float32(255), dtype=np.float32)
    if array.dtype.kind in "fiub":
        # Values beyond float32 become infinite, and the checks refuse them.
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
    if array.ndim == 3:
        return array[..., None]
    return array


def _count_classes(labels: list[Shaped[np.ndarray, "N ..."]]) -> int | None:
    """Returns the largest label plus 1, or None if the checks will refuse the labels."""
    integers = [label for label in labels if label.dtype.kind in "iu" and label.size]
    return max((int(label.max()) for label in integers), default=-1) + 1 or None
