"""A classification set from one's own `.npz` file; nothing in the file is ever run."""

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num, Shaped

from jaxdl.data.checks import check_classification
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.errors import InputError

#: The names under which a field is found in a file.
NAMES = {"input": ("input", "image", "x"), "label": ("label", "y")}


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
      InputError: no such file, not an `.npz` file, damaged, arrays missing, Python objects in it,
        or anything that `check_classification` refuses.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     np.savez(f"{folder}/mine.npz", x=np.zeros((10, 2)), y=np.arange(10) % 2)
      ...     train, test = load_npz(f"{folder}/mine.npz")
      >>> len(train), len(test), train.classes
      (8, 2, 2)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("data", str(path), "an .npz file that exists")
    if not zipfile.is_zipfile(path):
        raise InputError("data", str(path), "a file that numpy.savez wrote")
    with np.load(path, allow_pickle=False) as file:
        train, test = _part(file, path, "train"), _part(file, path, "test")
    if train is None:
        raise InputError("data", f"{path} with {sorted(file.files)}", "arrays input (or x) and label (or y)")
    labels = [part["label"] for part in (train, test) if part is not None]
    data = [_checked(part, path.stem, _classes(labels)) for part in (train, test) if part is not None]
    if test is None:
        return holdout(data[0])
    shapes = [list(part["input"].shape[1:]) for part in data]
    if shapes[0] != shapes[1]:
        raise InputError("data", f"{path} with inputs {shapes[0]} to train and {shapes[1]} to test", "one shape")
    return data[0], data[1]


def _part(file: Mapping[str, np.ndarray], path: Path, part: str) -> dict[str, Shaped[np.ndarray, "N ..."]] | None:
    """Both fields of a part, or None if it has neither."""
    names = {field: _name(file, path, field, part) for field in NAMES}
    if not any(names.values()):
        return None
    for field, name in names.items():
        if name is None:
            raise InputError("data", f"{path} with {sorted(file)}", f"the array {part}_{field} too")
    return {field: _array(file, path, str(name)) for field, name in names.items()}


def _name(file: Mapping[str, np.ndarray], path: Path, field: str, part: str) -> str | None:
    """How the file calls a field of a part, if it has it."""
    forms = ["{part}_{name}", "{name}_{part}"] + ["{name}"] * (part == "train")
    known = [form.format(part=part, name=name) for name in NAMES[field] for form in forms]
    found = [name for name in known if name in file]
    if len(found) > 1:
        raise InputError("data", f"{path} with {found}", f"one of them as the {part} {field}")
    return found[0] if found else None


def _array(file: Mapping[str, np.ndarray], path: Path, name: str) -> Shaped[np.ndarray, "N ..."]:
    try:
        array = file[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, SyntaxError, tokenize.TokenError) as error:
        if "Object arrays" in str(error):
            raise InputError(f"{name} of {path}", "Python objects", "numbers; objects are never loaded") from None
        raise InputError(f"{name} of {path}", type(error).__name__, "an array that reads back whole") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name} of {path}", "no array", "a file that numpy.savez wrote")
    return array


def _checked(arrays: dict[str, np.ndarray], name: str, classes: int | None) -> Dataset:
    data = Dataset({**arrays, "input": _rescaled(arrays["input"])}, name, classes)
    check_classification(data)
    return Dataset({**data.arrays, "label": data["label"].astype(np.int32)}, name, classes)


def _rescaled(array: Num[np.ndarray, "N ..."]) -> Float[np.ndarray, "N ..."]:
    """As float32, pixels in [0, 1], with a channel."""
    if array.dtype == np.uint8:
        array = np.divide(array, np.float32(255), dtype=np.float32)
    if array.dtype.kind in "fiub":
        array = array.astype(np.float32, copy=False)
    return array[..., None] if array.ndim == 3 else array


def _classes(labels: list[Shaped[np.ndarray, "N ..."]]) -> int | None:
    """One more than the largest label; None for labels that the checks refuse."""
    good = [label for label in labels if label.dtype.kind in "iu" and label.size]
    return max((int(label.max()) for label in good), default=-1) + 1 or None
