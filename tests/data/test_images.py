"""Tests of TFDS image sets: a child process reads them into the cache, without TensorFlow."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxdl.data import images, load, mapped_array, prepare
from jaxdl.data.cache import write_manifest
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import DataUnavailable, InputError
from tests.data import tiny_tfds

TRAIN = tiny_tfds.pixels(1, 40)
TEST = tiny_tfds.pixels(2, 11)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir with a small MNIST, and a cache that the child process has filled."""
    directory = tmp_path_factory.mktemp("tfds")
    data_dir = str(directory / "data")
    cache_dir = str(directory / "cache")
    tiny_tfds.write(directory / "data", train=TRAIN, test=TEST)
    load("mnist", data_dir, cache_dir)
    return data_dir, cache_dir


def no_child(*_):
    raise AssertionError("the cache was not used")


def test_loaded_data_equals_the_prepared_data(prepared):
    train, test = load("mnist", *prepared)
    for data, (image, label) in [(train, TRAIN), (test, TEST)]:
        np.testing.assert_array_equal(data["input"], image.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(data["label"], label)
        assert data["input"].dtype == np.float32
        assert data["label"].dtype == np.int32
        assert data.name == "mnist"
        assert data.classes == 10
        assert data.class_names == tuple("0123456789")


def test_an_entry_of_the_cache_without_names_is_read(prepared, tmp_path, monkeypatch):
    """Earlier versions stored no names; their arrays and hashes are the same."""
    cache = tmp_path / "cache"
    shutil.copytree(prepared[1], cache)
    folder = next(cache.glob("tfds/*/manifest.json")).parent
    metadata = json.loads((folder / "manifest.json").read_text())["metadata"]
    del metadata["class_names"]
    write_manifest(folder, metadata)
    monkeypatch.setattr(images, "run_prepare", no_child)
    train, test = load("mnist", prepared[0], str(cache))
    assert train.class_names is test.class_names is None
    assert train.sha256 == load("mnist", *prepared)[0].sha256


def test_names_that_do_not_fit_the_classes_are_refused(prepared, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(prepared[1], cache)
    folder = next(cache.glob("tfds/*/manifest.json")).parent
    metadata = json.loads((folder / "manifest.json").read_text())["metadata"]
    write_manifest(folder, metadata | {"class_names": ["a"]})
    with pytest.raises(InputError, match="^class_names: got"):
        load("mnist", prepared[0], str(cache))


def test_names_of_classes_come_from_tfds():
    import tensorflow_datasets as tfds

    builder = tfds.builder_cls("fashion_mnist")(data_dir="/nowhere")
    _, _, names = prepare._image_fields(builder, "fashion_mnist")
    assert len(names) == 10 and names[:2] == ["T-shirt/top", "Trouser"]


def test_the_second_call_reads_only_the_cache(prepared, monkeypatch, capfd):
    monkeypatch.setattr(images, "run_prepare", no_child)
    load("mnist", *prepared)
    assert capfd.readouterr() == ("", "")


def test_reading_is_reported(prepared, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(
        images.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess("", 9, "")
    )
    with pytest.raises(
        DataUnavailable, match="mnist: the process that reads it exited with code 9"
    ):
        load("mnist", prepared[0], str(tmp_path))
    assert capfd.readouterr().err == f"reading mnist from {prepared[0]} into the cache ...\n"
    assert not any((tmp_path / "tfds").iterdir())


def test_a_damaged_cache_is_read_again(prepared, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(prepared[1], cache)
    before, _ = load("mnist", prepared[0], str(cache))
    file = next(cache.glob("tfds/*/train_input.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.warns(
        UserWarning,
        match=r"cache .*mnist.* is damaged \(train_input.npy does not match its checksum\)",
    ):
        after, _ = load("mnist", prepared[0], str(cache))
    assert after.sha256 == before.sha256


def test_another_data_dir_is_another_set(prepared, tmp_path, monkeypatch):
    tiny_tfds.write(tmp_path, train=tiny_tfds.pixels(3, 20))
    train, test = load("mnist", str(tmp_path), prepared[1])
    # Without a test part, `holdout` splits one off.
    assert len(train) + len(test) == 20
    monkeypatch.setattr(images, "run_prepare", no_child)
    assert len(load("mnist", *prepared)[0]) == 40


def test_directories_from_the_environment(prepared, monkeypatch):
    monkeypatch.setattr(images, "run_prepare", no_child)
    monkeypatch.setenv("TFDS_DATA_DIR", prepared[0])
    monkeypatch.setenv("JAXDL_CACHE", prepared[1])
    assert len(load("mnist")[0]) == 40


def test_large_sets_stay_on_disk_with_the_same_bits(prepared, monkeypatch):
    small, _ = load("mnist", *prepared)
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    large, _ = load("mnist", *prepared)
    assert isinstance(large["input"], MappedArray)
    assert isinstance(large["input"].raw, np.ndarray)
    assert large["input"].raw.dtype == np.uint8
    assert large.sha256 == small.sha256
    assert large.nbytes == small.nbytes


def test_a_class_named_in_the_files_is_not_looked_up(prepared, tmp_path):
    program = (
        "import sys; from pathlib import Path; from jaxdl.data.prepare import prepare;"
        f"prepare('mnist', {prepared[0]!r}, Path({str(tmp_path)!r}));"
        "print('antigravity' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_tensorflow_and_tfds_are_not_imported_by_load(prepared):
    program = (
        "import sys, jaxdl.data;"
        f"jaxdl.data.load('mnist', {prepared[0]!r}, {prepared[1]!r} + '/fresh');"
        "top = {name.split('.')[0] for name in sys.modules};"
        "print(sorted(top & {'tensorflow', 'tensorflow_datasets'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_known_name_exists_in_tfds():
    import tensorflow_datasets as tfds

    for name in images.KNOWN:
        base, _, config = name.partition("/")
        assert not config or config in tfds.builder_cls(base).builder_configs


def test_the_command_leaves_a_prepared_set_unchanged(prepared, capsys):
    assert prepare.main(["mnist", "--data-dir", prepared[0]]) == 0
    assert capsys.readouterr().out == f"mnist is prepared in {prepared[0]}\n"


@pytest.mark.parametrize("name", ["mnist", "emnist/letters"])
def test_an_unavailable_set_is_reported_with_the_command_that_prepares_it(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataUnavailable) as raised:
        prepare.prepare(name, str(tmp_path))
    assert str(raised.value) == (
        f"{name}: not prepared in {tmp_path}; on a machine with TensorFlow and a network, run:"
        f" pip install 'jaxdl[tfds]' && python -m jaxdl.data.prepare {name} --data-dir {tmp_path}"
    )


def test_images_of_different_sizes_are_refused_before_the_download(tmp_path):
    with pytest.raises(
        DataUnavailable,
        match=r"tf_flowers: images are .*uint8.* \(None, None, 3\), not uint8 of one",
    ):
        prepare.prepare("tf_flowers", str(tmp_path))


def test_a_failure_of_tfds_is_an_error_of_one_line(tmp_path):
    folder = tiny_tfds.write(tmp_path, train=TRAIN)
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(
        DataUnavailable,
        match=r"^mnist: could not be prepared \(.*\); on a machine with a network, run: pip .*$",
    ):
        prepare.prepare("mnist", str(tmp_path), tmp_path)


def test_an_unknown_name_is_reported_with_the_nearest_known_one(tmp_path):
    with pytest.raises(
        InputError,
        match=r"^data: got 'fashion_mnst', allowed: .* \(did you mean 'fashion_mnist'\?\)$",
    ):
        load("fashion_mnst", str(tmp_path), str(tmp_path))


def real_mnist() -> str | None:
    """Returns a directory with a prepared MNIST, or None."""
    shared = str(Path(__file__).parents[3] / "shared" / "tfds")
    for directory in (os.environ.get("TFDS_DATA_DIR"), shared):
        if directory and (Path(directory) / "mnist").is_dir():
            return directory
    return None


@pytest.mark.slow
@pytest.mark.skipif(
    real_mnist() is None, reason="no prepared MNIST in $TFDS_DATA_DIR or ../shared/tfds"
)
def test_the_real_mnist(tmp_path):
    train, test = load("mnist", real_mnist(), str(tmp_path))
    assert train["input"].shape == (60000, 28, 28, 1)
    assert test["input"].shape == (10000, 28, 28, 1)
    # These counts and this mean are published for MNIST.
    assert np.bincount(train["label"]).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(test["label"]).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert train["input"].mean(dtype=np.float64) == pytest.approx(0.1307, abs=1e-4)
