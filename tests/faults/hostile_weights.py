"""Hostile weights files of other libraries: code, damage, impossible sizes, links."""

import collections
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import jaxdl
from tests.faults.hostile_npz import Evil, Row, archive, npy

#: The beginning of the old form: its magic number, version, and properties of the system.
OLD = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {}))

STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x00\x00\x00\x00K\x06tQ"
)


def file(name: str, content: bytes) -> Row:
    """Loads a file with this content."""

    def row(here: Path) -> Callable[[], Any]:
        (here / name).write_bytes(content)
        return lambda: jaxdl.load(here / name)

    return row


def zipped(content: bytes, **more: bytes) -> Row:
    """Loads a checkpoint of the new form with this pickle and a storage of six numbers."""
    members = {"a/data.pkl": content, "a/data/0": bytes(24), **more}
    return lambda here: _loading(archive(here / "x.pth", members, zipfile.ZIP_STORED))


def _loading(path: Path) -> Callable[[], Any]:
    return lambda: jaxdl.load(path)


def tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Returns the pickle of a state_dict with one tensor."""
    numbers = b"".join(pickle.dumps(each, 2)[2:-1] for each in (offset, shape, strides))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + numbers + b"\x89}tR"
    return b"\x80\x02}X\x11\x00\x00\x00features.0.weight" + call + b"s."


def huge_npz(here: Path) -> Callable[[], Any]:
    """Loads an array whose header declares far more numbers than the file has."""
    content = npy(np.zeros(3, np.float32)).replace(b"(3,)", b"(9999999999,)")
    return _loading(archive(here / "x.npz", {"features.0.weight.npy": content}))


def linked_hdf5(here: Path) -> Callable[[], Any]:
    """Loads an HDF5 file with a link to another file."""
    import h5py

    with h5py.File(here / "x.h5", "w") as hdf5:
        hdf5["conv2d/vars/0"] = h5py.ExternalLink(str(here.parent / "outside" / "x.h5"), "/x")
    return _loading(here / "x.h5")


REFUSED: dict[str, Row] = {
    "weights: code in the old form": file("x.pth", OLD + pickle.dumps({"w": Evil()}, 2)),
    "weights: code in the first pickle": file("x.pth", pickle.dumps(Evil(), 2)),
    "weights: code in the new form": zipped(pickle.dumps({"w": Evil()}, 2)),
    "weights: code in protocol 4": zipped(pickle.dumps({"w": Evil()}, 4)),
    "weights: code in an OrderedDict": zipped(pickle.dumps(collections.OrderedDict(w=Evil()), 2)),
    "weights: os.system": file("x.pt", b"cos\nsystem\nX\x04\x00\x00\x00true\x85R."),
    "weights: eval as an instance": file("x.pt", b"(S'1'\ni__builtin__\neval\n."),
    "weights: a name below torch": zipped(b"ctorch\nos.system\nX\x04\x00\x00\x00true\x85R."),
    "weights: a place of 2^31 in the memory": zipped(b"]r\xff\xff\xff\x7f."),
    "weights: a text of 2 GiB": file("x.pth", b"X\xff\xff\xff\x7fabc"),
    "weights: a line without an end": file("x.pth", b"c" + b"a" * 2**20),
    "weights: nested tuples": zipped(b")" + b"q\x00h\x00\x86" * 99 + b"}h\x00h\x00s."),
    "weights: a tensor of 2^60 numbers": zipped(tensor(0, (2**30, 2**30), (0, 0))),
    "weights: negative strides": zipped(tensor(5, (2, 3), (-3, -1))),
    "weights: a negative offset": zipped(tensor(-1, (2, 3), (3, 1))),
    "weights: numbers behind the storage": zipped(tensor(1, (2, 3), (3, 1))),
    "weights: a storage that leads out": zipped(
        tensor(0, (2, 3), (3, 1)).replace(b"X\x01\x00\x00\x000", b"X\x04\x00\x00\x00../x")
    ),
    "weights: safetensors with a huge header": file("x.safetensors", b"\xff" * 7 + b"\0" * 99),
    "weights: an array of an npz that is too large": huge_npz,
    "weights: a link out of an HDF5 file": linked_hdf5,
    "weights: no HDF5 file": file("x.h5", b"\x89HDF\r\n\x1a\n" + bytes(99)),
    "weights: an empty file": file("x.pth", b""),
}

HARMLESS: dict[str, Row] = {}
