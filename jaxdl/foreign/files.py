"""The arrays of a weights file of another library, by the file's form."""

import itertools
import json
import math
import zipfile
from pathlib import Path

import numpy as np

from jaxdl.data.files import expand_path, open_regular_file, parse_json_object
from jaxdl.data.npz import member_place, read_member
from jaxdl.errors import InputError
from jaxdl.foreign.arrays import Stored, raw_array, shown
from jaxdl.foreign.hdf5 import read_hdf5
from jaxdl.foreign.pth import ZIP_HEADER, ZIP_LENGTHS, read_pth
from jaxdl.weights import DTYPES

#: Endings of weights files.
ENDINGS = (".safetensors", ".npz", ".h5", ".hdf5", ".keras", ".pth", ".pt", ".bin")

#: Most bytes of the header of a safetensors file.
MAX_HEADER = 2**24


def read_arrays(path: Path) -> dict[str, Stored]:
    """Returns the arrays of a weights file by name. Their numbers are read later.

    The ending decides the form: `.safetensors`, `.npz`, `.h5` and `.hdf5` of Keras, or `.pth`,
    `.pt` and `.bin` of PyTorch. No code in a file is executed.

    Args:
      path: the file.

    Raises:
      InputError: another ending, or a file that its reader refuses.

    Example:
      >>> read_arrays(Path("photo.jpg"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: weights: got 'photo.jpg', allowed: a file that ends in ...
    """
    path = expand_path(path, "weights")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError("weights", str(path), f"a file that ends in {', '.join(ENDINGS)}")
    if ending == ".keras":
        allowed = "its weights alone: write model.save_weights('x.weights.h5') in Keras"
        raise InputError("weights", str(path), allowed)
    if ending in (".h5", ".hdf5"):
        return read_hdf5(path)
    if ending == ".safetensors":
        return _read_safetensors(path)
    if ending == ".npz":
        return _read_npz(path)
    return dict(read_pth(path))


def _read_safetensors(path: Path) -> dict[str, Stored]:
    allowed = "an undamaged safetensors file"
    arrays: dict[str, Stored] = {}
    places: list[tuple[int, int, str]] = []
    try:
        with open_regular_file(path) as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if length > min(MAX_HEADER, size - 8):
                raise InputError(str(path), f"a header of {length} bytes", allowed)
            header = parse_json_object(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = (8 + length + int(place) for place in entry["data_offsets"])
            field = f"{path}: {name}"
            if entry["dtype"] not in DTYPES:
                raise InputError(field, entry["dtype"], f"one of {', '.join(sorted(DTYPES))}")
            dtype = DTYPES[entry["dtype"]]
            shape = tuple(entry["shape"])
            if not 8 + length <= begin <= end <= size:
                raise InputError(field, f"bytes {begin} to {end} of {size}", allowed)
            array = raw_array(field, path, begin, end, dtype, shape)
            if math.prod(shape) * dtype.itemsize != end - begin:
                raise InputError(field, f"{end - begin} bytes", f"the size of {shown(array)}")
            arrays[name] = array
            places.append((begin, end, name))
        for (_, end, name), (begin, _, other) in itertools.pairwise(sorted(places)):
            if begin < end:
                raise InputError(f"{path}: {name}", f"numbers shared with {other}", allowed)
    except InputError:
        raise
    except OSError as error:
        reason = f"a file that can be read ({error.strerror})"
        raise InputError("weights", str(path), reason) from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(str(path), f"{type(error).__name__}: {error}", allowed) from None
    return arrays


def _read_npz(path: Path) -> dict[str, Stored]:
    """Returns the arrays of a file of `numpy.savez`; compressed ones are read at once."""
    allowed = "an undamaged file of numpy.savez"
    arrays: dict[str, Stored] = {}
    try:
        with open_regular_file(path) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                field = f"{path}: {name}"
                shape, is_fortran, dtype, begin = member_place(archive, info.filename, field)
                if info.compress_type != zipfile.ZIP_STORED:
                    arrays[name] = np.asarray(read_member(archive, info.filename, field))
                    continue
                file.seek(info.header_offset + ZIP_LENGTHS)
                lengths = [int.from_bytes(file.read(2), "little") for _ in range(2)]
                begin += info.header_offset + ZIP_HEADER + sum(lengths)
                limit = min(path.stat().st_size, begin + dtype.itemsize * int(np.prod(shape)))
                strides = None
                if is_fortran:
                    strides = tuple(int(np.prod(shape[:i])) for i in range(len(shape)))
                arrays[name] = raw_array(field, path, begin, limit, dtype, shape, strides)
    except InputError:
        raise
    except OSError as error:
        reason = f"a file that can be read ({error.strerror})"
        raise InputError("weights", str(path), reason) from None
    except Exception as error:
        # A damaged directory makes zipfile raise too many kinds of exceptions to list them.
        raise InputError(str(path), f"{type(error).__name__}: {error}", allowed) from None
    return arrays
