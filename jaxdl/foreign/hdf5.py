"""The arrays of an HDF5 file of Keras, by h5py."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.files import check_amplification, open_regular_file
from jaxdl.errors import InputError
from jaxdl.foreign.arrays import Stored

#: A name that Keras makes from the class of a layer and the order of creation.
AUTOMATIC = re.compile(r"(conv2d|dense)(_\d+)?")

#: Most groups and arrays of a file.
MAX_OBJECTS = 10_000


def read_hdf5(path: Path) -> dict[str, Stored]:
    """Returns the arrays of a weights file of Keras by name, `LAYER/0` for the kernel.

    Keras 2 writes attributes `layer_names` and `weight_names`. Keras 3 writes arrays
    `LAYER/vars/0`, where LAYER may be a number in the order of creation. An attribute of `vars`
    then has the layer's own name, which replaces it.

    Args:
      path: a file ending in `.h5`. It is opened, and its arrays are read later.

    Raises:
      InputError: h5py is not installed, or the file is damaged, has other contents, or refers to
        other files.

    Example:
      >>> read_hdf5(Path("nowhere.h5"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: weights: got 'nowhere.h5', allowed: a file that can be read ...
    """
    try:
        with open_regular_file(path):
            pass
    except OSError as error:
        allowed = f"a file that can be read ({error.strerror})"
        raise InputError("weights", str(path), allowed) from None
    try:
        import h5py
    except ImportError:
        allowed = "pip install 'jaxdl[h5]', or pip install h5py; or another form of the weights"
        raise InputError("weights", f"{path} without h5py", allowed) from None
    try:
        # The file stays open as long as one of its arrays is used.
        file = h5py.File(path, "r")
        return _arrays(file, path, h5py)
    except InputError:
        raise
    except Exception as error:
        # A damaged file makes h5py raise too many kinds of exceptions to list them.
        reason = f"{type(error).__name__}: {error}"
        raise InputError(str(path), reason, "an undamaged file of Keras") from None


def _arrays(file: Any, path: Path, h5py: Any) -> dict[str, Stored]:
    found: dict[str, Any] = {}
    _collect(file, "", found, iter(range(MAX_OBJECTS)), path, h5py)
    root = file
    prefix = ""
    if "model_weights" in file:
        root = file["model_weights"]
        prefix = "model_weights/"
    if "layer_names" in root.attrs:
        return _by_attributes(root, prefix, found, path)
    arrays = {}
    for name, array in found.items():
        layer, _, number = name.rpartition("/vars/")
        if not layer:
            raise InputError(f"{path}: {name}", "an array outside of `vars`", "a file of Keras")
        arrays[f"{_layer_name(file, layer)}/{number}"] = array
    if len(arrays) != len(found):
        raise InputError(str(path), "two layers of one name", "a file of one model")
    return arrays


def _layer_name(file: Any, layer: str) -> str:
    """Returns the name that a layer of Keras 3 has, if its place in the file is a number."""
    if not AUTOMATIC.fullmatch(layer.rpartition("/")[2]):
        return layer
    name = str(file[f"{layer}/vars"].attrs.get("name", ""))
    if not name or AUTOMATIC.fullmatch(name):
        return layer
    return name


def _by_attributes(root: Any, prefix: str, found: Any, path: Path) -> dict[str, Stored]:
    """Returns the arrays of Keras 2 in the order of each layer."""
    arrays = {}
    for layer in map(_text, root.attrs["layer_names"]):
        weights = [_text(name) for name in root[layer].attrs["weight_names"]]
        for i, weight in enumerate(weights):
            arrays[f"{layer}/{i}"] = found[f"{prefix}{layer}/{weight}"]
    optimizer = [name for name in found if name.startswith("optimizer_weights/")]
    if len(arrays) + len(optimizer) != len(found):
        raise InputError(str(path), "arrays without a layer", "a file of Keras")
    return arrays


def _collect(
    group: Any, prefix: str, found: dict[str, Any], left: Iterator[int], path: Path, h5py: Any
) -> None:
    """Adds the arrays below a group by path; raises for links and for data of other files."""
    for name in group:
        full = f"{prefix}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise InputError(f"{path}: {full}", "a link", "a file without links")
        if next(left, None) is None or full.count("/") > 20:
            raise InputError(
                str(path), "too many groups", f"at most {MAX_OBJECTS} groups and arrays"
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            _collect(item, f"{full}/", found, left, path, h5py)
            continue
        if item.external or item.is_virtual:
            raise InputError(f"{path}: {full}", "data of another file", "data in the file")
        if item.id.get_create_plist().get_nfilters():
            # HDF5 decompresses a part to whatever size it has, not to the declared one.
            raise InputError(f"{path}: {full}", "compressed data", "data without compression")
        if item.dtype.kind in "fiu" and item.shape is not None:
            stored = item.id.get_storage_size()
            check_amplification(f"{path}: {full}", item.nbytes, stored, "store it uncompressed")
            found[full] = item if item.shape else np.asarray(item[()])


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
