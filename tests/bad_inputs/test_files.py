"""Errors for bad `.npz` files: one line with the path or the field, and what is allowed."""

import io
import zipfile

import numpy as np
import pytest

from jaxdl.data import (
    load,
)
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)


IMAGES = RANDOM.uniform(0, 1, (10, 8, 8, 1)).astype(np.float32)


LABEL = RANDOM.randint(0, 10, 10)


def changed(array, row, value):
    """Returns a copy of the array with another value in a row."""
    array = array.copy()
    array[row] = value
    return array


class Trap:
    """An object that fails the test when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code in a file was run",))


def npz(**arrays) -> bytes:
    """Returns the contents of a `.npz` file with these arrays."""
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})
    return file.getvalue()


def damaged() -> bytes:
    """Returns a file with an intact index and one flipped bit in the first array."""
    contents = bytearray(npz(x=IMAGES, y=LABEL))
    contents[1000] ^= 1
    return bytes(contents)


def not_an_array() -> bytes:
    """Returns an archive whose members are not arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"hello")
        archive.writestr("y.npy", b"")
    return file.getvalue()


FILES = {
    "missing": (None, "data: got '{path}', allowed: an .npz file that exists"),
    "empty": (b"", "data: got '{path}', allowed: a file written by numpy.savez"),
    "text": (b"hello", "data: got '{path}', allowed: a file written by numpy.savez"),
    "cut": (
        npz(x=IMAGES, y=LABEL)[:900],
        "data: got '{path}', allowed: a file written by numpy.savez",
    ),
    "damaged": (
        damaged(),
        "x of {path}: got 'BadZipFile', allowed: an undamaged array",
    ),
    "objects": (
        npz(x=np.array([Trap()] * 10), y=LABEL),
        "x of {path}: got 'Python objects', allowed: numbers; objects are never loaded",
    ),
    "other names": (
        npz(a=IMAGES, b=LABEL),
        "data: got \"{path} with ['a', 'b']\", allowed: arrays input (or x) and label (or y)",
    ),
    "no label": (
        npz(x=IMAGES),
        "data: got \"{path} with ['x']\", allowed: also an array train_label",
    ),
    "half a test set": (
        npz(x=IMAGES, y=LABEL, x_test=IMAGES),
        "data: got \"{path} with ['x', 'x_test', 'y']\", allowed: also an array test_label",
    ),
    "two names for one": (
        npz(x=IMAGES, image=IMAGES, y=LABEL),
        "data: got \"{path} with ['image', 'x']\", allowed: only one of these as the train input",
    ),
    "two cases of one name": (
        npz(x=IMAGES, X_train=IMAGES, y=LABEL),
        "data: got \"{path} with ['X_train', 'x']\", allowed: only one of these as the train input",
    ),
    "a validation set": (
        npz(x_train=IMAGES, y_train=LABEL, x_val=IMAGES, y_val=LABEL),
        "data: got \"{path} with ['x_val', 'y_val']\", allowed: only inputs and labels for "
        "training and testing; the option --validation takes a part of the training set",
    ),
    "weights": (
        npz(x=IMAGES, y=LABEL, weight=LABEL),
        "data: got \"{path} with ['weight']\", allowed: only inputs and labels for training "
        "and testing; the option --validation takes a part of the training set",
    ),
    "names as labels": (
        npz(x=IMAGES, y=np.array(["a"] * 10)),
        "label dtype: got 'str32', allowed: numbers; "
        "np.unique(x, return_inverse=True)[1] numbers the words",
    ),
    "label out of range": (
        npz(x=IMAGES, y=changed(np.arange(10), 6, -5)),
        "label[6]: got -5, allowed: an integer in [0, 10)",
    ),
    "float labels": (
        npz(x=IMAGES, y=LABEL / 1),
        "label dtype: got 'float64', "
        "allowed: integers, the class of each example, such as y.astype('int32')",
    ),
    "labels in a column": (
        npz(x=IMAGES, y=LABEL[:, None]),
        "label shape: got (10, 1), allowed: [N], one integer per example, such as y[:, 0]",
    ),
    "unequal": (npz(x=IMAGES, y=LABEL[:4]), "label rows: got 4, allowed: 10, as many as input has"),
    "scalars": (npz(x=1.0, y=2), "input shape: got (), allowed: [N, ...], one row per example"),
    "words": (
        npz(x=np.array(["a"] * 10)[:, None], y=LABEL),
        "input dtype: got 'str32', allowed: numbers; "
        "np.unique(x, return_inverse=True)[1] numbers the words",
    ),
    "complex": (
        npz(x=np.full((10, 2), 1j), y=LABEL),
        "input dtype: got 'complex128', "
        "allowed: real numbers, such as np.stack([x.real, x.imag], -1)",
    ),
    "channels first": (
        npz(x=IMAGES.transpose(0, 3, 1, 2), y=LABEL),
        "input shape: got (10, 1, 8, 8), "
        "allowed: [N, H, W, C], channels last; use x.transpose(0, 2, 3, 1)",
    ),
    "not an array": (
        not_an_array(),
        "x of {path}: got 'no array', allowed: a file written by numpy.savez",
    ),
}


@pytest.mark.parametrize("row", FILES)
def test_a_bad_file_is_one_line(row, tmp_path):
    content, message = FILES[row]
    path = tmp_path / "set.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        load(path)
    assert str(raised.value) == message.format(path=path)
