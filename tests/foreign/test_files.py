"""Tests of the forms of weights files: safetensors, npz, and files that are none."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from jaxdl.errors import InputError
from jaxdl.foreign.files import ENDINGS, read_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "kernel": RNG.normal(size=(4, 3)).astype(np.float32),
    "half": RNG.normal(size=(3, 2)).astype(np.float16),
    "double": RNG.normal(size=5),
    "counter": np.array(3),
}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert tuple(found[name].shape) == array.shape
        if array.shape:
            np.testing.assert_array_equal(found[name][:], array)
            np.testing.assert_array_equal(found[name][1:2], array[1:2])


def test_safetensors_are_read(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(ARRAYS, path, {"made by": "a test"})
    same(read_arrays(path), ARRAYS)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_are_read(tmp_path, save):
    path = tmp_path / "x.npz"
    arrays = {**ARRAYS, "fortran": np.asfortranarray(ARRAYS["kernel"])}
    save(path, **arrays)
    same(read_arrays(path), arrays)


def test_an_npz_with_objects_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, w=np.array([{}], object))
    with pytest.raises(InputError, match="objects are never loaded"):
        read_arrays(path)


def header(**entries):
    return json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **entries}})


@pytest.mark.parametrize(
    "text",
    [
        header(data_offsets=[0, 16]),
        header(data_offsets=[-8, 0]),
        header(data_offsets=[8, 0]),
        header(data_offsets=[0, 4]),
        header(shape=[-2]),
        header(shape=[1]),
        header(shape=[0]),
        header(shape=[2] + [1] * 100_000),
        header(shape="ab"),
        header(dtype="F8_E4M3"),
        header(shape=[2**61, 2**61]),
        header(shape=[1.0]),
        header(shape=None),
        header(shape=[True]),
        header(dtype="F4"),
        header(dtype=None),
        "[]",
        "{",
        '{"w": 3}',
        '{"w": {}}',
        "[" * 10_000,
    ],
)
def test_damaged_safetensors_are_refused(tmp_path, text):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + bytes(8))
    with pytest.raises(InputError) as raised:
        read_arrays(path)
    assert str(raised.value).isprintable()


def test_arrays_that_share_numbers_are_refused(tmp_path):
    entries = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": [begin, begin + 8]}
        for name, begin in (("b", 4), ("a", 0))
    }
    text = json.dumps(entries).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    with pytest.raises(InputError, match="numbers shared with b"):
        read_arrays(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_compression_is_refused(tmp_path, method):
    """zipfile decompresses these without a limit, whatever size they declare."""
    path = tmp_path / "x.npz"
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("w.npy", content.getvalue())
    with pytest.raises(InputError, match="an unusual compression"):
        read_arrays(path)


@pytest.mark.parametrize("ending", [each for each in ENDINGS if each != ".keras"])
@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04", bytes(1000), b"\xff" * 1000])
def test_other_contents_are_refused(tmp_path, ending, content):
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_arrays(path)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_truncated_files_are_refused(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    if ending == ".npz":
        np.savez(path, **ARRAYS)
    else:
        safetensors.numpy.save_file(ARRAYS, path)
    content = path.read_bytes()
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_arrays(path)


@pytest.mark.parametrize("name", ["x.keras", "x.pickle", "x"])
def test_other_endings_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="its weights alone|a file that ends in"):
        read_arrays(tmp_path / name)


@pytest.mark.parametrize("ending", [".safetensors", ".npz", ".h5", ".pth"])
def test_a_missing_file_is_one_line(tmp_path, ending):
    with pytest.raises(InputError, match="a file that can be read .No such file"):
        read_arrays(tmp_path / f"x{ending}")
