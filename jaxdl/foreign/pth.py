"""The tensors of a `.pth` file of PyTorch, without PyTorch and without running its code.

Since PyTorch 1.6 the file is an uncompressed zip file: `*/data.pkl` has the pickle, and
`*/data/KEY` the numbers of each storage. Before, it was five pickles one after the other (a magic
number, a version, properties of the system, the object, the keys of the storages). Then
follow, for each key, the number of its numbers in 8 bytes and the numbers.
"""

import zipfile
from pathlib import Path
from typing import IO, Any

import jax.numpy as jnp
import numpy as np

from jaxdl.data.files import open_regular_file
from jaxdl.errors import InputError
from jaxdl.foreign.arrays import RawArray, raw_array
from jaxdl.foreign.pickles import Storage, Tensor, unpickled

#: The first pickle of the old form, and the version of the second one.
MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

#: Sizes of the header of a member of a zip file: all of it, and where its two lengths lie.
ZIP_HEADER = 30
ZIP_LENGTHS = 26

#: Names under which training scripts store the `state_dict` in a checkpoint.
STATE = ("state_dict", "model_state_dict", "model")

#: Beginning of all names in a checkpoint of `torch.nn.DataParallel`.
PARALLEL = "module."

ALLOWED = "an undamaged file of torch.save"


def read_pth(path: Path) -> dict[str, RawArray]:
    """Returns the tensors of a checkpoint by name.

    Args:
      path: a file written by `torch.save(model.state_dict(), path)`, by any version since 0.1.10. A
        checkpoint with a `state_dict` among other entries is read, too.

    Raises:
      InputError: a damaged file, a file with code or other objects than tensors, or tensors
        that do not lie in the file.

    Example:
      >>> read_pth(Path("/dev/null"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: weights: got '/dev/null', allowed: a file that can be read ...
    """
    try:
        with open_regular_file(path) as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            if is_zip:
                return _read_zip(file, path)
            return _read_old(file, path)
    except OSError as error:
        allowed = f"a file that can be read ({error.strerror})"
        raise InputError("weights", str(path), allowed) from None


def _read_zip(file: IO[bytes], path: Path) -> dict[str, RawArray]:
    """Returns the tensors of the form since PyTorch 1.6."""
    try:
        archive = zipfile.ZipFile(file)
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError(str(path), "a zip file without one data.pkl", ALLOWED)
        root = pickles[0].removesuffix("data.pkl")
        for name in (pickles[0], f"{root}byteorder"):
            # Some methods of compression make any number of bytes from a few.
            _check_stored(members.get(name), path)
        order = "<"
        if f"{root}byteorder" in members:
            with archive.open(f"{root}byteorder") as member:
                order = {b"little": "<", b"big": ">"}[member.read(8)]
        with archive.open(pickles[0]) as member:
            state = unpickled(member, str(path))
        tensors = _tensors(state, path)
        places = {}
        for key in {tensor.storage.key for tensor in tensors.values()}:
            info = members[f"{root}data/{key}"]
            _check_stored(info, path)
            begin = info.header_offset + ZIP_HEADER
            file.seek(info.header_offset + ZIP_LENGTHS)
            begin += sum(int.from_bytes(file.read(2), "little") for _ in range(2))
            places[key] = (begin, begin + info.file_size)
    except InputError:
        raise
    except Exception as error:
        # A damaged directory makes zipfile raise too many kinds of exceptions to list them.
        raise InputError(str(path), f"{type(error).__name__}: {error}", ALLOWED) from None
    return _placed(tensors, places, order, path)


def _check_stored(info: zipfile.ZipInfo | None, path: Path) -> None:
    if info is not None and info.compress_type != zipfile.ZIP_STORED:
        raise InputError(str(path), f"compressed {info.filename}", ALLOWED)


def _read_old(file: IO[bytes], path: Path) -> dict[str, RawArray]:
    """Returns the tensors of the form before PyTorch 1.6."""
    if unpickled(file, str(path)) != MAGIC or unpickled(file, str(path)) != VERSION:
        allowed = "one of torch.save, .safetensors, .npz or .h5"
        raise InputError(str(path), "a file of another kind", allowed)
    unpickled(file, str(path))
    counts: dict[str, Storage] = {}
    tensors = _tensors(unpickled(file, str(path), counts), path)
    keys = unpickled(file, str(path))
    size = path.stat().st_size
    places = {}
    if type(keys) is not list or not {key for key in keys if type(key) is str} >= set(counts):
        raise InputError(str(path), "other keys than those of the tensors", ALLOWED)
    begin = file.tell()
    for key in keys:
        file.seek(begin)
        count = int.from_bytes(file.read(8), "little")
        if key not in counts or count != counts[key].size:
            raise InputError(str(path), "a storage without a tensor, or of another size", ALLOWED)
        end = begin + 8 + count * _dtype(counts[key].dtype, "<").itemsize
        if end > size:
            raise InputError(str(path), f"{size} bytes, but {end} or more are needed", ALLOWED)
        places[key] = (begin + 8, end)
        begin = end
    # The numbers of the old form are little-endian on every machine.
    return _placed(tensors, places, "<", path)


def _tensors(state: Any, path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a state_dict, or of that in a checkpoint."""
    for name in STATE:
        if type(state) is dict and type(state.get(name)) is dict:
            state = state[name]
    if type(state) is not dict or not any(isinstance(each, Tensor) for each in state.values()):
        raise InputError(str(path), "no state_dict", "torch.save(model.state_dict(), path)")
    tensors = {str(name): each for name, each in state.items() if isinstance(each, Tensor)}
    if all(name.startswith(PARALLEL) for name in tensors):
        return {name.removeprefix(PARALLEL): each for name, each in tensors.items()}
    return tensors


def _placed(
    tensors: dict[str, Tensor], places: dict[str, tuple[int, int]], order: str, path: Path
) -> dict[str, RawArray]:
    """Returns the arrays of tensors, whose storages have these places in the file."""
    arrays = {}
    for name, tensor in tensors.items():
        dtype = _dtype(tensor.storage.dtype, order)
        begin, end = places[tensor.storage.key]
        place = begin + tensor.offset * dtype.itemsize
        field = f"{path}: {name}"
        if tensor.offset < 0:
            raise InputError(field, "a negative offset", ALLOWED)
        limit = min(end, path.stat().st_size)
        shape = tensor.shape
        arrays[name] = raw_array(field, path, place, limit, dtype, shape, tensor.strides)
    return arrays


def _dtype(name: str, order: str) -> np.dtype:
    if name == "bfloat16":
        if order != "<":
            raise InputError("weights", "big-endian bfloat16", "float32, such as model.float()")
        return np.dtype(jnp.bfloat16)
    return np.dtype(f"{order}{name}")
