"""Tests of checkpoints of PyTorch in both forms: equal tensors, and refused files."""

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.foreign.pth import read_pth

torch = pytest.importorskip("torch")

both_forms = pytest.mark.parametrize("new", [True, False])


def saved(path, value, new):
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


def tensors():
    """Tensors of every dtype and order of axes, some with one storage."""
    torch.manual_seed(0)
    base = torch.randn(4, 6, 3)
    return collections.OrderedDict(
        contiguous=base,
        transposed=base.permute(2, 0, 1),
        part=base[1:3, ::2],
        column=base[:, 1],
        half=torch.randn(5).half(),
        bfloat16=torch.randn(5, 2).bfloat16(),
        double=torch.randn(2, 3).double(),
        counter=torch.tensor(7),
        number=torch.tensor(2.5),
        channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        one=torch.randn(3, 1, 1).transpose(1, 2),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.randn(3)),
    )


@both_forms
def test_tensors_are_equal_to_those_of_pytorch(tmp_path, new):
    expected = tensors()
    arrays = read_pth(saved(tmp_path / "x.pth", expected, new))
    assert list(arrays) == list(expected)
    for name, tensor in expected.items():
        array = arrays[name]
        assert array.shape == tuple(tensor.shape), name
        if array.shape:
            whole = np.concatenate([array[i : i + 1] for i in range(array.shape[0])] or [array[:]])
            correct = tensor.detach().to(torch.float64).numpy()
            np.testing.assert_array_equal(whole.astype(np.float64), correct, err_msg=name)


@both_forms
@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_the_state_dict_of_a_checkpoint_is_read(tmp_path, new, key):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, key: model.state_dict(), "optimizer": optimizer.state_dict()}
    arrays = read_pth(saved(tmp_path / "x.pth", checkpoint, new))
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(arrays["weight"][:], model.weight.detach().numpy())


def test_the_prefix_of_data_parallel_is_removed(tmp_path):
    model = torch.nn.DataParallel(torch.nn.Linear(3, 2))
    arrays = read_pth(saved(tmp_path / "x.pth", model.state_dict(), True))
    assert list(arrays) == ["weight", "bias"]


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@both_forms
def test_code_in_a_file_is_refused_and_not_run(tmp_path, new):
    trace = tmp_path / "trace"
    path = saved(tmp_path / "x.pth", {"w": torch.ones(3), "more": Evil(trace)}, new)
    with pytest.raises(InputError, match=r"got '(posix|nt).system', allowed: a state_dict of"):
        read_pth(path)
    assert not trace.exists()


@both_forms
def test_a_whole_model_is_refused(tmp_path, new):
    path = saved(tmp_path / "x.pth", torch.nn.Linear(3, 2), new)
    with pytest.raises(InputError, match="torch.nn.modules.linear.Linear"):
        read_pth(path)


@both_forms
def test_truncated_files_are_refused(tmp_path, new):
    path = saved(tmp_path / "x.pth", tensors(), new)
    content = path.read_bytes()
    for length in [*range(0, 200, 7), *range(200, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError) as raised:
            read_all(path)
        assert "\n" not in str(raised.value)


def read_all(path):
    return [array[0:1] for array in read_pth(path).values() if array.shape]


@both_forms
def test_changed_bytes_are_read_or_refused(tmp_path, new):
    """Nothing but an InputError may leave the reader, whatever the bytes are."""
    path = saved(tmp_path / "x.pth", tensors(), new)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        changed = bytearray(content)
        for place in rng.integers(0, min(len(changed), 1500), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_all(path)
        except InputError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 50


def with_tensor(path, offset=0, shape=(2, 3), strides=(3, 1), count=6):
    """Writes a file of the new form with one tensor of these numbers."""
    numbers = b"".join(
        pickle.dumps(each, 2)[2:-1] for each in (offset, tuple(shape), tuple(strides))
    )
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + pickle.dumps(count, 2)[2:-1]
        + b"tQ"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + numbers + b"\x89}tR"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s.")
        archive.writestr("a/data/0", np.arange(6, dtype="<f4").tobytes())
    return path


def test_the_handwritten_file_is_right(tmp_path):
    array = read_pth(with_tensor(tmp_path / "x.pth"))["w"]
    assert array[:].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "numbers",
    [
        {"offset": -1},
        {"offset": 1},
        {"offset": 2**63},
        {"shape": (-2, -3)},
        {"shape": (2**40, 2**40)},
        {"shape": (3, 3)},
        {"strides": (-3, 1)},
        {"strides": (0, 0)},
        {"strides": (0, 1)},
        {"strides": (1, 1), "shape": (3, 3)},
        {"strides": (3,)},
        {"strides": (2**62, 1)},
        {"shape": (2**31,) * 40, "strides": (0,) * 40},
        {"shape": (1,) * 65, "strides": (1,) * 65},
        {"shape": (2.5, 3)},
        {"shape": (True, 3)},
        {"count": -6},
    ],
    ids=str,
)
def test_impossible_sizes_are_refused(tmp_path, numbers):
    path = with_tensor(tmp_path / "x.pth", **numbers)
    if numbers == {"count": -6}:
        # The count of the pickle is not used: the size of the member is.
        assert read_pth(path)["w"].shape == (2, 3)
        return
    with pytest.raises(InputError):
        read_pth(path)


def test_a_storage_of_another_byte_order_is_swapped(tmp_path):
    path = with_tensor(tmp_path / "x.pth")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/byteorder", b"big")
    found = read_pth(path)["w"][:]
    expected = np.arange(6, dtype="<f4").view(">f4").reshape(2, 3)
    np.testing.assert_array_equal(found, expected)


def test_a_compressed_member_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    with_tensor(path)
    source = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            method = zipfile.ZIP_DEFLATED if name == "a/data/0" else zipfile.ZIP_STORED
            archive.writestr(name, source.read(name), method)
    with pytest.raises(InputError, match="compressed a/data/0"):
        read_pth(path)


@pytest.mark.parametrize("member", ["a/data.pkl", "a/byteorder"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_pickle_is_refused(tmp_path, member, method):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("a/data.pkl", b"}."), ("a/byteorder", b"little")):
            archive.writestr(name, content, method if name == member else zipfile.ZIP_STORED)
    with pytest.raises(InputError, match=f"compressed {member}"):
        read_pth(path)


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, {}, torch.ones(3)], ids=str)
@both_forms
def test_other_objects_than_a_state_dict_are_refused(tmp_path, value, new):
    with pytest.raises(InputError, match="no state_dict"):
        read_pth(saved(tmp_path / "x.pth", value, new))
