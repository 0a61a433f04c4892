"""Tests of HDF5 files of Keras: names of arrays, links, missing h5py."""

import sys
import zlib

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.foreign.arrays import copy_rows
from jaxdl.foreign.hdf5 import read_hdf5

h5py = pytest.importorskip("h5py")


def written(path, arrays, **attributes):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        for place, values in attributes.items():
            file[place.replace("__", "/")].attrs["weight_names"] = values
    return path


def test_a_full_model_of_keras_2_is_read(tmp_path):
    arrays = {
        "model_weights/a/a/kernel:0": np.arange(6.0).reshape(2, 3),
        "model_weights/a/a/bias:0": np.arange(3.0),
        "optimizer_weights/m": np.zeros(3),
    }
    path = written(tmp_path / "x.h5", arrays)
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["layer_names"] = [b"a"]
        file["model_weights/a"].attrs["weight_names"] = [b"a/kernel:0", b"a/bias:0"]
    found = read_hdf5(path)
    assert list(found) == ["a/0", "a/1"]
    np.testing.assert_array_equal(found["a/0"][0:2], arrays["model_weights/a/a/kernel:0"])


def test_names_of_keras_3_replace_numbers_of_creation(tmp_path):
    names = ["layers/conv2d_3/vars/0", "side/vars/0", "layers/dense/vars/0"]
    path = written(tmp_path / "x.h5", {name: np.zeros(2) for name in names})
    with h5py.File(path, "a") as file:
        file["layers/conv2d_3/vars"].attrs["name"] = "block1_conv1"
        file["side/vars"].attrs["name"] = "conv2d_9"
    assert set(read_hdf5(path)) == {"block1_conv1/0", "side/0", "layers/dense/0"}


def test_two_layers_of_one_name_are_refused(tmp_path):
    names = ["layers/conv2d/vars/0", "layers/conv2d_1/vars/0"]
    path = written(tmp_path / "x.h5", {name: np.zeros(2) for name in names})
    with h5py.File(path, "a") as file:
        for layer in ("conv2d", "conv2d_1"):
            file[f"layers/{layer}/vars"].attrs["name"] = "same"
    with pytest.raises(InputError, match="two layers of one name"):
        read_hdf5(path)


@pytest.mark.parametrize("kind", ["external", "soft", "raw", "virtual"])
def test_data_of_other_files_are_refused(tmp_path, kind):
    secret = written(tmp_path / "secret.h5", {"x": np.arange(4.0)})
    with h5py.File(tmp_path / "x.h5", "w") as file:
        if kind == "external":
            file["a/vars/0"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "soft":
            file["a/vars/0"] = h5py.SoftLink("/b")
        elif kind == "raw":
            place = [(str(secret), 0, 32)]
            file.create_dataset("a/vars/0", (4,), "f8", external=place)
        else:
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
            file.create_virtual_dataset("a/vars/0", layout)
    with pytest.raises(InputError, match="a link|data of another file"):
        read_hdf5(tmp_path / "x.h5")


def test_a_small_file_makes_no_large_array(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a/vars/0", (2**33,), "f4", chunks=(2**20,))
    with pytest.raises(InputError, match="store it uncompressed"):
        read_hdf5(tmp_path / "x.h5")


def test_compressed_data_are_refused(tmp_path):
    """HDF5 would decompress this part to 1 MiB, although an array of 3 numbers is declared."""
    content = zlib.compress(bytes(2**20))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        array = file.create_dataset("a/vars/0", (3,), "f4", chunks=(3,), compression="gzip")
        array.id.write_direct_chunk((0,), content)
    with pytest.raises(InputError, match="compressed data"):
        read_hdf5(tmp_path / "x.h5")


def test_groups_that_are_shared_on_every_level_are_refused_quickly(tmp_path):
    """The groups form 8^15 paths, and none of them has an array."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("end")
        for level in range(15):
            above = file.create_group(f"level_{level}")
            for i in range(8):
                above[str(i)] = group
            group = above
    with pytest.raises(InputError, match="too many groups"):
        read_hdf5(tmp_path / "x.h5")


def test_damage_that_is_found_when_numbers_are_read_is_one_line(tmp_path):
    path = written(tmp_path / "x.h5", {"a/vars/0": np.zeros(2)})
    with h5py.File(path, "w") as file:
        file.create_dataset("a/vars/0", (300,), "f4", chunks=(100,))[:] = 1
    content = path.read_bytes()
    place = content.rindex(b"TREE")
    path.write_bytes(content[:place] + b"xxxx" + content[place + 4 :])
    with pytest.raises(InputError, match="undamaged"):
        copy_rows("a", read_hdf5(path)["a/0"], np.empty(300, np.float32), to_last_axes=False)


def test_groups_that_contain_themselves_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b/c"] = np.zeros(2)
        file["a/b/again"] = file["a"]
    with pytest.raises(InputError, match="too many groups"):
        read_hdf5(tmp_path / "x.h5")


def test_without_h5py_the_message_has_the_command(tmp_path, monkeypatch):
    path = written(tmp_path / "x.h5", {"a/vars/0": np.zeros(2)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"without h5py', allowed: pip install 'jaxdl\[h5\]'"):
        read_hdf5(path)


def test_truncated_files_are_refused(tmp_path):
    path = written(tmp_path / "x.h5", {"a/vars/0": np.arange(100.0), "b/vars/0": np.zeros(9)})
    content = path.read_bytes()
    for length in range(0, len(content), 211):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_hdf5(path)
